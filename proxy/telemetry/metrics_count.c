/* metrics_count.c - what happens is counted, what is the case is set (see metrics.h). A lazy cell
 * is opened by its first event; all that follows is one load and one store, inline in metrics.h. */
#include "telemetry/metrics.h"

#include "telemetry/metrics_own.h"

#include <stdio.h>
#include <stdlib.h>

#define HASH_SIZE 65 /* 64 hex digits: SHA-256 at most */

struct metrics_config_hash {
    struct metrics_node node;
    char hash[HASH_SIZE];
};

enum policy_family metrics_rejecting_policy(enum reason reason)
{
    switch (reason) {
    case REASON_CIRCUIT_OPEN: return POLICY_FAMILY_CIRCUIT_BREAKER;
    case REASON_BULKHEAD_FULL:
    case REASON_QUEUE_TIMEOUT: return POLICY_FAMILY_BULKHEAD;
    case REASON_RATE_LIMITED: return POLICY_FAMILY_RATE_LIMIT;
    case REASON_REQUEST_TIMEOUT:
    case REASON_ATTEMPT_TIMEOUT:
    case REASON_CONNECT_TIMEOUT:
    case REASON_IDLE_TIMEOUT:
    case REASON_MAX_DURATION: return POLICY_FAMILY_TIMEOUTS;
    default: return POLICY_FAMILY_COUNT;
    }
}

/* Counting */

void metrics_open_request(struct metrics_target *target, struct metrics_rule *rule, unsigned index)
{
    struct metrics_requests *requests = rule ? &rule->requests : &target->requests;
    struct metrics_node *node = rule ? &rule->node : &target->node;
    uint32_t cap = rule ? METRICS_RULE_SERIES : METRICS_TARGET_SERIES;
    bool has_room = metrics_open_cell(target->owner, node, cap, &requests->cells[index]);
    cell_add(has_room ? &requests->cells[index] : &requests->other, 1);
}

void metrics_open_rejection(struct metrics_target *target, enum reason reason)
{
    if (metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES,
                          &target->rejections[reason])) {
        cell_add(&target->rejections[reason], 1);
    }
}

void metrics_show_shadow(struct metrics_target *target, enum policy_family family)
{
    (void)metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES,
                            &target->shadow_decisions[family]);
}

void metrics_count_shadow(struct metrics_target *target, enum policy_family family)
{
    if (metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES,
                          &target->shadow_decisions[family])) {
        cell_add(&target->shadow_decisions[family], 1);
    }
}

static void add_lazy(struct metrics_target *target, metric_cell *cell, uint64_t value)
{
    if (metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES, cell))
        cell_add(cell, value);
}

static void count_lazy(struct metrics_target *target, metric_cell *cell)
{
    add_lazy(target, cell, 1);
}

void metrics_count_tunnel_bytes(struct metrics_target *target, enum tunnel_direction direction,
                                uint64_t bytes)
{
    add_lazy(target, &target->tunnel_bytes[direction], bytes);
}

void metrics_count_panic(struct metrics_target *target)
{
    count_lazy(target, &target->outlier_panics);
}

void metrics_show_health_checks(struct metrics_target *target)
{
    for (int i = 0; i < HEALTH_RESULTS; i++)
        (void)metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES,
                                &target->health_checks[i]);
}

void metrics_count_health_check(struct metrics_target *target, enum health_result result)
{
    count_lazy(target, &target->health_checks[result]);
}

void metrics_set_healthy(struct metrics_instance *instance, bool is_healthy)
{
    if (instance)
        cell_set(&instance->healthy, is_healthy ? 1 : 0);
}

void metrics_count_ejection_held(struct metrics_target *target)
{
    count_lazy(target, &target->ejections_held);
}

void metrics_count_transition(struct metrics_instance *instance, enum breaker_state from,
                              enum breaker_state to, enum breaker_cause cause)
{
    if (!instance) {
        return;
    }
    cell_set(&instance->state, (uint64_t)to);
    for (unsigned i = 0; i < BREAKER_MOVE_COUNT; i++) {
        if (metrics_moves[i].from != from || metrics_moves[i].to != to ||
            metrics_moves[i].cause != cause) {
            continue;
        }
        uint32_t cap;
        struct metrics_node *payer = metrics_payer(instance, &cap);
        if (metrics_open_cell(instance->target->owner, payer, cap, &instance->transitions[i])) {
            cell_add(&instance->transitions[i], 1);
        }
        return;
    }
    cell_add(&instance->target->owner->series_dropped, 1);
}

/* Gauges */

void metrics_set_breaker(struct metrics_instance *instance, enum breaker_state state,
                         uint32_t failure_permille, uint32_t slow_permille, dur_ns open_total)
{
    if (instance) {
        cell_set(&instance->state, (uint64_t)state);
        cell_set(&instance->failure_permille, failure_permille);
        cell_set(&instance->slow_permille, slow_permille);
        cell_set(&instance->open_ns, (uint64_t)open_total);
    }
}

void metrics_set_bulkhead(struct metrics_instance *instance, uint64_t inflight, uint64_t limit,
                          uint64_t queued)
{
    if (instance) {
        cell_set(&instance->inflight, inflight);
        cell_set(&instance->limit, limit);
        cell_set(&instance->queued, queued);
    }
}

void metrics_set_tokens(struct metrics_instance *instance, uint64_t millitokens)
{
    if (instance) {
        cell_set(&instance->millitokens, millitokens);
    }
}

void metrics_set_retry_budget(struct metrics_target *target, uint64_t available)
{
    if (target == target->owner->other) {
        return; /* many budgets have no common one */
    }
    if (metrics_open_cell(target->owner, &target->node, METRICS_TARGET_SERIES,
                          &target->budget_available)) {
        cell_set(&target->budget_available,
                 available == METRICS_UNLIMITED ? available : available + 1);
    }
}

/* The proxy as a whole */

void metrics_set_lookups(struct metrics *metrics, uint64_t failed, uint64_t good)
{
    cell_set(&metrics->lookups[0], failed);
    cell_set(&metrics->lookups[1], good);
}

void metrics_set_handshakes(struct metrics *metrics, const uint64_t counts[TLS_RESULT_COUNT])
{
    for (unsigned i = 0; i < TLS_RESULT_COUNT; i++)
        cell_set(&metrics->handshakes[i], counts[i]);
}

void metrics_set_tls_unverified(struct metrics *metrics, uint64_t policies)
{
    cell_set(&metrics->tls_unverified, policies);
}

void metrics_set_connections(struct metrics *metrics, enum connection_side side,
                             enum connection_state state, uint64_t count)
{
    cell_set(&metrics->connections[(unsigned)side * CONNECTION_STATE_COUNT + (unsigned)state],
             count);
}

void metrics_count_defence(struct metrics *metrics, enum h2_side side, enum defence defence)
{
    cell_add(&metrics->defences[(unsigned)side * DEFENCE_COUNT + (unsigned)defence], 1);
}

void metrics_note_loop_lag(struct metrics *metrics, dur_ns lag)
{
    histogram_observe(&metrics->loop_lag, lag);
}

void metrics_note_reload(struct metrics *metrics, bool is_success)
{
    cell_add(&metrics->reloads[is_success ? 1 : 0], 1);
    cell_set(&metrics->is_last_reload_good, is_success ? 1 : 0);
}

void metrics_set_config_hash(struct metrics *metrics, const char *hash)
{
    struct metrics_config_hash *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return; /* the old one stays: out of memory is said elsewhere */
    }
    snprintf(fresh->hash, sizeof(fresh->hash), "%s", hash);
    struct metrics_config_hash *old = metrics->config_hash;
    __atomic_store_n(&metrics->config_hash, fresh, __ATOMIC_SEQ_CST);
    if (old) {
        metrics_retire(metrics, &old->node);
    }
}

const char *metrics_config_hash(const struct metrics *metrics)
{
    const struct metrics_config_hash *now =
        __atomic_load_n(&metrics->config_hash, __ATOMIC_SEQ_CST);
    return now ? now->hash : "";
}
