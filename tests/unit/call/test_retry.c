#include "call_host.h"

#include <criterion/criterion.h>

static struct world w;

static void start(void)
{
    world_start(&w);
    with_retry(&w.policy, 2);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(retry, .init = start, .fini = end);

/* ---- at the head ---- */

Test(retry, tries_again_at_the_failed_head_and_answers_with_what_the_next_one_says)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 503);
    cr_assert_eq(a->keeps, 1);
    cr_assert_eq(a->relays, 0);
    body_ends(a);
    world_advance(&w, 9);
    cr_assert_eq(a->starts, 1);
    world_advance(&w, 1);
    cr_assert_eq(a->starts, 2);
    cr_assert_eq(a->call.attempt, 1u);
    cr_assert_eq(w.retries[RETRY_CAUSE_CODE], 1);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS_AFTER_RETRY));
    cr_assert_not(a->call.is_exhausted);
}

Test(retry, doubles_the_back_off_from_try_to_try)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    fail(a, REASON_CONNECT_REFUSED);
    world_advance(&w, 10);
    cr_assert_eq(a->starts, 2);
    fail(a, REASON_CONNECT_REFUSED);
    world_advance(&w, 19);
    cr_assert_eq(a->starts, 2);
    world_advance(&w, 1);
    cr_assert_eq(a->starts, 3);
    fail(a, REASON_CONNECT_REFUSED);
    cr_assert(is_over(a, FATE_FAILURE_AFTER_RETRY));
    cr_assert_eq(w.retries[RETRY_CAUSE_CONNECT_FAILURE], 2);
    cr_assert_eq(w.skips[RETRY_SKIP_ATTEMPTS], 1);
    cr_assert(a->call.is_exhausted);
    cr_assert_eq(a->got, REASON_CONNECT_REFUSED);
}

Test(retry, gives_the_failed_head_a_turn_to_arrive_even_without_a_delay)
{
    w.policy.retry.backoff.base = 0;
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 503);
    cr_assert_eq(step_of(a), CALL_STEP_BACKOFF);
    body_ends(a);
    world_advance(&w, 1);
    cr_assert_eq(a->starts, 2);
    cr_assert_eq(a->aborts, 0);
    answer(a, 200);
}

Test(retry, aborts_a_failed_answer_that_still_arrives_when_the_next_attempt_may_start)
{
    with_bulkhead(&w.policy, 2, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 503);
    world_advance(&w, 10);
    cr_assert_eq(a->aborts, 1);
    cr_assert_eq(a->starts, 2);
    cr_assert_eq(in_flight(&w), 1u);
    answer(a, 200);
}

Test(retry, answers_with_the_kept_head_when_no_further_attempt_reaches_the_wire)
{
    world_open(&w);
    struct visit *a = world_call_on(&w, w.target->lanes[0], &get_facts, NULL, true);
    on_wire(a);
    answer(a, 503);
    world_advance(&w, 10);
    fail(a, REASON_CONNECT_REFUSED);
    world_advance(&w, 20);
    fail(a, REASON_CONNECT_REFUSED);
    cr_assert_eq(a->replies, 1);
    cr_assert(a->got_kept);
    cr_assert(is_over(a, FATE_FAILURE_AFTER_RETRY));
    cr_assert(a->call.is_exhausted);
}

Test(retry, names_the_reason_of_the_last_attempt_once_the_kept_head_is_gone)
{
    w.policy.retry.attempts = 1;
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    world_advance(&w, 10);
    cr_assert_eq(a->starts, 2);
    fail(a, REASON_CONNECTION_RESET);
    cr_assert_not(a->got_kept);
    cr_assert_eq(a->got, REASON_CONNECTION_RESET);
    cr_assert(is_over(a, FATE_FAILURE_AFTER_RETRY));
}

Test(retry, relays_the_failed_head_that_still_arrives_when_the_gate_refuses_the_retry)
{
    with_bulkhead(&w.policy, 1, 5, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    head(a, 503);
    world_advance(&w, 10);
    cr_assert_eq(a->relays, 1);
    cr_assert_eq(w.skips[RETRY_SKIP_BULKHEAD_FULL], 1);
    cr_assert(a->call.is_exhausted);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED, "retries never queue, and take nobody's place");
    body_ends(a);
    deliver(a);
    cr_assert(is_over(a, FATE_FAILURE));
    answer(b, 200);
}

Test(retry, answers_with_the_kept_head_when_the_gate_refuses_the_retry)
{
    with_rate(&w.policy, 1, 100000, 1, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    world_advance(&w, 10);
    cr_assert(a->got_kept, "retries never queue for a token");
    cr_assert_eq(w.skips[RETRY_SKIP_RATE_LIMITED], 1);
    cr_assert_eq(w.retries[RETRY_CAUSE_CODE], 0);
    cr_assert(is_over(a, FATE_FAILURE));
}

Test(retry, says_why_when_the_failed_head_did_not_arrive_as_a_whole)
{
    with_rate(&w.policy, 1, 100000, 2, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 503);
    a->is_working = false;
    call_on_attempt_ended(&a->call, w.now); /* and no call_on_kept: it was lost */
    world_call(&w);
    world_advance(&w, 10);
    cr_assert_not(a->got_kept);
    cr_assert_eq(a->got, REASON_CONNECTION_RESET);
    cr_assert(is_over(a, FATE_FAILURE));
}

Test(retry, names_what_broke_the_failed_head_that_was_being_kept)
{
    with_rate(&w.policy, 1, 100000, 2, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 503);
    a->is_working = false;
    breaks(a, REASON_PROTOCOL_ERROR);
    breaks(a, REASON_CONNECTION_RESET);
    world_call(&w);
    world_advance(&w, 10);
    cr_assert_eq(a->got, REASON_PROTOCOL_ERROR);
}

/* ---- what is not retried ---- */

Test(retry, repeats_no_method_that_is_not_listed)
{
    world_open(&w);
    struct visit *a = world_call_with(&w, &post_facts);
    answer(a, 503);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert_eq(w.skips[RETRY_SKIP_METHOD], 1);
    cr_assert_not(a->call.is_exhausted);
}

Test(retry, repeats_no_failure_that_the_policy_does_not_name)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 500);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert_eq(w.skips[RETRY_SKIP_NOT_RETRYABLE], 1);
    cr_assert_not(a->call.is_exhausted);
    answer(world_call(&w), 200);
    cr_assert_eq(w.skips[RETRY_SKIP_NOT_RETRYABLE], 1, "a good answer is not skipped");
}

Test(retry, marks_an_answer_as_exhausted_that_ends_retries_with_another_failure)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    world_advance(&w, 10);
    answer(a, 500);
    cr_assert(is_over(a, FATE_FAILURE_AFTER_RETRY));
    cr_assert(a->call.is_exhausted);
}

Test(retry, names_no_endpoint_where_there_was_none)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    fail(a, REASON_NO_ENDPOINT);
    cr_assert_eq(a->got, REASON_NO_ENDPOINT);
    cr_assert_eq(w.skips[RETRY_SKIP_NO_ENDPOINT], 1);
}

Test(retry, stops_at_the_commit_point)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    a->replay = REPLAY_COMMITTED;
    answer(a, 503);
    cr_assert_eq(w.skips[RETRY_SKIP_COMMITTED], 1);
    struct visit *b = world_call(&w);
    b->replay = REPLAY_BODY_TOO_LARGE;
    answer(b, 503);
    cr_assert_eq(w.skips[RETRY_SKIP_BODY_TOO_LARGE], 1);
    struct visit *c = world_call(&w);
    c->replay = REPLAY_POOL_EMPTY;
    answer(c, 503);
    cr_assert_eq(w.skips[RETRY_SKIP_REPLAY_POOL], 1);
    cr_assert(is_over(c, FATE_FAILURE));
}

Test(retry, makes_none_once_the_head_is_downstream)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(a->starts, 1);
    cr_assert_eq(a->cuts, 1);
    cr_assert(is_over(a, FATE_FAILURE));
}

Test(retry, waits_at_least_for_retry_after)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    head_with(a, (struct call_head){
                     .status = 503, .outcome = OUTCOME_FAILURE, .retry_after = 2 * NS_PER_S});
    body_ends(a);
    world_advance(&w, 1999);
    cr_assert_eq(a->starts, 1);
    world_advance(&w, 1);
    cr_assert_eq(a->starts, 2);
    head_with(a, (struct call_head){
                     .status = 503, .outcome = OUTCOME_FAILURE, .retry_after = 6 * NS_PER_S});
    cr_assert_eq(w.skips[RETRY_SKIP_RETRY_AFTER], 1);
    cr_assert_eq(a->relays, 1);
    body_ends(a);
    deliver(a);
}

Test(retry, is_not_made_where_the_deadline_would_pass_before_it)
{
    w.policy.timeouts.request = 1000 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 990);
    answer(a, 503);
    cr_assert_eq(w.skips[RETRY_SKIP_DEADLINE], 1);
    cr_assert(is_over(a, FATE_FAILURE));
}

Test(retry, is_not_made_when_a_late_loop_reaches_it_after_the_deadline)
{
    w.policy.timeouts.request = 1000 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    world_jump(&w, 1000 * MS);
    world_advance(&w, 0);
    cr_assert_eq(a->starts, 1);
    cr_assert(a->got_kept);
    cr_assert_eq(w.skips[RETRY_SKIP_DEADLINE], 1);
}

Test(retry, is_over_when_the_caller_leaves_or_the_host_ends_it_between_attempts)
{
    with_bulkhead(&w.policy, 5, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    head(a, 503);
    fail(b, REASON_CONNECTION_RESET);
    fail(c, REASON_CONNECTION_RESET);
    cancel(a);
    cr_assert(is_over(a, FATE_CANCELLED));
    cr_assert_eq(a->aborts, 1);
    cancel(b);
    cr_assert_eq(b->aborts, 0);
    cr_assert_eq(w.skips[RETRY_SKIP_CANCELLED], 2);
    call_refuse_now(&c->call, REASON_SHUTDOWN, w.now);
    world_perform(&w);
    cr_assert_eq(c->got, REASON_SHUTDOWN);
    cr_assert_eq(in_flight(&w), 0u);
}

Test(retry, is_never_a_probe_and_names_the_open_circuit)
{
    with_breaker(&w.policy, 1);
    w.policy.breaker.open_for = 5 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    world_advance(&w, 10);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    cr_assert_eq(a->starts, 1);
    cr_assert_eq(world_breaker(&w)->probes_admitted, 0u);
    cr_assert_eq(w.skips[RETRY_SKIP_CIRCUIT_OPEN], 1);
    cr_assert(a->got_kept);
}

/* ---- budget, marks, modes ---- */

Test(retry, is_bounded_by_the_budget_of_the_target)
{
    w.policy.retry.budget = (struct retry_budget_config){
        .mode = POLICY_ENFORCE, .permille = 200, .interval = 10 * NS_PER_S};
    world_open(&w);
    int starts = 0;
    for (int i = 0; i < 100; i++) {
        struct visit *a = world_call(&w);
        for (int tries = 0; tries < 3 && a->finishes == 0; tries++) {
            answer(a, 503);
            world_advance(&w, 20);
        }
        starts += a->starts;
    }
    cr_assert_eq(starts, 120);
    cr_assert_eq(w.skips[RETRY_SKIP_BUDGET] + w.skips[RETRY_SKIP_ATTEMPTS], 100);
}

Test(retry, charges_the_budget_when_decided_and_never_refunds_it)
{
    w.policy.retry.budget = (struct retry_budget_config){.mode = POLICY_ENFORCE,
                                                         .interval = 10 * NS_PER_S,
                                                         .min_count = 1,
                                                         .min_interval = 10 * NS_PER_S};
    world_open(&w);
    struct visit *a = world_call(&w);
    fail(a, REASON_CONNECTION_RESET);
    cancel(a);
    struct visit *b = world_call(&w);
    fail(b, REASON_CONNECTION_RESET);
    cr_assert_eq(w.skips[RETRY_SKIP_BUDGET], 1);
    cr_assert(b->call.is_exhausted);
}

Test(retry, believes_an_exhausted_mark_only_where_it_is_trusted)
{
    const struct call_head marked = {
        .status = 503, .outcome = OUTCOME_FAILURE, .is_exhausted_marked = true};
    world_open(&w);
    struct visit *a = world_call(&w);
    head_with(a, marked);
    cr_assert_eq(step_of(a), CALL_STEP_BACKOFF);
    body_ends(a);
    w.policy.retry.trusts_upstream_marks = true;
    world_reload(&w);
    struct visit *b = world_call(&w);
    head_with(b, marked);
    cr_assert_eq(b->relays, 1);
    cr_assert(b->call.is_exhausted, "the mark goes on to the layer in front");
    cr_assert_eq(w.skips[RETRY_SKIP_EXHAUSTED_UPSTREAM], 1);
    body_ends(b);
    deliver(b);
}

Test(retry, does_not_say_exhausted_where_the_policy_makes_no_retries)
{
    w.policy.retry.attempts = 0;
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    cr_assert_not(a->call.is_exhausted);
}

Test(retry, is_only_counted_in_shadow)
{
    w.policy.retry.mode = POLICY_SHADOW;
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 503);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert_eq(w.shadows[POLICY_FAMILY_RETRY], 1);
    cr_assert_str_eq(w.last_shadow, "code");
}

Test(retry, of_grpc_goes_by_its_own_codes)
{
    code_set_add_grpc(&w.policy.retry.codes, 14);
    world_open(&w);
    struct call_facts facts = post_facts;
    facts.is_grpc = true;
    struct visit *a = world_call_with(&w, &facts);
    head_with(a, (struct call_head){.status = 200, .grpc_status = 14, .outcome = OUTCOME_FAILURE});
    cr_assert_eq(step_of(a), CALL_STEP_BACKOFF);
    body_ends(a);
    world_advance(&w, 10);
    cr_assert_eq(w.retries[RETRY_CAUSE_GRPC_CODE], 1);
    answer(a, 200);
}

/* ---- transparent ---- */

static const struct call_failure stale = {.reason = REASON_CONNECTION_RESET, .is_reused = true};

Test(retry, repeats_at_once_what_a_stale_connection_lost_and_asks_nobody)
{
    w.policy.retry.mode = POLICY_OFF;
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 1, 0, 0);
    with_rate(&w.policy, 1, 100000, 1, 0);
    w.policy.timeouts.connect = 100 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    fail_with(a, stale);
    cr_assert_eq(a->starts, 2);
    cr_assert(a->was_fresh);
    cr_assert_eq(a->call.attempt, 0u);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    cr_assert_eq(w.retries[RETRY_CAUSE_TRANSPARENT], 1);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS), "it was no retry");
}

Test(retry, is_transparent_once_in_the_life_of_a_call)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    fail_with(a, stale);
    fail_with(a, stale);
    cr_assert_eq(a->starts, 2);
    world_advance(&w, 10);
    cr_assert_eq(a->starts, 3);
    cr_assert_not(a->was_fresh);
    fail_with(a, stale);
    cr_assert_eq(w.retries[RETRY_CAUSE_TRANSPARENT], 1);
    cr_assert_eq(w.retries[RETRY_CAUSE_RESET], 1);
    cr_assert_eq(step_of(a), CALL_STEP_BACKOFF);
}

Test(retry, repeats_a_stale_post_only_where_not_one_byte_was_sent)
{
    w.policy.retry.mode = POLICY_OFF;
    world_open(&w);
    struct visit *a = world_call_with(&w, &post_facts);
    fail_with(a, stale);
    cr_assert_eq(a->starts, 1);
    cr_assert_eq(a->got, REASON_CONNECTION_RESET);
    struct call_failure unsent = stale;
    unsent.is_unsent = true;
    struct visit *b = world_call_with(&w, &post_facts);
    fail_with(b, unsent);
    cr_assert_eq(b->starts, 2);
    answer(b, 200);
}

Test(retry, is_transparent_for_a_refused_stream_on_any_connection)
{
    w.policy.retry.mode = POLICY_OFF;
    world_open(&w);
    struct visit *a = world_call_with(&w, &post_facts);
    fail_with(a, (struct call_failure){.reason = REASON_REFUSED_STREAM});
    cr_assert_eq(a->starts, 2);
    answer(a, 200);
}

static void expect_paid(struct visit *visit, struct call_failure failure)
{
    fail_with(visit, failure);
    cr_assert_eq(visit->starts, 1);
    cr_assert(is_over(visit, FATE_FAILURE));
}

Test(retry, is_not_transparent_for_whatever_may_have_reached_the_upstream)
{
    w.policy.retry.mode = POLICY_OFF;
    w.policy.timeouts.backend_request = 100 * MS;
    world_open(&w);
    struct call_failure failure = stale;
    failure.is_answered = true;
    expect_paid(world_call(&w), failure);
    failure = stale;
    failure.is_reused = false;
    expect_paid(world_call(&w), failure);
    failure = stale;
    failure.reason = REASON_CONNECT_REFUSED;
    expect_paid(world_call(&w), failure);
    expect_paid(world_call_with(&w, &tunnel_facts), stale);
    struct visit *gone = world_call(&w);
    gone->replay = REPLAY_COMMITTED;
    expect_paid(gone, stale);
    struct visit *late = world_call(&w);
    world_jump(&w, 100 * MS);
    expect_paid(late, stale);
    cr_assert_eq(w.retries[RETRY_CAUSE_TRANSPARENT], 0);
}

Test(retry, is_transparent_past_a_timeout_that_is_only_a_shadow)
{
    w.policy.timeouts.mode = POLICY_SHADOW;
    w.policy.timeouts.backend_request = 100 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_jump(&w, 100 * MS);
    fail_with(a, stale);
    cr_assert_eq(a->starts, 2);
    answer(a, 200);
}

Test(retry, is_not_made_earlier_because_a_timer_of_the_attempt_fires)
{
    w.policy.timeouts.backend_request = 30 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 25);
    answer(a, 503);
    world_advance(&w, 9);
    cr_assert_eq(a->starts, 1);
    world_advance(&w, 1);
    cr_assert_eq(a->starts, 2);
    answer(a, 200);
}
