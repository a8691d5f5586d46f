/* steps.c - what a call does next. Every step is one function of (call, event, now): it decides,
 * emits actions, and may enter another step by step_goto, the only writer of call->step. INVARIANT:
 * a permit is live exactly while upstream work may be going on (ATTEMPT, a kept head in BACKOFF,
 * RELAY). INVARIANT: RELAY never leads back to ATTEMPT: the table of legal edges has no such edge.
 */
#include "call/steps.h"

#include "base/check.h"
#include "call/admission.h"
#include "call/choice.h"
#include "call/verdict.h"

#define EDGE(step) (1u << CALL_STEP_##step)
static const unsigned legal_edges[CALL_STEP_COUNT] = {
    [CALL_STEP_ROUTE] = EDGE(ADMIT) | EDGE(REPLY),
    [CALL_STEP_ADMIT] = EDGE(ATTEMPT) | EDGE(QUEUED) | EDGE(REPLY),
    [CALL_STEP_QUEUED] = EDGE(ATTEMPT) | EDGE(REPLY) | EDGE(FINISH),
    [CALL_STEP_ATTEMPT] = EDGE(JUDGE_HEAD) | EDGE(BACKOFF) | EDGE(REPLY) | EDGE(FINISH),
    [CALL_STEP_JUDGE_HEAD] = EDGE(RELAY) | EDGE(BACKOFF),
    [CALL_STEP_BACKOFF] = EDGE(ATTEMPT) | EDGE(RELAY) | EDGE(REPLY) | EDGE(FINISH),
    [CALL_STEP_RELAY] = EDGE(FINISH),
    [CALL_STEP_REPLY] = EDGE(FINISH),
};

void step_goto(struct call *call, enum call_step step)
{
    INVARIANT(legal_edges[call->step] >> step & 1);
    call->step = step;
    call->engine->steps++;
}

/* Several events may pass before the host performs: what an abort ends must not begin after it. */
void step_emit(struct call *call, unsigned actions)
{
    if (actions & CALL_ABORT_ATTEMPT)
        call->actions &= ~(unsigned)(CALL_START_ATTEMPT | CALL_KEEP | CALL_RELAY);
    struct call_engine *engine = call->engine;
    call->actions |= actions;
    if (list_is_linked(&call->ready_link))
        return;
    if (list_is_empty(&engine->ready))
        engine->host->on_ready(engine);
    list_append(&engine->ready, &call->ready_link);
}

/* Timers only move earlier; one that fires early finds nothing due and is armed anew. A call whose
 * deadlines move later all the time (bytes flow) costs no list operation for it. */
void step_arm(struct call *call, mono_ns at)
{
    if (!timer_is_set(&call->timer) || at < call->timer.at)
        wheel_set(call->engine->wheel, &call->timer, at);
}

/* ---- ROUTE, ADMIT, QUEUED ---- */

static void step_route(struct call *call, enum call_event event, mono_ns now)
{
    (void)now;
    step_goto(call, event == CALL_EVENT_ABANDON ? CALL_STEP_REPLY : CALL_STEP_ADMIT);
}

static void refused(struct call *call)
{
    call->reason = call->refusal.reason;
    call->reply_not_before = call->refusal.not_before;
    call->refused_by = verdict_family(call->reason);
    step_goto(call, CALL_STEP_REPLY);
}

static void abandoned(struct call *call)
{
    step_goto(call, CALL_STEP_REPLY);
}

static void too_late(struct call *call)
{
    call->refusal =
        (struct gate_verdict){.reason = REASON_REQUEST_TIMEOUT, .not_before = MONO_NEVER};
    refused(call);
}

static void step_admit(struct call *call, enum call_event event, mono_ns now)
{
    (void)event;
    if (now >= verdict_deadline(call)) {
        too_late(call);
        return;
    }
    switch (admission_ask(call, true, now)) {
    case ADMISSION_PASSED: step_goto(call, CALL_STEP_ATTEMPT); break;
    case ADMISSION_WAITS: step_goto(call, CALL_STEP_QUEUED); break;
    default: /* REFUSED */ refused(call); break;
    }
}

static void queue_timer(struct call *call, mono_ns now)
{
    const struct gate_verdict verdict = admission_overdue(call, now);
    if (now >= verdict_deadline(call)) {
        admission_leave(call, now);
        too_late(call);
        return;
    }
    if (verdict.may_pass) {
        step_arm(call, mono_min(verdict_deadline(call), verdict.not_before));
        return;
    }
    admission_leave(call, now);
    call->refusal = verdict;
    refused(call);
}

static void step_queued(struct call *call, enum call_event event, mono_ns now)
{
    switch (event) {
    case CALL_EVENT_ADMITTED: step_goto(call, CALL_STEP_ATTEMPT); break;
    case CALL_EVENT_REFUSED: refused(call); break;
    case CALL_EVENT_CANCEL:
        admission_leave(call, now);
        step_goto(call, CALL_STEP_FINISH);
        break;
    case CALL_EVENT_ABANDON:
        admission_leave(call, now);
        abandoned(call);
        break;
    default: /* ENTER, TIMER, MOVED */ queue_timer(call, now); break;
    }
}

/* ---- ATTEMPT ---- */

void step_settle(struct call *call, enum judgement judgement, bool is_slow, enum outcome outcome,
                 dur_ns retry_after, mono_ns now)
{
    if (!call->permit.is_judged)
        choice_judge(call, judgement, is_slow, retry_after, now);
    call->is_settled = true;
    choice_leave(call);
    call->lease_at = MONO_NEVER;
    call->engine->host->on_attempt_settled(call, outcome, mono_since(now, call->attempt_at));
}

void step_end_work(struct call *call, mono_ns now)
{
    call->is_attempt_live = false;
    admission_release(call, now);
}

/* A probe is a lease of min(attempt timeout, 10 s); a shadow timeout cuts nothing short. */
static void lease_probe(struct call *call)
{
    if (!permit_is_probe(&call->permit) || call->permit.is_judged)
        return;
    call->lease_at = mono_add(call->attempt_at, CALL_PROBE_LEASE);
    if (verdict_timeouts(call)->mode != POLICY_SHADOW)
        call->lease_at = mono_min(call->lease_at, call->deadline.attempt_at);
}

static void start_attempt(struct call *call, mono_ns now)
{
    deadline_start_attempt(&call->deadline, verdict_timeouts(call), now);
    call->attempt_at = now;
    call->lease_at = MONO_NEVER;
    lease_probe(call);
    call->attempts_run++;
    call->is_attempt_live = true;
    call->is_settled = false;
    call->reason = REASON_NONE;
    step_emit(call, CALL_START_ATTEMPT);
}

/* A gRPC stream may be silent as long as its caller likes. */
static mono_ns waits_for_body_until(const struct call *call)
{
    const dur_ns most = call->engine->body_idle;
    return most > 0 && !call->facts.is_grpc ? mono_add(call_waits_for_body_since(call), most)
                                            : MONO_NEVER;
}

static void attempt_arm(struct call *call)
{
    mono_ns at = deadline_next(&call->deadline);
    if (call_waits_for_body_since(call) == MONO_NEVER)
        at = mono_min(at, call->lease_at);
    else if (waits_for_body_until(call) < at)
        at = waits_for_body_until(call);
    step_arm(call, at);
}

/* Decides between another try and an answer, for an attempt whose reason is set and whose work has
 * ended. */
static void retry_or_reply(struct call *call, mono_ns now)
{
    if (verdict_retry(call, now))
        step_goto(call, CALL_STEP_BACKOFF);
    else
        step_goto(call, CALL_STEP_REPLY);
}

static void attempt_lost(struct call *call, enum reason reason, enum judgement judgement,
                         enum outcome outcome, mono_ns now)
{
    call->reason = reason;
    step_settle(call, judgement, false, outcome, 0, now);
    step_end_work(call, now);
    deadline_end_attempt(&call->deadline);
}

static void attempt_timed_out(struct call *call, enum reason reason, mono_ns now)
{
    const dur_ns ran = mono_since(now, call->attempt_at);
    const bool proves =
        reason == REASON_CONNECT_TIMEOUT || deadline_is_evidence(verdict_timeouts(call), ran);
    step_emit(call, CALL_ABORT_ATTEMPT);
    attempt_lost(call, reason, proves ? JUDGED_FAILURE : JUDGED_NOT,
                 reason == REASON_CONNECT_TIMEOUT ? OUTCOME_CONNECT_FAILURE : OUTCOME_TIMEOUT, now);
    retry_or_reply(call, now);
}

static void attempt_abandoned(struct call *call, mono_ns now)
{
    const enum reason reason = call->reason;
    step_emit(call, CALL_ABORT_ATTEMPT);
    attempt_lost(call, reason, JUDGED_NOT, OUTCOME_CANCELLED, now);
    abandoned(call);
}

/* The timer while the caller's body is awaited: all other clocks stand still. */
static void body_timer(struct call *call, mono_ns now)
{
    if (deadline_expired(&call->deadline, now) != REASON_NONE &&
        verdict_timeouts(call)->mode != POLICY_SHADOW) { /* the caller's own, which is fixed */
        call_resume(call, now);
        attempt_timed_out(call, REASON_REQUEST_TIMEOUT, now);
        return;
    }
    if (now < waits_for_body_until(call)) {
        attempt_arm(call);
        return;
    }
    call_resume(call, now);
    call->reason = REASON_BODY_TIMEOUT;
    attempt_abandoned(call, now);
}

/* A lease that a caller's own short deadline cut off proves nothing: the timeout then gives the
 * probe back. */
static void lease_timer(struct call *call, mono_ns now)
{
    if (now < call->lease_at ||
        !deadline_is_evidence(verdict_timeouts(call), mono_since(now, call->attempt_at)))
        return;
    permit_expire_probe(&call->permit, call->engine->rng, now);
    call->lease_at = MONO_NEVER;
}

static void attempt_timer(struct call *call, mono_ns now)
{
    if (call_waits_for_body_since(call) != MONO_NEVER) {
        body_timer(call, now);
        return;
    }
    lease_timer(call, now);
    const enum reason reason = deadline_expired(&call->deadline, now);
    if (reason != REASON_NONE && verdict_timeouts(call)->mode != POLICY_SHADOW) {
        attempt_timed_out(call, reason, now);
        return;
    }
    if (reason != REASON_NONE) {
        call->engine->host->on_shadow(call, POLICY_FAMILY_TIMEOUTS, reason_word(reason));
        deadline_forget(&call->deadline, reason);
    }
    attempt_arm(call);
}

static bool is_over(const struct call *call, mono_ns now)
{
    return verdict_timeouts(call)->mode != POLICY_SHADOW &&
           deadline_expired(&call->deadline, now) != REASON_NONE;
}

/* A connection from the pool that died before any answer says nothing about the upstream: the same
 * attempt goes on a fresh connection, once, with the same permit; it costs no attempt, no budget,
 * and feeds no breaker. */
static bool may_repeat_transparently(const struct call *call, mono_ns now)
{
    const struct call_failure *failure = &call->failure;
    if (call->is_transparent_used || call->facts.is_tunnel || is_over(call, now))
        return false;
    if (call->engine->host->replay(call) != REPLAY_OK)
        return false;
    if (failure->reason == REASON_REFUSED_STREAM)
        return true;
    return failure->reason == REASON_CONNECTION_RESET && failure->is_reused &&
           !failure->is_answered && (failure->is_unsent || call->facts.is_idempotent);
}

static void attempt_failed(struct call *call, mono_ns now)
{
    if (may_repeat_transparently(call, now)) {
        call->is_transparent_used = true;
        call->needs_fresh = true;
        call->engine->host->on_retry(call, RETRY_CAUSE_TRANSPARENT);
        deadline_reconnect(&call->deadline, verdict_timeouts(call), now);
        step_emit(call, CALL_START_ATTEMPT);
        attempt_arm(call);
        return;
    }
    enum outcome outcome;
    const enum judgement judgement = verdict_of_failure(call->failure.reason, &outcome);
    attempt_lost(call, call->failure.reason, judgement, outcome, now);
    retry_or_reply(call, now);
}

static void attempt_cancelled(struct call *call, mono_ns now)
{
    const struct breaker_config *breaker = &call->lane->breaker->breaker_cfg;
    const dur_ns slow = breaker->slow_permille > 0 ? breaker->slow_longer_than : 0;
    const bool is_slow = mono_since(now, call->attempt_at) >=
                         deadline_cancel_threshold(verdict_timeouts(call), slow);
    step_emit(call, CALL_ABORT_ATTEMPT);
    step_settle(call, is_slow ? JUDGED_SLOW_CANCEL : JUDGED_NOT, is_slow, OUTCOME_CANCELLED, 0,
                now);
    step_end_work(call, now);
    step_goto(call, CALL_STEP_FINISH);
}

static void step_attempt(struct call *call, enum call_event event, mono_ns now)
{
    switch (event) {
    case CALL_EVENT_ENTER:
        start_attempt(call, now);
        attempt_arm(call);
        break;
    case CALL_EVENT_HEAD: step_goto(call, CALL_STEP_JUDGE_HEAD); break;
    case CALL_EVENT_FAILED: attempt_failed(call, now); break;
    case CALL_EVENT_CANCEL: attempt_cancelled(call, now); break;
    case CALL_EVENT_ABANDON: attempt_abandoned(call, now); break;
    case CALL_EVENT_CLOCK:
        lease_probe(call);
        attempt_arm(call);
        break;
    default: /* TIMER */ attempt_timer(call, now); break;
    }
}

/* ---- JUDGE_HEAD, BACKOFF ---- */

static void judge_head(struct call *call, mono_ns now)
{
    const struct breaker_config *breaker = &call->lane->breaker->breaker_cfg;
    call->is_slow =
        breaker->slow_permille > 0 && mono_since(now, call->attempt_at) > breaker->slow_longer_than;
    if (call->head.awaits_trailers)
        return;
    const dur_ns wait = call->head.retry_after;
    const bool is_time = !call->facts.is_grpc || wait != DUR_FOREVER; /* "do not" is none */
    step_settle(call, verdict_of_head(call, now), call->is_slow, call->head.outcome,
                is_time ? wait : 0, now);
}

static void step_judge_head(struct call *call, enum call_event event, mono_ns now)
{
    (void)event;
    call->head_at = now;
    if (!call->facts.is_tunnel)
        judge_head(call, now);
    deadline_end_attempt(&call->deadline);
    if (!call->facts.is_tunnel && verdict_retry(call, now)) {
        step_emit(call, CALL_KEEP);
        step_goto(call, CALL_STEP_BACKOFF);
    } else {
        step_goto(call, CALL_STEP_RELAY);
    }
}

/* The retry that was decided is not made. A failed head that is still arriving is relayed as it
 * comes; else the caller gets the kept head, or a reply that names the last attempt's reason. */
static void retry_refused(struct call *call, enum retry_skip skip)
{
    call->engine->host->on_retry_skipped(call, skip);
    call->is_exhausted = true;
    step_goto(call, call->is_attempt_live ? CALL_STEP_RELAY : CALL_STEP_REPLY);
}

static void backoff_over(struct call *call, mono_ns now)
{
    if (now >= verdict_deadline(call)) {
        retry_refused(call, RETRY_SKIP_DEADLINE);
        return;
    }
    struct permit kept = call->permit;
    call->permit = (struct permit){.is_live = false};
    if (admission_ask(call, false, now) == ADMISSION_REFUSED) {
        call->permit = kept;
        retry_refused(call, verdict_skip(call->refusal.reason));
        return;
    }
    if (call->is_attempt_live)
        step_emit(call, CALL_ABORT_ATTEMPT);
    if (kept.is_live)
        admission_release_permit(&kept, now);
    call->attempt++;
    call->retries_made++;
    call->needs_fresh = false;
    call->engine->host->on_retry(call, call->retry_cause);
    step_goto(call, CALL_STEP_ATTEMPT);
}

static void drop_kept_work(struct call *call, mono_ns now)
{
    if (call->is_attempt_live)
        step_emit(call, CALL_ABORT_ATTEMPT);
    step_end_work(call, now);
}

static void step_backoff(struct call *call, enum call_event event, mono_ns now)
{
    switch (event) {
    case CALL_EVENT_BROKEN: step_end_work(call, now); break;
    case CALL_EVENT_ENDED: /* a failed head that did not arrive as a whole is lost: a reply of ours
                              has to say why */
        step_end_work(call, now);
        if (!call->has_kept_head)
            call->reason = REASON_CONNECTION_RESET;
        break;
    case CALL_EVENT_CANCEL:
        call->engine->host->on_retry_skipped(call, RETRY_SKIP_CANCELLED);
        drop_kept_work(call, now);
        step_goto(call, CALL_STEP_FINISH);
        break;
    case CALL_EVENT_ABANDON:
        drop_kept_work(call, now);
        abandoned(call);
        break;
    case CALL_EVENT_TIMER:
        if (now >= call->not_before)
            backoff_over(call, now);
        else
            step_arm(call, call->not_before);
        break;
    default: /* ENTER: even without a delay the failed head gets a turn to arrive as a whole */
        step_arm(call, call->not_before);
        break;
    }
}

/* ---- REPLY, FINISH ---- */

static void step_reply(struct call *call, enum call_event event, mono_ns now)
{
    (void)now;
    if (event == CALL_EVENT_ENTER)
        step_emit(call, CALL_REPLY);
    else if (event == CALL_EVENT_DELIVERED || event == CALL_EVENT_CANCEL)
        step_goto(call, CALL_STEP_FINISH);
}

static void step_finish(struct call *call, enum call_event event, mono_ns now)
{
    (void)now;
    if (event != CALL_EVENT_ENTER)
        return;
    INVARIANT(!call->permit.is_live);
    INVARIANT(call->line == NULL);
    wheel_clear(call->engine->wheel, &call->timer);
    call->fate = verdict_fate(call);
    step_emit(call, CALL_FINISH);
}

static const step_function steps[CALL_STEP_COUNT] = {
    [CALL_STEP_ROUTE] = step_route,           [CALL_STEP_ADMIT] = step_admit,
    [CALL_STEP_QUEUED] = step_queued,         [CALL_STEP_ATTEMPT] = step_attempt,
    [CALL_STEP_JUDGE_HEAD] = step_judge_head, [CALL_STEP_BACKOFF] = step_backoff,
    [CALL_STEP_RELAY] = step_relay,           [CALL_STEP_REPLY] = step_reply,
    [CALL_STEP_FINISH] = step_finish,
};

void steps_run(struct call *call, enum call_event event, mono_ns now)
{
    enum call_step before;
    do {
        before = call->step;
        steps[before](call, event, now);
        event = CALL_EVENT_ENTER;
    } while (call->step != before);
}
