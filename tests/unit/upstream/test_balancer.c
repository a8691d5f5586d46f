#include "base/rng.h"
#include "upstream/balancer.h"

#include <criterion/criterion.h>

#define ENDPOINTS 5
#define DRAWS 10000

struct field {
    struct candidate candidates[ENDPOINTS];
    struct candidate *usable[ENDPOINTS];
    struct balancer balancer;
    struct rng rng;
    unsigned picks[ENDPOINTS];
};

static void field_init(struct field *field, size_t count)
{
    *field = (struct field){.picks = {0}};
    rng_seed(&field->rng, 1);
    balancer_init(&field->balancer);
    for (size_t i = 0; i < count; i++) {
        candidate_init(&field->candidates[i], i + 1);
        field->usable[i] = &field->candidates[i];
    }
    balancer_set(&field->balancer, field->usable, count, &field->rng);
}

static bool is_in_mask(void *context, const struct candidate *candidate)
{
    return (*(const unsigned *)context >> candidate->id) & 1;
}

static void draw(struct field *field, const struct balancer_query *query)
{
    for (int i = 0; i < DRAWS; i++) {
        const struct candidate *picked = balancer_pick(&field->balancer, query);
        cr_assert_not_null(picked);
        field->picks[picked->id - 1]++;
    }
}

static void expect_even(const struct field *field, unsigned mask, unsigned share)
{
    for (size_t i = 0; i < ENDPOINTS; i++) {
        unsigned wanted = (mask >> (i + 1)) & 1 ? share : 0;
        cr_assert(field->picks[i] >= wanted * 9 / 10 && field->picks[i] <= wanted * 11 / 10,
                  "%zu: %u", i, field->picks[i]);
    }
}

Test(balancer, has_no_answer_for_an_empty_set_or_a_mask_that_admits_none)
{
    struct field field;
    unsigned mask = 0;
    field_init(&field, 0);
    struct balancer_query query = {.rng = &field.rng};
    cr_assert_null(balancer_pick(&field.balancer, &query));
    field_init(&field, 3);
    query.may_use = is_in_mask;
    query.context = &mask;
    cr_assert_null(balancer_pick(&field.balancer, &query));
}

Test(balancer, picks_the_only_endpoint)
{
    struct field field;
    field_init(&field, 1);
    const struct balancer_query query = {.rng = &field.rng};
    cr_assert_eq(balancer_pick(&field.balancer, &query), &field.candidates[0]);
}

Test(balancer, spreads_evenly_when_all_are_equally_loaded)
{
    struct field field;
    field_init(&field, ENDPOINTS);
    const struct balancer_query query = {.rng = &field.rng};
    draw(&field, &query);
    expect_even(&field, 0x3e, DRAWS / ENDPOINTS);
}

Test(balancer, spreads_evenly_over_what_the_mask_leaves)
{
    struct field field;
    unsigned mask =
        1 << 1 | 1 << 4 | 1 << 5; /* the neighbours of the masked ones must not get more */
    field_init(&field, ENDPOINTS);
    const struct balancer_query query = {
        .rng = &field.rng, .may_use = is_in_mask, .context = &mask};
    draw(&field, &query);
    expect_even(&field, mask, DRAWS / 3);
}

Test(balancer, never_picks_the_most_loaded_of_all)
{
    struct field field;
    field_init(&field, ENDPOINTS);
    field.candidates[2].in_flight = 1;
    const struct balancer_query query = {.rng = &field.rng};
    draw(&field, &query);
    cr_assert_eq(field.picks[2], 0u);
}

Test(balancer, always_picks_the_less_loaded_of_two)
{
    struct field field;
    field_init(&field, 2);
    field.candidates[0].in_flight = 7;
    field.candidates[1].in_flight = 6;
    const struct balancer_query query = {.rng = &field.rng};
    draw(&field, &query);
    cr_assert_eq(field.picks[1], (unsigned)DRAWS);
}

Test(balancer, prefers_what_this_call_has_not_tried)
{
    struct field field;
    const uint64_t tried[] = {1, 2, 4};
    field_init(&field, ENDPOINTS);
    field.candidates[2].in_flight = 1000; /* however loaded */
    const struct balancer_query query = {.rng = &field.rng, .tried = tried, .tried_count = 3};
    draw(&field, &query);
    cr_assert_eq(field.picks[0] + field.picks[1] + field.picks[3], 0u);
    cr_assert(field.picks[4] > 0 && field.picks[4] == DRAWS);
}

Test(balancer, tries_again_what_was_tried_when_nothing_else_is_left)
{
    struct field field;
    const uint64_t tried[] = {1, 2, 3};
    unsigned mask = 1 << 2 | 1 << 3;
    field_init(&field, 3);
    const struct balancer_query query = {.rng = &field.rng,
                                         .may_use = is_in_mask,
                                         .context = &mask,
                                         .tried = tried,
                                         .tried_count = 3};
    draw(&field, &query);
    cr_assert_eq(field.picks[0], 0u, "the mask is law, tried is a wish");
    cr_assert(field.picks[1] > 0 && field.picks[2] > 0);
}
