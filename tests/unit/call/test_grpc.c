#include "call_host.h"

#include <criterion/criterion.h>

static struct world w;

static void start(void)
{
    world_start(&w);
    with_breaker(&w.policy, 1);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(grpc, .init = start, .fini = end);

static struct visit *grpc_call(dur_ns timeout)
{
    const struct call_facts facts = {
        .method = METHOD_POST, .is_grpc = true, .caller_deadline = timeout};
    return world_call_with(&w, &facts);
}

static void stream_head(struct visit *visit)
{
    head_with(visit, (struct call_head){.status = 200, .awaits_trailers = true});
}

static void trailers(struct visit *visit, int status, enum outcome outcome)
{
    call_on_trailers(&visit->call, status, outcome, w.now);
    body_ends(visit);
    deliver(visit);
}

static uint32_t failures(void)
{
    return world_breaker(&w)->window.sum.failures;
}

/* ---- the verdict ---- */

Test(grpc, is_judged_by_its_trailers_not_by_its_head)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    cr_assert_not(a->call.is_settled);
    trailers(a, 14, OUTCOME_FAILURE);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert(is_over(a, FATE_FAILURE));
}

static enum breaker_state state_after_deadline_exceeded(dur_ns callers, int after_ms)
{
    world_open(&w);
    struct visit *a = grpc_call(callers);
    stream_head(a);
    world_advance(&w, after_ms);
    trailers(a, 4, OUTCOME_FAILURE);
    return world_breaker(&w)->state;
}

Test(grpc, a_server_that_keeps_to_a_callers_short_deadline_is_not_blamed)
{
    cr_assert_eq(state_after_deadline_exceeded(50 * MS, 49), BREAKER_CLOSED);
    cr_assert_eq(failures(), 0u);
}

Test(grpc, a_server_that_was_given_time_is_blamed_for_a_deadline)
{
    cr_assert_eq(state_after_deadline_exceeded(5000 * MS, 4000), BREAKER_OPEN);
}

Test(grpc, a_server_that_gives_up_without_a_callers_deadline_is_blamed)
{
    cr_assert_eq(state_after_deadline_exceeded(DUR_FOREVER, 49), BREAKER_OPEN);
}

Test(grpc, is_judged_at_once_when_the_head_is_all_there_is)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    head_with(a, (struct call_head){.status = 200, .grpc_status = 14, .outcome = OUTCOME_FAILURE});
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    call_on_trailers(&a->call, 0, OUTCOME_SUCCESS, w.now);
    cr_assert_eq(a->call.head.outcome, OUTCOME_FAILURE, "one verdict an attempt");
    body_ends(a);
    deliver(a);
}

/* A push-back of "do not retry" is not a time: the circuit opens for its own. */
static dur_ns opened_for(dur_ns wait)
{
    struct visit *a = grpc_call(DUR_FOREVER);
    head_with(
        a, (struct call_head){
               .status = 200, .grpc_status = 14, .outcome = OUTCOME_FAILURE, .retry_after = wait});
    body_ends(a);
    deliver(a);
    return mono_until(w.now, world_breaker(&w)->reopen_at);
}

Test(grpc, pushback_of_never_does_not_keep_the_circuit_open)
{
    world_open(&w);
    cr_assert_eq(opened_for(DUR_FOREVER), 5 * NS_PER_S);
}

Test(grpc, pushback_of_a_time_keeps_the_circuit_open)
{
    world_open(&w);
    cr_assert_eq(opened_for(7 * NS_PER_S), 7 * NS_PER_S);
}

Test(grpc, knows_of_no_trailers_before_the_head)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    call_on_trailers(&a->call, 14, OUTCOME_FAILURE, w.now);
    cr_assert_eq(failures(), 0u);
    answer(a, 200);
}

Test(grpc, keeps_in_mind_that_its_head_was_slow)
{
    w.policy.breaker.slow_permille = 800;
    w.policy.breaker.slow_longer_than = 100 * MS;
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    world_advance(&w, 200);
    stream_head(a);
    trailers(a, 0, OUTCOME_SUCCESS);
    cr_assert_eq(world_breaker(&w)->window.sum.slow, 1u);
}

Test(grpc, stream_that_is_open_ten_seconds_after_its_head_is_a_success)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    world_advance(&w, 9999);
    cr_assert_not(a->call.is_settled);
    world_advance(&w, 1);
    cr_assert(a->call.is_settled);
    trailers(a, 14, OUTCOME_FAILURE);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED, "the verdict had fallen");
}

Test(grpc, stream_of_a_probe_is_a_success_at_the_end_of_its_lease)
{
    w.policy.timeouts.backend_request = 2 * NS_PER_S;
    world_open(&w);
    trip(&w, 1);
    world_advance(&w, 5000);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    world_advance(&w, 1999);
    cr_assert_eq(world_breaker(&w)->probes_succeeded, 0u);
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->probes_succeeded, 1u);
    trailers(a, 0, OUTCOME_SUCCESS);
}

Test(grpc, stream_that_its_caller_leaves_proves_nothing)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    world_advance(&w, 5000);
    cancel(a);
    cr_assert_eq(w.settled[OUTCOME_CANCELLED], 1);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 0u);
}

Test(grpc, stream_that_has_its_verdict_may_be_left)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    world_advance(&w, 10000);
    cancel(a);
    cr_assert_eq(w.settled[OUTCOME_SUCCESS], 1);
    cr_assert_eq(w.settled[OUTCOME_CANCELLED], 0);
}

Test(grpc, stream_that_breaks_is_a_failure)
{
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    stream_head(a);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert_eq(a->cuts, 1);
}

/* ---- the caller's deadline ---- */

Test(grpc, timeout_holds_after_the_head_too)
{
    world_open(&w);
    struct visit *a = grpc_call(3 * NS_PER_S);
    stream_head(a);
    world_advance(&w, 2999);
    cr_assert_eq(step_of(a), CALL_STEP_RELAY);
    world_advance(&w, 1);
    cr_assert_eq(a->call.reason, REASON_REQUEST_TIMEOUT);
    cr_assert(is_over(a, FATE_TIMEOUT));
    cr_assert_eq(w.settled[OUTCOME_TIMEOUT], 1);
    cr_assert_eq(failures(), 0u, "a caller's deadline proves nothing");
}

Test(grpc, timeout_does_not_stand_still_while_the_caller_is_silent)
{
    w.policy.timeouts.backend_request = NS_PER_S;
    w.engine.body_idle = NS_PER_S;
    world_open(&w);
    struct visit *a = grpc_call(3 * NS_PER_S);
    pause_body(a);
    world_advance(&w, 2999);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT, "and a stream may be silent");
    world_advance(&w, 1);
    cr_assert_eq(a->got, REASON_REQUEST_TIMEOUT);
}

Test(grpc, timeout_is_only_counted_where_timeouts_are_in_shadow)
{
    w.policy.timeouts.mode = POLICY_SHADOW;
    w.engine.body_idle = NS_PER_S;
    world_open(&w);
    struct visit *a = grpc_call(3 * NS_PER_S);
    pause_body(a);
    world_advance(&w, 4000);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    resume_body(a);
    world_advance(&w, 1);
    cr_assert_eq(w.shadows[POLICY_FAMILY_TIMEOUTS], 1);
    answer(a, 200);
}

Test(grpc, timeout_is_told_to_the_upstream_as_what_is_left)
{
    w.policy.timeouts.backend_request = 2 * NS_PER_S;
    world_open(&w);
    struct visit *a = grpc_call(3 * NS_PER_S);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 2 * NS_PER_S);
    world_advance(&w, 1500);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 500 * MS);
    cr_assert_eq(call_caller_left(&a->call, w.now), 1500 * MS, "of the caller's own");
    answer(a, 200);
}

Test(grpc, silent_stream_of_no_deadline_is_left_alone)
{
    w.engine.body_idle = NS_PER_S;
    world_open(&w);
    struct visit *a = grpc_call(DUR_FOREVER);
    pause_body(a);
    world_advance(&w, 60000);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    resume_body(a);
    answer(a, 200);
}
