#include "inject/settings.h"

#include <criterion/criterion.h>

static struct inject_settings settings;
static char why[VALUE_WHY_MAX];

static void set_up(void)
{
    cr_assert_eq(inject_settings_init(&settings), OK);
    why[0] = '\0';
}

static void tear_down(void)
{
    inject_settings_fini(&settings);
}

TestSuite(settings, .init = set_up, .fini = tear_down);

static enum err set(const char *name, const char *value)
{
    return inject_settings_set(&settings, span_of(name), span_of(value), why);
}

Test(settings, of_unknown_names_say_which_is_near)
{
    cr_assert_eq(set("polcy", "a"), ERR_NOT_FOUND);
    cr_assert_str_eq(why, "did you mean \"policy\"?");
    cr_assert_eq(set("", "a"), ERR_NOT_FOUND);
    cr_assert(strstr(why, "there are inject, policy") != NULL, "%s", why);
}

Test(settings, that_are_refused_stay_as_they_were)
{
    cr_assert_eq(set("log-level", "debug"), OK);
    cr_assert_eq(set("log-level", "loud"), ERR_INVALID);
    cr_assert_str_eq(why, "allowed: debug, info, warn or error");
    cr_assert(inject_settings_are(&settings, INJECT_LOG_LEVEL, "debug"));
    cr_assert_eq(set("skip-outbound-ports", "22,x"), ERR_INVALID);
    cr_assert(strstr(why, "\"x\" is no port") && strstr(why, "allowed: ports and ranges"), "%s",
              why);
}

Test(settings, of_words_are_spelled_exactly)
{
    static const char *const bad[][2] = {{"inject", "True"},       {"interception", ""},
                                         {"native-sidecar", "no"}, {"image-pull-policy", "always"},
                                         {"drain", "serve "},      {"log-level", "INFO"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(set(bad[i][0], bad[i][1]), ERR_INVALID, "%s", bad[i][0]);
}

Test(settings, that_are_too_long_are_refused)
{
    static char list[20000];
    memset(list, ' ', sizeof list - 1);
    list[0] = '1';
    cr_assert_eq(set("opaque-ports", list), OK);
    cr_assert(inject_settings_are(&settings, INJECT_OPAQUE_PORTS, "1"));
    memset(list, '7', sizeof list - 1);
    cr_assert_eq(set("opaque-ports", list), ERR_INVALID);
}

Test(settings, have_defaults_and_may_be_switched_off)
{
    cr_assert(inject_settings_are(&settings, INJECT_INTERCEPTION, "redirect"));
    cr_assert(inject_settings_are(&settings, INJECT_IMAGE, "outrigger:" OUTRIGGER_VERSION));
    cr_assert(inject_settings_are(&settings, INJECT_CPU_LIMIT, ""));
    cr_assert_eq(set("memory-limit", "none"), OK);
    cr_assert(inject_settings_are(&settings, INJECT_MEMORY_LIMIT, ""));
}

Test(settings, that_are_copied_do_not_change_with_the_first)
{
    struct inject_settings copy;
    cr_assert_eq(set("policy", "a"), OK);
    cr_assert_eq(inject_settings_copy(&settings, &copy), OK);
    cr_assert_eq(set("policy", "b"), OK);
    cr_assert(inject_settings_are(&copy, INJECT_POLICY, "a"));
    inject_settings_fini(&copy);
}

Test(settings, have_a_name_and_say_what_is_allowed)
{
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        cr_assert(inject_key_name((enum inject_key)i)[0] != '\0');
        cr_assert(inject_key_allowed((enum inject_key)i)[0] != '\0');
    }
    cr_assert_str_eq(inject_key_name(INJECT_MEMORY_LIMIT), "memory-limit");
}
