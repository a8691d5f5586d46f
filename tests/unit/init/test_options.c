#include "init/options.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct options options;
static char why[OPTIONS_WHY_MAX];

static enum options_verdict read_all(const char *const *arguments, int count)
{
    char *argv[16] = {"outrigger-init"};
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)(size_t)arguments[i];
    why[0] = '\0';
    return options_read(count + 1, argv, &options, why);
}

#define READ(...)                                                                                  \
    read_all((const char *const[]){__VA_ARGS__},                                                   \
             (int)(sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *)))

Test(options, have_defaults)
{
    cr_assert_eq(read_all(NULL, 0), OPTIONS_GOOD);
    cr_expect_eq(options.port, 15001);
    cr_expect_eq(options.uid, 2102);
    cr_expect_eq(options.mark, 0);
    cr_expect_eq(options.skipped_ports.count + options.included_ports.count, 0);
    cr_expect_eq(options.skipped_ipv4.count + options.skipped_ipv6.count, 0);
    cr_expect(!options.is_dry_run && !options.is_removal && !options.is_enclosure);
}

Test(options, have_values_behind_them_or_behind_an_equals_sign)
{
    cr_assert_eq(READ("--port", "4140", "--uid=0", "--mark=0x539", "--dry-run", "--remove"),
                 OPTIONS_GOOD, "%s", why);
    cr_expect_eq(options.port, 4140);
    cr_expect_eq(options.uid, 0);
    cr_expect_eq(options.mark, 0x539);
    cr_expect(options.is_dry_run && options.is_removal);
}

Test(options, that_are_lists_add_up)
{
    cr_assert_eq(READ("--skip-outbound-ports", "22,3306", "--skip-outbound-ports=9000-9010,23",
                      "--include-outbound-ports", "80", "--skip-outbound-cidrs",
                      "10.0.0.0/8,fd00::/8", "--skip-outbound-cidrs=10.1.0.0/16,192.0.2.7"),
                 OPTIONS_GOOD, "%s", why);
    cr_expect_eq(options.skipped_ports.count, 3);
    cr_expect_eq(options.skipped_ports.ranges[0].last, 23);
    cr_expect_eq(options.included_ports.count, 1);
    cr_expect_eq(options.skipped_ipv4.count, 2);
    cr_expect_eq(options.skipped_ipv6.count, 1);
}

Test(options, that_are_lists_may_be_empty)
{
    cr_assert_eq(
        READ("--skip-outbound-ports", "", "--include-outbound-ports=", "--skip-outbound-cidrs="),
        OPTIONS_GOOD, "%s", why);
    cr_expect_eq(options.skipped_ports.count + options.included_ports.count, 0);
}

static void expect_refusal(const char *const *arguments, int count, const char *wanted)
{
    cr_assert_eq(read_all(arguments, count), OPTIONS_BAD, "%s %s", arguments[0],
                 count > 1 ? arguments[1] : "");
    cr_expect(strstr(why, wanted) != NULL, "%s", why);
}

#define REFUSED(wanted, ...)                                                                       \
    expect_refusal((const char *const[]){__VA_ARGS__},                                             \
                   (int)(sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *)), wanted)

Test(options, that_are_wrong_are_named_with_what_is_allowed)
{
    REFUSED("there is no option `--ports`", "--ports", "1");
    REFUSED("there is no option `--port-=1`", "--port-=1");
    REFUSED("there is no option `--dry-run=yes`", "--dry-run=yes");
    REFUSED("there is no option `15001`", "15001");
    REFUSED("there is no option ``", "");
    REFUSED("--uid needs a value", "--uid");
    REFUSED("--port: `0` is no port: ports are 1 to 65535", "--port", "0");
    REFUSED("--port: `` is no port", "--port=");
    REFUSED("--port: `1-2` is no port", "--port", "1-2");
    REFUSED("--uid: `root` is no user id", "--uid=root");
    REFUSED("0 to 4294967294", "--uid", "4294967295");
    REFUSED("--mark: `0` is no mark: marks are 1", "--mark", "0");
    REFUSED("--skip-outbound-ports: `70000` is no port: ports are 1 to 65535",
            "--skip-outbound-ports", "22,70000,80");
    REFUSED("--include-outbound-ports: `90-80` is a range that ends before it begins",
            "--include-outbound-ports", "90-80");
    REFUSED("--skip-outbound-cidrs: `10.0.0.0/40` has no good prefix: 0 to 32",
            "--skip-outbound-cidrs", "fd00::/8,10.0.0.0/40");
    REFUSED("`fd00::/x` has no good prefix: 0 to 128", "--skip-outbound-cidrs", "fd00::/x");
}

Test(options, that_are_lists_have_no_empty_entry)
{
    REFUSED("--skip-outbound-ports: `` is no port", "--skip-outbound-ports", "22,");
    REFUSED("--skip-outbound-ports: `` is no port", "--skip-outbound-ports", ",22");
    REFUSED("--skip-outbound-ports: `` is no port", "--skip-outbound-ports", "22,,23");
    REFUSED("--skip-outbound-ports: ` 23` is no port", "--skip-outbound-ports", "22, 23");
    REFUSED("--skip-outbound-cidrs: `` is no network", "--skip-outbound-cidrs", ",");
}

Test(options, that_are_endless_are_shown_in_part)
{
    char endless[4096];
    memset(endless, '9', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    REFUSED("is no port", "--port", endless);
    REFUSED("there is no option `999", endless);
}

Test(options, beyond_what_there_is_room_for_are_refused)
{
    char list[4 * PORT_SET_MAX * 2] = "";
    for (unsigned i = 0; i <= PORT_SET_MAX; i++) {
        const size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%u", i ? "," : "", 1 + 2 * i);
    }
    REFUSED("`513` is one entry too many: at most 256", "--skip-outbound-ports", list);
}

Test(options, may_ask_for_help_or_the_version_instead)
{
    cr_expect_eq(READ("--port", "1", "--help"), OPTIONS_HELP);
    cr_expect_eq(READ("-h"), OPTIONS_HELP);
    cr_expect_eq(READ("--version"), OPTIONS_VERSION);
}

Test(options, of_an_enclosure_are_flags_and_a_list)
{
    cr_assert_eq(READ("--enclose", "--own-ports", "3000,3000-3001", "--ipv4-only"), OPTIONS_GOOD,
                 "%s", why);
    cr_expect(options.is_enclosure && options.is_ipv4_only);
    cr_assert_eq(options.own_ports.count, 1);
    cr_expect_eq(options.own_ports.ranges[0].last, 3001);
    cr_expect_eq(READ("--own-ports", "0"), OPTIONS_BAD);
    cr_expect_eq(READ("--enclose=yes"), OPTIONS_BAD);
}
