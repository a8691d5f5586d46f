/* The arithmetic of the worst case. */
#include "config/worst_case.h"
#include "support.h"

#include <criterion/criterion.h>

#define MS NS_PER_MS

static struct worst_case worst(const char *spec, bool may_retry, dur_ns caller_limit)
{
    struct policy_set *set = loaded_spec(spec);
    struct worst_case found = worst_case_of(&set->documents[0].policy, may_retry, caller_limit);
    policy_set_unref(&set);
    return found;
}

Test(worst_case, without_limits_has_no_end)
{
    struct worst_case found = worst("", true, DUR_FOREVER);
    cr_assert(found.tries == 1 && found.total == DUR_FOREVER && found.attempt == DUR_FOREVER);
    cr_assert_eq(found.long_run_permille, 1000);
}

Test(worst_case, adds_tries_and_waits)
{
    struct worst_case found =
        worst("timeouts: {backendRequest: 1s}, retry: {attempts: 2, backoff: 100ms, maxBackoff: "
              "150ms, maxRetryAfter: 120ms}, bulkhead: {maxPending: 1, pendingTimeout: 300ms}, "
              "rateLimit: {requests: 1, wait: 400ms}",
              true, DUR_FOREVER);
    cr_assert_eq(found.tries, 3);
    cr_assert_eq(found.backoffs, 250 * MS);     /* 100 + 150 */
    cr_assert_eq(found.retry_afters, 270 * MS); /* 120 + 150 */
    cr_assert_eq(found.total, 3970 * MS);       /* 3 s, 270, 300 and 400 ms */
    cr_assert_eq(found.unbounded, found.total);
    cr_assert_eq(found.long_run_permille, 1200);
}

Test(worst_case, is_cut_by_the_request_timeout_and_by_the_caller)
{
    static const char spec[] = "timeouts: {request: 2s, backendRequest: 1500ms}, retry: {}";
    struct worst_case found = worst(spec, true, DUR_FOREVER);
    cr_assert(found.total == 2000 * MS && found.unbounded > found.total);
    cr_assert_eq(found.attempt, 1500 * MS);
    found = worst(spec, true, 500 * MS);
    cr_assert(found.total == 500 * MS && found.attempt == 500 * MS);
}

Test(worst_case, of_a_call_that_is_not_repeated_is_one_try)
{
    struct worst_case found =
        worst("timeouts: {backendRequest: 1s}, retry: {attempts: 5}", false, DUR_FOREVER);
    cr_assert(found.tries == 1 && found.total == 1000 * MS && found.long_run_permille == 1000);
    found = worst("timeouts: {backendRequest: 1s}, retry: {mode: shadow}", true, DUR_FOREVER);
    cr_assert_eq(found.tries, 1);
}

Test(worst_case, without_a_budget_multiplies_for_ever)
{
    struct worst_case found = worst("retry: {attempts: 3, budget: {mode: off}}", true, DUR_FOREVER);
    cr_assert(found.tries == 4 && found.long_run_permille == 4000);
    found = worst("retry: {attempts: 1, budget: {percent: 100}}", true, DUR_FOREVER);
    cr_assert_eq(found.long_run_permille, 2000);
}

Test(worst_case, of_a_circuit_has_its_jitter)
{
    struct worst_case found = worst("timeouts: {backendRequest: 3s}, circuitBreaker: {openFor: 5s, "
                                    "maxOpenFor: 30s, openJitter: 20}",
                                    true, DUR_FOREVER);
    cr_assert(found.first_open[0] == 4000 * MS && found.first_open[1] == 6000 * MS);
    cr_assert(found.longest_open == 36000 * MS && found.probe == 3000 * MS);
    found = worst("timeouts: {request: 1m}, circuitBreaker: {}", true, DUR_FOREVER);
    cr_assert_eq(found.probe, 10000 * MS);
}

Test(worst_case, of_shadow_limits_is_no_limit)
{
    struct worst_case found =
        worst("timeouts: {mode: shadow, request: 1s, backendRequest: 1s}, bulkhead: {mode: shadow, "
              "maxPending: 9}, rateLimit: {mode: shadow, requests: 1, wait: 9s}",
              true, DUR_FOREVER);
    cr_assert(found.total == DUR_FOREVER && found.token_wait == 0 && found.slot_wait == 0);
}
