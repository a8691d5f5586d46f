/* lint_limits.c - warnings about `timeouts`, `bulkhead` and `rateLimit`; see lint.h. */
#include "config/lint_own.h"
#include "config/scalar.h"

#define FASTEST_CALL NS_PER_MS /* what a network call takes at the very least */

static void attempt_outlasts_request(const struct subject *subject)
{
    const struct timeouts_config *timeouts = &subject->policy->timeouts;
    char attempt[64], call[64];
    if (timeouts->request == 0 || timeouts->backend_request <= timeouts->request)
        return;
    duration_format(timeouts->backend_request, attempt, sizeof attempt);
    duration_format(timeouts->request, call, sizeof call);
    lint_warn(subject, DIAG_ATTEMPT_OUTLASTS_REQUEST, "timeouts.backendRequest",
              "make it shorter, or leave it out",
              "one attempt may take %s, but the call ends after %s", attempt, call);
}

static void no_timeout(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    if (policy->bulkhead.mode == POLICY_ENFORCE && policy->timeouts.request == 0 &&
        policy->timeouts.backend_request == 0)
        lint_warn(subject, DIAG_NO_TIMEOUT, "bulkhead", "set timeouts.backendRequest",
                  "an upstream that hangs keeps all %u slots, nothing ends its calls",
                  policy->bulkhead.max_requests);
}

static void queue_cannot_drain(const struct subject *subject)
{
    const struct bulkhead_config *bulkhead = &subject->policy->bulkhead;
    const struct rate_limit_config *limit = &subject->policy->rate_limit;
    if (bulkhead->mode != POLICY_ENFORCE || bulkhead->max_pending == 0)
        return;
    if (bulkhead->pending_timeout == 0) {
        lint_warn(subject, DIAG_QUEUE_CANNOT_DRAIN, "bulkhead.pendingTimeout",
                  "set pendingTimeout, or maxPending: 0", "maxPending is %u, but nobody may wait",
                  bulkhead->max_pending);
        return;
    }
    dur_ns drained = dur_mul(bulkhead->pending_timeout / FASTEST_CALL, bulkhead->max_requests);
    const char *assumption = "even if each takes only 1ms";
    if (limit->mode == POLICY_ENFORCE && limit->key.kind == KEY_NONE) {
        dur_ns paced =
            dur_add(bulkhead->pending_timeout / (limit->interval / (int64_t)limit->requests),
                    (int64_t)limit->burst);
        assumption = paced < drained ? "at the pace of the rate limit" : assumption;
        drained = dur_min(drained, paced);
    }
    char wait[64];
    duration_format(bulkhead->pending_timeout, wait, sizeof wait);
    if (bulkhead->max_pending > drained)
        lint_warn(subject, DIAG_QUEUE_CANNOT_DRAIN, "bulkhead.maxPending",
                  "a shorter queue, or a longer pendingTimeout",
                  "%u calls may wait %s each, in which time only %lld get through %s",
                  bulkhead->max_pending, wait, (long long)drained, assumption);
}

static void wait_outlasts_request(const struct subject *subject, const char *path, bool may_wait,
                                  dur_ns wait)
{
    dur_ns request = subject->policy->timeouts.request;
    char waits[64], limit[64];
    if (!may_wait || request == 0 || wait < request)
        return;
    duration_format(wait, waits, sizeof waits);
    duration_format(request, limit, sizeof limit);
    lint_warn(subject, DIAG_WAIT_OUTLASTS_REQUEST, path,
              "wait for less time than the call may take", "a call may wait %s, but ends after %s",
              waits, limit);
}

void lint_limits(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    bool may_queue = policy->bulkhead.mode == POLICY_ENFORCE && policy->bulkhead.max_pending > 0;
    attempt_outlasts_request(subject);
    no_timeout(subject);
    queue_cannot_drain(subject);
    wait_outlasts_request(subject, "bulkhead.pendingTimeout", may_queue,
                          policy->bulkhead.pending_timeout);
    wait_outlasts_request(subject, "rateLimit.wait", policy->rate_limit.mode == POLICY_ENFORCE,
                          policy->rate_limit.wait);
    wait_outlasts_request(subject, "retry.maxRetryAfter",
                          lint_may_retry(policy) && lint_is_named(subject, "retry.maxRetryAfter"),
                          policy->retry.max_retry_after);
}
