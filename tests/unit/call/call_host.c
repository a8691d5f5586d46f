/* call_host.c - see call_host.h. */
#include "call_host.h"

#include "base/check.h"
#include "call/choice.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_SEED 7
#define WORLD_START (1000 * NS_PER_S)

const struct call_facts get_facts = {.method = METHOD_GET,
                                     .is_method_listed = true,
                                     .is_idempotent = true,
                                     .caller_deadline = DUR_FOREVER};
const struct call_facts post_facts = {.method = METHOD_POST, .caller_deadline = DUR_FOREVER};
const struct call_facts tunnel_facts = {
    .method = METHOD_CONNECT, .is_tunnel = true, .caller_deadline = DUR_FOREVER};

/* ---- policies ---- */

void policy_none(struct policy *policy)
{
    memset(policy, 0, sizeof *policy);
    policy->timeouts.mode = POLICY_ENFORCE;
    policy->bulkhead.max_connections = BULKHEAD_UNLIMITED;
    policy->bulkhead.max_streams = BULKHEAD_UNLIMITED;
    policy->breaker.half_open_requests = 3;
    policy->retry.budget.interval = 10 * NS_PER_S;
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++)
        policy->at[i] = "";
}

void with_breaker(struct policy *policy, uint32_t consecutive)
{
    policy->breaker.mode = POLICY_ENFORCE;
    policy->breaker.consecutive_failures = consecutive;
    policy->breaker.min_requests = 20;
    policy->breaker.open_for = 5 * NS_PER_S;
    policy->breaker.max_open_for = 30 * NS_PER_S;
    policy->breaker.half_open_requests = 3;
}

void with_bulkhead(struct policy *policy, uint32_t max, uint32_t pending, int timeout_ms)
{
    policy->bulkhead.mode = POLICY_ENFORCE;
    policy->bulkhead.max_requests = max;
    policy->bulkhead.max_pending = pending;
    policy->bulkhead.pending_timeout = timeout_ms * MS;
}

void with_rate(struct policy *policy, uint64_t requests, int interval_ms, uint64_t burst,
               int wait_ms)
{
    policy->rate_limit.mode = POLICY_ENFORCE;
    policy->rate_limit.requests = requests;
    policy->rate_limit.interval = interval_ms * MS;
    policy->rate_limit.burst = burst;
    policy->rate_limit.wait = wait_ms * MS;
}

void with_retry(struct policy *policy, uint32_t attempts)
{
    policy->retry.mode = POLICY_ENFORCE;
    policy->retry.attempts = attempts;
    policy->retry.on = REASON_GROUP_CONNECT_FAILURE | REASON_GROUP_RESET |
                       REASON_GROUP_REFUSED_STREAM | REASON_GROUP_TIMEOUT;
    policy->retry.backoff =
        (struct backoff_config){.base = 10 * MS, .max = 250 * MS, .jitter = JITTER_NONE};
    policy->retry.max_retry_after = 5 * NS_PER_S;
    code_set_add_http(&policy->retry.codes, 503);
}

/* ---- what the engine asks and tells ---- */

static struct visit *visit_of(const struct call *call)
{
    return CONTAINER_OF(call, struct visit, call);
}

static struct world *world_of(const struct call_engine *engine)
{
    return engine->context;
}

static void host_ready(struct call_engine *engine)
{
    cr_assert(list_is_empty(&engine->ready));
    world_of(engine)->ready_signals++;
}

static struct span host_key(const struct call *call, const struct key_config *key)
{
    (void)key;
    return span_of(visit_of(call)->key);
}

static enum replayability host_replay(const struct call *call)
{
    return visit_of(call)->replay;
}

static uint64_t host_candidate(struct call *call, bool may_probe, mono_ns now)
{
    const struct world *world = visit_of(call)->world;
    for (enum choice_rung rung = CHOICE_CAREFUL; rung < CHOICE_RUNGS; rung++)
        for (size_t i = 0; i < world->endpoint_count && choice_has_rung(call->lane, rung); i++)
            if (choice_may_use(call, rung, world->endpoints[i], world->in_flight[i], may_probe,
                               now))
                return world->endpoints[i];
    return world->endpoint_count == 0 ? CANDIDATE_UNKNOWN : CANDIDATE_NONE;
}

static void host_chosen(struct call *call)
{
    visit_of(call)->world->chosen++;
}

static uint32_t host_endpoint_count(const struct call *call)
{
    return (uint32_t)visit_of(call)->world->endpoint_count;
}

static void host_ejection_held(struct call *call)
{
    visit_of(call)->world->held++;
}

static const char *host_label(const struct call *call, uint64_t endpoint_id)
{
    static const char *const labels[] = {"10.0.0.0:80", "10.0.0.1:80", "10.0.0.2:80",
                                         "10.0.0.3:80"};
    return visit_of(call)->world->left >> endpoint_id % 32 & 1 ? "" : labels[endpoint_id % 4];
}

static void host_snapshot_ref(void *snapshot)
{
    (*(uint32_t *)snapshot)++;
}

static void host_snapshot_unref(void *snapshot)
{
    (*(uint32_t *)snapshot)--;
}

static void host_waited(struct call *call, enum room_kind line, dur_ns waited)
{
    struct world *world = visit_of(call)->world;
    world->waits[line]++;
    world->last_wait = waited;
}

static void host_settled(struct call *call, enum outcome outcome, dur_ns until_head)
{
    struct world *world = visit_of(call)->world;
    world->settled[outcome]++;
    world->last_until_head = until_head;
}

static void host_retry(struct call *call, enum retry_cause cause)
{
    visit_of(call)->world->retries[cause]++;
}

static void host_skipped(struct call *call, enum retry_skip skip)
{
    visit_of(call)->world->skips[skip]++;
}

static void host_shadow(struct call *call, enum policy_family family, const char *decision)
{
    struct world *world = visit_of(call)->world;
    world->shadows[family]++;
    world->last_shadow = decision;
}

static void host_transition(struct seat *seat, const struct breaker_transition *transition)
{
    struct world *world = world_of(seat->engine);
    cr_assert_lt(world->move_count, WORLD_MOVES);
    struct move *move = &world->moves[world->move_count++];
    seat_label(seat, move->label, sizeof move->label);
    move->what = *transition;
}

static void host_instance(struct instance *instance)
{
    if (instance->user == NULL)
        world_of(instance->engine)->instances_live++;
    instance->user = instance;
}

static void host_instance_gone(struct instance *instance)
{
    if (instance->user != NULL)
        world_of(instance->engine)->instances_live--;
}

static void host_lane(struct lane *lane)
{
    world_of(lane->target->engine)->lanes_live++;
}

static void host_lane_gone(struct lane *lane)
{
    world_of(lane->target->engine)->lanes_live--;
}

static bool host_target(struct target *target)
{
    struct world *world = world_of(target->engine);
    if (world->refuses_targets)
        return false;
    world->targets_live++;
    return true;
}

static void host_target_gone(struct target *target)
{
    world_of(target->engine)->targets_live--;
}

static void host_seat(struct seat *seat)
{
    world_of(seat->engine)->seats_live++;
}

static void host_seat_gone(struct seat *seat)
{
    world_of(seat->engine)->seats_live--;
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

static void perform_start(struct visit *visit)
{
    const struct world *world = visit->world;
    cr_assert_not(visit->is_working, "an attempt starts while another one works");
    cr_assert_lt(world->now, visit->call.deadline.call_at, "nothing starts after the deadline");
    visit->starts++;
    visit->is_working = true;
    visit->was_fresh = visit->call.needs_fresh;
    visit->started_at = world->now;
    if (!visit->is_wire_slow)
        on_wire(visit);
}

static void perform_reply(struct visit *visit)
{
    cr_assert_not(visit->is_working, "a reply while the upstream works");
    visit->replies++;
    visit->got_kept = visit->call.has_kept_head;
    visit->got = visit->call.reason;
    cr_assert(visit->got_kept || visit->got != REASON_NONE, "a reply without a reason");
    if (!visit->world->is_reply_slow)
        call_on_delivered(&visit->call, visit->world->now);
}

static void perform_finish(struct visit *visit)
{
    cr_assert_not(visit->is_working, "over while the upstream works");
    visit->finishes++;
    visit->over_at = visit->world->now;
    visit->fate = visit->call.fate;
    call_fini(&visit->call);
}

static void perform(struct visit *visit, unsigned actions)
{
    cr_assert_eq(visit->finishes, 0, "an action after the end");
    if (actions & CALL_ABORT_ATTEMPT) {
        visit->aborts++;
        visit->is_working = false;
    }
    if (actions & CALL_START_ATTEMPT)
        perform_start(visit);
    visit->keeps += (actions & CALL_KEEP) != 0;
    visit->relays += (actions & CALL_RELAY) != 0;
    if (actions & CALL_REPLY)
        perform_reply(visit);
    visit->cuts += (actions & CALL_ABORT_DOWNSTREAM) != 0;
    if (actions & CALL_FINISH)
        perform_finish(visit);
}

void world_perform(struct world *world)
{
    struct call *call;
    while ((call = call_engine_next(&world->engine)) != NULL)
        perform(visit_of(call), call_take_actions(call));
}

/* ---- the world ---- */

void world_start(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->now = WORLD_START;
    world->began_at = world->now;
    world->wheel = wheel_new(world->now);
    rng_seed(&world->rng, WORLD_SEED);
    call_engine_init(&world->engine, world->wheel, &world->rng, &host, world);
    target_table_init(&world->targets, &world->engine, TARGET_LIMIT);
    list_init(&world->visits);
    policy_none(&world->policy);
    world->policy_name = "shop";
}

void world_add_rule(struct world *world, const char *name, uint32_t own)
{
    struct policy *policy = &world->rule_policies[world->rule_count];
    *policy = world->policy;
    policy->own = own;
    world->rules[world->rule_count++] = (struct plan_rule){name, policy};
}

static struct plan world_plan(struct world *world)
{
    return (struct plan){.policy_name = world->policy_name,
                         .policy = &world->policy,
                         .rules = world->rules,
                         .rule_count = world->rule_count,
                         .snapshot = &world->snapshot_refs};
}

void world_open(struct world *world)
{
    const struct plan plan = world_plan(world);
    cr_assert_eq(
        target_table_add(&world->targets, SPAN("payments:80"), &plan, world->now, &world->target),
        OK);
    cr_assert_eq(target_table_lookup(&world->targets, SPAN("payments:80")), world->target);
}

void world_reload(struct world *world)
{
    const struct plan plan = world_plan(world);
    cr_assert_eq(target_apply(world->target, &plan, world->now), OK);
    world_perform(world);
}

void world_run_to(struct world *world, mono_ns at)
{
    for (mono_ns next = wheel_next(world->wheel); next <= at; next = wheel_next(world->wheel)) {
        world->now = next > world->now ? next : world->now;
        wheel_advance(world->wheel, world->now);
        world_perform(world);
    }
    world->now = at;
    wheel_advance(world->wheel, at);
    world_perform(world);
}

void world_advance(struct world *world, int64_t ms)
{
    world_run_to(world, world->now + ms * MS);
}

void world_jump(struct world *world, dur_ns by)
{
    world->now += by;
}

void world_end(struct world *world)
{
    LIST_FOREACH (link, &world->visits) {
        struct visit *visit = CONTAINER_OF(link, struct visit, link);
        if (visit->finishes == 0)
            cancel(visit);
        cr_assert_eq(visit->finishes, 1);
        cr_assert_not(list_is_linked(&visit->call.ready_link));
        cr_assert_null(visit->call.line);
        cr_assert_not(timer_is_set(&visit->call.timer));
    }
    target_table_fini(&world->targets);
    cr_assert_eq(world->targets_live, 0);
    cr_assert_eq(world->lanes_live, 0);
    cr_assert_eq(world->instances_live, 0);
    cr_assert_eq(world->seats_live, 0);
    cr_assert_eq(world->snapshot_refs, 0u);
    cr_assert(list_is_empty(&world->engine.ready));
    cr_assert(list_is_empty(&world->engine.moved));
    cr_assert_eq(wheel_next(world->wheel), MONO_NEVER, "a timer outlived its owner");
    wheel_free(&world->wheel);
    LIST_FOREACH_SAFE (link, following, &world->visits)
        free(CONTAINER_OF(link, struct visit, link));
}

/* ---- calls ---- */

struct visit *world_call_on(struct world *world, struct lane *lane, const struct call_facts *facts,
                            const char *key, bool is_wire_slow)
{
    struct visit *visit = calloc(1, sizeof *visit);
    cr_assert_not_null(visit);
    visit->world = world;
    visit->key = key;
    visit->is_wire_slow = is_wire_slow;
    list_append(&world->visits, &visit->link);
    call_begin(&visit->call, &world->engine, lane, facts, world->now);
    world_perform(world);
    return visit;
}

struct visit *world_call(struct world *world)
{
    return world_call_on(world, world->target->lanes[0], &get_facts, NULL, false);
}

struct visit *world_call_rule(struct world *world, size_t rule)
{
    return world_call_on(world, world->target->lanes[1 + rule], &get_facts, NULL, false);
}

struct visit *world_call_keyed(struct world *world, const char *key)
{
    return world_call_on(world, world->target->lanes[0], &get_facts, key, false);
}

struct visit *world_call_with(struct world *world, const struct call_facts *facts)
{
    return world_call_on(world, world->target->lanes[0], facts, NULL, false);
}

void head(struct visit *visit, int status)
{
    head_with(visit, (struct call_head){.status = status,
                                        .outcome = status == 429   ? OUTCOME_THROTTLED
                                                   : status >= 500 ? OUTCOME_FAILURE
                                                                   : OUTCOME_SUCCESS});
}

void head_with(struct visit *visit, struct call_head answered)
{
    cr_assert(visit->is_working, "a head without an attempt");
    answered.grpc_status = answered.grpc_status ? answered.grpc_status : -1;
    call_on_head(&visit->call, &answered, visit->world->now);
    world_perform(visit->world);
}

void body_ends(struct visit *visit)
{
    visit->is_working = false;
    if (step_of(visit) == CALL_STEP_BACKOFF)
        call_on_kept(&visit->call);
    call_on_attempt_ended(&visit->call, visit->world->now);
    world_perform(visit->world);
}

void deliver(struct visit *visit)
{
    call_on_delivered(&visit->call, visit->world->now);
    world_perform(visit->world);
}

void answer(struct visit *visit, int status)
{
    head(visit, status);
    body_ends(visit);
    if (visit->relays > 0)
        deliver(visit);
}

void fail(struct visit *visit, enum reason reason)
{
    fail_with(visit, (struct call_failure){.reason = reason});
}

void fail_with(struct visit *visit, struct call_failure failure)
{
    visit->is_working = false;
    call_on_attempt_failed(&visit->call, &failure, visit->world->now);
    world_perform(visit->world);
}

void on_wire(struct visit *visit)
{
    call_on_connected(&visit->call, visit->world->now);
    call_on_wire(&visit->call);
}

void breaks(struct visit *visit, enum reason reason)
{
    call_on_response_broken(&visit->call, reason, visit->world->now);
    world_perform(visit->world);
}

void cancel(struct visit *visit)
{
    call_on_cancel(&visit->call, visit->world->now);
    world_perform(visit->world);
}

void pause_body(struct visit *visit)
{
    call_pause(&visit->call, visit->world->now);
}

void resume_body(struct visit *visit)
{
    call_resume(&visit->call, visit->world->now);
}

void tunnel_bytes(struct visit *visit)
{
    call_on_tunnel_bytes(&visit->call, visit->world->now);
    world_perform(visit->world);
}

void tunnel_closes(struct visit *visit)
{
    body_ends(visit);
    deliver(visit);
}

enum call_step step_of(const struct visit *visit)
{
    return visit->call.step;
}

bool is_over(const struct visit *visit, enum fate fate)
{
    return visit->finishes == 1 && visit->fate == fate;
}

bool is_refused(const struct visit *visit, enum reason reason)
{
    return visit->replies == 1 && !visit->got_kept && visit->got == reason && visit->starts == 0;
}

struct breaker *world_breaker(struct world *world)
{
    return &world->target->instance->seat.breaker;
}

uint32_t in_flight(const struct world *world)
{
    return world->target->instance->slots->other->slots.bulkhead.in_flight[BULKHEAD_ATTEMPT];
}

uint32_t in_line(const struct world *world)
{
    return world->target->instance->slots->other->slots.lines[SLOT_LINE_CALLS].length;
}

uint64_t tokens(const struct world *world)
{
    return token_bucket_millitokens(&world->target->instance->tokens->other->tokens.bucket,
                                    world->now) /
           1000;
}

void trip(struct world *world, int failures)
{
    for (int i = 0; i < failures; i++)
        answer(world_call(world), 500);
}
