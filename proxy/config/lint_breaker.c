/* lint_breaker.c - warnings about `circuitBreaker`; see lint.h. */
#include "base/codes.h"
#include "config/lint_own.h"
#include "config/scalar.h"

#define PROBE_LEASE (10 * NS_PER_S) /* POLICY section 3: the longest that a probe may take */
#define LONG_OPEN (60 * NS_PER_S)   /* what callers bear after the upstream is back */

static bool has_rates(const struct breaker_config *breaker)
{
    return breaker->failure_permille > 0 ||
           (breaker->slow_permille > 0 && breaker->slow_longer_than > 0);
}

static void min_requests_unreachable(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    const struct rate_limit_config *limit = &subject->policy->rate_limit;
    if (breaker->mode == POLICY_OFF || !has_rates(breaker) || breaker->window_calls > 0)
        return;
    if (limit->mode != POLICY_ENFORCE || limit->key.kind != KEY_NONE)
        return;
    dur_ns emission = limit->interval / (int64_t)limit->requests;
    uint64_t most = limit->burst + (uint64_t)(breaker->window / emission);
    if (most < breaker->min_requests)
        lint_warn(
            subject, DIAG_MIN_REQUESTS_UNREACHABLE, "circuitBreaker.failureRate.minRequests",
            "a smaller minRequests or a longer window",
            "the rate limit lets at most %llu calls into the window, the rates count from %u on",
            (unsigned long long)most, breaker->min_requests);
}

static void open_shorter_than_probe(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    dur_ns probe = dur_min(subject->policy->timeouts.backend_request, PROBE_LEASE);
    char open[64], lease[64];
    if (breaker->mode == POLICY_OFF || probe == 0 || breaker->max_open_for >= probe)
        return;
    duration_format(breaker->max_open_for, open, sizeof open);
    duration_format(probe, lease, sizeof lease);
    lint_warn(
        subject, DIAG_OPEN_SHORTER_THAN_PROBE, "circuitBreaker.maxOpenFor",
        "at least backendRequest",
        "the circuit is open for %s at most, a probe may hang for %s: most of an outage is spent "
        "probing",
        open, lease);
}

static void never_slow(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    dur_ns attempt = subject->policy->timeouts.backend_request;
    char slow[64], cut[64];
    if (breaker->mode == POLICY_OFF || breaker->slow_permille == 0 ||
        breaker->slow_longer_than == 0)
        return;
    if (attempt == 0 || breaker->slow_longer_than < attempt)
        return;
    duration_format(breaker->slow_longer_than, slow, sizeof slow);
    duration_format(attempt, cut, sizeof cut);
    lint_warn(subject, DIAG_NEVER_SLOW, "circuitBreaker.slowCalls.longerThan",
              "less than timeouts.backendRequest",
              "a call is slow after %s, but is cut off after %s", slow, cut);
}

static void never_trips(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    bool is_on = breaker->mode == POLICY_ENFORCE || breaker->mode == POLICY_SHADOW;
    if (is_on && breaker->consecutive_failures == 0 && !has_rates(breaker))
        lint_warn(subject, DIAG_NEVER_TRIPS, "circuitBreaker",
                  "set consecutiveFailures, failureRate or slowCalls",
                  "every way to trip is switched off, so it never opens");
}

static void probes_exceed_bulkhead(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    if (policy->breaker.mode == POLICY_ENFORCE && policy->bulkhead.mode == POLICY_ENFORCE &&
        policy->breaker.half_open_requests > policy->bulkhead.max_requests)
        lint_warn(subject, DIAG_PROBES_EXCEED_BULKHEAD, "circuitBreaker.halfOpenRequests",
                  "at most bulkhead.maxRequests", "%u probes, but only %u slots",
                  policy->breaker.half_open_requests, policy->bulkhead.max_requests);
}

static void hang_is_no_failure(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    bool is_on = policy->breaker.mode == POLICY_ENFORCE || policy->breaker.mode == POLICY_SHADOW;
    if (is_on && policy->timeouts.request == 0 && policy->timeouts.backend_request == 0)
        lint_warn(subject, DIAG_HANG_IS_NO_FAILURE, "circuitBreaker", "set timeouts.backendRequest",
                  "an upstream that hangs never opens the circuit: nothing ends its calls");
}

static void caller_mistakes_trip(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    if (breaker->mode != POLICY_ENFORCE && breaker->mode != POLICY_SHADOW)
        return;
    int status = code_set_caller_status(&breaker->failure_codes);
    int grpc = code_set_caller_grpc(&breaker->failure_codes);
    if (status)
        lint_warn(subject, DIAG_CALLER_MISTAKES_TRIP, "circuitBreaker.failureCodes",
                  "take out what a healthy upstream answers to a bad request",
                  "%d counts as a failure: a caller's mistakes open the circuit for all", status);
    if (grpc)
        lint_warn(subject, DIAG_CALLER_MISTAKES_TRIP, "circuitBreaker.failureGrpcCodes",
                  "take out what a healthy upstream answers to a bad request",
                  "%s counts as a failure: a caller's mistakes open the circuit for all",
                  grpc_code_word(grpc));
}

static void slow_recovery(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    char open[64];
    if (breaker->mode != POLICY_ENFORCE || breaker->max_open_for <= LONG_OPEN)
        return;
    duration_format(breaker->max_open_for, open, sizeof open);
    lint_warn(subject, DIAG_SLOW_RECOVERY, "circuitBreaker.maxOpenFor", "30s is a good start",
              "callers may be refused for %s after the upstream is back", open);
}

void lint_breaker(const struct subject *subject)
{
    min_requests_unreachable(subject);
    open_shorter_than_probe(subject);
    never_slow(subject);
    never_trips(subject);
    probes_exceed_bulkhead(subject);
    hang_is_no_failure(subject);
    caller_mistakes_trip(subject);
    slow_recovery(subject);
}
