#include "call_host.h"

#include "base/check.h"
#include "call/choice.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct world w;

static void start(void)
{
    world_start(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(instance, .init = start, .fini = end);

/* ---- rules ---- */

Test(instance, of_a_rule_is_used_alone_by_its_calls_where_the_rule_has_the_block)
{
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 1, 0, 0);
    with_rate(&w.policy, 1, 100000, 10, 0);
    world_add_rule(&w, "charge", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_add_rule(&w, "quote", 1u << POLICY_FAMILY_BULKHEAD | 1u << POLICY_FAMILY_RATE_LIMIT);
    world_add_rule(&w, "list", 1u << POLICY_FAMILY_RETRY);
    world_open(&w);
    cr_assert_not_null(w.target->rule_instances[0]);
    cr_assert_null(w.target->rule_instances[2], "it has no limiter of its own");
    answer(world_call_rule(&w, 0), 500);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    cr_assert_eq(w.target->rule_instances[0]->seat.breaker.state, BREAKER_OPEN);
    cr_assert_str_eq(w.moves[0].label, "rule:charge");
    cr_assert(is_refused(world_call_rule(&w, 0), REASON_CIRCUIT_OPEN));
    struct visit *a = world_call_rule(&w, 2);
    struct visit *b = world_call_rule(&w, 1);
    cr_assert_eq(in_flight(&w), 1u);
    cr_assert_eq(b->starts, 1, "its bulkhead is another one");
    cr_assert_eq(tokens(&w), 8u, "and so is its bucket");
    cr_assert(is_refused(world_call(&w), REASON_BULKHEAD_FULL));
    answer(b, 500);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN, "its breaker is the target's");
    answer(a, 200);
}

Test(instance, knows_where_its_breaker_was_written)
{
    with_breaker(&w.policy, 1);
    w.policy.at[POLICY_FAMILY_CIRCUIT_BREAKER] = "shop.yaml:12";
    world_open(&w);
    cr_assert_str_eq(w.target->instance->at, "shop.yaml:12");
    w.policy.at[POLICY_FAMILY_CIRCUIT_BREAKER] = NULL;
    world_reload(&w);
    cr_assert_str_eq(w.target->instance->at, "");
}

/* ---- endpoints ---- */

static void by_endpoint(size_t count)
{
    with_breaker(&w.policy, 1);
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    w.endpoint_count = count;
    for (size_t i = 0; i < count; i++)
        w.endpoints[i] = i;
    w.endpoints[0] = 4;
}

Test(instance, judges_each_endpoint_by_itself_and_offers_those_that_would_admit)
{
    by_endpoint(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(a->call.endpoint_id, 4u);
    cr_assert_eq(a->call.endpoint_seat->users, 1u);
    answer(a, 500);
    cr_assert_str_eq(w.moves[0].label, "target/endpoint:10.0.0.0:80");
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    struct visit *b = world_call(&w);
    cr_assert_eq(b->call.endpoint_id, 1u);
    answer(b, 500);
    struct visit *c = world_call(&w);
    cr_assert(is_refused(c, REASON_CIRCUIT_OPEN), "no candidate is circuit_open");
    cr_assert_eq(c->call.reply_not_before, w.now + 5 * NS_PER_S);
    cr_assert_not(instance_is_closed(w.target->instance));
    world_advance(&w, 5000);
    struct visit *d = world_call(&w);
    cr_assert_eq(d->call.endpoint_id, 4u);
    cr_assert(permit_is_probe(&d->call.permit));
    answer(d, 200);
}

Test(instance, knows_no_time_when_every_probe_of_every_endpoint_is_out)
{
    by_endpoint(1);
    w.policy.breaker.half_open_requests = 1;
    world_open(&w);
    answer(world_call(&w), 500);
    world_advance(&w, 5000);
    struct visit *probe = world_call(&w);
    struct visit *b = world_call(&w);
    cr_assert(is_refused(b, REASON_CIRCUIT_OPEN));
    cr_assert_eq(b->call.reply_not_before, MONO_NEVER);
    answer(probe, 200);
}

Test(instance, lets_an_endpoint_join_that_is_chosen_after_the_gate)
{
    by_endpoint(0);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(a->call.endpoint_id, CANDIDATE_UNKNOWN);
    call_on_endpoint(&a->call, 1, w.now);
    call_on_endpoint(&a->call, 2, w.now);
    cr_assert_eq(a->call.endpoint_id, 2u);
    answer(a, 500);
    cr_assert_eq(w.move_count, 1);
    cr_assert_str_eq(w.moves[0].label, "target/endpoint:10.0.0.2:80", "where it went last");
    world_advance(&w, 5000);
    struct visit *b = world_call(&w);
    call_on_endpoint(&b->call, 2, w.now);
    cr_assert(permit_is_probe(&b->call.permit));
    world_advance(&w, 10000);
    cr_assert_eq(w.moves[w.move_count - 1].what.cause, BREAKER_CAUSE_PROBE_EXPIRED,
                 "whoever becomes a probe late has a lease too");
    answer(b, 200);
}

Test(instance, takes_no_notice_of_a_late_endpoint_where_it_is_of_no_use)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    struct visit *a = world_call(&w);
    call_on_endpoint(&a->call, 1, w.now);
    cr_assert_null(a->call.endpoint_seat, "scope: target");
    answer(a, 200);
    by_endpoint(0);
    world_reload(&w);
    struct visit *b = world_call(&w);
    head(b, 200);
    call_on_endpoint(&b->call, 1, w.now);
    cr_assert_null(b->call.endpoint_seat, "judged already");
    body_ends(b);
    deliver(b);
}

Test(instance, has_breakers_for_a_bounded_number_of_endpoints)
{
    by_endpoint(0);
    world_open(&w);
    struct instance *instance = w.target->instance;
    struct endpoint_seat *first = NULL;
    for (uint64_t id = 1; id <= BOARD_SEATS; id++) {
        struct endpoint_seat *seat = board_seat(&instance->endpoints, id, "10.9.9.9:80", w.now);
        cr_assert_not_null(seat);
        seat->users++;
        first = first ? first : seat;
    }
    cr_assert_null(board_seat(&instance->endpoints, 1000, "10.9.9.9:80", w.now));
    w.endpoint_count = 1;
    w.endpoints[0] = 1000;
    struct visit *a = world_call(&w);
    cr_assert_eq(a->starts, 1, "without a place it is not judged by itself");
    cr_assert_null(a->call.endpoint_seat);
    answer(a, 500);
    w.endpoint_count = 0;
    struct visit *b = world_call(&w);
    call_on_endpoint(&b->call, 1001, w.now);
    cr_assert_null(b->call.endpoint_seat);
    answer(b, 500);
    first->users = 0;
    seat_force(&first->seat, BREAKER_FORCED_OPEN, w.now);
    cr_assert_null(board_seat(&instance->endpoints, 1000, "10.9.9.9:80", w.now),
                   "an open one has something to say");
    seat_force(&first->seat, BREAKER_CLOSED, w.now);
    struct endpoint_seat *seat = board_seat(&instance->endpoints, 1000, "10.9.9.9:80", w.now);
    cr_assert_not_null(seat);
    cr_assert_eq(instance->endpoints.count, (uint32_t)BOARD_SEATS);
    cr_assert_eq(board_seat(&instance->endpoints, 1000, "10.9.9.9:80", w.now), seat);
    LIST_FOREACH (link, &instance->endpoints.seats)
        CONTAINER_OF(link, struct endpoint_seat, link)->users = 0;
}

static bool is_offered(uint64_t endpoint_id)
{
    const struct call asks = {.lane = w.target->lanes[0]};
    return choice_may_use(&asks, CHOICE_PANIC, endpoint_id, 0, true, w.now);
}

Test(instance, masks_endpoints_only_where_a_breaker_of_theirs_refuses)
{
    by_endpoint(1);
    world_open(&w);
    struct instance *instance = w.target->instance;
    cr_assert(is_offered(4), "never seen");
    answer(world_call(&w), 500);
    cr_assert_not(is_offered(4));
    w.policy.breaker.mode = POLICY_SHADOW;
    world_reload(&w);
    cr_assert(is_offered(4));
    struct visit *a = world_call(&w);
    cr_assert_eq(w.shadows[POLICY_FAMILY_CIRCUIT_BREAKER], 1);
    answer(a, 200);
    w.policy.breaker.mode = POLICY_OFF;
    world_reload(&w);
    cr_assert(is_offered(4));
    cr_assert_not(instance_is_by_endpoint(instance));
    w.policy.breaker.mode = POLICY_FORCE_OPEN;
    world_reload(&w);
    cr_assert_not(instance_is_by_endpoint(instance), "forceOpen is a matter of the whole");
    cr_assert(is_refused(world_call(&w), REASON_CIRCUIT_OPEN));
}

Test(instance, refuses_who_waits_once_no_endpoint_would_admit_it)
{
    by_endpoint(1);
    with_bulkhead(&w.policy, 1, 5, 60000);
    with_rate(&w.policy, 10, 1000, 2, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *slot = world_call(&w);
    struct visit *token = world_call(&w);
    head(a, 500);
    body_ends(a);
    cr_assert(is_refused(slot, REASON_CIRCUIT_OPEN));
    cr_assert_eq(token->finishes, 0);
    world_advance(&w, 100);
    cr_assert(is_refused(token, REASON_CIRCUIT_OPEN));
    deliver(a);
}
