/* leastRequest, and what holds for every algorithm: masks, what was tried, slow start. */
#include "balancer_field.h"

#define ENDPOINTS 5
#define DRAWS 10000

Test(balancer, has_no_answer_for_an_empty_set_or_a_mask_that_admits_none)
{
    struct field field;
    uint64_t mask = 0;
    field_open(&field, BALANCE_LEAST_REQUEST, 0);
    struct balancer_query query = {.rng = &field.rng};
    cr_assert_null(balancer_pick(&field.balancer, &query));
    field_open(&field, BALANCE_LEAST_REQUEST, 3);
    query.may_use = field_mask;
    query.context = &mask;
    cr_assert_null(balancer_pick(&field.balancer, &query));
}

Test(balancer, picks_the_only_endpoint)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, 1);
    const struct balancer_query query = {.rng = &field.rng};
    cr_assert_eq(balancer_pick(&field.balancer, &query), &field.candidates[0]);
}

Test(balancer, spreads_evenly_when_all_are_equally_loaded)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, ENDPOINTS);
    const struct balancer_query query = {.rng = &field.rng};
    field_draw(&field, &query, DRAWS);
    for (uint64_t id = 1; id <= ENDPOINTS; id++)
        field_expect_share(&field, id, DRAWS / ENDPOINTS);
}

Test(balancer, spreads_evenly_over_what_the_mask_leaves)
{
    struct field field;
    uint64_t mask =
        1 << 1 | 1 << 4 | 1 << 5; /* the neighbours of the masked ones must not get more */
    field_open(&field, BALANCE_LEAST_REQUEST, ENDPOINTS);
    const struct balancer_query query = {
        .rng = &field.rng, .may_use = field_mask, .context = &mask};
    field_draw(&field, &query, DRAWS);
    for (uint64_t id = 1; id <= ENDPOINTS; id++)
        field_expect_share(&field, id, (mask >> id) & 1 ? DRAWS / 3 : 0);
}

Test(balancer, never_picks_the_most_loaded_of_all)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, ENDPOINTS);
    field.candidates[2].in_flight = 1;
    const struct balancer_query query = {.rng = &field.rng};
    field_draw(&field, &query, DRAWS);
    cr_assert_eq(field.picks[3], 0u);
}

Test(balancer, always_picks_the_less_loaded_of_two)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, 2);
    field.candidates[0].in_flight = 7;
    field.candidates[1].in_flight = 6;
    const struct balancer_query query = {.rng = &field.rng};
    field_draw(&field, &query, DRAWS);
    cr_assert_eq(field.picks[2], (unsigned)DRAWS);
}

Test(balancer, prefers_what_this_call_has_not_tried)
{
    struct field field;
    const uint64_t tried[] = {1, 2, 4};
    field_open(&field, BALANCE_LEAST_REQUEST, ENDPOINTS);
    field.candidates[2].in_flight = 1000; /* however loaded */
    const struct balancer_query query = {.rng = &field.rng, .tried = tried, .tried_count = 3};
    field_draw(&field, &query, DRAWS);
    cr_assert_eq(field.picks[1] + field.picks[2] + field.picks[4], 0u);
    cr_assert(field.picks[5] > 0 && field.picks[5] == DRAWS);
}

Test(balancer, tries_again_what_was_tried_when_nothing_else_is_left)
{
    struct field field;
    const uint64_t tried[] = {1, 2, 3};
    uint64_t mask = 1 << 2 | 1 << 3;
    field_open(&field, BALANCE_LEAST_REQUEST, 3);
    const struct balancer_query query = {.rng = &field.rng,
                                         .may_use = field_mask,
                                         .context = &mask,
                                         .tried = tried,
                                         .tried_count = 3};
    field_draw(&field, &query, DRAWS);
    cr_assert_eq(field.picks[1], 0u, "the mask is law, tried is a wish");
    cr_assert(field.picks[2] > 0 && field.picks[3] > 0);
}

static const enum balance all[] = {BALANCE_LEAST_REQUEST, BALANCE_ROUND_ROBIN, BALANCE_PEAK_EWMA,
                                   BALANCE_RING_HASH};
#define ALL (sizeof all / sizeof *all)

Test(balancer, obeys_the_mask_whatever_the_algorithm)
{
    struct field field;
    for (size_t i = 0; i < ALL; i++) {
        field_open(&field, all[i], 40);
        struct balancer_query query = field_query(&field);
        for (uint64_t turn = 0; turn < 2000; turn++) {
            uint64_t mask = rng_next(&field.rng) & rng_next(&field.rng) & rng_next(&field.rng);
            query.key = turn % 3 == 0 ? 0 : turn;
            query.may_use = field_mask;
            query.context = &mask;
            const uint64_t id = field_pick(&field, &query);
            cr_assert(id == 0 ? (mask & 0x1fffffffffe) == 0 : (mask >> id) & 1, "%zu", i);
        }
    }
}

Test(balancer, tries_each_once_before_one_twice_whatever_the_algorithm)
{
    struct field field;
    for (size_t i = 0; i < ALL; i++) {
        field_open(&field, all[i], 8);
        struct balancer_query query = field_query(&field);
        uint64_t tried[8];
        query.tried = tried;
        for (query.key = 1; query.key < 200; query.key++) {
            uint64_t seen = 0;
            for (query.tried_count = 0; query.tried_count < 8; query.tried_count++) {
                tried[query.tried_count] = field_pick(&field, &query);
                seen |= UINT64_C(1) << tried[query.tried_count];
            }
            cr_assert_eq(seen, 0x1feu, "%zu", i);
            cr_assert_neq(field_pick(&field, &query), 0u, "then any will do");
        }
    }
}

Test(balancer, finds_a_candidate_by_its_id)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, 3);
    cr_assert_eq(balancer_find(&field.balancer, 2), &field.candidates[1]);
    cr_assert_null(balancer_find(&field.balancer, 4));
}

Test(balancer, picks_an_unhealthy_one_only_where_that_is_asked_for)
{
    for (int algorithm = 0; algorithm < 4; algorithm++) {
        struct field field;
        field_open(&field, (enum balance)algorithm, 3);
        struct balancer_query query = field_query(&field);
        query.key = algorithm == BALANCE_RING_HASH ? 7 : 0;
        field.candidates[0].is_unhealthy = true;
        for (int i = 0; i < 50; i++)
            cr_assert_neq(balancer_pick(&field.balancer, &query)->id, 1u);
        field.candidates[1].is_unhealthy = field.candidates[2].is_unhealthy = true;
        cr_assert_null(balancer_pick(&field.balancer, &query));
        query.takes_unhealthy = true;
        cr_assert_not_null(balancer_pick(&field.balancer, &query));
    }
}
