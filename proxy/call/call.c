/* call.c - the engine and the events of a call. Each event stores what happened, runs the steps,
 * and settles breakers that moved. See call.h; what is decided is in steps.c. */
#include "call/call.h"

#include "base/check.h"
#include "call/admission.h"
#include "call/choice.h"
#include "call/steps.h"
#include "call/verdict.h"

#include <string.h>

#define CALL_MAGIC 0xca11ca11u

void call_engine_init(struct call_engine *engine, struct wheel *wheel, struct rng *rng,
                      const struct call_host *host, void *context)
{
    memset(engine, 0, sizeof *engine);
    engine->wheel = wheel;
    engine->rng = rng;
    engine->host = host;
    engine->context = context;
    list_init(&engine->ready);
    list_init(&engine->moved);
}

struct call *call_engine_next(struct call_engine *engine)
{
    struct list *first = list_first(&engine->ready);
    if (first == NULL)
        return NULL;
    list_remove(first);
    return CONTAINER_OF(first, struct call, ready_link);
}

void call_engine_settle(struct call_engine *engine, mono_ns now)
{
    struct list *first;
    while ((first = list_first(&engine->moved)) != NULL) {
        struct seat *seat = CONTAINER_OF(first, struct seat, moved_link);
        list_remove(first);
        seat_rearm(seat);
        const enum breaker_state state = seat->breaker.state;
        if (state == BREAKER_OPEN || state == BREAKER_FORCED_OPEN)
            admission_refuse_waiting(seat, now);
    }
}

unsigned call_take_actions(struct call *call)
{
    const unsigned actions = call->actions;
    call->actions = 0;
    return actions;
}

void call_fini(struct call *call)
{
    CHECK_OBJ(call, CALL_MAGIC);
    INVARIANT(call->step == CALL_STEP_FINISH);
    INVARIANT(call->actions == 0);
    call->magic = 0;
    lane_unref(&call->lane);
}

static void run(struct call *call, enum call_event event, mono_ns now)
{
    steps_run(call, event, now);
    if (!list_is_empty(&call->engine->moved))
        call_engine_settle(call->engine, now);
}

static void on_timer(struct timer *timer, mono_ns now)
{
    run(CONTAINER_OF(timer, struct call, timer), CALL_EVENT_TIMER, now);
}

static void call_init(struct call *call, struct call_engine *engine, struct lane *lane,
                      const struct call_facts *facts, mono_ns now)
{
    memset(call, 0, sizeof *call);
    call->magic = CALL_MAGIC;
    call->step = CALL_STEP_ROUTE;
    call->engine = engine;
    call->lane = lane;
    lane_ref(lane);
    list_init(&call->ready_link);
    timer_init(&call->timer, on_timer);
    call->facts = *facts;
    call->is_tunnel = facts->is_tunnel;
    call->began_at = now;
    call->touched_at = now;
    call->lease_at = MONO_NEVER;
    call->reply_not_before = MONO_NEVER;
    call->endpoint_id = CANDIDATE_UNKNOWN;
    const struct timeouts_config *timeouts = verdict_timeouts(call);
    const bool is_off = timeouts->mode == POLICY_OFF;
    const dur_ns callers = is_off ? DUR_FOREVER : facts->caller_deadline;
    deadline_init(&call->deadline, timeouts->request, facts->is_grpc ? DUR_FOREVER : callers, now);
    if (facts->is_grpc)
        deadline_fix(&call->deadline, mono_add(now, callers));
}

void call_begin(struct call *call, struct call_engine *engine, struct lane *lane,
                const struct call_facts *facts, mono_ns now)
{
    call_init(call, engine, lane, facts, now);
    run(call, CALL_EVENT_ENTER, now);
}

void call_refuse(struct call *call, struct call_engine *engine, struct lane *lane,
                 const struct call_facts *facts, enum reason reason, mono_ns now)
{
    call_init(call, engine, lane, facts, now);
    call->reason = reason;
    run(call, CALL_EVENT_ABANDON, now);
}

void call_on_endpoint(struct call *call, uint64_t endpoint_id, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    const uint64_t asked_for = call->endpoint_id;
    call->endpoint_id = endpoint_id;
    if (endpoint_id == asked_for || !choice_is_needed(call->lane) || call->permit.is_judged)
        return;
    if (asked_for == CANDIDATE_UNKNOWN)
        choice_note(call, now);
    else
        choice_move(call, now);
    steps_run(call, CALL_EVENT_CLOCK, now);
}

void call_on_connected(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    (void)now;
    deadline_connected(&call->deadline);
}

void call_on_wire(struct call *call)
{
    CHECK_OBJ(call, CALL_MAGIC);
    call->has_kept_head = false;
}

void call_on_head(struct call *call, const struct call_head *head, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step != CALL_STEP_ATTEMPT)
        return;
    call_resume(call, now);
    call->head = *head;
    run(call, CALL_EVENT_HEAD, now);
}

void call_on_kept(struct call *call)
{
    CHECK_OBJ(call, CALL_MAGIC);
    call->has_kept_head = true;
}

void call_on_attempt_failed(struct call *call, const struct call_failure *failure, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step != CALL_STEP_ATTEMPT)
        return;
    call_resume(call, now);
    call->failure = *failure;
    run(call, CALL_EVENT_FAILED, now);
}

void call_on_attempt_ended(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->is_attempt_live)
        run(call, CALL_EVENT_ENDED, now);
}

void call_on_response_broken(struct call *call, enum reason reason, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    const bool is_keeping = call->step == CALL_STEP_BACKOFF && call->is_attempt_live;
    if (call->step != CALL_STEP_RELAY && !is_keeping)
        return;
    call->reason = reason;
    run(call, CALL_EVENT_BROKEN, now);
}

void call_on_tunnel_bytes(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step == CALL_STEP_RELAY)
        run(call, CALL_EVENT_BYTES, now);
}

void call_on_trailers(struct call *call, int grpc_status, enum outcome outcome, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step != CALL_STEP_RELAY || call->is_settled)
        return;
    call->head.grpc_status = grpc_status;
    call->head.outcome = outcome;
    run(call, CALL_EVENT_TRAILERS, now);
}

void call_on_delivered(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    run(call, CALL_EVENT_DELIVERED, now);
}

void call_on_cancel(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step == CALL_STEP_FINISH)
        return;
    call_resume(call, now);
    call->is_cancelled = true;
    run(call, CALL_EVENT_CANCEL, now);
}

void call_refuse_now(struct call *call, enum reason reason, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step == CALL_STEP_REPLY || call->step == CALL_STEP_FINISH)
        return;
    call_resume(call, now);
    call->reason = reason;
    run(call, CALL_EVENT_ABANDON, now);
}

void call_pause(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    if (call->step != CALL_STEP_ATTEMPT || call_waits_for_body_since(call) != MONO_NEVER)
        return;
    deadline_pause(&call->deadline, now);
    steps_run(call, CALL_EVENT_CLOCK, now);
}

void call_resume(struct call *call, mono_ns now)
{
    CHECK_OBJ(call, CALL_MAGIC);
    const mono_ns since = call_waits_for_body_since(call);
    if (since == MONO_NEVER)
        return;
    const dur_ns waited = mono_since(now, since);
    deadline_resume(&call->deadline, now);
    call->attempt_at = mono_add(call->attempt_at, waited);
    call->lease_at = mono_add(call->lease_at, waited);
    steps_run(call, CALL_EVENT_CLOCK, now);
}

dur_ns call_attempt_left(const struct call *call, mono_ns now)
{
    if (verdict_timeouts(call)->mode == POLICY_SHADOW)
        return mono_until(now, mono_add(call->began_at, call->facts.caller_deadline));
    return deadline_attempt_left(&call->deadline, now);
}

dur_ns call_caller_left(const struct call *call, mono_ns now)
{
    return mono_until(now, call->deadline.fixed_at);
}

const char *call_step_word(enum call_step step)
{
    static const char *const words[CALL_STEP_COUNT] = {
#define X(name, word) #word,
        CALL_STEP_LIST(X)
#undef X
    };
    return words[step];
}
