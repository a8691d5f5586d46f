/* Endpoints that are judged one by one and passed by: who is ejected, who is not, and how one comes
 * back. */
#include "call_host.h"

#include "call/choice.h"

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

TestSuite(outlier, .init = start, .fini = end);

static void with_outlier(size_t endpoints)
{
    struct outlier_config *cfg = &w.policy.outlier;
    cfg->breaker.mode = POLICY_ENFORCE;
    cfg->breaker.consecutive_failures = 1;
    cfg->breaker.open_for = 5 * NS_PER_S;
    cfg->breaker.max_open_for = 60 * NS_PER_S;
    cfg->breaker.half_open_requests = 1;
    cfg->max_ejection_permille = 500;
    w.policy.at[POLICY_FAMILY_OUTLIER] = "shop.yaml:7";
    w.endpoint_count = endpoints;
    for (size_t i = 0; i < endpoints; i++)
        w.endpoints[i] = i + 1;
}

static uint64_t endpoint_of(const struct visit *visit)
{
    return visit->call.endpoint_id;
}

static const struct endpoint_board *board(void)
{
    return &w.target->instance->outliers;
}

static enum breaker_state state_of(uint64_t endpoint)
{
    return board_find(board(), endpoint)->seat.breaker.state;
}

Test(outlier, ejects_the_endpoint_that_fails_and_goes_on_with_the_others)
{
    with_outlier(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(endpoint_of(a), 1u);
    cr_assert_eq(a->call.outlier_seat->users, 1u);
    cr_assert_eq(w.chosen, 1, "its turn is over");
    answer(a, 500);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    cr_assert_str_eq(w.moves[0].label, "target/outlier:10.0.0.1:80");
    for (int i = 0; i < 5; i++) {
        struct visit *b = world_call(&w);
        cr_assert_eq(endpoint_of(b), 2u);
        answer(b, 200);
    }
    cr_assert_not(instance_is_closed(w.target->instance));
    cr_assert_str_eq(w.target->instance->outlier_at, "shop.yaml:7");
}

Test(outlier, comes_back_by_one_good_probe_and_not_by_time)
{
    with_outlier(2);
    world_open(&w);
    answer(world_call(&w), 500);
    world_advance(&w, 5000);
    cr_assert_eq(state_of(1), BREAKER_HALF_OPEN);
    struct visit *probe = world_call(&w);
    cr_assert_eq(endpoint_of(probe), 1u);
    cr_assert(permit_is_probe(&probe->call.permit));
    struct visit *other = world_call(&w);
    cr_assert_eq(endpoint_of(other), 2u, "one probe at a time");
    answer(probe, 200);
    cr_assert_eq(state_of(1), BREAKER_CLOSED);
    answer(other, 200);
    struct visit *again = world_call(&w);
    cr_assert_eq(endpoint_of(again), 1u);
    answer(again, 200);
}

Test(outlier, stays_out_twice_as_long_when_its_probe_fails)
{
    with_outlier(2);
    world_open(&w);
    answer(world_call(&w), 500);
    world_advance(&w, 5000);
    answer(world_call(&w), 500);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    world_advance(&w, 9000);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    world_advance(&w, 1000);
    cr_assert_eq(state_of(1), BREAKER_HALF_OPEN);
}

Test(outlier, ejects_no_more_than_may_be)
{
    with_outlier(4);
    world_open(&w);
    answer(world_call(&w), 500);
    answer(world_call(&w), 500);
    struct visit *c = world_call(&w);
    cr_assert_eq(endpoint_of(c), 3u);
    answer(c, 500);
    cr_assert_eq(state_of(3), BREAKER_CLOSED, "two of four are out");
    cr_assert_eq(board()->ejected, 2u);
    cr_assert_eq(w.held, 1);
}

Test(outlier, never_ejects_the_only_endpoint)
{
    with_outlier(1);
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        struct visit *a = world_call(&w);
        cr_assert_eq(endpoint_of(a), 1u);
        answer(a, 500);
    }
    cr_assert_eq(state_of(1), BREAKER_CLOSED);
    cr_assert_eq(w.held, 3);
}

Test(outlier, uses_all_in_a_panic_and_learns_nothing_from_it)
{
    with_outlier(2);
    w.policy.outlier.max_ejection_permille = 1000;
    world_open(&w);
    answer(world_call(&w), 500);
    answer(world_call(&w), 500);
    cr_assert_eq(board()->ejected, 2u);
    struct visit *a = world_call(&w);
    cr_assert_eq(endpoint_of(a), 1u);
    cr_assert_null(a->call.outlier_seat);
    answer(a, 200);
    cr_assert_eq(state_of(1), BREAKER_OPEN, "its own probe will tell");
}

Test(outlier, refuses_in_a_panic_where_the_policy_says_so)
{
    with_outlier(2);
    w.policy.outlier.max_ejection_permille = 1000;
    w.policy.outlier.panic = OUTLIER_PANIC_REFUSE;
    world_open(&w);
    answer(world_call(&w), 500);
    answer(world_call(&w), 500);
    struct visit *a = world_call(&w);
    cr_assert(is_refused(a, REASON_CIRCUIT_OPEN));
    cr_assert_eq(a->call.reply_not_before, w.now + 5 * NS_PER_S);
}

Test(outlier, gives_a_new_endpoint_one_call_at_a_time_until_it_has_served)
{
    with_outlier(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    w.in_flight[0] = 1;
    struct visit *b = world_call(&w);
    cr_assert_eq(endpoint_of(b), 2u, "the first one has its call");
    w.in_flight[1] = 1;
    struct visit *c = world_call(&w);
    cr_assert_eq(endpoint_of(c), 1u, "both are new: there is nobody better");
    answer(b, 200);
    struct visit *d = world_call(&w);
    cr_assert_eq(endpoint_of(d), 2u, "it has served, however much it has to do");
    answer(a, 200);
    answer(c, 200);
    answer(d, 200);
    cr_assert_eq(endpoint_of(world_call(&w)), 1u);
}

Test(outlier, in_shadow_passes_nobody_by)
{
    with_outlier(2);
    w.policy.outlier.breaker.mode = POLICY_SHADOW;
    world_open(&w);
    answer(world_call(&w), 500);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    struct visit *a = world_call(&w);
    cr_assert_eq(endpoint_of(a), 1u);
    cr_assert_eq(w.shadows[POLICY_FAMILY_OUTLIER], 1);
    answer(a, 200);
}

Test(outlier, judges_an_endpoint_that_was_found_after_the_gate)
{
    with_outlier(0);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(endpoint_of(a), CANDIDATE_UNKNOWN);
    cr_assert_eq(w.chosen, 0, "nobody was");
    w.endpoint_count = 2;
    w.endpoints[0] = 1;
    w.endpoints[1] = 2;
    call_on_endpoint(&a->call, 2, w.now);
    cr_assert_eq(a->call.outlier_seat->endpoint_id, 2u);
    answer(a, 500);
    cr_assert_eq(state_of(2), BREAKER_OPEN);
}

Test(outlier, works_beside_a_circuit_breaker_of_each_endpoint)
{
    with_breaker(&w.policy, 2);
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    with_outlier(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_not_null(a->call.endpoint_seat);
    cr_assert_not_null(a->call.outlier_seat);
    answer(a, 500);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    cr_assert_eq(a->call.endpoint_seat, NULL);
    cr_assert_eq(board_find(&w.target->instance->endpoints, 1)->seat.breaker.state, BREAKER_CLOSED);
}

Test(outlier, of_a_rule_judges_by_the_calls_of_that_rule_alone)
{
    with_outlier(2);
    world_add_rule(&w, "charge", 1u << POLICY_FAMILY_OUTLIER);
    world_open(&w);
    answer(world_call_rule(&w, 0), 500);
    cr_assert_eq(board()->count, 0u);
    cr_assert_eq(w.target->rule_instances[0]->outliers.ejected, 1u);
    cr_assert_eq(endpoint_of(world_call(&w)), 1u);
}

/* ---- endpoints that come and go ---- */

Test(outlier, forgets_who_has_left_when_it_counts_the_ejected)
{
    with_outlier(4);
    world_open(&w);
    answer(world_call(&w), 500);
    answer(world_call(&w), 500);
    w.endpoint_count = 2;
    w.endpoints[0] = 3;
    w.endpoints[1] = 4;
    w.left = 1u << 1 | 1u << 2;
    answer(world_call(&w), 200);
    cr_assert_null(board_find(board(), 1));
    cr_assert_null(board_find(board(), 2));
    cr_assert_eq(board()->ejected, 0u);
}

Test(outlier, keeps_the_seat_of_one_that_has_left_while_a_call_is_there)
{
    with_outlier(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    w.endpoint_count = 1;
    w.endpoints[0] = 2;
    w.left = 1u << 1;
    answer(world_call(&w), 200);
    cr_assert_eq(board_find(board(), 1)->users, 1u);
    answer(a, 200);
    answer(world_call(&w), 200);
    cr_assert_null(board_find(board(), 1));
}

Test(outlier, that_is_switched_off_by_a_reload_lets_everybody_in)
{
    with_outlier(2);
    world_open(&w);
    answer(world_call(&w), 500);
    w.policy.outlier.breaker.mode = POLICY_OFF;
    world_reload(&w);
    cr_assert_eq(board()->count, 0u);
    cr_assert_eq(endpoint_of(world_call(&w)), CANDIDATE_UNKNOWN, "nobody asks");
}

Test(outlier, keeps_its_ejections_over_a_reload)
{
    with_outlier(2);
    world_open(&w);
    answer(world_call(&w), 500);
    w.policy.outlier.breaker.open_for = 9 * NS_PER_S;
    world_reload(&w);
    cr_assert_eq(state_of(1), BREAKER_OPEN);
    world_advance(&w, 5000);
    cr_assert_eq(state_of(1), BREAKER_HALF_OPEN);
}

/* ---- where the attempt went elsewhere than it was to ---- */

Test(outlier, judges_the_endpoint_that_the_attempt_went_to)
{
    with_outlier(2);
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(endpoint_of(a), 1u);
    call_on_endpoint(&a->call, 1, w.now);
    cr_assert_eq(a->call.outlier_seat->users, 1u, "where it was to go: nothing changes");
    call_on_endpoint(&a->call, 2, w.now);
    cr_assert_eq(board_find(board(), 1)->users, 0u);
    cr_assert_eq(a->call.outlier_seat->users, 1u);
    answer(a, 500);
    cr_assert_eq(state_of(1), BREAKER_CLOSED);
    cr_assert_eq(state_of(2), BREAKER_OPEN);
}

Test(outlier, gives_the_probe_of_an_endpoint_back_that_was_left)
{
    with_outlier(2);
    world_open(&w);
    answer(world_call(&w), 500);
    world_advance(&w, 5000);
    struct visit *probe = world_call(&w);
    cr_assert(permit_is_probe(&probe->call.permit));
    call_on_endpoint(&probe->call, 2, w.now);
    cr_assert_not(permit_is_probe(&probe->call.permit));
    answer(probe, 200);
    cr_assert_eq(state_of(1), BREAKER_HALF_OPEN, "nobody has asked it");
    struct visit *again = world_call(&w);
    cr_assert_eq(endpoint_of(again), 1u);
    answer(again, 200);
    cr_assert_eq(state_of(1), BREAKER_CLOSED);
}
