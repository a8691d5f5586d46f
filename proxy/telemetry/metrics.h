/* metrics.h - the numbers behind /metrics: targets, their rules and instances, as arrays of cells.
 *
 * The data loop creates, counts and removes; the admin thread reads (exposition.h). No lock: lists
 * are published node by node, and what is removed is freed only once no reader can still see it
 * (metrics_read_begin/_end). What is counted costs a few nanoseconds. Families are the rows of
 * metrics.def.
 *
 * Example: t = metrics_target_get(m, "payments:8080"); r = metrics_rule_get(t, "charge");
 *          metrics_count_request(t, r, 200, FATE_SUCCESS); metrics_note_duration(t, took);
 *          metrics_rule_unref(&r); metrics_target_unref(&t);
 *
 * Bounds: 256 series a target, 48 a rule, 24 an endpoint; `max_series` in all. Past it, targets
 * fold into `_other`, and metrics_rule_get and metrics_instance_get return NULL, which every
 * function here takes and ignores. A series that is rare (an unusual outcome, an operator's
 * transition) is shown from its first event on; when no room is left, requests count in
 * {code="_other",outcome="_other"}, the rest in outrigger_series_dropped_total. */
#ifndef OUTRIGGER_TELEMETRY_METRICS_H
#define OUTRIGGER_TELEMETRY_METRICS_H

#include "base/defence.h"
#include "base/mono.h"
#include "base/outcome.h"
#include "base/reason.h"
#include "policy/breaker.h"
#include "policy/mode.h"
#include "telemetry/cell.h"
#include "telemetry/histogram.h"

#include <stdbool.h>
#include <stdint.h>

#define METRICS_TARGET_SERIES 256
#define METRICS_RULE_SERIES 48
#define METRICS_ENDPOINT_SERIES 24
#define METRICS_UNLIMITED UINT64_MAX /* a gauge without bound: +Inf */

#define CODE_CLASS_LIST(X)                                                                         \
    X(NONE, "none") /* nothing was sent downstream */                                              \
    X(1XX, "1xx")                                                                                  \
    X(2XX, "2xx")                                                                                  \
    X(3XX, "3xx")                                                                                  \
    X(4XX, "4xx")                                                                                  \
    X(5XX, "5xx")

enum code_class {
#define X(name, word) CODE_##name,
    CODE_CLASS_LIST(X)
#undef X
        CODE_CLASS_COUNT
};

/* What a policy in shadow mode would have done: X(family, decision) */
#define SHADOW_DECISION_LIST(X)                                                                    \
    X(TIMEOUTS, time_out)                                                                          \
    X(RETRY, retry)                                                                                \
    X(CIRCUIT_BREAKER, refuse)                                                                     \
    X(BULKHEAD, refuse)                                                                            \
    X(RATE_LIMIT, refuse)                                                                          \
    X(OUTLIER, eject)

/* Every legal move of a breaker: X(from, to, cause, is shown as zero from the start) */
#define BREAKER_MOVE_LIST(X)                                                                       \
    X(CLOSED, OPEN, CONSECUTIVE_FAILURES, true)                                                    \
    X(CLOSED, OPEN, FAILURE_RATE, true)                                                            \
    X(CLOSED, OPEN, SLOW_CALLS, true)                                                              \
    X(OPEN, HALF_OPEN, OPEN_FOR_ELAPSED, true)                                                     \
    X(HALF_OPEN, CLOSED, PROBES_SUCCEEDED, true)                                                   \
    X(HALF_OPEN, OPEN, PROBE_FAILED, true)                                                         \
    X(HALF_OPEN, OPEN, PROBE_EXPIRED, false)                                                       \
    X(HALF_OPEN, OPEN, PROBE_THROTTLED, false)                                                     \
    X(CLOSED, FORCED_OPEN, OPERATOR, false)                                                        \
    X(OPEN, FORCED_OPEN, OPERATOR, false)                                                          \
    X(HALF_OPEN, FORCED_OPEN, OPERATOR, false)                                                     \
    X(DISABLED, FORCED_OPEN, OPERATOR, false)                                                      \
    X(CLOSED, CLOSED, OPERATOR, false)                                                             \
    X(OPEN, CLOSED, OPERATOR, false)                                                               \
    X(HALF_OPEN, CLOSED, OPERATOR, false)                                                          \
    X(FORCED_OPEN, CLOSED, OPERATOR, false)                                                        \
    X(DISABLED, CLOSED, OPERATOR, false)                                                           \
    X(CLOSED, DISABLED, OPERATOR, false)                                                           \
    X(OPEN, DISABLED, OPERATOR, false)                                                             \
    X(HALF_OPEN, DISABLED, OPERATOR, false)                                                        \
    X(FORCED_OPEN, DISABLED, OPERATOR, false)                                                      \
    X(CLOSED, FORCED_OPEN, CONFIG, false)                                                          \
    X(OPEN, FORCED_OPEN, CONFIG, false)                                                            \
    X(HALF_OPEN, FORCED_OPEN, CONFIG, false)                                                       \
    X(DISABLED, FORCED_OPEN, CONFIG, false)                                                        \
    X(FORCED_OPEN, CLOSED, CONFIG, false)

enum breaker_move {
#define X(from, to, cause, is_shown) BREAKER_MOVE_##from##_##to##_##cause,
    BREAKER_MOVE_LIST(X)
#undef X
        BREAKER_MOVE_COUNT
};

enum connection_side { SIDE_DOWNSTREAM = 0, SIDE_UPSTREAM, CONNECTION_SIDES };

#define CONNECTION_STATE_LIST(X)                                                                   \
    X(CONNECTING, connecting)                                                                      \
    X(ACTIVE, active) /* carries a call */                                                         \
    X(IDLE, idle)                                                                                  \
    X(TUNNEL, tunnel)

enum connection_state {
#define X(name, word) CONNECTION_##name,
    CONNECTION_STATE_LIST(X)
#undef X
        CONNECTION_STATE_COUNT
};

enum tunnel_direction { TUNNEL_UP = 0, TUNNEL_DOWN, TUNNEL_DIRECTIONS };

enum health_result { HEALTH_SUCCESS = 0, HEALTH_FAILURE, HEALTH_RESULTS };

enum tls_result { TLS_FULL = 0, TLS_RESUMED, TLS_FAILED, TLS_REFUSED, TLS_RESULT_COUNT };

/* Which limiters an instance has; a mask. */
enum metrics_part {
    METRICS_BREAKER = 1 << 0,
    METRICS_BULKHEAD = 1 << 1,
    METRICS_BUCKET = 1 << 2,
    METRICS_HEALTH = 1 << 3, /* of an endpoint, by its health check */
};
#define METRICS_PARTS 4

struct metrics_node { /* the life of everything that the admin thread may walk; stands first in it
                       */
    struct metrics_node *next; /* atomic: what the reader follows */
    struct metrics_node *prev; /* the rest is the data loop's own */
    struct metrics_node *retired_next;
    uint64_t retired_at; /* `reader` of that moment */
    uint32_t refs;
    uint32_t series; /* that it accounts for, opened lazy ones included */
};

struct metrics_list {           /* in order of creation */
    struct metrics_node *first; /* atomic */
    struct metrics_node *last;
};

struct metrics_requests { /* lazy cells; `other` takes what has no room */
    metric_cell cells[CODE_CLASS_COUNT * FATE_COUNT];
    metric_cell other;
};

struct metrics_target {
    struct metrics_node node;
    uint32_t magic;
    struct metrics *owner;
    struct metrics_target *hash_next;
    struct metrics_list rules;        /* struct metrics_rule */
    struct metrics_list instances;    /* struct metrics_instance */
    struct metrics_requests requests; /* of calls that matched no rule */
    struct histogram request_duration;
    struct histogram attempt_duration;
    metric_cell attempts[OUTCOME_COUNT];
    metric_cell retries[RETRY_CAUSE_COUNT];
    metric_cell retries_skipped[RETRY_SKIP_COUNT];
    metric_cell budget_available;                      /* lazy */
    metric_cell rejections[REASON_COUNT];              /* lazy */
    metric_cell shadow_decisions[POLICY_FAMILY_COUNT]; /* lazy */
    metric_cell outlier_panics;                        /* lazy */
    metric_cell ejections_held;                        /* lazy */
    metric_cell health_checks[HEALTH_RESULTS];         /* lazy */
    metric_cell tunnel_bytes[TUNNEL_DIRECTIONS];       /* lazy */
    uint64_t name_hash;
    char name[];
};

struct metrics_rule {
    struct metrics_node node;
    uint32_t magic;
    struct metrics_target *target;
    struct metrics_requests requests;
    char name[];
};

struct metrics_instance {
    struct metrics_node node;
    uint32_t magic;
    struct metrics_target *target;
    struct metrics_rule *rule; /* NULL: the target's own */
    uint32_t part_refs[METRICS_PARTS];
    uint32_t parts; /* mask of enum metrics_part; atomic */
    bool is_endpoint;
    metric_cell state;                           /* enum breaker_state */
    metric_cell transitions[BREAKER_MOVE_COUNT]; /* lazy */
    metric_cell open_ns;
    metric_cell failure_permille;
    metric_cell slow_permille;
    metric_cell inflight;
    metric_cell limit;
    metric_cell queued;
    struct histogram wait;
    metric_cell millitokens;
    metric_cell wait_ns;
    metric_cell healthy;
    char name[];
};

struct metrics_config_hash;

#define METRICS_HASH_CHAINS 1024 /* `*` may stand for 4 096 targets, which come and go */

struct metrics {
    uint32_t magic;
    struct metrics_list targets; /* struct metrics_target */
    struct metrics_target *chains[METRICS_HASH_CHAINS];
    struct metrics_target *other; /* made at the start, shown once it is used */
    struct metrics_node *retired;
    uint64_t reader; /* odd while the reader reads; atomic */
    uint64_t seed;
    uint32_t max_series;
    uint32_t series;
    const char *version;
    const char *revision;
    struct metrics_config_hash *config_hash; /* atomic; replaced whole */
    metric_cell connections[CONNECTION_SIDES * CONNECTION_STATE_COUNT];
    metric_cell lookups[2]; /* failed, good */
    metric_cell handshakes[TLS_RESULT_COUNT];
    metric_cell tls_unverified;
    metric_cell defences[H2_SIDES * DEFENCE_COUNT];
    metric_cell reloads[2]; /* failure, success */
    metric_cell is_last_reload_good;
    struct histogram loop_lag;
    metric_cell series_dropped;
};

/* Life; by the data loop's owner */

struct metrics *metrics_new(uint32_t max_series, const char *version, const char *revision,
                            uint64_t seed);
/* `seed` (random) keeps peers from choosing names that collide. The strings are borrowed. Aborts
 * without memory (start of the process). */

void metrics_free(struct metrics **metrics);
/* After the last reader has gone; frees whatever is left, referenced or not. */

struct metrics_target *metrics_target_get(struct metrics *metrics, const char *name);
/* The target called `name` ("payments:8080", lower case), new if need be, with a reference;
 * `_other` when there is no room or memory. Never NULL. */

void metrics_target_unref(struct metrics_target **target);
/* With the last reference its series end. Rules and instances hold references of their own. */

struct metrics_rule *metrics_rule_get(struct metrics_target *target, const char *name);
void metrics_rule_unref(struct metrics_rule **rule);
/* By its name in the document; counted in place of the target's own requests, under rule="NAME". */

struct metrics_instance *metrics_instance_get(struct metrics_target *target, const char *rule,
                                              const char *place, uint32_t parts);
void metrics_instance_unref(struct metrics_instance **instance, uint32_t parts);
/* The instance `target` (rule NULL or ""), or `rule:NAME`, with `place` appended where it is given:
 * "/endpoint:10.0.0.7:8080", "/outlier:10.0.0.7:8080". `parts` says for which limiters: each may
 * take and give back its own reference; a part's series are shown while it is referenced. Give back
 * the same `parts` that were taken. */

void metrics_reclaim(struct metrics *metrics);
/* Frees what no reader can see any more. Also done at every removal; call it now and then (a
 * janitor's turn). */

/* Counting; by the data loop. NULL for a rule or an instance is fine everywhere. */

void metrics_open_request(struct metrics_target *target, struct metrics_rule *rule, unsigned index);
void metrics_open_rejection(struct metrics_target *target, enum reason reason);
/* The slow path of the first event of a series. */

static inline enum code_class code_class_of(int status)
{
    return status >= 100 && status < 600 ? (enum code_class)(status / 100) : CODE_NONE;
}

static inline void metrics_count_request(struct metrics_target *target, struct metrics_rule *rule,
                                         int status, enum fate fate)
{
    unsigned index = (unsigned)code_class_of(status) * FATE_COUNT + (unsigned)fate;
    metric_cell *cell = rule ? &rule->requests.cells[index] : &target->requests.cells[index];
    if (__builtin_expect(cell_get(cell) == 0, 0)) {
        metrics_open_request(target, rule, index);
        return;
    }
    cell_add(cell, 1);
}
/* Once per call, at its end; `status` as sent downstream, 0 when nothing was. */

static inline void metrics_note_duration(struct metrics_target *target, dur_ns took)
{
    histogram_observe(&target->request_duration, took);
}
/* Once per call that is no tunnel. */

static inline void metrics_count_attempt(struct metrics_target *target, enum outcome outcome)
{
    cell_add(&target->attempts[outcome], 1);
}

static inline void metrics_note_attempt_duration(struct metrics_target *target, dur_ns took)
{
    histogram_observe(&target->attempt_duration, took);
}
/* To the response head; attempts that never had one are not in it. */

static inline void metrics_count_retry(struct metrics_target *target, enum retry_cause cause)
{
    cell_add(&target->retries[cause], 1);
}

static inline void metrics_count_retry_skipped(struct metrics_target *target, enum retry_skip skip)
{
    cell_add(&target->retries_skipped[skip], 1);
}

static inline void metrics_count_rejection(struct metrics_target *target, enum reason reason)
{
    if (__builtin_expect(cell_get(&target->rejections[reason]) == 0, 0)) {
        metrics_open_rejection(target, reason);
        return;
    }
    cell_add(&target->rejections[reason], 1);
}
/* A local refusal. The label `policy` follows from the reason; it is "" where none decided
 * (bad_request, loop, ...). */

void metrics_show_shadow(struct metrics_target *target, enum policy_family family);
/* That policy runs in shadow mode: its decisions are shown, from zero. */

void metrics_count_shadow(struct metrics_target *target, enum policy_family family);
/* One decision that a shadow policy would have taken. */

void metrics_count_panic(struct metrics_target *target);

void metrics_count_tunnel_bytes(struct metrics_target *target, enum tunnel_direction direction,
                                uint64_t bytes);

void metrics_show_health_checks(struct metrics_target *target);
void metrics_count_health_check(struct metrics_target *target, enum health_result result);
void metrics_set_healthy(struct metrics_instance *instance, bool is_healthy);
/* The first exports zeros; `instance` may be NULL. */
/* An attempt for which ejections were ignored. */

void metrics_count_ejection_held(struct metrics_target *target);
/* An ejection that was not made: as many are ejected as may be. */

void metrics_count_transition(struct metrics_instance *instance, enum breaker_state from,
                              enum breaker_state to, enum breaker_cause cause);
/* Also sets the state's gauge to `to`. */

static inline void metrics_note_queue_wait(struct metrics_instance *instance, dur_ns waited)
{
    if (instance) {
        histogram_observe(&instance->wait, waited);
    }
}
/* Once per call that queued for a slot, whether it got one or not. */

static inline void metrics_note_token_wait(struct metrics_instance *instance, dur_ns waited)
{
    if (instance && waited > 0) {
        cell_add(&instance->wait_ns, (uint64_t)waited);
    }
}

/* Gauges; by the data loop, when the admin thread asks (ADMIN_REFRESH_GAUGES) or whenever it likes.
 */

void metrics_set_breaker(struct metrics_instance *instance, enum breaker_state state,
                         uint32_t failure_permille, uint32_t slow_permille, dur_ns open_total);
void metrics_set_bulkhead(struct metrics_instance *instance, uint64_t inflight, uint64_t limit,
                          uint64_t queued);
/* Of keyed bulkheads, the sums. `limit` METRICS_UNLIMITED: none. */

void metrics_set_tokens(struct metrics_instance *instance, uint64_t millitokens);
void metrics_set_retry_budget(struct metrics_target *target, uint64_t available);
/* METRICS_UNLIMITED: no cap. Shown once it has been set. */

/* The proxy as a whole */

void metrics_set_connections(struct metrics *metrics, enum connection_side side,
                             enum connection_state state, uint64_t count);
void metrics_set_lookups(struct metrics *metrics, uint64_t failed, uint64_t good);
void metrics_set_handshakes(struct metrics *metrics, const uint64_t counts[TLS_RESULT_COUNT]);
void metrics_set_tls_unverified(struct metrics *metrics, uint64_t policies);
void metrics_count_defence(struct metrics *metrics, enum h2_side side, enum defence defence);
void metrics_note_loop_lag(struct metrics *metrics, dur_ns lag);
/* How late the loop came to a timer, or how long a turn kept others waiting: a histogram. */

void metrics_note_reload(struct metrics *metrics, bool is_success);
void metrics_set_config_hash(struct metrics *metrics, const char *hash);
/* The label of outrigger_config_info; at most 64 characters, copied. */

/* Reading; by the one reader (admin thread) */

static inline struct metrics_node *metrics_next(struct metrics_node *const *place)
{
    return __atomic_load_n(place, __ATOMIC_SEQ_CST);
}
/* The node that `first` or `next` at `place` leads to; NULL at the end. */

const char *metrics_config_hash(const struct metrics *metrics);
/* "" before the first load. Valid until metrics_read_end. */

enum policy_family metrics_rejecting_policy(enum reason reason);
/* The family whose block decides such a refusal; POLICY_FAMILY_COUNT: none, the label is "". */

void metrics_read_begin(struct metrics *metrics);
void metrics_read_end(struct metrics *metrics);
/* Between the two, nothing that can be reached from the lists is freed. Never blocks, nor does it
 * block the loop. */

#endif
