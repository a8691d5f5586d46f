#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct rule *rule_of(const struct policy_set *set, size_t index)
{
    return &set->documents[0].rules[index];
}

Test(rule, takes_the_document_where_it_says_nothing)
{
    struct policy_set *set =
        loaded_spec("retry: {attempts: 3}, bulkhead: {maxRequests: 7}, rules: [{name: a}]");
    const struct rule *rule = rule_of(set, 0);
    cr_assert_str_eq(rule->name, "a");
    cr_assert(rule->policy.retry.attempts == 3 && rule->policy.bulkhead.max_requests == 7);
    cr_assert_eq(rule->policy.own, 0);
    cr_assert_str_eq(rule->policy.at[POLICY_FAMILY_RETRY], "t.yaml:1");
    cr_assert_str_eq(rule->policy.at[POLICY_FAMILY_RATE_LIMIT], "");
    cr_assert_eq(rule->match_count, 0);
    policy_set_unref(&set);
}

Test(rule, overrides_field_by_field_at_every_level)
{
    struct policy_set *set = loaded_spec("circuitBreaker: {openFor: 9s, failureRate: {percent: 30, "
                                         "minRequests: 5}, slowCalls: {percent: 70}}, "
                                         "rules: [{name: a, circuitBreaker: {failureRate: "
                                         "{percent: 40}, slowCalls: {longerThan: 1s}}}]");
    const struct breaker_config *breaker = &rule_of(set, 0)->policy.breaker;
    cr_assert_eq(breaker->open_for, 9 * NS_PER_S);
    cr_assert(breaker->failure_permille == 400 && breaker->min_requests == 5);
    cr_assert(breaker->slow_permille == 700 && breaker->slow_longer_than == NS_PER_S);
    cr_assert_eq(set->documents[0].policy.breaker.failure_permille, 300);
    cr_assert_eq(rule_of(set, 0)->policy.own, 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    policy_set_unref(&set);
}

Test(rule, replaces_lists)
{
    struct policy_set *set = loaded_spec("retry: {codes: [502, 503], methods: [GET]}, rules: "
                                         "[{name: a, retry: {codes: [500], methods: []}}]");
    const struct retry_config *retry = &rule_of(set, 0)->policy.retry;
    cr_assert(code_set_has_http(&retry->codes, 500) && !code_set_has_http(&retry->codes, 503));
    cr_assert_eq(retry->methods, 0);
    policy_set_unref(&set);
}

Test(rule, takes_defaults_where_the_document_has_no_such_block)
{
    struct policy_set *set =
        loaded_spec("rules: [{name: a, timeouts: {request: 1s}, bulkhead: {}}]");
    const struct policy *policy = &rule_of(set, 0)->policy;
    cr_assert(policy->timeouts.request == NS_PER_S && policy->timeouts.connect == NS_PER_S);
    cr_assert(policy->bulkhead.mode == POLICY_ENFORCE && policy->bulkhead.max_requests == 100);
    cr_assert_eq(policy->retry.mode, POLICY_OFF);
    cr_assert_eq(set->documents[0].policy.timeouts.connect, 5 * NS_PER_S);
    policy_set_unref(&set);
}

Test(rule, inherits_the_mode_and_may_change_it)
{
    struct policy_set *set =
        loaded_spec("bulkhead: {mode: shadow}, circuitBreaker: {}, rules: [{name: a, bulkhead: "
                    "{maxRequests: 2}, circuitBreaker: {mode: off}}]");
    cr_assert_eq(rule_of(set, 0)->policy.bulkhead.mode, POLICY_SHADOW);
    cr_assert_eq(rule_of(set, 0)->policy.breaker.mode, POLICY_OFF);
    policy_set_unref(&set);
}

Test(rule, may_leave_out_what_is_required_when_the_document_has_it)
{
    struct policy_set *set = loaded_spec(
        "rateLimit: {requests: 9, burst: 4}, rules: [{name: a, rateLimit: {requests: 3}}, "
        "{name: b, rateLimit: {burst: 5}}]");
    cr_assert(rule_of(set, 0)->policy.rate_limit.requests == 3 &&
              rule_of(set, 0)->policy.rate_limit.burst == 4);
    cr_assert(rule_of(set, 1)->policy.rate_limit.requests == 9 &&
              rule_of(set, 1)->policy.rate_limit.burst == 5);
    policy_set_unref(&set);
}

Test(rule, with_retry_uses_the_budget_of_the_target)
{
    struct policy_set *set = loaded_spec(
        "retry: {budget: {percent: 7}}, rules: [{name: a, retry: {attempts: 5}}, {name: b}]");
    cr_assert_eq(rule_of(set, 0)->policy.retry.budget.permille, 70);
    cr_assert_eq(rule_of(set, 1)->policy.retry.budget.permille, 70);
    policy_set_unref(&set);
}

Test(rule, with_retry_under_a_document_without_it_uses_the_default_budget)
{
    struct policy_set *set = loaded_spec("rules: [{name: a, retry: {attempts: 5}}]");
    cr_assert_eq(rule_of(set, 0)->policy.retry.budget.permille, 200);
    cr_assert_eq(rule_of(set, 0)->policy.retry.budget.mode, POLICY_ENFORCE);
    cr_assert_eq(set->documents[0].policy.retry.budget.permille, 200);
    cr_assert_eq(set->documents[0].policy.retry.budget.mode, POLICY_ENFORCE);
    cr_assert_eq(set->documents[0].policy.retry.mode, POLICY_OFF);
    policy_set_unref(&set);
}

Test(rule, that_names_a_window_below_calls_is_refused)
{
    cr_assert_str_eq(
        spec_findings(
            "circuitBreaker: {failureRate: {calls: 50}}, rules: [{name: a, circuitBreaker: "
            "{failureRate: {window: 5s}}}]"),
        "t.yaml:1:215: spec.rules[0].circuitBreaker.failureRate.window: no effect, because `calls` "
        "is set "
        "(name one of them; calls: 0 looks back over `window`) [OUT0207]\n");
    struct policy_set *set =
        loaded_spec("circuitBreaker: {failureRate: {window: 5s}}, rules: [{name: a, "
                    "circuitBreaker: {failureRate: {calls: 50}}}]");
    cr_assert_eq(rule_of(set, 0)->policy.breaker.window_calls, 50);
    policy_set_unref(&set);
}

Test(rule, knows_its_places)
{
    struct policy_set *set = loaded("apiVersion: outrigger.dev/v1alpha1\n"
                                    "kind: ResiliencePolicy\n"
                                    "metadata:\n"
                                    "  name: p\n"
                                    "spec:\n"
                                    "  targets:\n"
                                    "    - host: a\n"
                                    "  retry:\n"
                                    "    attempts: 1\n"
                                    "  rules:\n"
                                    "    - name: first\n"
                                    "      bulkhead: {}\n"
                                    "    - retry: {}\n"
                                    "      name: second\n");
    const struct document *document = &set->documents[0];
    cr_assert_str_eq(document->at, "t.yaml:1");
    cr_assert_str_eq(document->policy.at[POLICY_FAMILY_RETRY], "t.yaml:8");
    cr_assert_str_eq(document->rules[0].at, "t.yaml:11");
    cr_assert_str_eq(document->rules[0].policy.at[POLICY_FAMILY_BULKHEAD], "t.yaml:12");
    cr_assert_str_eq(document->rules[0].policy.at[POLICY_FAMILY_RETRY], "t.yaml:8");
    cr_assert_str_eq(document->rules[1].at, "t.yaml:13");
    cr_assert_str_eq(document->rules[1].policy.at[POLICY_FAMILY_RETRY], "t.yaml:13");
    cr_assert(document->rules[1].index == 1 && document->targets[0].line == 7 &&
              document->targets[0].column == 13);
    policy_set_unref(&set);
}

Test(rule, errors_of_the_document_are_said_once)
{
    const char *said =
        spec_findings("retry: {attempts: x}, rules: [{name: a, retry: {backoff: 1ms}}, "
                      "{name: b, retry: {}}]");
    cr_assert_str_eq(
        said,
        "t.yaml:1:132: spec.retry.attempts: expected a whole number, found \"x\" [OUT0202]\n");
}

Test(rule, errors_are_said_beside_those_of_the_document)
{
    const char *said = spec_findings(
        "retry: {attempts: x}, rateLimit: {burst: 1}, rules: [{name: a, retry: {backoff: y}}, "
        "{name: b, rateLimit: {wait: 1s}}]");
    cr_assert_not_null(strstr(said, "spec.retry.attempts: expected a whole number"));
    cr_assert_not_null(strstr(said, "spec.rules[0].retry.backoff: expected a duration"));
    cr_assert_null(strstr(said, "spec.rules[1]"), "%s", said);
}

Test(rule, contradiction_with_its_document_is_refused)
{
    const char *said = spec_findings(
        "retry: {backoff: 1s, maxBackoff: 2s}, rules: [{name: a, retry: {maxBackoff: 1ms}}]");
    cr_assert_not_null(strstr(said, "spec.rules[0].retry.maxBackoff: shorter than backoff"), "%s",
                       said);
}

Test(document, may_have_no_namespace)
{
    struct policy_set *set = loaded_spec("");
    cr_assert_str_eq(set->documents[0].namespace, "");
    cr_assert_str_eq(set->documents[0].name, "p");
    cr_assert_eq(set->documents[0].protocol, PROTOCOL_UNSET);
    policy_set_unref(&set);
}

Test(document, has_bounded_matches)
{
    static char spec[65536];
    size_t len = (size_t)snprintf(spec, sizeof spec, "rules: [");
    for (int i = 0; i < 17; i++) {
        len += (size_t)snprintf(spec + len, sizeof spec - len, "%s{name: r%d, matches: [",
                                i ? ", " : "", i);
        for (int j = 0; j < (i < 16 ? 64 : 1); j++)
            len += (size_t)snprintf(spec + len, sizeof spec - len, "%s{method: M%d}", j ? ", " : "",
                                    i * 64 + j);
        len += (size_t)snprintf(spec + len, sizeof spec - len, "]}");
    }
    snprintf(spec + len, sizeof spec - len, "]");
    const char *said = spec_findings(spec);
    cr_assert_not_null(strstr(said, "spec.rules: 1025 entries of `matches` (1024 at most, of all "
                                    "rules together) [OUT0204]"),
                       "%s", said);
}

Test(document, with_an_alias_in_any_place_is_refused_without_a_second_word)
{
    static const char *const specs[] = {
        "retry: *x",
        "retry: {attempts: *x}",
        "rules: [*x]",
        "rules: [{name: *x}]",
        "rules: [{name: a, matches: [*x], retry: *x}]",
        "rules: [{name: a, retry: {methods: [*x]}, bulkhead: {maxRequests: *x}}]",
        "rules: *x"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        const char *said = spec_findings(specs[i]);
        cr_assert_not_null(strstr(said, "aliases"), "%s", specs[i]);
        cr_assert_null(strstr(said, "expected"), "%s: %s", specs[i], said);
    }
    const char *said =
        findings("apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: p}\n"
                 "spec: {targets: [{host: *x}]}\n");
    cr_assert_str_eq(
        said,
        "t.yaml:4:25: aliases (*) are not allowed (write the value out in each place) [OUT0106]\n");
}
