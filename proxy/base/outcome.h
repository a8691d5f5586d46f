/* outcome.h - how attempts and calls end, in the words of the metrics. Example: outcome_word(
 * OUTCOME_CONNECT_FAILURE) is "connect_failure". A value outside the enum is our bug (INVARIANT).
 * Constant data, any thread. */
#ifndef OUTRIGGER_BASE_OUTCOME_H
#define OUTRIGGER_BASE_OUTCOME_H

/* Of one attempt: the label `result` of outrigger_attempts_total. */
#define OUTCOME_LIST(X)                                                                            \
    X(SUCCESS, success)                                                                            \
    X(FAILURE, failure)                                                                            \
    X(THROTTLED, throttled)                                                                        \
    X(TIMEOUT, timeout)                                                                            \
    X(RESET, reset)                                                                                \
    X(CONNECT_FAILURE, connect_failure)                                                            \
    X(CANCELLED, cancelled)

enum outcome {
#define X(name, word) OUTCOME_##name,
    OUTCOME_LIST(X)
#undef X
        OUTCOME_COUNT
};

/* Of one call, as the app sees it: the label `outcome` of outrigger_requests_total. */
#define FATE_LIST(X)                                                                               \
    X(SUCCESS, success)                                                                            \
    X(SUCCESS_AFTER_RETRY, success_after_retry)                                                    \
    X(FAILURE, failure)                                                                            \
    X(FAILURE_AFTER_RETRY, failure_after_retry)                                                    \
    X(TIMEOUT, timeout)                                                                            \
    X(CIRCUIT_OPEN, circuit_open)                                                                  \
    X(BULKHEAD_FULL, bulkhead_full)                                                                \
    X(QUEUE_TIMEOUT, queue_timeout)                                                                \
    X(RATE_LIMITED, rate_limited)                                                                  \
    X(FALLBACK, fallback)                                                                          \
    X(CANCELLED, cancelled)

enum fate {
#define X(name, word) FATE_##name,
    FATE_LIST(X)
#undef X
        FATE_COUNT
};

/* Why a retry was not made: the label `reason` of outrigger_retries_skipped_total. */
#define RETRY_SKIP_LIST(X)                                                                         \
    X(NOT_RETRYABLE, not_retryable)                                                                \
    X(METHOD, method)                                                                              \
    X(ATTEMPTS, attempts)                                                                          \
    X(BUDGET, budget)                                                                              \
    X(DEADLINE, deadline)                                                                          \
    X(BODY_TOO_LARGE, body_too_large)                                                              \
    X(REPLAY_POOL, replay_pool)                                                                    \
    X(COMMITTED, committed)                                                                        \
    X(RETRY_AFTER, retry_after)                                                                    \
    X(CIRCUIT_OPEN, circuit_open)                                                                  \
    X(RATE_LIMITED, rate_limited)                                                                  \
    X(BULKHEAD_FULL, bulkhead_full)                                                                \
    X(NO_ENDPOINT, no_endpoint)                                                                    \
    X(EXHAUSTED_UPSTREAM, exhausted_upstream)                                                      \
    X(CANCELLED, cancelled)

enum retry_skip {
#define X(name, word) RETRY_SKIP_##name,
    RETRY_SKIP_LIST(X)
#undef X
        RETRY_SKIP_COUNT
};

/* Why a retry was made: the label `reason` of outrigger_retries_total. */
#define RETRY_CAUSE_LIST(X)                                                                        \
    X(CODE, code)                                                                                  \
    X(GRPC_CODE, grpc_code)                                                                        \
    X(CONNECT_FAILURE, connect_failure)                                                            \
    X(RESET, reset)                                                                                \
    X(REFUSED_STREAM, refused_stream)                                                              \
    X(TIMEOUT, timeout)                                                                            \
    X(TRANSPARENT, transparent)

enum retry_cause {
#define X(name, word) RETRY_CAUSE_##name,
    RETRY_CAUSE_LIST(X)
#undef X
        RETRY_CAUSE_COUNT
};

const char *outcome_word(enum outcome outcome);
const char *fate_word(enum fate fate);
const char *retry_skip_word(enum retry_skip skip);
const char *retry_cause_word(enum retry_cause cause);
/* The word of the tables above; static. */

#endif
