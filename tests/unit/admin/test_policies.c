/* What is loaded, as JSON: the same however small the slices are. */
#include "admin/policies.h"

#include "config/load.h"

#include <criterion/criterion.h>
#include <string.h>

static const char two[] =
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: a}\n"
    "spec: {targets: [{host: a, ports: [80, 81]}], retry: {codes: [502-505]}, rules: [{name: r, "
    "matches: [{path: {value: /x}, method: GET}], retry: {attempts: 1}}, {name: s}]}\n---\n"
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: b}\n"
    "spec: {targets: [{host: b}]}\n";

static struct policy_set *loaded(const char *text)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    cr_assert_eq(policy_set_load_text("t.yaml", text, strlen(text), &set, &diag), OK);
    diagnostics_fini(&diag);
    return set;
}

static unsigned write_all(const struct policy_set *set, unsigned chunks, struct text *out)
{
    struct policies_walk walk = {.set = set};
    unsigned turns = 1;
    text_init(out, 1 << 20);
    while (!policies_write(&walk, out, chunks))
        turns++;
    return turns;
}

Test(policies, are_the_same_in_any_slices)
{
    struct policy_set *set = loaded(two);
    struct text whole, sliced;
    cr_assert_eq(write_all(set, 100, &whole), 1);
    cr_assert_eq(write_all(set, 1, &sliced), 4); /* a, r, s, b */
    cr_assert(span_is(text_span(&whole), text_span(&sliced)));
    text_char(&whole, '\0');
    cr_assert_not_null(strstr(whole.data, "\"retry.codes\":[\"502-505\"]"));
    cr_assert_not_null(strstr(whole.data, "\"targets\":[{\"host\":\"a\",\"ports\":[80,81]}]"));
    cr_assert_not_null(strstr(whole.data, "{\"name\":\"r\",\"at\":\"t.yaml:4\",\"matches\":[\"path "
                                          "under /x, method GET\"],\"fields\":{\"retry.mode\":"));
    cr_assert_not_null(strstr(whole.data, "{\"name\":\"s\",\"at\":\"t.yaml:4\",\"matches\":[],"
                                          "\"fields\":{}}"));
    text_fini(&whole);
    text_fini(&sliced);
    policy_set_unref(&set);
}

Test(policies, of_nothing_are_an_empty_list)
{
    struct policy_set *set = loaded("");
    struct text text;
    write_all(set, 1, &text);
    cr_assert(span_ends_with(text_span(&text), SPAN("\"policies\":[]}\n")));
    text_fini(&text);
    policy_set_unref(&set);
}
