/* policy_families.c - the fields of the six blocks that a document and its rules may have, one row
 * each (POLICY section 1); see schema.h for the columns. */
#include "base/reason.h"
#include "config/policy_checks.h"
#include "config/policy_schema.h"

#define MAX_ATTEMPTS 20           /* 2^20 x backoff is past every maxBackoff */
#define MAX_BODY_BYTES (8u << 20) /* the pool that replay bodies share */
#define MAX_CALLS 1000000         /* a window, a bulkhead: 32-bit counters never wrap */
#define MAX_PENDING 100000        /* each that waits holds a request */
#define MAX_TOKENS 1000000000     /* see rate_limit_finish: burst x emission fits into 63 bits */
#define MAX_KEYS 1000000          /* an attacker may fill the table */
#define DURATION_OF(lo, hi) .min = (uint64_t)(lo), .max = (uint64_t)(hi)

static const struct word mode_words[] = {
    {"enforce", POLICY_ENFORCE}, {"shadow", POLICY_SHADOW}, {"off", POLICY_OFF}, {NULL, 0}};
static const struct word breaker_mode_words[] = {{"enforce", POLICY_ENFORCE},
                                                 {"shadow", POLICY_SHADOW},
                                                 {"off", POLICY_OFF},
                                                 {"forceOpen", POLICY_FORCE_OPEN},
                                                 {NULL, 0}};
static const struct word jitter_words[] = {{"full", JITTER_FULL},
                                           {"equal", JITTER_EQUAL},
                                           {"decorrelated", JITTER_DECORRELATED},
                                           {"none", JITTER_NONE},
                                           {NULL, 0}};
static const struct word on_words[] = {{"connect_failure", REASON_GROUP_CONNECT_FAILURE},
                                       {"reset", REASON_GROUP_RESET},
                                       {"refused_stream", REASON_GROUP_REFUSED_STREAM},
                                       {"timeout", REASON_GROUP_TIMEOUT},
                                       {NULL, 0}};
static const struct word scope_words[] = {
    {"target", BREAKER_SCOPE_TARGET}, {"endpoint", BREAKER_SCOPE_ENDPOINT}, {NULL, 0}};
static const struct word unlimited_words[] = {{"unlimited", -1}, {NULL, 0}};

#define MODE_ROW(owner, word_table, when_absent)                                                   \
    {                                                                                              \
        .name = "mode", .type = FIELD_ENUM, FIELD_AT(owner, mode), .words = word_table,            \
        .preset = "enforce", .absent = when_absent,                                                \
        .doc = "enforce acts; shadow decides and counts, but never acts; off is as if the block "  \
               "were not there"                                                                    \
    }

/* ---- timeouts ----------------------------------------------------------------------------- */

static const struct field timeouts_fields[] = {
    MODE_ROW(struct timeouts_config, mode_words, "enforce"),
    {.name = "connect",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, connect),
     DURATION_OF(0, MAX_DURATION),
     .preset = "1s",
     .absent = "5s",
     .doc = "for DNS, TCP and TLS together; 0s: no limit"},
    {.name = "request",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, request),
     DURATION_OF(0, MAX_DURATION),
     .doc =
         "for the whole call with its retries and waits, to the final response head; 0s: no limit"},
    {.name = "backendRequest",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, backend_request),
     DURATION_OF(0, MAX_DURATION),
     .doc = "for one attempt, to the response head; 0s: no limit"},
    {.name = "idle",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, idle),
     DURATION_OF(0, MAX_DURATION),
     .preset = "5m",
     .absent = "1h",
     .doc = "after the response head: no byte in either direction; 0s: no limit"},
    {.name = "maxDuration",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, max_duration),
     DURATION_OF(0, MAX_DURATION),
     .doc = "of a call as a whole, its body included; 0s: no limit"},
    {.name = "poolIdle",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, pool_idle),
     DURATION_OF(0, MAX_DURATION),
     .preset = "60s",
     .doc = "how long an unused upstream connection is kept; 0s: it is not kept"},
    {.name = "poolMaxAge",
     .type = FIELD_DURATION,
     FIELD_AT(struct timeouts_config, pool_max_age),
     DURATION_OF(0, MAX_DURATION),
     .doc = "an upstream connection that is older (10 % less or more, by chance) takes no further "
            "call, so that load follows new endpoints; 0s: no limit"},
    {.name = "deadlineHeader",
     .type = FIELD_HEADER_NAME,
     FIELD_AT(struct timeouts_config, deadline_header),
     .max = 256,
     .doc = "a request header with the caller's own limit in milliseconds; honoured where it is "
            "earlier, and rewritten "
            "downward on every attempt"},
};
const struct block timeouts_block = {
    .name = "timeouts",
    BLOCK_FIELDS(timeouts_fields),
    .finish = timeouts_finish,
    .doc = "How long things may take. Without this block only connect (5s) and idle (1h) hold."};

/* ---- retry -------------------------------------------------------------------------------- */

static const struct field rate_fields[] = {
    {.name = "count",
     .type = FIELD_COUNT,
     FIELD_AT(struct retry_budget_config, min_count),
     .max = MAX_CALLS,
     .preset = "1",
     .unit = "retries",
     .doc = "this many ..."},
    {.name = "interval",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_budget_config, min_interval),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "1s",
     .doc = "... per this long are allowed even at little traffic"},
};
static const struct block rate_block = {
    .name = "minRetryRate", BLOCK_FIELDS(rate_fields), .doc = "The least that the budget allows."};

static const struct field budget_fields[] = {
    MODE_ROW(struct retry_budget_config, mode_words, NULL),
    {.name = "percent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct retry_budget_config, permille),
     .max = 1000,
     .preset = "20",
     .doc = "retries, of the first attempts in the last interval"},
    {.name = "interval",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_budget_config, interval),
     DURATION_OF(100 * NS_PER_MS, 3600 * NS_PER_S),
     .preset = "10s",
     .doc = "over which the budget is counted"},
    {.name = "minRetryRate",
     .type = FIELD_BLOCK,
     .block = &rate_block,
     .preset = "{}",
     .doc = "the least that the budget allows"},
};
static const struct block budget_block = {
    .name = "budget",
    BLOCK_FIELDS(budget_fields),
    .doc = "Retries add at most this share to the load, whatever happens. It belongs to the "
           "target: not allowed in a "
           "rule. `mode: off` removes the cap."};

static const struct field retry_fields[] = {
    MODE_ROW(struct retry_config, mode_words, "off"),
    {.name = "attempts",
     .type = FIELD_COUNT,
     FIELD_AT(struct retry_config, attempts),
     .max = MAX_ATTEMPTS,
     .preset = "2",
     .unit = "retries",
     .doc = "retries after the first try; 0: none"},
    {.name = "codes",
     .type = FIELD_HTTP_CODES,
     FIELD_AT(struct retry_config, codes),
     .min = 400,
     .max = 599,
     .preset = "[502, 503, 504]",
     .doc = "statuses that are retried"},
    {.name = "grpcCodes",
     .type = FIELD_GRPC_CODES,
     FIELD_AT(struct retry_config, codes),
     .doc = "gRPC codes that are retried; naming them is the consent, for every method"},
    {.name = "on",
     .type = FIELD_FLAGS,
     FIELD_AT(struct retry_config, on),
     .words = on_words,
     .preset = "[connect_failure, reset, refused_stream, timeout]",
     .doc = "failures without a response that are retried"},
    {.name = "methods",
     .type = FIELD_METHODS,
     FIELD_AT(struct retry_config, methods),
     .aux = offsetof(struct retry_config, other_methods),
     .preset = "[GET, HEAD, OPTIONS, PUT, DELETE, TRACE]",
     .doc = "the complete list of methods that may be repeated"},
    {.name = "honourIdempotencyKey",
     .type = FIELD_BOOL,
     FIELD_AT(struct retry_config, honours_idempotency_key),
     .preset = "true",
     .doc = "an Idempotency-Key header admits a method that is not listed"},
    {.name = "trustUpstreamMarks",
     .type = FIELD_BOOL,
     FIELD_AT(struct retry_config, trusts_upstream_marks),
     .preset = "false",
     .doc =
         "do not retry what upstream says it has retried in vain (x-outrigger-retries: exhausted)"},
    {.name = "backoff",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_config, backoff.base),
     DURATION_OF(0, MAX_DURATION),
     .preset = "25ms",
     .doc = "the wait before the first retry, doubled for each further one"},
    {.name = "maxBackoff",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_config, backoff.max),
     DURATION_OF(0, MAX_DURATION),
     .preset = "250ms",
     .doc = "the longest wait; left out, at least backoff"},
    {.name = "jitter",
     .type = FIELD_ENUM,
     FIELD_AT(struct retry_config, backoff.jitter),
     .words = jitter_words,
     .preset = "full",
     .doc = "how the waits are spread, so that callers do not come back together"},
    {.name = "maxRetryAfter",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_config, max_retry_after),
     DURATION_OF(0, MAX_DURATION),
     .preset = "5s",
     .doc = "a Retry-After longer than this ends the retries"},
    {.name = "maxBody",
     .type = FIELD_SIZE,
     FIELD_AT(struct retry_config, max_body_bytes),
     .max = MAX_BODY_BYTES,
     .preset = "64KiB",
     .doc = "request bodies up to this size are kept, so that they can be sent again"},
    {.name = "budget",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct retry_config, budget),
     .block = &budget_block,
     .preset = "{}",
     .doc = "a cap on retries, as a share of the load"},
};
const struct block retry_block = {.name = "retry",
                                  BLOCK_FIELDS(retry_fields),
                                  .finish = retry_finish,
                                  .doc = "Which failed attempts are made again."};

/* ---- circuitBreaker ----------------------------------------------------------------------- */

static const struct field failure_rate_fields[] = {
    {.name = "percent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct breaker_config, failure_permille),
     .max = 1000,
     .preset = "50",
     .absent = "0",
     .doc = "failures of the calls in the window that open the circuit, or eject the endpoint; 0: "
            "off"},
    {.name = "window",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_config, window),
     DURATION_OF(100 * NS_PER_MS, 3600 * NS_PER_S),
     .preset = "10s",
     .doc = "how far back the rates look"},
    {.name = "calls",
     .type = FIELD_COUNT,
     FIELD_AT(struct breaker_config, window_calls),
     .max = MAX_CALLS,
     .preset = "0",
     .unit = "calls",
     .doc = "look back over this many calls instead of over a time; 0: over `window`"},
    {.name = "minRequests",
     .type = FIELD_COUNT,
     FIELD_AT(struct breaker_config, min_requests),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "20",
     .unit = "calls",
     .doc =
         "the rates count only from this many calls in the window on; left out, at most `calls`"},
};
static const struct block failure_rate_block = {
    .name = "failureRate",
    BLOCK_FIELDS(failure_rate_fields),
    .doc = "Acts on a share of failures. Off unless named; its window and minRequests hold for "
           "slowCalls too."};

static const struct field slow_fields[] = {
    {.name = "percent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct breaker_config, slow_permille),
     .max = 1000,
     .preset = "80",
     .absent = "0",
     .doc = "slow calls of those in the window that open the circuit, or eject the endpoint; 0: "
            "off"},
    {.name = "longerThan",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_config, slow_longer_than),
     DURATION_OF(0, MAX_DURATION),
     .preset = "2s",
     .absent = "0s",
     .doc = "from when on a call is slow; 0s: off"},
};
static const struct block slow_block = {.name = "slowCalls",
                                        BLOCK_FIELDS(slow_fields),
                                        .doc = "Acts on a share of slow calls. Off unless named."};

static const struct field breaker_fields[] = {
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct breaker_config, mode),
     .words = breaker_mode_words,
     .preset = "enforce",
     .absent = "off",
     .doc = "enforce acts; shadow decides and counts, but never acts; off is as if the block were "
            "not there; forceOpen "
            "refuses every call"},
    {.name = "consecutiveFailures",
     .type = FIELD_COUNT,
     FIELD_AT(struct breaker_config, consecutive_failures),
     .max = MAX_CALLS,
     .preset = "7",
     .unit = "calls",
     .doc = "this many failures in a row open the circuit; 0: off"},
    {.name = "failureRate",
     .type = FIELD_BLOCK,
     .block = &failure_rate_block,
     .doc = "opens on a share of failures"},
    {.name = "slowCalls",
     .type = FIELD_BLOCK,
     .block = &slow_block,
     .doc = "opens on a share of slow calls"},
    {.name = "openFor",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_config, open_for),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "5s",
     .doc = "how long calls are refused before probes are let through; doubled each time that a "
            "probe fails"},
    {.name = "maxOpenFor",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_config, max_open_for),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "30s",
     .doc = "the longest open time; left out, at least openFor"},
    {.name = "openJitter",
     .type = FIELD_PERCENT,
     FIELD_AT(struct breaker_config, open_jitter_permille),
     .max = 1000,
     .preset = "20",
     .doc = "the open time is this much shorter or longer by chance, so that callers do not come "
            "together"},
    {.name = "halfOpenRequests",
     .type = FIELD_COUNT,
     FIELD_AT(struct breaker_config, half_open_requests),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "3",
     .unit = "calls",
     .doc = "probes in all; the circuit closes when each succeeds"},
    {.name = "rampUp",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_config, ramp_up),
     DURATION_OF(0, MAX_DURATION),
     .preset = "0s",
     .doc =
         "after closing, the share of calls that pass grows over this time; 0s: all pass at once"},
    {.name = "scope",
     .type = FIELD_ENUM,
     FIELD_AT(struct breaker_config, scope),
     .words = scope_words,
     .preset = "target",
     .doc = "one circuit for the target, or one for each of its endpoints"},
    {.name = "throttledIsFailure",
     .type = FIELD_BOOL,
     FIELD_AT(struct breaker_config, throttled_is_failure),
     .preset = "false",
     .doc = "429 and RESOURCE_EXHAUSTED count as failures"},
    {.name = "failureCodes",
     .type = FIELD_HTTP_CODES,
     FIELD_AT(struct breaker_config, failure_codes),
     .min = 400,
     .max = 599,
     .preset = "[500, 502-599]",
     .doc = "statuses that count as failures"},
    {.name = "failureGrpcCodes",
     .type = FIELD_GRPC_CODES,
     FIELD_AT(struct breaker_config, failure_codes),
     .preset = "[UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS, DEADLINE_EXCEEDED]",
     .doc = "gRPC codes that count as failures"},
};
const struct block breaker_block = {
    .name = "circuitBreaker",
    BLOCK_FIELDS(breaker_fields),
    .finish = breaker_finish,
    .doc = "Stops calling what keeps failing, and finds out gently when it is back."};

/* ---- bulkhead, rateLimit ------------------------------------------------------------------ */

#define KEY_ROWS(owner)                                                                            \
    {.name = "key",                                                                                \
     .type = FIELD_KEY,                                                                            \
     FIELD_AT(owner, key),                                                                         \
     .preset = "none",                                                                             \
     .doc = "none: one for all; header:NAME, path, method, client (its address): one for each "    \
            "value"},                                                                              \
    {                                                                                              \
        .name = "maxKeys", .type = FIELD_COUNT, FIELD_AT(owner, key.max_keys), .min = 1,           \
        .max = MAX_KEYS, .preset = "10000", .unit = "keys",                                        \
        .doc = "further values of the key share one, called _other"                                \
    }

static const struct field bulkhead_fields[] = {
    MODE_ROW(struct bulkhead_config, mode_words, "off"),
    {.name = "maxRequests",
     .type = FIELD_COUNT,
     FIELD_AT(struct bulkhead_config, max_requests),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "100",
     .unit = "attempts",
     .doc = "in flight at the same time"},
    {.name = "maxPending",
     .type = FIELD_COUNT,
     FIELD_AT(struct bulkhead_config, max_pending),
     .max = MAX_PENDING,
     .preset = "0",
     .unit = "calls",
     .doc = "calls that may wait for a slot"},
    {.name = "pendingTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct bulkhead_config, pending_timeout),
     DURATION_OF(0, MAX_DURATION),
     .preset = "1s",
     .doc = "how long they wait; 0s: they do not"},
    {.name = "maxConnections",
     .type = FIELD_COUNT,
     FIELD_AT(struct bulkhead_config, max_connections),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "unlimited",
     .words = unlimited_words,
     .unit = "tunnels",
     .doc = "WebSocket, CONNECT and TCP connections open at the same time; one whose app has gone "
            "counts until its server has ended it, too, or timeouts.idle has"},
    {.name = "maxStreams",
     .type = FIELD_COUNT,
     FIELD_AT(struct bulkhead_config, max_streams),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "unlimited",
     .words = unlimited_words,
     .unit = "responses",
     .doc = "responses that last longer than 60 s, which do not count in maxRequests"},
    KEY_ROWS(struct bulkhead_config),
};
const struct block bulkhead_block = {
    .name = "bulkhead",
    BLOCK_FIELDS(bulkhead_fields),
    .doc = "Bounds what is in flight, so that one slow target cannot take its "
           "caller with it."};

static const struct field rate_limit_fields[] = {
    MODE_ROW(struct rate_limit_config, mode_words, "off"),
    {.name = "requests",
     .type = FIELD_COUNT,
     FIELD_AT(struct rate_limit_config, requests),
     .is_required = true,
     .min = 1,
     .max = MAX_TOKENS,
     .unit = "attempts",
     .doc = "attempts per interval"},
    {.name = "interval",
     .type = FIELD_DURATION,
     FIELD_AT(struct rate_limit_config, interval),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "1s",
     .doc = "the time that `requests` is per"},
    {.name = "burst",
     .type = FIELD_COUNT,
     FIELD_AT(struct rate_limit_config, burst),
     .min = 1,
     .max = MAX_TOKENS,
     .unit = "attempts",
     .doc = "attempts that may go at once after a quiet time; left out, as `requests`"},
    {.name = "wait",
     .type = FIELD_DURATION,
     FIELD_AT(struct rate_limit_config, wait),
     DURATION_OF(0, MAX_DURATION),
     .preset = "0s",
     .doc = "how long a call may wait for its token; 0s: it is refused at once"},
    KEY_ROWS(struct rate_limit_config),
    {.name = "headers",
     .type = FIELD_BOOL,
     FIELD_AT(struct rate_limit_config, has_headers),
     .preset = "false",
     .doc = "passing responses carry the RateLimit fields too"},
    {.name = "algorithm",
     .type = FIELD_LATER,
     .doc = "a window or a log instead of a token bucket"},
    {.name = "tiers", .type = FIELD_LATER, .doc = "several limits at once"},
};
const struct block rate_limit_block = {.name = "rateLimit",
                                       BLOCK_FIELDS(rate_limit_fields),
                                       .finish = rate_limit_finish,
                                       .doc =
                                           "A token bucket: at most burst + rate in any interval."};

/* ---- outlier ------------------------------------------------------------------------------- */

static const struct word panic_words[] = {
    {"useAll", OUTLIER_PANIC_USE_ALL}, {"refuse", OUTLIER_PANIC_REFUSE}, {NULL, 0}};

static const struct field outlier_fields[] = {
    MODE_ROW(struct breaker_config, mode_words, "off"),
    {.name = "consecutiveFailures",
     .type = FIELD_COUNT,
     FIELD_AT(struct outlier_config, breaker.consecutive_failures),
     .max = MAX_CALLS,
     .preset = "5",
     .unit = "calls",
     .doc = "this many failures of an endpoint in a row eject it; 0: off"},
    {.name = "failureRate",
     .type = FIELD_BLOCK,
     .block = &failure_rate_block,
     .doc = "ejects on a share of failures"},
    {.name = "slowCalls",
     .type = FIELD_BLOCK,
     .block = &slow_block,
     .doc = "ejects on a share of slow calls"},
    {.name = "ejectFor",
     .type = FIELD_DURATION,
     FIELD_AT(struct outlier_config, breaker.open_for),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "5s",
     .doc = "how long an endpoint is passed by before a probe goes to it; doubled each time that a "
            "probe fails"},
    {.name = "maxEjectFor",
     .type = FIELD_DURATION,
     FIELD_AT(struct outlier_config, breaker.max_open_for),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "60s",
     .doc = "the longest ejection; left out, at least ejectFor"},
    {.name = "ejectJitter",
     .type = FIELD_PERCENT,
     FIELD_AT(struct outlier_config, breaker.open_jitter_permille),
     .max = 1000,
     .preset = "20",
     .doc = "an ejection is this much shorter or longer by chance, so that callers do not come "
            "together"},
    {.name = "probes",
     .type = FIELD_COUNT,
     FIELD_AT(struct outlier_config, breaker.half_open_requests),
     .min = 1,
     .max = MAX_CALLS,
     .preset = "1",
     .unit = "calls",
     .doc = "calls that may go to it then, in all; it is back when each succeeds"},
    {.name = "maxEjectionPercent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct outlier_config, max_ejection_permille),
     .max = 1000,
     .preset = "50",
     .doc = "of the endpoints that may be ejected at the same time; one of two or more always may, "
            "unless it is 0"},
    {.name = "panic",
     .type = FIELD_ENUM,
     FIELD_AT(struct outlier_config, panic),
     .words = panic_words,
     .preset = "useAll",
     .doc = "when every endpoint is ejected: useAll ignores ejections, refuse answers as an open "
            "circuit"},
};
const struct block outlier_block = {
    .name = "outlier",
    BLOCK_FIELDS(outlier_fields),
    .finish = outlier_finish,
    .doc = "Passes by endpoints that fail while others do not. An endpoint that is new gets one "
           "call at a time until it has given a good answer."};

const struct family policy_families[POLICY_FAMILY_COUNT] = {
    [POLICY_FAMILY_TIMEOUTS] = {&timeouts_block, offsetof(struct policy, timeouts)},
    [POLICY_FAMILY_RETRY] = {&retry_block, offsetof(struct policy, retry)},
    [POLICY_FAMILY_CIRCUIT_BREAKER] = {&breaker_block, offsetof(struct policy, breaker)},
    [POLICY_FAMILY_BULKHEAD] = {&bulkhead_block, offsetof(struct policy, bulkhead)},
    [POLICY_FAMILY_RATE_LIMIT] = {&rate_limit_block, offsetof(struct policy, rate_limit)},
    [POLICY_FAMILY_OUTLIER] = {&outlier_block, offsetof(struct policy, outlier)},
};
