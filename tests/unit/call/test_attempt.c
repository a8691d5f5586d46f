#include "call_host.h"

#include <criterion/criterion.h>

static struct world w;

static void start(void)
{
    world_start(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(attempt, .init = start, .fini = end);

static uint32_t failures(void)
{
    return world_breaker(&w)->window.sum.failures;
}

static uint32_t judged(void)
{
    return world_breaker(&w)->window.sum.calls;
}

/* ---- timeouts ---- */

Test(attempt, ends_at_the_backend_request_timeout_and_counts_as_a_failure)
{
    with_breaker(&w.policy, 7);
    w.policy.timeouts.backend_request = 300 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 299);
    cr_assert_eq(a->aborts, 0);
    world_advance(&w, 1);
    cr_assert_eq(a->aborts, 1);
    cr_assert_eq(a->got, REASON_ATTEMPT_TIMEOUT);
    cr_assert(is_over(a, FATE_TIMEOUT));
    cr_assert_eq(failures(), 1u);
    cr_assert_eq(w.settled[OUTCOME_TIMEOUT], 1);
}

Test(attempt, proves_nothing_when_a_short_deadline_of_the_caller_ends_it)
{
    with_breaker(&w.policy, 1);
    w.policy.timeouts.backend_request = 3 * NS_PER_S;
    world_open(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 5 * MS;
    struct visit *a = world_call_with(&w, &facts);
    world_advance(&w, 5);
    cr_assert_eq(a->got, REASON_REQUEST_TIMEOUT);
    cr_assert_eq(judged(), 0u);
    facts.caller_deadline = 1000 * MS;
    world_call_with(&w, &facts);
    world_advance(&w, 999);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN, "one second is enough to prove it");
}

Test(attempt, counts_a_connect_timeout_as_a_connect_failure)
{
    with_breaker(&w.policy, 7);
    w.policy.timeouts.connect = 100 * MS;
    world_open(&w);
    struct visit *a = world_call_on(&w, w.target->lanes[0], &get_facts, NULL, true);
    world_advance(&w, 100);
    cr_assert_eq(a->got, REASON_CONNECT_TIMEOUT);
    cr_assert_eq(failures(), 1u);
    cr_assert_eq(w.settled[OUTCOME_CONNECT_FAILURE], 1);
    struct visit *b = world_call(&w);
    world_advance(&w, 100);
    cr_assert_eq(step_of(b), CALL_STEP_ATTEMPT, "connected in time");
}

Test(attempt, has_no_more_time_than_what_is_left_of_the_request)
{
    with_retry(&w.policy, 1);
    w.policy.timeouts.request = 1000 * MS;
    w.policy.timeouts.backend_request = 700 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 700 * MS);
    world_advance(&w, 700);
    cr_assert_eq(step_of(a), CALL_STEP_BACKOFF);
    world_advance(&w, 10);
    cr_assert_eq(a->starts, 2);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 290 * MS);
    world_advance(&w, 289);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    world_advance(&w, 1);
    cr_assert_eq(a->got, REASON_REQUEST_TIMEOUT);
}

Test(attempt, ends_at_no_time_with_timeouts_off_not_even_the_callers)
{
    w.policy.timeouts.mode = POLICY_OFF;
    w.policy.timeouts.backend_request = 300 * MS;
    w.policy.timeouts.request = 400 * MS;
    world_open(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 500 * MS;
    struct visit *a = world_call_with(&w, &facts);
    cr_assert_eq(call_attempt_left(&a->call, w.now), DUR_FOREVER);
    world_advance(&w, 3600000);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(attempt, only_counts_the_timeouts_that_are_in_shadow)
{
    w.policy.timeouts = (struct timeouts_config){.mode = POLICY_SHADOW,
                                                 .connect = 100 * MS,
                                                 .request = 900 * MS,
                                                 .backend_request = 300 * MS};
    world_open(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 2000 * MS;
    struct visit *a = world_call_on(&w, w.target->lanes[0], &facts, NULL, true);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 2000 * MS, "a shadow is told to nobody");
    world_advance(&w, 100);
    cr_assert_str_eq(w.last_shadow, "connect_timeout");
    world_advance(&w, 200);
    cr_assert_str_eq(w.last_shadow, "attempt_timeout");
    world_advance(&w, 600);
    cr_assert_str_eq(w.last_shadow, "request_timeout");
    world_advance(&w, 60000);
    cr_assert_eq(w.shadows[POLICY_FAMILY_TIMEOUTS], 3);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(attempt, does_not_begin_when_it_is_over_before_the_host_performs_it)
{
    with_rate(&w.policy, 1000, 1000, 1, 100);
    w.policy.timeouts.request = 5 * MS;
    w.policy.timeouts.backend_request = 5 * MS;
    world_open(&w);
    world_call(&w);
    struct visit *b = world_call(&w);
    w.now += 4 * MS; /* in one turn of a late loop b gets its token and, a little later, ... */
    wheel_advance(w.wheel, w.now);
    cr_assert_eq(step_of(b), CALL_STEP_ATTEMPT);
    w.now += 1 * MS; /* ... its time is over */
    wheel_advance(w.wheel, w.now);
    world_perform(&w);
    cr_assert_eq(b->starts, 0);
    cr_assert_eq(b->aborts, 1);
    cr_assert(is_over(b, FATE_TIMEOUT));
}

/* ---- the caller's own body ---- */

Test(attempt, stops_all_its_clocks_while_the_callers_body_is_awaited)
{
    with_breaker(&w.policy, 7);
    w.policy.breaker.slow_permille = 800;
    w.policy.breaker.slow_longer_than = 100 * MS;
    w.policy.timeouts.request = 500 * MS;
    w.policy.timeouts.backend_request = 300 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 50);
    pause_body(a);
    pause_body(a);
    world_advance(&w, 100000);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    resume_body(a);
    resume_body(a);
    cr_assert_eq(call_attempt_left(&a->call, w.now), 250 * MS);
    world_advance(&w, 50);
    struct visit *b = world_call(&w);
    pause_body(b);
    world_advance(&w, 150);
    answer(b, 200);
    cr_assert_eq(world_breaker(&w)->window.sum.slow, 0u, "b waited for its caller all the time");
    world_advance(&w, 49);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    world_advance(&w, 1);
    cr_assert_eq(a->got, REASON_ATTEMPT_TIMEOUT);
}

Test(attempt, ends_a_call_whose_caller_sends_no_body)
{
    w.engine.body_idle = 60 * NS_PER_S;
    w.policy.timeouts.backend_request = 3 * NS_PER_S;
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call(&w);
    pause_body(a);
    world_advance(&w, 30000);
    resume_body(a);
    pause_body(a);
    world_advance(&w, 59999);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    world_advance(&w, 1);
    cr_assert_eq(a->got, REASON_BODY_TIMEOUT);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert_eq(judged(), 0u);
    cr_assert_eq(w.last_until_head, 0, "it waited for its caller all the time");
}

Test(attempt, awaits_a_body_only_while_it_runs)
{
    with_bulkhead(&w.policy, 1, 1, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    pause_body(b);
    world_advance(&w, 1000);
    cr_assert(is_refused(b, REASON_QUEUE_TIMEOUT));
    head(a, 200);
    pause_body(a);
    cr_assert_eq(call_waits_for_body_since(&a->call), MONO_NEVER);
    body_ends(a);
    deliver(a);
}

/* ---- the host's word ---- */

Test(attempt, is_ended_unjudged_when_the_host_ends_the_call)
{
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    pause_body(a);
    call_refuse_now(&a->call, REASON_BAD_REQUEST, w.now);
    world_perform(&w);
    cr_assert_eq(a->aborts, 1);
    cr_assert_eq(a->got, REASON_BAD_REQUEST);
    cr_assert_eq(judged(), 0u);
    cr_assert_eq(in_flight(&w), 0u);
}

Test(attempt, keeps_the_answer_of_a_call_that_is_answered_already)
{
    w.is_reply_slow = true;
    with_rate(&w.policy, 1, 100000, 1, 0);
    world_open(&w);
    answer(world_call(&w), 200);
    struct visit *a = world_call(&w);
    cr_assert_eq(a->replies, 1);
    const struct call_head late = {.status = 200};
    const struct call_failure failure = {.reason = REASON_CONNECTION_RESET};
    call_refuse_now(&a->call, REASON_BAD_REQUEST, w.now);
    call_on_head(&a->call, &late, w.now);
    call_on_attempt_failed(&a->call, &failure, w.now);
    call_on_response_broken(&a->call, REASON_CONNECTION_RESET, w.now);
    call_on_tunnel_bytes(&a->call, w.now);
    call_on_attempt_ended(&a->call, w.now);
    world_advance(&w, 1000);
    cr_assert_eq(a->call.reason, REASON_RATE_LIMITED);
    call_on_delivered(&a->call, w.now);
    call_refuse_now(&a->call, REASON_SHUTDOWN, w.now);
    world_perform(&w);
    cr_assert(is_over(a, FATE_RATE_LIMITED));
    struct visit *b = world_call(&w);
    cancel(b);
    cr_assert(is_over(b, FATE_CANCELLED), "while the reply was on its way");
}

Test(attempt, ignores_what_only_a_response_can_do)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    call_on_response_broken(&a->call, REASON_CONNECTION_RESET, w.now);
    call_on_attempt_ended(&a->call, w.now);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    cr_assert_eq(a->call.reason, REASON_NONE);
    answer(a, 200);
}

Test(attempt, names_its_steps)
{
    cr_assert_str_eq(call_step_word(CALL_STEP_ROUTE), "route");
    cr_assert_str_eq(call_step_word(CALL_STEP_JUDGE_HEAD), "judge_head");
    cr_assert_str_eq(call_step_word(CALL_STEP_FINISH), "finish");
}

Test(attempt, leaves_a_timer_that_disturbs_no_answer)
{
    w.is_reply_slow = true;
    w.policy.timeouts.backend_request = 300 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 100);
    fail(a, REASON_CONNECTION_RESET);
    world_advance(&w, 1000);
    cr_assert_eq(step_of(a), CALL_STEP_REPLY);
    call_on_delivered(&a->call, w.now);
    deliver(a);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert_eq(a->finishes, 1);
}
