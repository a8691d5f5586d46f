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

TestSuite(admission, .init = start, .fini = end);

static struct token_room *token_room(void)
{
    return &w.target->instance->tokens->other->tokens;
}

/* ---- the gate ---- */

Test(admission, lets_a_call_through_where_no_policy_applies)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(a->starts, 1);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS));
    cr_assert_gt(w.ready_signals, 0);
}

Test(admission, takes_no_slot_and_no_probe_when_the_rate_limit_refuses)
{
    with_breaker(&w.policy, 3);
    with_rate(&w.policy, 1, 100000, 4, 0);
    with_bulkhead(&w.policy, 5, 0, 0);
    world_open(&w);
    trip(&w, 3);
    world_advance(&w, 5000);
    struct visit *probe = world_call(&w);
    cr_assert_eq(world_breaker(&w)->probes_admitted, 1u);
    struct visit *b = world_call(&w);
    cr_assert(is_refused(b, REASON_RATE_LIMITED));
    cr_assert(is_over(b, FATE_RATE_LIMITED));
    cr_assert_eq(b->call.refused_by, POLICY_FAMILY_RATE_LIMIT);
    cr_assert_neq(b->call.reply_not_before, MONO_NEVER);
    cr_assert_eq(world_breaker(&w)->probes_admitted, 1u);
    cr_assert_eq(in_flight(&w), 1u);
    answer(probe, 200);
}

Test(admission, takes_no_token_when_the_bulkhead_refuses)
{
    with_rate(&w.policy, 1, 1000, 4, 0);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    cr_assert(is_refused(b, REASON_BULKHEAD_FULL));
    cr_assert(is_over(b, FATE_BULKHEAD_FULL));
    cr_assert_eq(b->call.refused_by, POLICY_FAMILY_BULKHEAD);
    cr_assert_eq(tokens(&w), 3u);
    answer(a, 200);
}

Test(admission, takes_nothing_when_the_breaker_refuses)
{
    with_breaker(&w.policy, 3);
    with_rate(&w.policy, 1, 100000, 4, 0);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    trip(&w, 3);
    struct visit *a = world_call(&w);
    cr_assert(is_refused(a, REASON_CIRCUIT_OPEN));
    cr_assert(is_over(a, FATE_CIRCUIT_OPEN));
    cr_assert_eq(a->call.refused_by, POLICY_FAMILY_CIRCUIT_BREAKER);
    cr_assert_eq(a->call.reply_not_before, w.now + 5 * NS_PER_S);
    cr_assert_eq(tokens(&w), 1u);
    cr_assert_eq(in_flight(&w), 0u);
}

Test(admission, names_circuit_open_before_rate_limited_before_bulkhead_full)
{
    with_breaker(&w.policy, 2);
    with_rate(&w.policy, 1, 1000000, 3, 0);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    trip(&w, 1);
    struct visit *a = world_call(&w);
    struct visit *full = world_call(&w);
    cr_assert(is_refused(full, REASON_BULKHEAD_FULL));
    w.policy.rate_limit.burst = 1;
    world_reload(&w);
    answer(a, 200);
    a = world_call(&w);
    struct visit *limited = world_call(&w);
    cr_assert(is_refused(limited, REASON_RATE_LIMITED));
    seat_force(&w.target->instance->seat, BREAKER_FORCED_OPEN, w.now);
    struct visit *open = world_call(&w);
    cr_assert(is_refused(open, REASON_CIRCUIT_OPEN));
    answer(a, 200);
}

Test(admission, settles_each_end_of_a_permit_once_however_often_the_host_says_so)
{
    with_bulkhead(&w.policy, 2, 0, 0);
    with_breaker(&w.policy, 7);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    head(a, 500);
    body_ends(a);
    body_ends(a);
    cr_assert_eq(in_flight(&w), 1u);
    deliver(a);
    call_on_cancel(&b->call, w.now);
    cancel(b);
    cr_assert_eq(in_flight(&w), 0u);
    cr_assert_eq(w.settled[OUTCOME_FAILURE], 1);
    cr_assert_eq(w.settled[OUTCOME_CANCELLED], 1);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 1u);
}

Test(admission, releases_the_slot_when_the_upstream_work_has_really_ended)
{
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    cr_assert_eq(in_flight(&w), 1u);
    body_ends(a);
    cr_assert_eq(in_flight(&w), 0u);
    cr_assert_eq(a->finishes, 0, "the caller has not everything yet");
    deliver(a);
    cr_assert(is_over(a, FATE_SUCCESS));
    struct visit *b = world_call(&w);
    head(b, 200);
    deliver(b);
    cr_assert_eq(in_flight(&w), 1u, "delivered, but the upstream's connection is not free yet");
    body_ends(b);
    cr_assert(is_over(b, FATE_SUCCESS));
}

Test(admission, feeds_no_breaker_by_a_local_refusal)
{
    with_breaker(&w.policy, 3);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    for (int i = 0; i < 10; i++)
        cr_assert(is_refused(world_call(&w), REASON_BULKHEAD_FULL));
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 0u);
    answer(a, 200);
}

Test(admission, asks_no_policy_about_a_call_that_the_host_refuses)
{
    with_rate(&w.policy, 1, 1000, 1, 0);
    world_open(&w);
    struct visit *a = world_call_on(&w, w.target->lanes[0], &get_facts, NULL, false);
    answer(a, 200);
    world_advance(&w, 1000);
    struct call refused;
    call_refuse(&refused, &w.engine, w.target->lanes[0], &get_facts, REASON_LOOP, w.now);
    cr_assert_eq(call_engine_next(&w.engine), &refused);
    cr_assert_eq(call_take_actions(&refused), (unsigned)CALL_REPLY);
    cr_assert_eq(refused.reason, REASON_LOOP);
    cr_assert_eq(tokens(&w), 1u);
    call_on_delivered(&refused, w.now);
    cr_assert_eq(call_engine_next(&w.engine), &refused);
    cr_assert_eq(call_take_actions(&refused), (unsigned)CALL_FINISH);
    cr_assert_eq(refused.fate, FATE_FAILURE);
    call_fini(&refused);
}

Test(admission, starts_nothing_for_a_caller_whose_deadline_is_over_already)
{
    with_rate(&w.policy, 1, 1000, 1, 0);
    world_open(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 0;
    struct visit *a = world_call_with(&w, &facts);
    cr_assert(is_refused(a, REASON_REQUEST_TIMEOUT));
    cr_assert(is_over(a, FATE_TIMEOUT));
    cr_assert_eq(a->call.refused_by, POLICY_FAMILY_TIMEOUTS);
    cr_assert_eq(tokens(&w), 1u);
}

/* ---- the slot line ---- */

Test(admission, serves_the_slot_line_first_come_first_when_a_slot_is_given_back)
{
    with_bulkhead(&w.policy, 1, 2, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    struct visit *d = world_call(&w);
    cr_assert(is_refused(d, REASON_BULKHEAD_FULL));
    cr_assert_eq(in_line(&w), 2u);
    world_advance(&w, 30);
    answer(a, 200);
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(c->starts, 0);
    cr_assert_eq(w.waits[ROOM_SLOTS], 1);
    cr_assert_eq(w.last_wait, 30 * MS);
    answer(b, 200);
    answer(c, 200);
    cr_assert_eq(in_flight(&w), 0u);
}

Test(admission, refuses_who_waited_the_pending_timeout)
{
    with_bulkhead(&w.policy, 1, 2, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 999);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    world_advance(&w, 1);
    cr_assert(is_refused(b, REASON_QUEUE_TIMEOUT));
    cr_assert(is_over(b, FATE_QUEUE_TIMEOUT));
    cr_assert_eq(b->call.refused_by, POLICY_FAMILY_BULKHEAD);
    answer(a, 200);
}

Test(admission, lets_nobody_wait_for_a_slot_without_a_pending_timeout)
{
    with_bulkhead(&w.policy, 1, 2, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert(is_refused(world_call(&w), REASON_BULKHEAD_FULL));
    answer(a, 200);
}

Test(admission, ends_a_wait_at_the_deadline_of_the_call)
{
    with_bulkhead(&w.policy, 1, 2, 5000);
    w.policy.timeouts.request = 300 * MS;
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 100);
    struct visit *b = world_call(&w);
    head(a, 200);
    world_advance(&w, 299);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    world_advance(&w, 1);
    cr_assert(is_refused(b, REASON_REQUEST_TIMEOUT));
    body_ends(a);
    deliver(a);
}

Test(admission, admits_nobody_after_its_deadline_even_when_its_timer_is_late)
{
    with_bulkhead(&w.policy, 1, 2, 5000);
    world_open(&w);
    struct call_facts hurried = get_facts;
    hurried.caller_deadline = 10 * MS;
    struct visit *a = world_call(&w);
    struct visit *b = world_call_with(&w, &hurried);
    world_jump(&w, 10 * MS);
    answer(a, 200);
    cr_assert(is_refused(b, REASON_REQUEST_TIMEOUT));
    cr_assert_eq(in_flight(&w), 0u);
}

Test(admission, lets_a_caller_or_the_host_end_a_wait)
{
    with_bulkhead(&w.policy, 1, 3, 5000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    cancel(b);
    cr_assert(is_over(b, FATE_CANCELLED));
    call_refuse_now(&c->call, REASON_SHUTDOWN, w.now);
    world_perform(&w);
    cr_assert(is_refused(c, REASON_SHUTDOWN));
    cr_assert_eq(in_line(&w), 0u);
    answer(a, 200);
}

Test(admission, refuses_all_that_wait_at_once_when_the_breaker_opens)
{
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 2, 5, 5000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    struct visit *d = world_call(&w);
    head(a, 500);
    cr_assert(is_refused(c, REASON_CIRCUIT_OPEN));
    cr_assert(is_refused(d, REASON_CIRCUIT_OPEN));
    cr_assert_eq(c->call.reply_not_before, w.now + 5 * NS_PER_S);
    cr_assert_eq(in_line(&w), 0u);
    body_ends(a);
    deliver(a);
    answer(b, 200);
}

Test(admission, refuses_all_that_wait_when_an_operator_opens_the_breaker)
{
    with_breaker(&w.policy, 7);
    with_bulkhead(&w.policy, 1, 5, 5000);
    with_rate(&w.policy, 10, 1000, 2, 5000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *slot = world_call(&w);
    struct visit *token = world_call(&w);
    cr_assert_eq(slot->call.line, &slot->call.slots->lines[SLOT_LINE_CALLS]);
    cr_assert_eq(token->call.line, &token_room()->line);
    seat_force(&w.target->instance->seat, BREAKER_FORCED_OPEN, w.now);
    world_perform(&w);
    cr_assert(is_refused(slot, REASON_CIRCUIT_OPEN));
    cr_assert(is_refused(token, REASON_CIRCUIT_OPEN));
    cr_assert_eq(token->call.reply_not_before, MONO_NEVER);
    answer(a, 200);
}

/* ---- the token line ---- */

Test(admission, paces_who_may_wait_for_a_token)
{
    with_rate(&w.policy, 10, 1000, 1, 250);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    struct visit *d = world_call(&w);
    cr_assert_eq(a->starts, 1);
    cr_assert(is_refused(d, REASON_RATE_LIMITED), "300 ms are more than it may wait");
    cr_assert_eq(d->call.reply_not_before, w.now + 300 * MS);
    world_advance(&w, 99);
    cr_assert_eq(b->starts, 0);
    world_advance(&w, 1);
    cr_assert_eq(b->starts, 1);
    world_advance(&w, 100);
    cr_assert_eq(c->starts, 1);
    cr_assert_eq(w.waits[ROOM_TOKENS], 2);
    cr_assert_eq(w.last_wait, 200 * MS);
}

Test(admission, refuses_on_arrival_who_would_get_its_token_after_its_deadline)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    world_open(&w);
    world_call(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 99 * MS;
    struct visit *b = world_call_with(&w, &facts);
    cr_assert(is_refused(b, REASON_RATE_LIMITED));
    facts.caller_deadline = 101 * MS;
    struct visit *c = world_call_with(&w, &facts);
    cr_assert_eq(step_of(c), CALL_STEP_QUEUED);
}

Test(admission, holds_no_slot_while_it_waits_for_a_token)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    with_bulkhead(&w.policy, 2, 2, 5000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    cr_assert_eq(in_flight(&w), 1u);
    cr_assert_eq(in_line(&w), 0u);
    cr_assert_eq(a->starts, 1);
}

Test(admission, joins_the_slot_line_once_its_token_is_due_and_takes_both_together)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    with_bulkhead(&w.policy, 1, 1, 500);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 100);
    cr_assert_eq(in_line(&w), 1u);
    cr_assert_eq(tokens(&w), 1u, "its token is promised, not taken");
    cr_assert_eq(token_room()->promised, 1u);
    struct visit *c = world_call(&w);
    cr_assert_eq(c->call.line, &token_room()->line, "the promised token is not for a newcomer");
    world_advance(&w, 499);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED, "the time for a slot begins in the slot line");
    answer(a, 200);
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(tokens(&w), 0u);
    cr_assert_eq(token_room()->promised, 0u);
    cr_assert_eq(step_of(c), CALL_STEP_QUEUED);
    world_advance(&w, 100);
    cr_assert_eq(c->call.line, &c->call.slots->lines[SLOT_LINE_CALLS]);
}

Test(admission, refuses_who_is_due_for_its_token_when_the_slot_line_is_full)
{
    with_rate(&w.policy, 10, 1000, 2, 5000);
    with_bulkhead(&w.policy, 1, 1, 5000);
    world_open(&w);
    world_call(&w);
    world_call(&w);
    struct visit *c = world_call(&w);
    cr_assert_eq(c->call.line, &token_room()->line);
    world_advance(&w, 100);
    cr_assert(is_refused(c, REASON_BULKHEAD_FULL));
}

Test(admission, lets_nobody_wait_for_a_token_longer_than_wait)
{
    with_rate(&w.policy, 10, 1000, 1, 150);
    with_bulkhead(&w.policy, 1, 1, 5000);
    world_open(&w);
    world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 100);
    cr_assert_eq(in_line(&w), 1u, "b has a promise, and the bucket holds no other token");
    struct visit *c = world_call(&w);
    cr_assert_eq(c->call.line, &token_room()->line);
    world_advance(&w, 151);
    cr_assert(is_refused(c, REASON_RATE_LIMITED));
    cr_assert_eq(c->call.reply_not_before, w.now + 100 * MS, "behind b, who may go at any time");
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
}

Test(admission, keeps_its_place_in_the_token_line_against_newcomers_and_late_ticks)
{
    with_rate(&w.policy, 10000, 1000, 1, 100);
    world_open(&w);
    world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    world_jump(&w, 150 * NS_PER_US);
    struct visit *d = world_call(&w);
    cr_assert_eq(b->starts, 1, "due since 50 us, though the tick has not come");
    cr_assert_eq(step_of(c), CALL_STEP_QUEUED);
    cr_assert_eq(step_of(d), CALL_STEP_QUEUED);
    world_advance(&w, 1);
    cr_assert_eq(c->starts, 1);
}

Test(admission, refuses_who_is_due_after_its_deadline_because_the_loop_was_late)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    world_open(&w);
    world_call(&w);
    struct call_facts facts = get_facts;
    facts.caller_deadline = 150 * MS;
    struct visit *b = world_call_with(&w, &facts);
    world_jump(&w, 150 * MS);
    struct visit *c = world_call(&w);
    cr_assert(is_refused(b, REASON_REQUEST_TIMEOUT));
    cr_assert_eq(c->starts, 1, "the token that b did not take");
}

Test(admission, passes_the_promise_of_who_leaves_to_the_next_in_line)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    with_bulkhead(&w.policy, 1, 5, 5000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 100);
    struct visit *c = world_call(&w);
    cr_assert_eq(token_room()->promised, 1u);
    cancel(b);
    cr_assert_eq(in_line(&w), 1u, "c has the token that was promised to b");
    cr_assert_eq(token_room()->promised, 1u);
    answer(a, 200);
    cr_assert_eq(c->starts, 1);
}

Test(admission, passes_the_promise_of_who_is_refused_to_the_next_in_line)
{
    with_rate(&w.policy, 10, 1000, 1, 5000);
    with_bulkhead(&w.policy, 1, 5, 5000);
    with_breaker(&w.policy, 7);
    world_add_rule(&w, "own", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call_rule(&w, 0);
    world_advance(&w, 100);
    struct visit *c = world_call(&w);
    seat_force(&w.target->rule_instances[0]->seat, BREAKER_FORCED_OPEN, w.now);
    world_perform(&w);
    cr_assert(is_refused(b, REASON_CIRCUIT_OPEN));
    world_advance(&w, 1);
    cr_assert_eq(in_line(&w), 1u, "without the promise of b it would be due at 200 ms");
    answer(a, 200);
    cr_assert_eq(c->starts, 1);
}

Test(admission, charges_every_attempt_and_paces_no_tunnel_apart)
{
    with_rate(&w.policy, 1, 100000, 3, 0);
    with_retry(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call(&w);
    fail(a, REASON_CONNECTION_RESET);
    world_advance(&w, 11);
    cr_assert_eq(a->starts, 2);
    cr_assert_eq(tokens(&w), 1u);
    world_call_with(&w, &tunnel_facts);
    cr_assert_eq(tokens(&w), 0u);
}

/* ---- shadow, forceOpen ---- */

Test(admission, lets_a_shadow_limiter_veto_nothing_and_never_go_negative)
{
    with_rate(&w.policy, 1, 100000, 1, 1000);
    with_bulkhead(&w.policy, 1, 5, 1000);
    with_breaker(&w.policy, 1);
    w.policy.rate_limit.mode = POLICY_SHADOW;
    w.policy.bulkhead.mode = POLICY_SHADOW;
    w.policy.breaker.mode = POLICY_SHADOW;
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(w.shadows[POLICY_FAMILY_RATE_LIMIT], 0);
    struct visit *b = world_call(&w);
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(w.shadows[POLICY_FAMILY_RATE_LIMIT], 1);
    cr_assert_eq(w.shadows[POLICY_FAMILY_BULKHEAD], 1);
    cr_assert_str_eq(w.last_shadow, "bulkhead_full");
    cr_assert_eq(w.shadows[POLICY_FAMILY_CIRCUIT_BREAKER], 0);
    cr_assert_eq(in_flight(&w), 1u);
    cr_assert_eq(tokens(&w), 0u);
    answer(a, 500);
    answer(b, 200);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN, "it moves on real outcomes");
    struct visit *c = world_call(&w);
    cr_assert_eq(c->starts, 1);
    cr_assert_eq(w.shadows[POLICY_FAMILY_CIRCUIT_BREAKER], 1);
    answer(c, 200);
}

Test(admission, takes_from_a_shadow_only_when_the_enforcing_ones_agree)
{
    with_rate(&w.policy, 1, 100000, 3, 0);
    with_bulkhead(&w.policy, 1, 0, 0);
    w.policy.rate_limit.mode = POLICY_SHADOW;
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert(is_refused(world_call(&w), REASON_BULKHEAD_FULL));
    cr_assert_eq(tokens(&w), 2u);
    answer(a, 200);
}

Test(admission, waits_for_a_slot_without_a_promise_where_the_rate_limit_is_a_shadow)
{
    with_rate(&w.policy, 1, 100000, 3, 0);
    w.policy.rate_limit.mode = POLICY_SHADOW;
    with_breaker(&w.policy, 3);
    w.policy.breaker.mode = POLICY_SHADOW;
    with_bulkhead(&w.policy, 1, 2, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    cr_assert_eq(token_room()->promised, 0u);
    cr_assert_not(list_is_linked(&b->call.seat_link), "a shadow breaker refuses nobody");
    answer(a, 200);
    answer(b, 200);
}

Test(admission, refuses_every_call_with_force_open)
{
    with_breaker(&w.policy, 7);
    w.policy.breaker.mode = POLICY_FORCE_OPEN;
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        cr_assert(is_refused(world_call(&w), REASON_CIRCUIT_OPEN));
        world_advance(&w, 60000);
    }
    cr_assert_eq(world_breaker(&w)->state, BREAKER_FORCED_OPEN);
}
