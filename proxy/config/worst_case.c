/* worst_case.c - see worst_case.h. */
#include "config/worst_case.h"

#define PROBE_LEASE (10 * NS_PER_S) /* POLICY section 3 */
#define WHOLE_PERMILLE 1000

static dur_ns or_forever(dur_ns limit)
{
    return limit > 0 ? limit : DUR_FOREVER;
}

static dur_ns permille_of(dur_ns value, uint32_t permille)
{
    return dur_mul(value / WHOLE_PERMILLE, permille);
}

static void fill_waits(const struct policy *policy, struct worst_case *worst)
{
    const struct bulkhead_config *bulkhead = &policy->bulkhead;
    const struct retry_config *retry = &policy->retry;
    const uint32_t retries = worst->tries - 1;
    if (policy->rate_limit.mode == POLICY_ENFORCE)
        worst->token_wait = policy->rate_limit.wait;
    if (bulkhead->mode == POLICY_ENFORCE && bulkhead->max_pending > 0)
        worst->slot_wait = bulkhead->pending_timeout;
    for (uint32_t i = 0; i < retries; i++) {
        const dur_ns before = worst->backoffs;
        worst->backoffs = backoff_longest(&retry->backoff, i + 1);
        worst->retry_afters =
            dur_add(worst->retry_afters, dur_max(worst->backoffs - before, retry->max_retry_after));
    }
}

static void fill_load(const struct policy *policy, struct worst_case *worst)
{
    const struct retry_budget_config *budget = &policy->retry.budget;
    const uint32_t most = worst->tries * WHOLE_PERMILLE;
    worst->long_run_permille = most;
    if (budget->mode == POLICY_ENFORCE && WHOLE_PERMILLE + budget->permille < most)
        worst->long_run_permille = WHOLE_PERMILLE + budget->permille;
}

static void fill_breaker(const struct policy *policy, struct worst_case *worst)
{
    const struct breaker_config *breaker = &policy->breaker;
    const dur_ns spread = permille_of(breaker->open_for, breaker->open_jitter_permille);
    worst->first_open[0] = breaker->open_for - spread;
    worst->first_open[1] = dur_add(breaker->open_for, spread);
    worst->longest_open = dur_add(
        breaker->max_open_for, permille_of(breaker->max_open_for, breaker->open_jitter_permille));
    worst->probe = dur_min(worst->attempt, PROBE_LEASE);
}

struct worst_case worst_case_of(const struct policy *policy, bool may_retry, dur_ns caller_limit)
{
    const bool acts = policy->timeouts.mode == POLICY_ENFORCE;
    const bool retries = may_retry && policy->retry.mode == POLICY_ENFORCE;
    const dur_ns request =
        dur_min(caller_limit, acts ? or_forever(policy->timeouts.request) : DUR_FOREVER);
    struct worst_case worst = {.tries = 1 + (retries ? policy->retry.attempts : 0)};
    worst.attempt =
        dur_min(request, acts ? or_forever(policy->timeouts.backend_request) : DUR_FOREVER);
    fill_waits(policy, &worst);
    const dur_ns waits = dur_add(dur_add(worst.token_wait, worst.slot_wait), worst.retry_afters);
    worst.unbounded = dur_add(waits, dur_mul(worst.attempt, worst.tries));
    worst.total = dur_min(worst.unbounded, request);
    fill_load(policy, &worst);
    fill_breaker(policy, &worst);
    return worst;
}
