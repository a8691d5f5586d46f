/* step_relay.c - the step RELAY: headers are downstream, bytes flow, and there is no way back. What
 * is left to decide is when it has taken too long, and, of tunnels and gRPC streams, what the
 * attempt proved. */
#include "base/check.h"
#include "call/admission.h"
#include "call/steps.h"
#include "call/verdict.h"

static mono_ns idle_at(const struct call *call)
{
    const struct timeouts_config *cfg = verdict_timeouts(call);
    return cfg->idle > 0 ? mono_add(call->touched_at, cfg->idle) : MONO_NEVER;
}

static mono_ns max_duration_at(const struct call *call)
{
    const struct timeouts_config *cfg = verdict_timeouts(call);
    return cfg->max_duration > 0 ? mono_add(call->began_at, cfg->max_duration) : MONO_NEVER;
}

static mono_ns stream_at(const struct call *call)
{
    const bool may_become = call->permit.is_live && !call->is_stream && !call->is_tunnel;
    return may_become ? mono_add(call->head_at, BULKHEAD_STREAM_AFTER) : MONO_NEVER;
}

/* When a tunnel or a gRPC stream that is still open counts as a success. */
static mono_ns verdict_at(const struct call *call)
{
    if (call->is_settled)
        return MONO_NEVER;
    const mono_ns at = mono_add(call->head_at, CALL_PROBE_LEASE);
    return call->head.awaits_trailers ? mono_min(at, call->lease_at) : at;
}

static void relay_arm(struct call *call)
{
    const mono_ns most = mono_min(max_duration_at(call), call->deadline.fixed_at);
    const mono_ns ends = call->has_shadow_timeout ? MONO_NEVER : mono_min(idle_at(call), most);
    step_arm(call, mono_min(ends, mono_min(stream_at(call), verdict_at(call))));
}

static void relay_broken(struct call *call, mono_ns now)
{
    call->is_broken = true;
    step_emit(call, CALL_ABORT_ATTEMPT | CALL_ABORT_DOWNSTREAM);
    if (!call->is_settled) {
        enum outcome outcome;
        const enum judgement judgement = verdict_of_failure(call->reason, &outcome);
        step_settle(call, judgement, false, outcome, 0, now);
    }
    step_end_work(call, now);
    step_goto(call, CALL_STEP_FINISH);
}

static void proved_good(struct call *call, mono_ns now)
{
    if (!call->is_settled)
        step_settle(call, JUDGED_SUCCESS, call->is_slow, OUTCOME_SUCCESS, 0, now);
}

/* A caller that leaves a tunnel has had it; one that leaves a gRPC stream says nothing of how the
 * stream would have ended. */
static void left_by_caller(struct call *call, mono_ns now)
{
    if (!call->is_settled && call->head.awaits_trailers)
        step_settle(call, JUDGED_NOT, false, OUTCOME_CANCELLED, 0, now);
    else
        proved_good(call, now);
}

static bool relay_expired(struct call *call, enum reason reason, mono_ns at, mono_ns now)
{
    if (now < at)
        return false;
    if (verdict_timeouts(call)->mode == POLICY_SHADOW) {
        if (!call->has_shadow_timeout)
            call->engine->host->on_shadow(call, POLICY_FAMILY_TIMEOUTS, reason_word(reason));
        call->has_shadow_timeout = true;
        return false;
    }
    call->reason = reason;
    relay_broken(call, now);
    return true;
}

static void relay_timer(struct call *call, mono_ns now)
{
    if (relay_expired(call, REASON_IDLE_TIMEOUT, idle_at(call), now) ||
        relay_expired(call, REASON_MAX_DURATION, max_duration_at(call), now) ||
        relay_expired(call, REASON_REQUEST_TIMEOUT, call->deadline.fixed_at, now))
        return;
    if (now >= verdict_at(call))
        proved_good(call, now);
    if (now >= stream_at(call)) {
        call->is_stream = true;
        if (permit_move_to_stream(&call->permit))
            admission_serve_permit_room(&call->permit, now);
    }
    relay_arm(call);
}

static void relay_entered(struct call *call, mono_ns now)
{
    call->touched_at = now;
    if (call->head.is_upgrade) {
        call->is_tunnel = true;
        permit_move_to_connection(&call->permit);
        admission_serve_permit_room(&call->permit, now);
    }
    step_emit(call, CALL_RELAY);
    relay_arm(call);
}

static void relay_over(struct call *call, mono_ns now)
{
    if (call->is_delivered && !call->is_attempt_live) {
        proved_good(call, now);
        step_goto(call, CALL_STEP_FINISH);
    }
}

void step_relay(struct call *call, enum call_event event, mono_ns now)
{
    switch (event) {
    case CALL_EVENT_ENTER: relay_entered(call, now); break;
    case CALL_EVENT_BYTES: proved_good(call, now); break;
    case CALL_EVENT_ENDED:
        proved_good(call, now);
        step_end_work(call, now);
        relay_over(call, now);
        break;
    case CALL_EVENT_DELIVERED:
        call->is_delivered = true;
        relay_over(call, now);
        break;
    case CALL_EVENT_TRAILERS:
        step_settle(call, verdict_of_head(call, now), call->is_slow, call->head.outcome, 0, now);
        break;
    case CALL_EVENT_CANCEL:
        step_emit(call, CALL_ABORT_ATTEMPT);
        left_by_caller(call, now);
        step_end_work(call, now);
        step_goto(call, CALL_STEP_FINISH);
        break;
    case CALL_EVENT_ABANDON:
    case CALL_EVENT_BROKEN: relay_broken(call, now); break;
    default: /* TIMER */ relay_timer(call, now); break;
    }
}
