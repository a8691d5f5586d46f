/* The table of defaults, both of them: of a block that is absent, and of one that is present and
 * empty. */
#include "base/reason.h"
#include "support.h"

#include <criterion/criterion.h>

#define ALL_ON                                                                                     \
    (REASON_GROUP_CONNECT_FAILURE | REASON_GROUP_RESET | REASON_GROUP_REFUSED_STREAM |             \
     REASON_GROUP_TIMEOUT)

static const struct policy *policy_of(const struct policy_set *set)
{
    return &set->documents[0].policy;
}

static void expect_retry_defaults(const struct retry_config *retry)
{
    cr_assert_eq(retry->attempts, 2);
    for (int status = 400; status < 600; status++)
        cr_assert_eq(code_set_has_http(&retry->codes, status), status >= 502 && status <= 504, "%d",
                     status);
    cr_assert_eq(retry->codes.grpc, 0);
    cr_assert_eq(retry->on, ALL_ON);
    cr_assert_eq(retry->methods, method_bit(METHOD_GET) | method_bit(METHOD_HEAD) |
                                     method_bit(METHOD_OPTIONS) | method_bit(METHOD_PUT) |
                                     method_bit(METHOD_DELETE) | method_bit(METHOD_TRACE));
    cr_assert_null(retry->other_methods);
    cr_assert(retry->honours_idempotency_key && !retry->trusts_upstream_marks);
    cr_assert_eq(retry->backoff.base, 25 * NS_PER_MS);
    cr_assert_eq(retry->backoff.max, 250 * NS_PER_MS);
    cr_assert_eq(retry->backoff.jitter, JITTER_FULL);
    cr_assert_eq(retry->max_retry_after, 5 * NS_PER_S);
    cr_assert_eq(retry->max_body_bytes, 65536);
    cr_assert_eq(retry->budget.mode, POLICY_ENFORCE);
    cr_assert_eq(retry->budget.permille, 200);
    cr_assert_eq(retry->budget.interval, 10 * NS_PER_S);
    cr_assert_eq(retry->budget.min_count, 1);
    cr_assert_eq(retry->budget.min_interval, NS_PER_S);
}

static void expect_breaker_defaults(const struct breaker_config *breaker)
{
    cr_assert_eq(breaker->consecutive_failures, 7);
    cr_assert_eq(breaker->failure_permille, 0);
    cr_assert_eq(breaker->window, 10 * NS_PER_S);
    cr_assert_eq(breaker->window_calls, 0);
    cr_assert_eq(breaker->min_requests, 20);
    cr_assert_eq(breaker->slow_permille, 0);
    cr_assert_eq(breaker->slow_longer_than, 0);
    cr_assert_eq(breaker->open_for, 5 * NS_PER_S);
    cr_assert_eq(breaker->max_open_for, 30 * NS_PER_S);
    cr_assert_eq(breaker->open_jitter_permille, 200);
    cr_assert_eq(breaker->half_open_requests, 3);
    cr_assert_eq(breaker->ramp_up, 0);
    cr_assert_eq(breaker->scope, BREAKER_SCOPE_TARGET);
    cr_assert_not(breaker->throttled_is_failure);
    for (int status = 200; status < 600; status++)
        cr_assert_eq(code_set_has_http(&breaker->failure_codes, status),
                     status >= 500 && status != 501, "%d", status);
    for (int code = 0; code <= 16; code++) {
        bool is_failure = code == 14 || code == 13 || code == 2 || code == 15 || code == 4;
        cr_assert_eq(code_set_has_grpc(&breaker->failure_codes, code), is_failure, "%d", code);
    }
}

static void expect_bulkhead_defaults(const struct bulkhead_config *bulkhead)
{
    cr_assert_eq(bulkhead->max_requests, 100);
    cr_assert_eq(bulkhead->max_pending, 0);
    cr_assert_eq(bulkhead->pending_timeout, NS_PER_S);
    cr_assert_eq(bulkhead->max_connections, BULKHEAD_UNLIMITED);
    cr_assert_eq(bulkhead->max_streams, BULKHEAD_UNLIMITED);
    cr_assert_eq(bulkhead->key.kind, KEY_NONE);
    cr_assert_null(bulkhead->key.header);
    cr_assert_eq(bulkhead->key.max_keys, 10000);
}

static void expect_absent(const struct policy *policy)
{
    cr_assert_eq(policy->timeouts.mode, POLICY_ENFORCE);
    cr_assert_eq(policy->timeouts.connect, 5 * NS_PER_S);
    cr_assert_eq(policy->timeouts.idle, 3600 * NS_PER_S);
    cr_assert_eq(policy->timeouts.pool_idle, 60 * NS_PER_S);
    cr_assert(policy->timeouts.request == 0 && policy->timeouts.backend_request == 0);
    cr_assert(policy->timeouts.max_duration == 0 && policy->timeouts.deadline_header == NULL);
    cr_assert_eq(policy->retry.mode, POLICY_OFF);
    cr_assert_eq(policy->breaker.mode, POLICY_OFF);
    cr_assert_eq(policy->bulkhead.mode, POLICY_OFF);
    cr_assert_eq(policy->rate_limit.mode, POLICY_OFF);
    cr_assert_eq(policy->outlier.breaker.mode, POLICY_OFF);
    expect_retry_defaults(&policy->retry);
    expect_breaker_defaults(&policy->breaker);
    expect_bulkhead_defaults(&policy->bulkhead);
    cr_assert_eq(policy->own, 0);
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++)
        cr_assert_str_eq(policy->at[i], "");
}

Test(defaults, of_absent_blocks_are_off_but_for_two_timeouts)
{
    struct policy_set *set = loaded_spec("");
    expect_absent(policy_of(set));
    expect_absent(&set->no_policy);
    policy_set_unref(&set);
}

static void expect_outlier_defaults(const struct outlier_config *outlier)
{
    cr_assert_eq(outlier->breaker.mode, POLICY_ENFORCE);
    cr_assert_eq(outlier->breaker.consecutive_failures, 5);
    cr_assert_eq(outlier->breaker.failure_permille, 0);
    cr_assert_eq(outlier->breaker.slow_permille, 0);
    cr_assert_eq(outlier->breaker.open_for, 5 * NS_PER_S);
    cr_assert_eq(outlier->breaker.max_open_for, 60 * NS_PER_S);
    cr_assert_eq(outlier->breaker.open_jitter_permille, 200);
    cr_assert_eq(outlier->breaker.half_open_requests, 1);
    cr_assert_eq(outlier->max_ejection_permille, 500);
    cr_assert_eq(outlier->panic, OUTLIER_PANIC_USE_ALL);
}

Test(defaults, of_present_blocks_are_the_ones_shown)
{
    struct policy_set *set = loaded_spec(
        "timeouts: {}, retry: {}, circuitBreaker: {}, bulkhead: {}, rateLimit: {requests: 5}, "
        "outlier: {}");
    const struct policy *policy = policy_of(set);
    cr_assert_eq(policy->timeouts.mode, POLICY_ENFORCE);
    cr_assert_eq(policy->timeouts.connect, NS_PER_S);
    cr_assert_eq(policy->timeouts.idle, 300 * NS_PER_S);
    cr_assert_eq(policy->timeouts.pool_idle, 60 * NS_PER_S);
    cr_assert(policy->timeouts.request == 0 && policy->timeouts.backend_request == 0);
    cr_assert_eq(policy->timeouts.max_duration, 0);
    cr_assert_eq(policy->retry.mode, POLICY_ENFORCE);
    expect_retry_defaults(&policy->retry);
    cr_assert_eq(policy->breaker.mode, POLICY_ENFORCE);
    expect_breaker_defaults(&policy->breaker);
    cr_assert_eq(policy->bulkhead.mode, POLICY_ENFORCE);
    expect_bulkhead_defaults(&policy->bulkhead);
    cr_assert_eq(policy->rate_limit.mode, POLICY_ENFORCE);
    cr_assert_eq(policy->rate_limit.requests, 5);
    cr_assert_eq(policy->rate_limit.burst, 5);
    cr_assert_eq(policy->rate_limit.interval, NS_PER_S);
    cr_assert_eq(policy->rate_limit.wait, 0);
    cr_assert_eq(policy->rate_limit.key.kind, KEY_NONE);
    cr_assert_eq(policy->rate_limit.key.max_keys, 10000);
    cr_assert_not(policy->rate_limit.has_headers);
    expect_outlier_defaults(&policy->outlier);
    cr_assert_eq(policy->own, (1u << POLICY_FAMILY_COUNT) - 1);
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++)
        cr_assert_str_eq(policy->at[i], "t.yaml:1");
    policy_set_unref(&set);
}

Test(defaults, of_present_nested_blocks_are_the_ones_shown)
{
    struct policy_set *set = loaded_spec(
        "retry: {budget: {minRetryRate: {}}}, circuitBreaker: {failureRate: {}, slowCalls: {}}");
    const struct policy *policy = policy_of(set);
    expect_retry_defaults(&policy->retry);
    cr_assert_eq(policy->breaker.failure_permille, 500);
    cr_assert_eq(policy->breaker.slow_permille, 800);
    cr_assert_eq(policy->breaker.slow_longer_than, 2 * NS_PER_S);
    policy_set_unref(&set);
}

Test(defaults, of_the_window_hold_for_slow_calls_alone)
{
    struct policy_set *set = loaded_spec("circuitBreaker: {slowCalls: {percent: 12.5}}");
    const struct breaker_config *breaker = &policy_of(set)->breaker;
    cr_assert(breaker->slow_permille == 125 && breaker->failure_permille == 0);
    cr_assert(breaker->window == 10 * NS_PER_S && breaker->min_requests == 20);
    policy_set_unref(&set);
}

Test(defaults, of_caps_are_never_below_what_they_cap)
{
    struct policy_set *set = loaded_spec("retry: {backoff: 1s}, circuitBreaker: {openFor: 1m, "
                                         "failureRate: {calls: 8}}, rateLimit: {requests: 3}");
    const struct policy *policy = policy_of(set);
    cr_assert_eq(policy->retry.backoff.max, NS_PER_S);
    cr_assert_eq(policy->breaker.max_open_for, 60 * NS_PER_S);
    cr_assert_eq(policy->breaker.min_requests, 8);
    cr_assert_eq(policy->rate_limit.burst, 3);
    policy_set_unref(&set);
}

Test(fields, are_read_into_their_places)
{
    struct policy_set *set = loaded_spec("protocol: http1, "
                                         "timeouts: {connect: 1ms, request: 2ms, backendRequest: "
                                         "3ms, idle: 4ms, maxDuration: 5ms, poolIdle: 6ms, "
                                         "deadlineHeader: X-Deadline, mode: shadow}, "
                                         "retry: {attempts: 0, codes: [400, 500-502], grpcCodes: "
                                         "[ABORTED], on: [reset], methods: [GET, PURGE, POST], "
                                         "honourIdempotencyKey: false, trustUpstreamMarks: true, "
                                         "backoff: 1ms, maxBackoff: 2ms, jitter: decorrelated, "
                                         "maxRetryAfter: 0s, maxBody: 8MiB, mode: shadow, "
                                         "budget: {mode: shadow, percent: 0.5, interval: 1s, "
                                         "minRetryRate: {count: 0, interval: 1m}}}");
    const struct policy *policy = policy_of(set);
    const struct timeouts_config *timeouts = &policy->timeouts;
    cr_assert_eq(set->documents[0].protocol, PROTOCOL_HTTP1);
    cr_assert(timeouts->mode == POLICY_SHADOW && timeouts->connect == NS_PER_MS &&
              timeouts->request == 2 * NS_PER_MS);
    cr_assert(timeouts->backend_request == 3 * NS_PER_MS && timeouts->idle == 4 * NS_PER_MS);
    cr_assert(timeouts->max_duration == 5 * NS_PER_MS && timeouts->pool_idle == 6 * NS_PER_MS);
    cr_assert_str_eq(timeouts->deadline_header, "x-deadline");
    const struct retry_config *retry = &policy->retry;
    cr_assert(retry->mode == POLICY_SHADOW && retry->attempts == 0);
    cr_assert(code_set_has_http(&retry->codes, 400) && code_set_has_http(&retry->codes, 501));
    cr_assert(!code_set_has_http(&retry->codes, 503) && retry->codes.grpc == 1u << 10);
    cr_assert_eq(retry->on, REASON_GROUP_RESET);
    cr_assert_eq(retry->methods, method_bit(METHOD_GET) | method_bit(METHOD_POST));
    cr_assert_str_eq(retry->other_methods[0], "PURGE");
    cr_assert_null(retry->other_methods[1]);
    cr_assert(!retry->honours_idempotency_key && retry->trusts_upstream_marks);
    cr_assert(retry->backoff.base == NS_PER_MS && retry->backoff.max == 2 * NS_PER_MS);
    cr_assert(retry->backoff.jitter == JITTER_DECORRELATED && retry->max_retry_after == 0);
    cr_assert_eq(retry->max_body_bytes, 8 << 20);
    cr_assert(retry->budget.mode == POLICY_SHADOW && retry->budget.permille == 5);
    cr_assert(retry->budget.interval == NS_PER_S && retry->budget.min_count == 0);
    cr_assert_eq(retry->budget.min_interval, 60 * NS_PER_S);
    policy_set_unref(&set);
}

Test(fields, of_limiters_are_read_into_their_places)
{
    struct policy_set *set =
        loaded_spec("circuitBreaker: {mode: forceOpen, consecutiveFailures: 0, failureRate: "
                    "{percent: 99.9, window: 1m, calls: 0, "
                    "minRequests: 1}, slowCalls: {percent: 1, longerThan: 1ms}, openFor: 1ms, "
                    "maxOpenFor: 2ms, openJitter: 0, "
                    "halfOpenRequests: 1, rampUp: 3ms, scope: endpoint, throttledIsFailure: true, "
                    "failureCodes: [404], "
                    "failureGrpcCodes: []}, "
                    "bulkhead: {maxRequests: 1, maxPending: 2, pendingTimeout: 3ms, "
                    "maxConnections: 4, maxStreams: unlimited, "
                    "key: 'header:X-Tenant', maxKeys: 5}, "
                    "rateLimit: {requests: 1, interval: 2s, burst: 3, wait: 4s, key: client, "
                    "maxKeys: 6, headers: true}");
    const struct breaker_config *breaker = &policy_of(set)->breaker;
    cr_assert(breaker->mode == POLICY_FORCE_OPEN && breaker->consecutive_failures == 0);
    cr_assert(breaker->failure_permille == 999 && breaker->window == 60 * NS_PER_S &&
              breaker->min_requests == 1);
    cr_assert(breaker->slow_permille == 10 && breaker->slow_longer_than == NS_PER_MS);
    cr_assert(breaker->open_for == NS_PER_MS && breaker->max_open_for == 2 * NS_PER_MS);
    cr_assert(breaker->open_jitter_permille == 0 && breaker->half_open_requests == 1);
    cr_assert(breaker->ramp_up == 3 * NS_PER_MS && breaker->scope == BREAKER_SCOPE_ENDPOINT);
    cr_assert(breaker->throttled_is_failure && code_set_has_http(&breaker->failure_codes, 404));
    cr_assert(!code_set_has_http(&breaker->failure_codes, 500) && breaker->failure_codes.grpc == 0);
    const struct bulkhead_config *bulkhead = &policy_of(set)->bulkhead;
    cr_assert(bulkhead->max_requests == 1 && bulkhead->max_pending == 2);
    cr_assert(bulkhead->pending_timeout == 3 * NS_PER_MS && bulkhead->max_connections == 4);
    cr_assert(bulkhead->max_streams == BULKHEAD_UNLIMITED && bulkhead->key.kind == KEY_HEADER);
    cr_assert_str_eq(bulkhead->key.header, "x-tenant");
    cr_assert_eq(bulkhead->key.max_keys, 5);
    const struct rate_limit_config *limit = &policy_of(set)->rate_limit;
    cr_assert(limit->requests == 1 && limit->interval == 2 * NS_PER_S && limit->burst == 3);
    cr_assert(limit->wait == 4 * NS_PER_S && limit->key.kind == KEY_CLIENT &&
              limit->key.max_keys == 6);
    cr_assert(limit->has_headers);
    policy_set_unref(&set);
}

Test(mode, off_of_timeouts_brings_back_those_that_hold_by_themselves)
{
    struct policy_set *set = loaded_spec("timeouts: {mode: off, connect: 1ms, request: 1s}");
    const struct timeouts_config *timeouts = &policy_of(set)->timeouts;
    cr_assert(timeouts->mode == POLICY_ENFORCE && timeouts->connect == 5 * NS_PER_S &&
              timeouts->request == 0);
    cr_assert_eq(timeouts->idle, 3600 * NS_PER_S);
    policy_set_unref(&set);
}

Test(mode, off_of_the_budget_removes_the_cap)
{
    struct policy_set *set = loaded_spec("retry: {budget: {mode: off}}");
    cr_assert_eq(policy_of(set)->retry.budget.mode, POLICY_OFF);
    cr_assert_eq(policy_of(set)->retry.mode, POLICY_ENFORCE);
    policy_set_unref(&set);
}
