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

TestSuite(relay, .init = start, .fini = end);

static uint32_t slots(enum bulkhead_slot slot)
{
    return w.target->instance->slots->other->slots.bulkhead.in_flight[slot];
}

/* ---- after the head ---- */

Test(relay, knows_of_the_timeouts_only_idle_and_max_duration)
{
    w.policy.timeouts.request = 100 * MS;
    w.policy.timeouts.backend_request = 100 * MS;
    w.policy.timeouts.idle = 10 * NS_PER_S;
    w.policy.timeouts.max_duration = 25 * NS_PER_S;
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    world_advance(&w, 9999);
    call_touch(&a->call, w.now);
    world_advance(&w, 9999);
    call_touch(&a->call, w.now);
    cr_assert_eq(step_of(a), CALL_STEP_RELAY);
    world_advance(&w, 5001);
    cr_assert_eq(step_of(a), CALL_STEP_RELAY);
    world_advance(&w, 1);
    cr_assert_eq(a->call.reason, REASON_MAX_DURATION);
    cr_assert_eq(a->cuts, 1);
    cr_assert_eq(a->aborts, 1);
    cr_assert(is_over(a, FATE_TIMEOUT));
}

Test(relay, ends_a_response_on_which_no_byte_moves)
{
    with_breaker(&w.policy, 1);
    w.policy.timeouts.idle = 10 * NS_PER_S;
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    world_advance(&w, 10000);
    cr_assert_eq(a->call.reason, REASON_IDLE_TIMEOUT);
    cr_assert(is_over(a, FATE_TIMEOUT));
    cr_assert_eq(world_breaker(&w)->window.sum.failures, 0u, "the head was the verdict");
}

Test(relay, only_counts_an_idle_timeout_in_shadow_and_once)
{
    w.policy.timeouts.mode = POLICY_SHADOW;
    w.policy.timeouts.idle = 10 * NS_PER_S;
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    world_advance(&w, 30000);
    cr_assert_eq(w.shadows[POLICY_FAMILY_TIMEOUTS], 1);
    cr_assert_str_eq(w.last_shadow, "idle_timeout");
    world_advance(&w, 30000);
    cr_assert_eq(slots(BULKHEAD_STREAM), 1u, "the other clocks run on");
    call_touch(&a->call, w.now);
    body_ends(a);
    deliver(a);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(relay, cuts_off_a_response_that_breaks)
{
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(a->cuts, 1);
    cr_assert_eq(slots(BULKHEAD_ATTEMPT), 0u);
    cr_assert(is_over(a, FATE_FAILURE));
    cr_assert(a->call.is_broken);
    struct visit *b = world_call(&w);
    head(b, 200);
    call_refuse_now(&b->call, REASON_BODY_TOO_LARGE, w.now);
    world_perform(&w);
    cr_assert_eq(b->cuts, 1);
}

Test(relay, aborts_the_upstream_when_the_caller_leaves)
{
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    cancel(a);
    cr_assert_eq(a->aborts, 1);
    cr_assert_eq(a->cuts, 0);
    cr_assert(is_over(a, FATE_CANCELLED));
    cr_assert_eq(slots(BULKHEAD_ATTEMPT), 0u);
}

Test(relay, waits_for_a_slow_caller_though_the_upstream_has_ended_long_ago)
{
    with_bulkhead(&w.policy, 1, 0, 0);
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    body_ends(a);
    world_advance(&w, 120000);
    cr_assert_eq(step_of(a), CALL_STEP_RELAY);
    deliver(a);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(relay, tells_fate_by_the_head)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    answer(a, 500);
    cr_assert(is_over(a, FATE_FAILURE));
    struct visit *b = world_call(&w);
    answer(b, 404);
    cr_assert(is_over(b, FATE_SUCCESS));
}

/* ---- streams ---- */

Test(relay, moves_a_response_longer_than_a_minute_to_the_streams_and_lets_somebody_in)
{
    with_bulkhead(&w.policy, 1, 1, 100000);
    world_open(&w);
    struct visit *a = world_call(&w);
    world_advance(&w, 1000);
    head(a, 200);
    struct visit *b = world_call(&w);
    world_advance(&w, 59999);
    cr_assert_eq(b->starts, 0);
    world_advance(&w, 1);
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(slots(BULKHEAD_STREAM), 1u);
    body_ends(a);
    deliver(a);
    cr_assert_eq(slots(BULKHEAD_STREAM), 0u);
    answer(b, 200);
}

Test(relay, leaves_a_long_response_where_it_is_when_there_are_too_many_streams)
{
    with_bulkhead(&w.policy, 1, 1, 200000);
    w.policy.bulkhead.max_streams = 0;
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    struct visit *b = world_call(&w);
    world_advance(&w, 100000);
    cr_assert_eq(b->starts, 0);
    cr_assert_eq(slots(BULKHEAD_ATTEMPT), 1u);
    body_ends(a);
    deliver(a);
    answer(b, 200);
}

Test(relay, moves_nothing_where_there_is_no_bulkhead)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    head(a, 200);
    world_advance(&w, 61000);
    body_ends(a);
    deliver(a);
    cr_assert(is_over(a, FATE_SUCCESS));
}

/* ---- tunnels ---- */

Test(relay, counts_an_upgrade_among_the_connections_even_above_their_limit)
{
    with_bulkhead(&w.policy, 1, 1, 1000);
    w.policy.bulkhead.max_connections = 0;
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    head_with(a, (struct call_head){.status = 101, .is_upgrade = true});
    cr_assert_eq(slots(BULKHEAD_CONNECTION), 1u);
    cr_assert_eq(b->starts, 1, "its slot among the calls is free");
    world_advance(&w, 61000);
    cr_assert_eq(slots(BULKHEAD_CONNECTION), 1u, "a tunnel becomes no stream");
    tunnel_bytes(a);
    tunnel_closes(a);
    cr_assert(is_over(a, FATE_SUCCESS));
    answer(b, 200);
}

Test(relay, counts_a_request_for_an_upgrade_among_the_connections_from_the_start)
{
    with_bulkhead(&w.policy, 1, 1, 1000);
    w.policy.bulkhead.max_connections = 1;
    world_open(&w);
    struct call_facts facts = get_facts;
    facts.is_upgrade = true;
    struct visit *a = world_call_with(&w, &facts);
    struct visit *b = world_call_with(&w, &facts);
    cr_assert_eq(slots(BULKHEAD_CONNECTION), 1u);
    cr_assert_eq(slots(BULKHEAD_ATTEMPT), 0u);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    head_with(a, (struct call_head){.status = 101, .is_upgrade = true});
    cr_assert_eq(slots(BULKHEAD_CONNECTION), 1u);
    tunnel_closes(a);
    cr_assert_eq(b->starts, 1);
    answer(b, 200);
    cr_assert_eq(slots(BULKHEAD_CONNECTION), 0u, "also when the upstream does not upgrade");
}

Test(relay, counts_an_upgrade_where_there_is_no_bulkhead_nowhere)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    head_with(a, (struct call_head){.status = 101, .is_upgrade = true});
    tunnel_closes(a);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(relay, lets_tunnels_wait_in_a_line_of_their_own)
{
    with_bulkhead(&w.policy, 1, 1, 1000);
    w.policy.bulkhead.max_connections = 1;
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    struct visit *b = world_call_with(&w, &tunnel_facts);
    struct visit *c = world_call(&w);
    cr_assert_eq(c->starts, 1);
    cr_assert_eq(b->starts, 0);
    cr_assert(is_refused(world_call_with(&w, &tunnel_facts), REASON_BULKHEAD_FULL));
    head(a, 200);
    tunnel_closes(a);
    cr_assert_eq(b->starts, 1);
    answer(c, 200);
}

Test(relay, judges_a_tunnel_by_its_connect)
{
    with_breaker(&w.policy, 2);
    world_open(&w);
    fail(world_call_with(&w, &tunnel_facts), REASON_CONNECT_REFUSED);
    cr_assert_eq(world_breaker(&w)->consecutive, 1u);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    head(a, 200);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 1u, "it may still be reset");
    tunnel_bytes(a);
    tunnel_bytes(a);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 2u);
    cr_assert_eq(world_breaker(&w)->consecutive, 0u);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(world_breaker(&w)->window.sum.failures, 1u, "a reset after the first byte");
}

Test(relay, judges_a_tunnel_that_is_reset_before_its_first_byte_a_failure)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    head(a, 200);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert_eq(w.settled[OUTCOME_RESET], 1);
}

Test(relay, proves_nothing_by_a_tunnel_that_was_idle)
{
    with_breaker(&w.policy, 1);
    w.policy.timeouts.idle = 5 * NS_PER_S;
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    head(a, 200);
    world_advance(&w, 5000);
    cr_assert(is_over(a, FATE_TIMEOUT));
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 0u);
    cr_assert_eq(w.settled[OUTCOME_TIMEOUT], 1);
}

Test(relay, proves_nothing_by_a_tunnel_whose_caller_broke_it)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    head(a, 200);
    breaks(a, REASON_CLIENT_CLOSED);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 0u);
}

Test(relay, judges_a_silent_tunnel_a_success_after_ten_seconds)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    world_advance(&w, 1000);
    head(a, 200);
    world_advance(&w, 9999);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 0u);
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 1u);
    breaks(a, REASON_CONNECTION_RESET);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
}

Test(relay, judges_a_tunnel_that_ends_in_good_order_a_success)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    head(a, 200);
    tunnel_closes(a);
    struct visit *b = world_call_with(&w, &tunnel_facts);
    head(b, 200);
    cancel(b);
    cr_assert_eq(world_breaker(&w)->window.sum.calls, 2u);
    cr_assert_eq(world_breaker(&w)->window.sum.failures, 0u);
    cr_assert_eq(w.settled[OUTCOME_SUCCESS], 2);
}

Test(relay, settles_a_tunnel_whose_lease_ran_out_while_it_connected)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    trip(&w, 1);
    world_advance(&w, 5000);
    struct visit *a = world_call_with(&w, &tunnel_facts);
    world_advance(&w, 10000);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
    head(a, 200);
    tunnel_bytes(a);
    cr_assert_eq(w.settled[OUTCOME_SUCCESS], 1);
    tunnel_closes(a);
}
