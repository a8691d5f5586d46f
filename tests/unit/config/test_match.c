#include "config/match.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct span header_of(const void *context, struct span name)
{
    const char *const *pairs = context;
    for (; pairs && *pairs; pairs += 2)
        if (span_is(name, span_of(pairs[0])))
            return span_of(pairs[1]);
    return SPAN_NONE;
}

static struct policy_set *set;

static void with(const char *matches)
{
    char spec[4096];
    policy_set_unref(&set);
    snprintf(spec, sizeof spec, "rules: [{name: a, matches: [%s]}]", matches);
    set = loaded_spec(spec);
}

static void tear_down(void)
{
    policy_set_unref(&set);
}

TestSuite(match, .fini = tear_down);
TestSuite(rules, .fini = tear_down);

static bool asked(const struct match_input *input)
{
    return document_match(&set->documents[0], input) != NULL;
}

static bool path(const char *text)
{
    return asked(
        &(struct match_input){.method = SPAN("GET"), .path = span_of(text), .header = header_of});
}

Test(match, of_a_path_prefix_goes_by_whole_elements)
{
    with("{path: {value: /v1/charge}}");
    cr_assert(!path("/v1/chargers") && !path("/v1/charg") && !path("/V1/charge") && !path("/v1") &&
              !path(""));
    cr_assert(path("/v1/charge") && path("/v1/charge/") && path("/v1/charge/x") &&
              path("/v1/charge//"));
}

Test(match, of_a_path_prefix_ignores_its_own_trailing_slash)
{
    with("{path: {type: PathPrefix, value: /v1/charge/}}");
    cr_assert(path("/v1/charge") && path("/v1/charge/x") && !path("/v1/chargers"));
}

Test(match, of_the_root_takes_every_path)
{
    with("{path: {type: PathPrefix, value: /}}");
    cr_assert(path("/") && path("/a/b") && !path("*"));
    with("{path: {}}");
    cr_assert(path("/") && path("/a/b"));
}

Test(match, of_an_exact_path_is_exact)
{
    with("{path: {type: Exact, value: /a/}}");
    cr_assert(path("/a/") && !path("/a") && !path("/a/b"));
}

Test(match, needs_all_that_is_named)
{
    with("{path: {value: /a}, method: POST, headers: [{name: X-One, value: '1'}, {name: x-two, "
         "value: ''}]}");
    const char *both[] = {"x-one", "1", "x-two", "", NULL}, *one[] = {"x-one", "1", NULL},
               *wrong[] = {"x-one", "2", "x-two", "", NULL};
    struct match_input input = {
        .method = SPAN("POST"), .path = SPAN("/a"), .header = header_of, .context = both};
    cr_assert(asked(&input));
    input.context = one;
    cr_assert_not(asked(&input));
    input.context = wrong;
    cr_assert_not(asked(&input));
    input.context = both;
    input.method = SPAN("GET");
    cr_assert_not(asked(&input));
    input.method = SPAN("POST");
    input.path = SPAN("/b");
    cr_assert_not(asked(&input));
}

Test(match, of_several_needs_one)
{
    with("{path: {value: /a}}, {path: {value: /b}}");
    cr_assert(path("/a") && path("/b") && !path("/c"));
}

Test(match, of_a_query_takes_the_first_of_a_name_as_sent)
{
    static const struct {
        const char *query;
        bool holds;
    } cases[] = {{"a=1", true},    {"b=2&a=1", true}, {"a=1&a=2", true}, {"a=2&a=1", false},
                 {"", false},      {"aa=1", false},   {"a=11", false},   {"a", false},
                 {"a=%31", false}, {"&&a=1&", true},  {"x=a=1", false}};
    with("{queryParams: [{name: a, value: '1'}]}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct match_input input = {.method = SPAN("GET"),
                                    .path = SPAN("/"),
                                    .query = span_of(cases[i].query),
                                    .header = header_of};
        cr_assert_eq(asked(&input), cases[i].holds, "%s", cases[i].query);
    }
    cr_assert_not(path("/"));
    with("{queryParams: [{name: a, value: ''}]}");
    struct match_input bare = {
        .method = SPAN("GET"), .path = SPAN("/"), .query = SPAN("a"), .header = header_of};
    cr_assert(asked(&bare));
    bare.query = SPAN("b&a=");
    cr_assert(asked(&bare));
}

static bool grpc(const char *text, bool is_grpc)
{
    return asked(&(struct match_input){
        .method = SPAN("POST"), .path = span_of(text), .is_grpc = is_grpc, .header = header_of});
}

Test(match, of_grpc_asks_service_and_method)
{
    with("{grpc: {service: shop.Quotes, method: Get}}");
    cr_assert(grpc("/shop.Quotes/Get", true));
    cr_assert(!grpc("/shop.Quotes/Get", false) && !grpc("/shop.Quotes/GetAll", true) &&
              !grpc("/shop.Quote/Get", true));
    cr_assert(!grpc("shop.Quotes/Get", true) && !grpc("/", true) && !grpc("", true) &&
              !grpc("/Get", true));
    with("{grpc: {service: shop.Quotes}}");
    cr_assert(grpc("/shop.Quotes/Any", true) && !grpc("/shop.Other/Any", true));
    with("{grpc: {method: Get}}");
    cr_assert(grpc("/any.Service/Get", true) && !grpc("/any.Service/Set", true));
}

static const char *rule(const char *text)
{
    const struct rule *found = document_match(
        &set->documents[0],
        &(struct match_input){.method = SPAN("GET"), .path = span_of(text), .header = header_of});
    return found ? found->name : "none";
}

Test(rules, are_asked_in_order)
{
    set = loaded_spec("rules: [{name: a, matches: [{path: {value: /a/b}}]}, {name: b, matches: "
                      "[{path: {value: /a}}]}, "
                      "{name: c, matches: [{path: {value: /c}, method: POST}]}]");
    cr_assert_str_eq(rule("/a/b/c"), "a");
    cr_assert_str_eq(rule("/a/c"), "b");
    cr_assert_str_eq(rule("/c"), "none");
}

Test(rules, without_matches_take_every_call)
{
    set = loaded_spec("rules: [{name: a, matches: [{path: {value: /a}}]}, {name: b}]");
    cr_assert_str_eq(rule("/a"), "a");
    cr_assert_str_eq(rule("*"), "b");
    policy_set_unref(&set);
    set = loaded_spec("rules: [{name: b, matches: []}]");
    cr_assert_str_eq(rule("/"), "b");
    policy_set_unref(&set);
    set = loaded_spec("rules: [{name: b, matches: [{}]}]");
    cr_assert_str_eq(rule("/"), "b");
}

static bool shadows(const char *first, const char *second)
{
    char spec[4096];
    policy_set_unref(&set);
    snprintf(spec, sizeof spec, "rules: [{name: a, matches: [%s]}, {name: b, matches: [%s]}]",
             first, second);
    set = loaded_spec(spec);
    return rule_that_shadows(&set->documents[0], 1) != NULL;
}

Test(rules, that_are_never_reached_are_found)
{
    cr_assert(shadows("", "{path: {value: /a}}"));
    cr_assert(shadows("", ""));
    cr_assert(shadows("{}", "{method: GET}"));
    cr_assert(shadows("{path: {value: /}}", "{path: {value: /a}}"));
    cr_assert(shadows("{path: {value: /a}}", "{path: {value: /a/b}, method: GET}"));
    cr_assert(shadows("{path: {value: /a}}", "{path: {type: Exact, value: /a/b}}"));
    cr_assert(shadows("{path: {type: Exact, value: /a}}", "{path: {type: Exact, value: /a}}"));
    cr_assert(shadows("{method: GET}", "{method: GET, headers: [{name: a, value: b}]}"));
    cr_assert(shadows("{headers: [{name: A, value: b}]}",
                      "{headers: [{name: c, value: d}, {name: a, value: b}]}"));
    cr_assert(
        shadows("{queryParams: [{name: a, value: b}]}", "{queryParams: [{name: a, value: b}]}"));
    cr_assert(shadows("{grpc: {service: s}}", "{grpc: {service: s, method: m}}"));
    cr_assert(shadows("{path: {value: /a}}, {path: {value: /b}}",
                      "{path: {value: /b/x}}, {path: {value: /a}}"));
}

Test(rules, that_some_call_reaches_are_not_called_shadowed)
{
    cr_assert_not(shadows("{path: {value: /a}}", "{path: {value: /ab}}"));
    cr_assert_not(shadows("{path: {value: /a}}", ""));
    cr_assert_not(shadows("{path: {type: Exact, value: /a}}", "{path: {value: /a}}"));
    cr_assert_not(shadows("{path: {value: /a}, method: GET}", "{path: {value: /a}}"));
    cr_assert_not(shadows("{method: GET}", "{method: POST}"));
    cr_assert_not(shadows("{headers: [{name: a, value: b}]}", "{headers: [{name: a, value: c}]}"));
    cr_assert_not(shadows("{headers: [{name: a, value: b}]}", "{}"));
    cr_assert_not(
        shadows("{queryParams: [{name: a, value: b}]}", "{queryParams: [{name: b, value: b}]}"));
    cr_assert_not(shadows("{grpc: {service: s}}", "{method: POST}"));
    cr_assert_not(shadows("{grpc: {service: s, method: m}}", "{grpc: {service: s}}"));
    cr_assert_not(shadows("{path: {value: /a}}", "{path: {value: /a}}, {path: {value: /b}}"));
}
