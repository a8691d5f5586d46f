/* host.c - see host.h. None of these calls back into the engine. */
#include "request/host.h"

#include "base/check.h"
#include "base/log.h"
#include "call/choice.h"
#include "request/destination.h"
#include "request/request.h"
#include "upstream/balancer.h"

#include <stdio.h>

static struct proxy *proxy_of(const struct call_engine *engine)
{
    return engine->context;
}

static struct metrics_target *metrics_of(const struct call *call)
{
    return destination_of(call->lane->target)->metrics;
}

static void on_ready(struct call_engine *engine)
{
    struct proxy *proxy = proxy_of(engine);
    if (!proxy->is_performing)
        loop_defer(proxy->loop, &proxy->perform);
}

/* ---- questions ---- */

static struct span key_of(const struct call *call, const struct key_config *key)
{
    const struct request *request = request_of(call);
    const struct connection *connection = request_connection(request);
    const struct header *header;
    switch (key->kind) {
    case KEY_HEADER:
        header = message_find_name(request_message(request), span_of(key->header));
        return header ? header->value : SPAN("");
    case KEY_PATH: return request_message(request)->path;
    case KEY_METHOD: return request_message(request)->method_name;
    case KEY_CLIENT: return connection ? span_of(connection->peer) : SPAN("");
    default: return SPAN("");
    }
}

static enum replayability replay_of(const struct call *call)
{
    return request_of(call)->replay.state;
}

uint64_t host_balancer_key(const struct call *call)
{
    const struct load_balancer_config *cfg = &call->lane->policy->load_balancer;
    return cfg->key.kind == KEY_NONE ? 0 : balancer_key(key_of(call, &cfg->key));
}

const struct address *host_dialled(const struct call *call)
{
    const struct connection *connection = request_connection(request_of(call));
    const struct proxy *proxy = proxy_of(call->engine);
    const bool is_free =
        proxy->snapshot->set->proxy.outbound.may_host_route && !call->facts.is_tunnel;
    return connection != NULL && !is_free ? connection->caught : NULL;
}

struct endpoint_set *host_endpoints(struct call *call)
{
    struct proxy *proxy = proxy_of(call->engine);
    const struct address *dialled = host_dialled(call);
    return dialled ? destination_dialled(proxy, call->lane->target, dialled)
                   : destination_endpoints(proxy, call->lane->target);
}

/* The same, without making any; NULL: there are none. */
static const struct endpoint_set *endpoints_of(const struct call *call)
{
    const struct destination *destination = destination_of(call->lane->target);
    const struct endpoint *endpoint = request_of(call)->attempt.endpoint;
    if (endpoint != NULL && endpoint->set != NULL)
        return endpoint->set;
    return host_dialled(call) ? destination->dialled.set : destination->endpoints;
}

struct pool_stay host_stay(const struct call *call)
{
    const struct timeouts_config *timeouts = &call->lane->policy->timeouts;
    return (struct pool_stay){timeouts->pool_idle, timeouts->pool_max_age};
}

struct pool_tls host_tls(const struct call *call)
{
    return destination_tls(destination_of(call->lane->target));
}

struct chooser {
    const struct call *call;
    enum choice_rung rung;
    bool may_probe;
    bool needs_room; /* for one more connection */
    uint64_t only;   /* that was dialled; 0: any */
    mono_ns now;
};

static bool may_use(void *context, const struct candidate *candidate)
{
    const struct chooser *chooser = context;
    if (chooser->only != 0 && candidate->id != chooser->only)
        return false;
    if (chooser->needs_room && !pool_has_room(CONTAINER_OF(candidate, struct endpoint, candidate)))
        return false;
    return choice_may_use(chooser->call, chooser->rung, candidate->id, candidate->in_flight,
                          chooser->may_probe, chooser->now);
}

static const struct candidate *go_down(struct balancer *balancer, struct chooser *chooser,
                                       const struct balancer_query *query)
{
    const struct candidate *candidate = NULL;
    for (chooser->rung = CHOICE_CAREFUL; candidate == NULL && chooser->rung < CHOICE_RUNGS;
         chooser->rung++)
        if (choice_has_rung(chooser->call->lane, chooser->rung))
            candidate = balancer_pick(balancer, query);
    chooser->rung--;
    return candidate;
}

static const struct candidate *choose(struct balancer *balancer, struct chooser *chooser,
                                      bool takes_unhealthy)
{
    const struct request *request = request_of(chooser->call);
    const struct balancer_query query = {.rng = chooser->call->engine->rng,
                                         .now = chooser->now,
                                         .key = host_balancer_key(chooser->call),
                                         .may_use = may_use,
                                         .context = chooser,
                                         .takes_unhealthy = takes_unhealthy,
                                         .tried = attempt_tried(&request->attempt),
                                         .tried_count = request->attempt.tried_count};
    return go_down(balancer, chooser, &query);
}

/* What is left where nothing is quite right. CANDIDATE_UNKNOWN: the attempt will say why it cannot
 * be made, which is for no breaker to say. */
static uint64_t make_do(struct endpoint_set *endpoints, struct chooser *chooser,
                        const struct candidate **candidate)
{
    if (!endpoints->refuses_unhealthy)
        *candidate = choose(&endpoints->balancer, chooser, true);
    if (*candidate != NULL)
        return (*candidate)->id;
    chooser->needs_room = false;
    const bool is_for_us = choose(&endpoints->balancer, chooser, true) != NULL;
    return is_for_us ? CANDIDATE_UNKNOWN : CANDIDATE_NONE;
}

/* Said once, when it begins. */
static void note_panic(const struct call *call, bool is_panic)
{
    struct destination *destination = destination_of(call->lane->target);
    if (is_panic)
        metrics_count_panic(destination->metrics);
    if (is_panic && !destination->is_in_panic)
        log_event(LOG_WARN, "outlier_panic", LOG_STR("target", call->lane->target->name),
                  LOG_TEXT(host_dialled(call)
                               ? "the endpoint that was dialled is ejected, and no other will do: "
                                 "the ejection is ignored"
                               : "every endpoint is ejected: ejections are ignored until one is "
                                 "back"),
                  LOG_STR("at", call->lane->outlier->outlier_at));
    destination->is_in_panic = is_panic;
}

static uint64_t candidate_of(struct call *call, bool may_probe, mono_ns now)
{
    struct endpoint_set *endpoints = host_endpoints(call);
    if (endpoints == NULL || !endpoint_set_use(endpoints))
        return CANDIDATE_UNKNOWN;
    struct chooser chooser = {.call = call,
                              .may_probe = may_probe,
                              .needs_room = endpoints->max_connections > 0,
                              .only = host_dialled(call) ? address_hash(host_dialled(call)) : 0,
                              .now = now};
    const struct candidate *candidate = choose(&endpoints->balancer, &chooser, false);
    const uint64_t id =
        candidate != NULL ? candidate->id : make_do(endpoints, &chooser, &candidate);
    note_panic(call, candidate != NULL && chooser.rung == CHOICE_PANIC);
    return id;
}

static void on_chosen(struct call *call)
{
    struct balancer *balancer = &host_endpoints(call)->balancer;
    struct candidate *candidate = balancer_find(balancer, call->endpoint_id);
    if (candidate != NULL)
        balancer_take(balancer, candidate);
}

static uint32_t endpoint_count_of(const struct call *call)
{
    const struct endpoint_set *endpoints = endpoints_of(call);
    return endpoints ? (uint32_t)endpoints->balancer.count : 0;
}

static const char *label_in(const struct endpoint_set *endpoints, uint64_t endpoint_id)
{
    if (endpoints == NULL)
        return "";
    LIST_FOREACH (link, &endpoints->members) {
        const struct endpoint *endpoint = CONTAINER_OF(link, struct endpoint, link);
        if (endpoint->candidate.id == endpoint_id)
            return endpoint->text;
    }
    return "";
}

static const char *endpoint_label_of(const struct call *call, uint64_t endpoint_id)
{
    const struct destination *destination = destination_of(call->lane->target);
    const char *label = label_in(destination->endpoints, endpoint_id);
    return label[0] != '\0' ? label : label_in(destination->dialled.set, endpoint_id);
}

static void ref_snapshot(void *snapshot)
{
    snapshot_ref(snapshot);
}

static void unref_snapshot(void *taken)
{
    struct snapshot *snapshot = taken;
    snapshot_unref(&snapshot);
}

/* ---- news of calls ---- */

static void on_waited(struct call *call, enum room_kind line, dur_ns waited)
{
    if (line == ROOM_SLOTS)
        metrics_note_queue_wait(call->lane->bulkhead->user, waited);
    else
        metrics_note_token_wait(call->lane->rate->user, waited);
}

static void note_for_access_log(struct call *call, enum outcome outcome, dur_ns took)
{
    static const char *const statuses[] = {"status_1xx", "status_2xx", "status_3xx", "status_4xx",
                                           "status_5xx"};
    struct request *request = request_of(call);
    const bool has_head = call->reason == REASON_NONE && outcome != OUTCOME_CANCELLED;
    const unsigned class = has_head ? (unsigned)call->head.status / 100 : 0;
    if (request->attempt_count == 0)
        request->attempts =
            arena_alloc(&request->arena, ACCESS_ATTEMPTS_MAX * sizeof *request->attempts);
    if (request->attempt_count++ >= ACCESS_ATTEMPTS_MAX || request->attempts == NULL)
        return;
    struct access_attempt *entry = &request->attempts[request->attempt_count - 1];
    *entry = (struct access_attempt){.status = has_head ? call->head.status : 0, .took = took};
    if (request->attempt.endpoint != NULL)
        entry->peer = arena_copy(&request->arena, span_of(request->attempt.endpoint->text)).data;
    if (outcome != OUTCOME_SUCCESS)
        entry->why = class >= 1 && class <= 5 ? statuses[class - 1]
                     : call->reason           ? reason_word(call->reason)
                                              : outcome_word(outcome);
}

/* What an answer of gRPC proves comes with its trailers; how long it took was seen at its head. */
static void note_latency(const struct call *call, enum outcome outcome, dur_ns until_head)
{
    struct endpoint *endpoint = request_of(call)->attempt.endpoint;
    const bool has_head = call->head_at >= call->attempt_at;
    if (endpoint == NULL || endpoint->set == NULL)
        return;
    balancer_observe(&endpoint->set->balancer, &endpoint->candidate,
                     has_head ? mono_since(call->head_at, call->attempt_at) : until_head, outcome,
                     proxy_of(call->engine)->loop->now);
}

static void on_attempt_settled(struct call *call, enum outcome outcome, dur_ns until_head)
{
    note_latency(call, outcome, until_head);
    const struct access_log *access = &proxy_of(call->engine)->access;
    struct metrics_target *metrics = metrics_of(call);
    metrics_count_attempt(metrics, outcome);
    if (call->reason == REASON_NONE && outcome != OUTCOME_CANCELLED)
        metrics_note_attempt_duration(metrics, until_head);
    if (access->cfg.mode != ACCESS_OFF &&
        (outcome != OUTCOME_SUCCESS || access->cfg.mode != ACCESS_REFUSALS))
        note_for_access_log(call, outcome, until_head);
}

static void on_retry(struct call *call, enum retry_cause cause)
{
    metrics_count_retry(metrics_of(call), cause);
}

static void on_retry_skipped(struct call *call, enum retry_skip skip)
{
    metrics_count_retry_skipped(metrics_of(call), skip);
}

static void on_shadow(struct call *call, enum policy_family family, const char *decision)
{
    (void)decision;
    metrics_count_shadow(metrics_of(call), family);
}

/* ---- news of instances ---- */

static uint32_t parts_of(const struct instance *instance)
{
    uint32_t parts = 0;
    if (instance->breaker_cfg.mode != POLICY_OFF)
        parts |= METRICS_BREAKER;
    if (instance->bulkhead_cfg.mode != POLICY_OFF)
        parts |= METRICS_BULKHEAD;
    if (instance->rate_cfg.mode != POLICY_OFF)
        parts |= METRICS_BUCKET;
    return parts;
}

/* The rule that an instance belongs to; NULL for the target's own. */
static const char *rule_of(const struct instance *instance)
{
    const char *colon = strchr(instance->name, ':');
    return colon ? colon + 1 : NULL;
}

static void drop_instance_metrics(struct instance *instance)
{
    struct metrics_instance *metrics = instance->user;
    instance->user = NULL;
    if (metrics != NULL)
        metrics_instance_unref(&metrics, instance->user_parts);
    instance->user_parts = 0;
}

static void show_shadows(const struct instance *instance, struct metrics_target *target)
{
    if (instance->breaker_cfg.mode == POLICY_SHADOW)
        metrics_show_shadow(target, POLICY_FAMILY_CIRCUIT_BREAKER);
    if (instance->bulkhead_cfg.mode == POLICY_SHADOW)
        metrics_show_shadow(target, POLICY_FAMILY_BULKHEAD);
    if (instance->rate_cfg.mode == POLICY_SHADOW)
        metrics_show_shadow(target, POLICY_FAMILY_RATE_LIMIT);
    if (instance->outlier_cfg.breaker.mode == POLICY_SHADOW)
        metrics_show_shadow(target, POLICY_FAMILY_OUTLIER);
}

static void on_instance(struct instance *instance)
{
    const struct destination *destination = destination_of(instance->target);
    if (destination == NULL)
        return; /* no memory: route.c gives the target up */
    struct metrics_target *target = destination->metrics;
    const uint32_t parts = parts_of(instance);
    show_shadows(instance, target);
    if (parts == instance->user_parts)
        return;
    struct metrics_instance *fresh =
        parts ? metrics_instance_get(target, rule_of(instance), NULL, parts) : NULL;
    drop_instance_metrics(instance);
    instance->user = fresh;
    instance->user_parts = parts;
    if (fresh != NULL)
        metrics_set_breaker(fresh, instance->seat.breaker.state, 0, 0, 0);
}

static void on_lane(struct lane *lane)
{
    const struct destination *destination = destination_of(lane->target);
    if (lane->rule_name[0] != '\0' && destination != NULL)
        lane->user = metrics_rule_get(destination->metrics, lane->rule_name);
}

static void on_lane_gone(struct lane *lane)
{
    struct metrics_rule *rule = lane->user;
    lane->user = NULL;
    if (rule != NULL)
        metrics_rule_unref(&rule);
}

static bool on_target(struct target *target)
{
    return destination_new(proxy_of(target->engine), target);
}

static void on_target_gone(struct target *target)
{
    destination_free(target);
}

static void on_seat(struct seat *seat)
{
    if (seat->endpoint[0] == '\0')
        return;
    struct instance *instance = seat->instance;
    struct metrics_target *target = destination_of(instance->target)->metrics;
    char place[128];
    snprintf(place, sizeof place, "%s%s", seat_noun(seat), seat->endpoint);
    seat->user = metrics_instance_get(target, rule_of(instance), place, METRICS_BREAKER);
}

static void on_seat_gone(struct seat *seat)
{
    struct metrics_instance *metrics = seat->user;
    seat->user = NULL;
    if (metrics != NULL)
        metrics_instance_unref(&metrics, METRICS_BREAKER);
}

static void on_ejection_held(struct call *call)
{
    metrics_count_ejection_held(metrics_of(call));
}

/* An endpoint is back: its slow start begins. */
static void warm_endpoint(const struct seat *seat, const struct breaker_transition *move)
{
    const struct destination *destination = destination_of(seat->instance->target);
    const bool was_out = seat->endpoint[0] != '\0' && seat->breaker.cfg.mode == POLICY_ENFORCE;
    if (move->to != BREAKER_CLOSED || !was_out || destination->endpoints == NULL)
        return;
    struct balancer *balancer = &destination->endpoints->balancer;
    const struct endpoint_seat *place = CONTAINER_OF(seat, struct endpoint_seat, seat);
    struct candidate *candidate = balancer_find(balancer, place->endpoint_id);
    if (candidate != NULL)
        balancer_warm(balancer, candidate, move->at);
}

static void on_transition(struct seat *seat, const struct breaker_transition *move)
{
    warm_endpoint(seat, move);
    struct proxy *proxy = proxy_of(seat->engine);
    const struct instance *instance = seat->instance;
    char label[256];
    seat_label(seat, label, sizeof label);
    metrics_count_transition(seat->endpoint[0] ? seat->user : instance->user, move->from, move->to,
                             move->cause);
    const struct event event = {
        .wall_ns = loop_wall(proxy->loop),
        .target = instance->target->name,
        .instance = label,
        .policy = policy_family_word(seat->family),
        .from = breaker_state_word(move->from),
        .to = breaker_state_word(move->to),
        .reason = breaker_cause_word(move->cause),
        .has_window = true,
        .window_calls = move->window.calls,
        .window_failures = move->window.failures,
        .window_slow = move->window.slow,
        .consecutive = move->consecutive,
        .open_for = move->to == BREAKER_OPEN ? move->open_for : 0,
        .at = seat->family == POLICY_FAMILY_OUTLIER ? instance->outlier_at : instance->at_text,
        .is_warning = move->to == BREAKER_OPEN || move->to == BREAKER_FORCED_OPEN,
    };
    events_publish(proxy->events, &event);
}

const struct call_host request_host = {
    .on_ready = on_ready,
    .key = key_of,
    .replay = replay_of,
    .candidate = candidate_of,
    .on_chosen = on_chosen,
    .endpoint_label = endpoint_label_of,
    .endpoint_count = endpoint_count_of,
    .snapshot_ref = ref_snapshot,
    .snapshot_unref = unref_snapshot,
    .on_waited = on_waited,
    .on_attempt_settled = on_attempt_settled,
    .on_retry = on_retry,
    .on_retry_skipped = on_retry_skipped,
    .on_shadow = on_shadow,
    .on_ejection_held = on_ejection_held,
    .on_transition = on_transition,
    .on_instance = on_instance,
    .on_instance_gone = drop_instance_metrics,
    .on_lane = on_lane,
    .on_lane_gone = on_lane_gone,
    .on_target = on_target,
    .on_target_gone = on_target_gone,
    .on_seat = on_seat,
    .on_seat_gone = on_seat_gone,
};
