/* lint_retry.c - warnings about `retry`; see lint.h. */
#include "base/codes.h"
#include "base/reason.h"
#include "config/lint_own.h"
#include "config/scalar.h"

#define UNSAFE_METHODS                                                                             \
    (method_bit(METHOD_POST) | method_bit(METHOD_PATCH) | method_bit(METHOD_CONNECT))

static void tries_do_not_fit(const struct subject *subject)
{
    const struct timeouts_config *timeouts = &subject->policy->timeouts;
    char tries[64], limit[64];
    if (!lint_may_retry(subject->policy) || timeouts->request == 0 ||
        timeouts->backend_request == 0)
        return;
    uint32_t count = subject->policy->retry.attempts + 1;
    dur_ns longest =
        dur_add(dur_mul(timeouts->backend_request, count),
                backoff_longest(&subject->policy->retry.backoff, subject->policy->retry.attempts));
    if (longest <= timeouts->request)
        return;
    duration_format(longest, tries, sizeof tries);
    duration_format(timeouts->request, limit, sizeof limit);
    lint_warn(subject, DIAG_TRIES_DO_NOT_FIT, "timeouts.request",
              "a longer request, a shorter backendRequest or fewer attempts",
              "%u tries with their waits may take %s, the call ends after %s", count, tries, limit);
}

static bool may_match(const struct subject *subject, uint32_t methods)
{
    const struct node *matches = node_get(subject->rule, "matches");
    if (matches == NULL || matches->count == 0)
        return true;
    for (const struct node *match = matches->first; match; match = match->next) {
        const struct node *method = node_get(match, "method");
        bool is_grpc = node_get(match, "grpc") != NULL; /* `methods` does not apply */
        if (!is_grpc && (method == NULL ||
                         methods & method_bit(method_from(method->text.data, method->text.len))))
            return true;
    }
    return false;
}

static void unsafe_retry(const struct subject *subject)
{
    uint32_t unsafe = subject->policy->retry.methods & UNSAFE_METHODS;
    if (!lint_may_retry(subject->policy) || unsafe == 0 || !may_match(subject, unsafe))
        return;
    enum method method = METHOD_OTHER;
    while (!(unsafe & method_bit(method)))
        method++;
    lint_warn(subject, DIAG_UNSAFE_RETRY, "retry.methods",
              "take it out: an Idempotency-Key header admits the calls that may be repeated",
              "%s is retried, though the first try may have done its work", method_word(method));
}

static void no_budget(const struct subject *subject)
{
    if (lint_may_retry(subject->policy) && subject->policy->retry.budget.mode == POLICY_OFF)
        lint_warn(subject, DIAG_NO_BUDGET, "retry.budget", "percent: 20 is a good start",
                  "in an outage every call is sent %u times", subject->policy->retry.attempts + 1);
}

static void budget_allows_nothing(const struct subject *subject)
{
    const struct retry_budget_config *budget = &subject->policy->retry.budget;
    if (!lint_may_retry(subject->policy) || budget->mode != POLICY_ENFORCE || budget->permille > 0)
        return;
    if (dur_mul(budget->interval, (int64_t)budget->min_count) < budget->min_interval)
        lint_warn(subject, DIAG_BUDGET_ALLOWS_NOTHING, "retry.budget",
                  "a percent above 0, or attempts: 0 if no retry is wanted",
                  "0 percent, and minRetryRate gives less than one retry: none is ever made");
}

static void timeout_never_retried(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    if (lint_may_retry(policy) && policy->retry.on & REASON_GROUP_TIMEOUT &&
        policy->timeouts.backend_request == 0 && lint_is_named(subject, "retry.on"))
        lint_warn(subject, DIAG_TIMEOUT_NEVER_RETRIED, "retry.on", "set timeouts.backendRequest",
                  "timeout is listed, but without timeouts.backendRequest no attempt has one");
}

static void no_spread(const struct subject *subject)
{
    const struct retry_config *retry = &subject->policy->retry;
    if (!lint_may_retry(subject->policy))
        return;
    if (retry->backoff.base == 0)
        lint_warn(subject, DIAG_NO_SPREAD, "retry.backoff", "25ms is a good start",
                  "a retry follows at once, while the upstream is still failing");
    else if (retry->backoff.jitter == JITTER_NONE)
        lint_warn(subject, DIAG_NO_SPREAD, "retry.jitter", "full",
                  "callers that failed together come back together");
}

static void permanent_retried(const struct subject *subject)
{
    const struct retry_config *retry = &subject->policy->retry;
    if (!lint_may_retry(subject->policy))
        return;
    int status = code_set_caller_status(&retry->codes);
    int unmade = code_set_has_http(&retry->codes, 501) ? 501 : 505;
    if (status == 0 && code_set_has_http(&retry->codes, unmade))
        status = unmade;
    int grpc = code_set_caller_grpc(&retry->codes);
    if (status)
        lint_warn(subject, DIAG_PERMANENT_RETRIED, "retry.codes", "take it out",
                  "%d is retried, though the same request gets the same answer", status);
    if (grpc)
        lint_warn(subject, DIAG_PERMANENT_RETRIED, "retry.grpcCodes", "take it out",
                  "%s is retried, though the same request gets the same answer",
                  grpc_code_word(grpc));
}

void lint_retry(const struct subject *subject)
{
    tries_do_not_fit(subject);
    unsafe_retry(subject);
    no_budget(subject);
    budget_allows_nothing(subject);
    timeout_never_retried(subject);
    no_spread(subject);
    permanent_retried(subject);
}
