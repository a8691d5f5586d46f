/* sim_world.c - the host of the engine, and what happens to it. See sim_world.h. */
#include "sim_world.h"

#include "call/choice.h"

#include <stdlib.h>
#include <string.h>

#define MS NS_PER_MS
#define DRAIN_STEPS 2000
#define DRAIN_STEP (100 * MS)

static struct sim *sim_of(const struct call_engine *engine)
{
    return engine->context;
}

static struct sim_call *call_from(const struct call *call)
{
    return CONTAINER_OF(call, struct sim_call, call);
}

/* ---- what the engine asks and tells ---- */

static void host_ready(struct call_engine *engine)
{
    INVARIANT(list_is_empty(&engine->ready));
}

static struct span host_key(const struct call *call, const struct key_config *key)
{
    INVARIANT(key->kind != KEY_HEADER || strcmp(key->header, "x") == 0);
    return span_of(call_from(call)->key);
}

static enum replayability host_replay(const struct call *call)
{
    return call_from(call)->replay;
}

static uint64_t host_candidate(struct call *call, bool may_probe, mono_ns now)
{
    struct sim *sim = sim_of(call->engine);
    const uint64_t first = rng_below(&sim->rng, SIM_ENDPOINTS);
    if (sim_chance(sim, 10))
        return CANDIDATE_UNKNOWN;
    for (uint64_t i = 0; i < SIM_ENDPOINTS * CHOICE_RUNGS; i++) {
        const enum choice_rung rung = (enum choice_rung)(i / SIM_ENDPOINTS);
        const uint64_t id = 1 + (first + i) % SIM_ENDPOINTS;
        const uint32_t in_flight = (uint32_t)rng_below(&sim->rng, 2);
        if (choice_has_rung(call->lane, rung) &&
            choice_may_use(call, rung, id, in_flight, may_probe, now))
            return id;
    }
    return CANDIDATE_NONE;
}

static uint32_t host_endpoint_count(const struct call *call)
{
    (void)call;
    return SIM_ENDPOINTS;
}

static void host_chosen(struct call *call)
{
    INVARIANT(call->endpoint_id != CANDIDATE_UNKNOWN && choice_is_needed(call->lane));
}

static void host_ejection_held(struct call *call)
{
    INVARIANT(call->outlier_seat != NULL);
}

static const char *host_label(const struct call *call, uint64_t endpoint_id)
{
    static const char *const labels[] = {"?", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};
    INVARIANT(call->magic != 0 && endpoint_id <= SIM_ENDPOINTS);
    return labels[endpoint_id];
}

static void host_snapshot_ref(void *snapshot)
{
    ((struct sim_snapshot *)snapshot)->refs++;
}

static void snapshot_unref(struct sim *sim, struct sim_snapshot *snapshot)
{
    if (--snapshot->refs > 0)
        return;
    sim->snapshots_live--;
    memset(snapshot, 0xee, sizeof *snapshot);
    free(snapshot);
}

static struct sim *the_sim; /* snapshot_unref has no other way to it */

static void host_snapshot_unref(void *snapshot)
{
    snapshot_unref(the_sim, snapshot);
}

static void host_waited(struct call *call, enum room_kind line, dur_ns waited)
{
    INVARIANT(call->line != NULL && waited >= 0);
    INVARIANT((line == ROOM_TOKENS) == (call->line == &call->tokens->line));
}

static void host_settled(struct call *call, enum outcome outcome, dur_ns until_head)
{
    INVARIANT((unsigned)outcome < OUTCOME_COUNT && until_head >= 0);
    sim_of(call->engine)->settled++;
}

static void host_retry(struct call *call, enum retry_cause cause)
{
    INVARIANT((unsigned)cause < RETRY_CAUSE_COUNT);
    INVARIANT(cause == RETRY_CAUSE_TRANSPARENT || call->lane->policy->retry.mode == POLICY_ENFORCE);
}

static void host_skipped(struct call *call, enum retry_skip skip)
{
    INVARIANT(call->step != CALL_STEP_FINISH && (unsigned)skip < RETRY_SKIP_COUNT);
}

static void host_shadow(struct call *call, enum policy_family family, const char *decision)
{
    INVARIANT(call->step != CALL_STEP_FINISH && (unsigned)family < POLICY_FAMILY_COUNT);
    INVARIANT(decision[0] != '\0');
}

static void host_transition(struct seat *seat, const struct breaker_transition *transition)
{
    INVARIANT(seat->breaker.state == transition->to && transition->from != transition->to);
    INVARIANT(transition->at == sim_of(seat->engine)->now);
}

static void host_instance(struct instance *instance)
{
    if (instance->user != NULL)
        return;
    sim_of(instance->engine)->instances_live++;
    instance->user = calloc(1, sizeof(struct sim_log));
    INVARIANT(instance->user != NULL);
}

static void host_instance_gone(struct instance *instance)
{
    sim_of(instance->engine)->instances_live--;
    free(instance->user);
}

static void host_lane(struct lane *lane)
{
    sim_of(lane->target->engine)->lanes_live++;
}

static void host_lane_gone(struct lane *lane)
{
    sim_of(lane->target->engine)->lanes_live--;
}

static bool host_target(struct target *target)
{
    sim_of(target->engine)->targets_live++;
    return true;
}

static void host_target_gone(struct target *target)
{
    sim_of(target->engine)->targets_live--;
}

static void host_seat(struct seat *seat)
{
    sim_of(seat->engine)->seats_live++;
}

static void host_seat_gone(struct seat *seat)
{
    sim_of(seat->engine)->seats_live--;
}

static const struct call_host host = {
    .on_ready = host_ready,
    .key = host_key,
    .replay = host_replay,
    .candidate = host_candidate,
    .on_chosen = host_chosen,
    .endpoint_count = host_endpoint_count,
    .on_ejection_held = host_ejection_held,
    .endpoint_label = host_label,
    .snapshot_ref = host_snapshot_ref,
    .snapshot_unref = host_snapshot_unref,
    .on_waited = host_waited,
    .on_attempt_settled = host_settled,
    .on_retry = host_retry,
    .on_retry_skipped = host_skipped,
    .on_shadow = host_shadow,
    .on_transition = host_transition,
    .on_instance = host_instance,
    .on_instance_gone = host_instance_gone,
    .on_lane = host_lane,
    .on_lane_gone = host_lane_gone,
    .on_target = host_target,
    .on_target_gone = host_target_gone,
    .on_seat = host_seat,
    .on_seat_gone = host_seat_gone,
};

/* ---- actions ---- */

static void finish(struct sim_call *call)
{
    struct sim *sim = call->sim;
    sim_note_progress(call);
    INVARIANT(call->upstream == UPSTREAM_NONE);
    INVARIANT(call->relays + call->replies <= 1);
    const bool is_good =
        call->call.fate == FATE_SUCCESS || call->call.fate == FATE_SUCCESS_AFTER_RETRY;
    INVARIANT(!is_good || call->relays == 1);
    call_fini(&call->call);
    list_remove(&call->link);
    sim->call_count--;
    sim->finished++;
    free(call);
}

static void perform(struct sim_call *call, unsigned actions)
{
    if (actions & CALL_ABORT_ATTEMPT)
        call->upstream = UPSTREAM_NONE;
    if (actions & CALL_START_ATTEMPT) {
        INVARIANT(call->upstream == UPSTREAM_NONE);
        INVARIANT(call->relays == 0 && call->replies == 0);
        call->upstream = UPSTREAM_CONNECTING;
    }
    if (actions & CALL_RELAY)
        call->relays++;
    if (actions & CALL_REPLY) {
        INVARIANT(call->upstream == UPSTREAM_NONE);
        INVARIANT(call->call.has_kept_head || call->call.reason != REASON_NONE);
        call->replies++;
        call->is_reply_due = true;
    }
    if (actions & CALL_FINISH)
        finish(call);
}

static void perform_all(struct sim *sim)
{
    struct call *call;
    while ((call = call_engine_next(&sim->engine)) != NULL)
        perform(call_from(call), call_take_actions(call));
}

/* ---- callers ---- */

static void begin(struct sim *sim)
{
    static const char *const keys[SIM_KEYS] = {"a", "b", "c", "d", ""};
    struct sim_call *call = calloc(1, sizeof *call);
    INVARIANT(call != NULL);
    struct lane *lane = sim->target->lanes[rng_below(&sim->rng, sim->target->lane_count)];
    const struct timeouts_config *timeouts = &lane->policy->timeouts;
    const bool is_post = sim_chance(sim, 30);
    struct call_facts facts = {.method = is_post ? METHOD_POST : METHOD_GET,
                               .is_method_listed = !is_post,
                               .is_idempotent = !is_post,
                               .is_tunnel = sim_chance(sim, 10),
                               .is_upgrade = sim_chance(sim, 10),
                               .caller_deadline = DUR_FOREVER};
    if (sim_chance(sim, 15))
        facts.caller_deadline = (dur_ns)rng_below(&sim->rng, 400) * MS;
    call->sim = sim;
    call->key = keys[rng_below(&sim->rng, SIM_KEYS)];
    call->replay = sim_chance(sim, 85) ? REPLAY_OK : REPLAY_COMMITTED;
    call->paused_at = MONO_NEVER;
    call->deadline_at = MONO_NEVER;
    if (timeouts->mode == POLICY_ENFORCE)
        call->deadline_at =
            mono_add(sim->now, dur_min(timeouts->request > 0 ? timeouts->request : DUR_FOREVER,
                                       facts.caller_deadline));
    list_append(&sim->calls, &call->link);
    sim->call_count++;
    sim->begun++;
    if (sim_chance(sim, 2))
        call_refuse(&call->call, &sim->engine, lane, &facts, REASON_LOOP, sim->now);
    else
        call_begin(&call->call, &sim->engine, lane, &facts, sim->now);
}

static void resume(struct sim_call *call)
{
    if (call->paused_at == MONO_NEVER)
        return;
    call->deadline_at = mono_add(call->deadline_at, call->sim->now - call->paused_at);
    call->paused_at = MONO_NEVER;
}

static void poke_caller(struct sim_call *call)
{
    struct sim *sim = call->sim;
    const uint64_t draw = rng_below(&sim->rng, 100);
    if (draw < 60) {
        resume(call);
        call_on_cancel(&call->call, sim->now);
        call_on_cancel(&call->call, sim->now);
    } else if (draw < 75) {
        resume(call);
        call_refuse_now(&call->call, draw < 68 ? REASON_BAD_REQUEST : REASON_SHUTDOWN, sim->now);
    } else if (call->paused_at != MONO_NEVER) {
        resume(call);
        call_resume(&call->call, sim->now);
    } else {
        call_pause(&call->call, sim->now);
        if (call_waits_for_body_since(&call->call) != MONO_NEVER)
            call->paused_at = sim->now;
    }
}

/* ---- upstreams ---- */

static void lose(struct sim_call *call, enum reason reason)
{
    struct sim *sim = call->sim;
    const struct call_failure failure = {.reason = reason,
                                         .is_reused = sim_chance(sim, 60),
                                         .is_unsent = call->upstream == UPSTREAM_CONNECTING,
                                         .is_answered = sim_chance(sim, 20)};
    call->upstream = UPSTREAM_NONE;
    resume(call);
    call_on_attempt_failed(&call->call, &failure, sim->now);
}

static void answer(struct sim_call *call, int status)
{
    struct sim *sim = call->sim;
    const struct call_head head = {
        .status = status,
        .grpc_status = -1,
        .outcome = status == 429   ? OUTCOME_THROTTLED
                   : status >= 500 ? OUTCOME_FAILURE
                                   : OUTCOME_SUCCESS,
        .retry_after = sim_chance(sim, 20) ? (dur_ns)rng_below(&sim->rng, 3000) * MS : 0,
        .is_exhausted_marked = sim_chance(sim, 10),
        .is_upgrade = status == 101};
    call->upstream = UPSTREAM_ANSWERING;
    resume(call);
    call_on_head(&call->call, &head, sim->now);
}

static void connected(struct sim_call *call)
{
    struct sim *sim = call->sim;
    call_on_endpoint(&call->call, 1 + rng_below(&sim->rng, SIM_ENDPOINTS), sim->now);
    call_on_connected(&call->call, sim->now);
    call_on_wire(&call->call);
    call->upstream = UPSTREAM_THINKING;
    if (call->call.facts.is_tunnel)
        answer(call, 200);
}

static void poke_connecting(struct sim_call *call)
{
    static const enum reason reasons[] = {REASON_CONNECT_REFUSED, REASON_DNS_FAILURE,
                                          REASON_NO_ENDPOINT, REASON_OVERLOADED,
                                          REASON_CONNECTION_RESET};
    struct sim *sim = call->sim;
    if (sim_chance(sim, 80))
        connected(call);
    else
        lose(call, reasons[rng_below(&sim->rng, sizeof reasons / sizeof *reasons)]);
}

static void poke_thinking(struct sim_call *call)
{
    static const int statuses[] = {200, 200, 200, 404, 500, 503, 503, 503, 429, 101};
    static const enum reason reasons[] = {REASON_CONNECTION_RESET, REASON_PROTOCOL_ERROR,
                                          REASON_REFUSED_STREAM};
    struct sim *sim = call->sim;
    const uint64_t draw = rng_below(&sim->rng, 100);
    if (draw < 75)
        answer(call, statuses[rng_below(&sim->rng, sizeof statuses / sizeof *statuses)]);
    else
        lose(call, reasons[rng_below(&sim->rng, sizeof reasons / sizeof *reasons)]);
}

static void complete(struct sim_call *call)
{
    struct sim *sim = call->sim;
    call->upstream = UPSTREAM_NONE;
    if (call->call.step == CALL_STEP_BACKOFF && sim_chance(sim, 80))
        call_on_kept(&call->call);
    call_on_attempt_ended(&call->call, sim->now);
    call_on_attempt_ended(&call->call, sim->now);
}

static void poke_answering(struct sim_call *call)
{
    struct sim *sim = call->sim;
    const uint64_t draw = rng_below(&sim->rng, 100);
    if (draw < 40) {
        complete(call);
    } else if (draw < 50) {
        call->upstream = UPSTREAM_NONE;
        call_on_response_broken(&call->call, REASON_CONNECTION_RESET, sim->now);
    } else if (draw < 75) {
        call_touch(&call->call, sim->now);
        if (call->call.is_tunnel)
            call_on_tunnel_bytes(&call->call, sim->now);
    } else if (call->call.step == CALL_STEP_RELAY && !call->is_delivered) {
        call->is_delivered = true;
        call_on_delivered(&call->call, sim->now);
    }
}

static void deliver(struct sim_call *call)
{
    call->is_reply_due = false;
    call->is_delivered = true;
    call_on_delivered(&call->call, call->sim->now);
}

static void poke_upstream(struct sim_call *call)
{
    switch (call->upstream) {
    case UPSTREAM_CONNECTING: poke_connecting(call); break;
    case UPSTREAM_THINKING: poke_thinking(call); break;
    case UPSTREAM_ANSWERING: poke_answering(call); break;
    default:
        if (call->is_reply_due || (call->relays > 0 && !call->is_delivered))
            deliver(call);
        break;
    }
}

static struct sim_call *any_call(struct sim *sim)
{
    if (sim->call_count == 0)
        return NULL;
    uint64_t skip = rng_below(&sim->rng, (uint64_t)sim->call_count);
    LIST_FOREACH (link, &sim->calls)
        if (skip-- == 0)
            return CONTAINER_OF(link, struct sim_call, link);
    return NULL;
}

/* With actions that wait to be performed only the caller can say something new. */
static void poke(struct sim *sim)
{
    struct sim_call *call = any_call(sim);
    if (call == NULL)
        return;
    if (sim_chance(sim, 12))
        poke_caller(call);
    else if (call->call.actions == 0)
        poke_upstream(call);
}

/* ---- config, operators, time ---- */

static struct sim_snapshot *snapshot_new(struct sim *sim)
{
    struct sim_snapshot *snapshot = calloc(1, sizeof *snapshot);
    INVARIANT(snapshot != NULL);
    snapshot->refs = 1;
    sim->snapshots_live++;
    sim_policy(sim, snapshot);
    return snapshot;
}

static void reload(struct sim *sim)
{
    struct sim_snapshot *old = sim->snapshot;
    sim->snapshot = snapshot_new(sim);
    sim->may_be_over_limit = true;
    INVARIANT(target_apply(sim->target, &sim->snapshot->plan, sim->now) == OK);
    snapshot_unref(sim, old);
}

static void force(struct sim *sim)
{
    static const enum breaker_state states[] = {BREAKER_FORCED_OPEN, BREAKER_CLOSED,
                                                BREAKER_DISABLED};
    seat_force(&sim->target->instance->seat, states[rng_below(&sim->rng, 3)], sim->now);
}

/* Tick by tick, as the loop turns; now and then late. */
static void pass_time(struct sim *sim)
{
    static const int longest_ms[] = {1, 1, 10, 10, 100, 100, 1000, 10000, 70000};
    const uint64_t most = (uint64_t)longest_ms[rng_below(&sim->rng, 9)] * (uint64_t)MS;
    const mono_ns until = sim->now + (dur_ns)rng_below(&sim->rng, most);
    const bool is_late = sim_chance(sim, 20);
    while (!is_late && wheel_next(sim->wheel) <= until) {
        const mono_ns next = wheel_next(sim->wheel);
        sim->now = next > sim->now ? next : sim->now;
        wheel_advance(sim->wheel, sim->now);
        perform_all(sim);
        sim_check(sim);
        sim_check_on_time(sim);
    }
    sim->now = until;
    if (sim_chance(sim, 80))
        wheel_advance(sim->wheel, sim->now);
}

void sim_step(struct sim *sim)
{
    const uint64_t draw = rng_below(&sim->rng, 1000);
    if (draw < 300 && sim->call_count < SIM_CALLS)
        begin(sim);
    else if (draw < 840)
        poke(sim);
    else if (draw < 980)
        pass_time(sim);
    else if (draw < 990)
        force(sim);
    else if (sim->has_reloads)
        reload(sim);
    if (sim_chance(sim, 90))
        perform_all(sim);
}

/* ---- life ---- */

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof *sim);
    INVARIANT(sim != NULL);
    the_sim = sim;
    sim->seed = seed;
    rng_seed(&sim->rng, seed);
    rng_seed(&sim->own_rng, ~seed);
    sim->now = NS_PER_S + (mono_ns)rng_below(&sim->rng, (uint64_t)NS_PER_S);
    sim->wheel = wheel_new(sim->now);
    list_init(&sim->calls);
    call_engine_init(&sim->engine, sim->wheel, &sim->own_rng, &host, sim);
    sim->engine.body_idle = sim_chance(sim, 50) ? 2 * NS_PER_S : 0;
    target_table_init(&sim->targets, &sim->engine, 1);
    sim->has_reloads = sim_chance(sim, 60);
    sim->budget = (struct retry_budget_config){.mode = POLICY_ENFORCE,
                                               .permille = 200,
                                               .interval = 10 * NS_PER_S,
                                               .min_count = rng_below(&sim->rng, 3),
                                               .min_interval = NS_PER_S};
    sim->snapshot = snapshot_new(sim);
    INVARIANT(target_table_add(&sim->targets, SPAN("payments:80"), &sim->snapshot->plan, sim->now,
                               &sim->target) == OK);
    return sim;
}

static void drain_call(struct sim_call *call)
{
    struct sim *sim = call->sim;
    if (call->paused_at != MONO_NEVER) {
        resume(call);
        call_resume(&call->call, sim->now);
    }
    if (call->upstream == UPSTREAM_CONNECTING)
        connected(call);
    else if (call->upstream == UPSTREAM_THINKING)
        answer(call, 200);
    else if (call->upstream == UPSTREAM_ANSWERING)
        complete(call);
    else
        poke_upstream(call);
}

void sim_drain(struct sim *sim)
{
    for (int i = 0; i < DRAIN_STEPS && sim->call_count > 0; i++) {
        perform_all(sim);
        sim_check(sim);
        LIST_FOREACH_SAFE (link, following, &sim->calls)
            drain_call(CONTAINER_OF(link, struct sim_call, link));
        perform_all(sim);
        sim_check(sim);
        sim->now += DRAIN_STEP;
        wheel_advance(sim->wheel, sim->now);
        sim_check_on_time(sim);
    }
    INVARIANT(sim->call_count == 0 && sim->begun == sim->finished);
    INVARIANT(sim->granted == sim->settled);
}

void sim_free(struct sim **taken)
{
    struct sim *sim = *taken;
    *taken = NULL;
    target_table_fini(&sim->targets);
    snapshot_unref(sim, sim->snapshot);
    INVARIANT(sim->targets_live == 0 && sim->lanes_live == 0);
    INVARIANT(sim->instances_live == 0 && sim->seats_live == 0 && sim->snapshots_live == 0);
    INVARIANT(list_is_empty(&sim->engine.ready) && list_is_empty(&sim->engine.moved));
    INVARIANT(wheel_next(sim->wheel) == MONO_NEVER);
    wheel_free(&sim->wheel);
    free(sim);
}
