/* sidecar.c - an Outrigger in the simulation: the host of an engine of call/. See world.h.
 *
 * Stands where request/, upstream/ and net/ stand in the proxy: asks the proxy's own balancer which
 * endpoint a call goes to, keeps connections, and turns what happens to a job into events of its
 * call. */
#include "base/check.h"
#include "call/choice.h"
#include "http/classify.h"
#include "sim/luck.h"
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_LIMIT 1024
#define POOL_IDLE (60 * NS_PER_S)
#define POOL_SAFE_IDLE (1 * NS_PER_S)
#define SYN_AGAIN (1 * NS_PER_S) /* Linux: a lost SYN is sent again after 1 s, then 2, 4, ... */
#define SYN_TRIES 6
#define TARGETS_MAX 64

static struct sidecar *sidecar_of(const struct call_engine *engine)
{
    return engine->context;
}

static struct sim_call *from_call(const struct call *call)
{
    return CONTAINER_OF(call, struct sim_call, call);
}

static struct world *world_of(const struct call *call)
{
    return sidecar_of(call->engine)->world;
}

/* ---- what the engine asks ------------------------------------------------------------------ */

static void host_ready(struct call_engine *engine)
{
    struct sidecar *sidecar = sidecar_of(engine);
    if (!list_is_linked(&sidecar->ready_link))
        list_append(&sidecar->world->ready, &sidecar->ready_link);
}

static struct span host_key(const struct call *call, const struct key_config *key)
{
    const struct call_kind *kind = from_call(call)->flow->kind;
    switch (key->kind) {
    case KEY_PATH: return kind->path;
    case KEY_METHOD: return kind->method;
    case KEY_HEADER:
        for (size_t i = 0; i < kind->header_count; i++)
            if (strcmp(kind->headers[i].name, key->header) == 0)
                return kind->headers[i].value;
        return SPAN("");
    default: return SPAN("");
    }
}

static enum replayability host_replay(const struct call *call)
{
    const uint64_t body = from_call(call)->flow->body_bytes;
    return body > call->lane->policy->retry.max_body_bytes ? REPLAY_BODY_TOO_LARGE : REPLAY_OK;
}

static uint32_t host_endpoint_count(const struct call *call)
{
    const struct sim_call *made = from_call(call);
    return made->sidecar->world->scenario->upstreams[made->flow->upstream].endpoints;
}

static const char *host_label(const struct call *call, uint64_t endpoint_id)
{
    return link_server(from_call(call), endpoint_id)->label;
}

static void host_snapshot(void *snapshot)
{
    (void)snapshot; /* the policies outlive every world */
}

/* ---- what the engine tells ----------------------------------------------------------------- */

static void host_waited(struct call *call, enum room_kind line, dur_ns waited)
{
    (void)call;
    (void)line;
    (void)waited;
}

static void host_settled(struct call *call, enum outcome outcome, dur_ns until_head)
{
    struct sim_call *made = from_call(call);
    struct world *world = world_of(call);
    struct result_upstream *upstream = &world->result->upstreams[made->flow->upstream];
    link_observe(made, outcome, until_head);
    upstream->attempts++;
    if (call->attempt_at < world->ends_at)
        upstream->attempts_by_bucket[world_bucket(world, call->attempt_at)]++;
    if (!made->sidecar->is_caller)
        return;
    world->result->attempts++;
    world->result->outcomes[outcome]++;
}

static void host_retry(struct call *call, enum retry_cause cause)
{
    struct world *world = world_of(call);
    world->result->retries[cause]++;
    if (cause != RETRY_CAUSE_TRANSPARENT && world->now < world->ends_at)
        world->result->buckets[world_bucket(world, world->now)].retries++;
}

static void host_skipped(struct call *call, enum retry_skip skip)
{
    world_of(call)->result->skipped[skip]++;
}

static void host_shadow(struct call *call, enum policy_family family, const char *decision)
{
    (void)call;
    (void)family;
    (void)decision;
}

static void host_transition(struct seat *seat, const struct breaker_transition *move)
{
    struct sidecar *sidecar = sidecar_of(seat->engine);
    struct result *result = sidecar->world->result;
    if (move->to == BREAKER_CLOSED && seat->endpoint[0] != '\0' &&
        seat->breaker.cfg.mode == POLICY_ENFORCE)
        link_warm(sidecar, seat, move->at);
    result->moves++;
    result->trips += move->to == BREAKER_OPEN;
    if (result->transition_count == RESULT_TRANSITIONS_MAX)
        return;
    struct result_transition *kept = &result->transitions[result->transition_count++];
    *kept = (struct result_transition){.at = move->at - WORLD_BEGIN,
                                       .sidecar = sidecar->number,
                                       .from = move->from,
                                       .to = move->to,
                                       .cause = move->cause,
                                       .open_for = move->to == BREAKER_OPEN ? move->open_for : 0,
                                       .calls = move->window.calls,
                                       .failures = move->window.failures,
                                       .slow = move->window.slow};
    snprintf(kept->target, sizeof kept->target, "%s", seat->instance->target->name);
    seat_label(seat, kept->instance, sizeof kept->instance);
}

static void host_instance(struct instance *instance)
{
    (void)instance;
}

static void host_lane(struct lane *lane)
{
    (void)lane;
}

static bool host_target(struct target *target)
{
    (void)target;
    return true;
}

static void host_target_gone(struct target *target)
{
    (void)target;
}

static void host_ejection_held(struct call *call)
{
    (void)call;
}

static void host_seat(struct seat *seat)
{
    (void)seat;
}

static const struct call_host host = {
    .on_ready = host_ready,
    .key = host_key,
    .replay = host_replay,
    .candidate = link_candidate,
    .on_chosen = link_chosen,
    .endpoint_label = host_label,
    .endpoint_count = host_endpoint_count,
    .snapshot_ref = host_snapshot,
    .snapshot_unref = host_snapshot,
    .on_waited = host_waited,
    .on_attempt_settled = host_settled,
    .on_retry = host_retry,
    .on_retry_skipped = host_skipped,
    .on_shadow = host_shadow,
    .on_ejection_held = host_ejection_held,
    .on_transition = host_transition,
    .on_instance = host_instance,
    .on_instance_gone = host_instance,
    .on_lane = host_lane,
    .on_lane_gone = host_lane,
    .on_target = host_target,
    .on_target_gone = host_target_gone,
    .on_seat = host_seat,
    .on_seat_gone = host_seat,
};

/* ---- attempts ------------------------------------------------------------------------------ */

static bool take_pooled(const struct sim_call *call, struct link_to *link)
{
    const struct world *world = call->sidecar->world;
    const dur_ns idled = mono_since(world->now, link->used_at);
    const bool may_repeat = call->flow->facts.is_idempotent || call->flow->facts.is_method_listed;
    if (link->generation != call->server->generation || idled > POOL_IDLE)
        link->idle = 0;
    if (call->call.needs_fresh || link->idle == 0 || (!may_repeat && idled > POOL_SAFE_IDLE))
        return false;
    link->idle--;
    return true;
}

static void give_back(const struct sim_call *call, bool may_serve_again)
{
    const struct server *server = call->server;
    struct link_to *link = link_to_server(call, server);
    link->candidate.in_flight--;
    if (!may_serve_again || call->call.facts.is_tunnel)
        return;
    if (link->generation != server->generation)
        link->idle = 0;
    link->generation = server->generation;
    link->idle += link->idle < POOL_LIMIT;
    link->used_at = call->sidecar->world->now;
}

static void send_request(struct sim_call *call)
{
    struct world *world = call->sidecar->world;
    struct job *job = world_job(world);
    job->state = JOB_TRAVELLING;
    job->call = call;
    job->server = call->server;
    job->sidecar = call->sidecar;
    job->luck = call->luck ^ (uint64_t)call->call.attempt << 32;
    call->job = job;
    call_on_connected(&call->call, world->now);
    call_on_wire(&call->call);
    agenda_enter(&world->agenda, mono_add(world->now, server_one_way(call->server)),
                 HAPPENS_REACHED, job, job->epoch);
}

static void start_connect(struct sim_call *call)
{
    struct world *world = call->sidecar->world;
    const struct server *server = call->server;
    dur_ns takes = server->config->round_trip;
    dur_ns again = SYN_AGAIN;
    uint64_t luck = call->luck ^ (uint64_t)(call->call.attempt + 1) << 16;
    for (int i = 0; server->loss != NULL && i < SYN_TRIES; i++, again *= 2) {
        if (luck_share(&luck) * 1000 >= server->loss->permille)
            break;
        takes += again;
    }
    agenda_enter(&world->agenda, mono_add(world->now, takes),
                 server->crashed > 0 ? HAPPENS_REFUSED : HAPPENS_CONNECTED, call, call->epoch);
}

static void start_attempt(struct sim_call *call)
{
    struct world *world = call->sidecar->world;
    call->server = link_next(call);
    call->epoch++;
    if (call->tried_count < sizeof call->tried / sizeof *call->tried)
        call->tried[call->tried_count++] = call->server->id;
    call_on_endpoint(&call->call, call->server->id, world->now);
    struct link_to *link = link_to_server(call, call->server);
    call->is_reused = take_pooled(call, link);
    link->candidate.in_flight++;
    if (call->is_reused)
        send_request(call);
    else
        start_connect(call);
}

static void abort_attempt(struct sim_call *call)
{
    call->epoch++; /* a connect that is under way comes to nothing */
    if (call->server != NULL)
        give_back(call, false);
    if (call->job != NULL)
        server_abandoned(call->job->server, call->job);
    call->job = NULL;
    call->server = NULL;
}

static void lost(struct sim_call *call, enum reason reason, bool is_unsent)
{
    const struct call_failure failure = {
        .reason = reason, .is_reused = call->is_reused, .is_unsent = is_unsent};
    give_back(call, false);
    call->job = NULL;
    call_on_attempt_failed(&call->call, &failure, call->sidecar->world->now);
    call->server = NULL;
    sidecar_perform_all(call->sidecar->world);
}

void sidecar_connected(struct sim_call *call)
{
    if (call->server->crashed > 0) {
        sidecar_refused(call);
        return;
    }
    link_to_server(call, call->server)->generation = call->server->generation;
    send_request(call);
}

void sidecar_refused(struct sim_call *call)
{
    lost(call, REASON_CONNECT_REFUSED, true);
}

void sidecar_broken(struct job *job)
{
    struct sim_call *call = job->call;
    world_job_free(job->server->world, job);
    if (call != NULL)
        lost(call, REASON_CONNECTION_RESET, false);
}

static struct call_head head_of(const struct sim_call *call, const struct job *job)
{
    const struct breaker_config *breaker = &call->call.lane->policy->breaker;
    return (struct call_head){
        .status = job->status,
        .grpc_status = -1,
        .outcome = classify(job->status, -1, &breaker->failure_codes, breaker->throttled_is_failure)
                       .outcome,
        .retry_after = job->retry_after,
        .is_exhausted_marked = job->is_exhausted_marked,
    };
}

/* Answers are short: head and body come together, and the app takes them at once. */
void sidecar_answered(struct job *job)
{
    struct sim_call *call = job->call;
    struct world *world = job->server->world;
    if (call == NULL) {
        world_job_free(world, job);
        return;
    }
    const struct call_head head = head_of(call, job);
    const uint32_t epoch = call->epoch;
    world_job_free(world, job);
    call->job = NULL;
    call_on_head(&call->call, &head, world->now);
    sidecar_perform_all(world);
    if (call->epoch != epoch)
        return;
    give_back(call, true);
    call->server = NULL;
    if (call->call.step == CALL_STEP_BACKOFF)
        call_on_kept(&call->call);
    call_on_attempt_ended(&call->call, world->now);
    if (call->call.step == CALL_STEP_RELAY)
        call_on_delivered(&call->call, world->now);
    sidecar_perform_all(world);
}

/* ---- a call begins and ends ---------------------------------------------------------------- */

static void give_up(struct timer *timer, mono_ns now)
{
    struct sim_call *call = CONTAINER_OF(timer, struct sim_call, gives_up);
    call_on_cancel(&call->call, now);
}

static bool is_good(enum fate fate)
{
    return fate == FATE_SUCCESS || fate == FATE_SUCCESS_AFTER_RETRY;
}

static void record_end(const struct sim_call *call)
{
    struct world *world = call->sidecar->world;
    struct result *result = world->result;
    struct result_bucket *bucket = &result->buckets[world_bucket(world, call->began_at)];
    const enum fate fate = call->call.fate;
    const dur_ns took = world->now - call->began_at;
    world->in_flight--;
    bucket->ended++;
    bucket->fates[fate]++;
    bucket->good += is_good(fate);
    result->good += is_good(fate);
    result->fates[fate]++;
    if (!is_good(fate) && call->call.reason != REASON_NONE)
        result->reasons[call->call.reason]++;
    latency_add(&result->ended, took);
    if (is_good(fate))
        latency_add(&result->took, took);
    for (size_t i = 0; i < world->scenario->expectation_count; i++) {
        const struct expectation *expectation = &world->scenario->expectations[i];
        if (measure_unit(expectation->measure) == UNIT_DURATION &&
            window_holds(&expectation->window, call->began_at - WORLD_BEGIN))
            latency_add(&result->windowed[i], took);
    }
}

static void finish(struct sim_call *call)
{
    struct world *world = call->sidecar->world;
    struct job *parent = call->parent;
    const bool is_fine = is_good(call->call.fate);
    const bool is_exhausted = call->call.is_exhausted;
    wheel_clear(world->wheel, &call->gives_up);
    list_remove(&call->open_link);
    if (parent == NULL && !world->is_over)
        record_end(call);
    call_fini(&call->call);
    world_call_free(world, call);
    if (parent != NULL && !world->is_over)
        server_child_ended(parent, is_fine, is_exhausted);
}

static void perform(struct sim_call *call, unsigned actions)
{
    if (actions & CALL_ABORT_ATTEMPT)
        abort_attempt(call);
    if (actions & CALL_START_ATTEMPT)
        start_attempt(call);
    if (actions & CALL_REPLY)
        call_on_delivered(&call->call, call->sidecar->world->now);
    if (actions & CALL_FINISH)
        finish(call);
}

void sidecar_perform_all(struct world *world)
{
    struct list *first;
    while ((first = list_first(&world->ready)) != NULL) {
        struct sidecar *sidecar = CONTAINER_OF(first, struct sidecar, ready_link);
        struct call *call;
        list_remove(first);
        while ((call = call_engine_next(&sidecar->engine)) != NULL)
            perform(from_call(call), call_take_actions(call));
    }
}

void sidecar_begin(struct sidecar *sidecar, const struct flow *flow, struct job *parent,
                   uint64_t luck, dur_ns give_up_after)
{
    struct world *world = sidecar->world;
    struct sim_call *call = world_call(world);
    struct lane *lane = sidecar->targets[flow->upstream]->lanes[flow->lane];
    call->sidecar = sidecar;
    call->flow = flow;
    call->parent = parent;
    call->job = NULL;
    call->server = NULL;
    call->tried_count = 0;
    call->luck = luck;
    call->began_at = world->now;
    list_append(&world->open, &call->open_link);
    timer_init(&call->gives_up, give_up);
    if (give_up_after > 0)
        wheel_set(world->wheel, &call->gives_up, mono_add(world->now, give_up_after));
    call_begin(&call->call, &sidecar->engine, lane, &flow->facts, world->now);
    sidecar_perform_all(world);
}

/* ---- life ---------------------------------------------------------------------------------- */

void sidecar_init(struct sidecar *sidecar, struct world *world, uint32_t number)
{
    *sidecar = (struct sidecar){.world = world, .number = number};
    list_init(&sidecar->ready_link);
    rng_seed(&sidecar->rng, world->seed * UINT64_C(0x9e3779b97f4a7c15) + number);
    call_engine_init(&sidecar->engine, world->wheel, &sidecar->rng, &host, sidecar);
    target_table_init(&sidecar->table, &sidecar->engine, TARGETS_MAX);
    sidecar->targets = calloc(world->scenario->upstream_count, sizeof(struct target *));
    sidecar->links = calloc(world->server_count, sizeof *sidecar->links);
    sidecar->candidates = calloc(world->server_count, sizeof(struct candidate *));
    sidecar->balancers = calloc(world->scenario->upstream_count, sizeof *sidecar->balancers);
    INVARIANT(sidecar->targets != NULL && sidecar->links != NULL);
    INVARIANT(sidecar->candidates != NULL && sidecar->balancers != NULL);
}

void sidecar_reach(struct sidecar *sidecar, uint32_t upstream)
{
    struct world *world = sidecar->world;
    const struct address_config *address = &world->scenario->upstreams[upstream].address;
    char name[ADDRESS_TEXT_MAX];
    if (sidecar->targets[upstream] != NULL)
        return;
    const struct document *document =
        policy_set_find(world->policies, span_of(address->host), address->port);
    const size_t plan = document != NULL ? document->index : world->policies->document_count;
    snprintf(name, sizeof name, "%s:%u", address->host, address->port);
    INVARIANT(target_table_add(&sidecar->table, span_of(name), &world->plans[plan], world->now,
                               &sidecar->targets[upstream]) == OK);
    link_begin(sidecar, upstream);
}

void sidecar_fini(struct sidecar *sidecar)
{
    target_table_fini(&sidecar->table);
    free(sidecar->targets);
    free(sidecar->links);
    free(sidecar->candidates);
    free(sidecar->balancers);
}
