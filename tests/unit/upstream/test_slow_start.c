/* slowStart: who is new, or back, gets a share that grows from a tenth to a whole one. */
#include "balancer_field.h"

#define DRAWS 40000
#define LASTS (20 * NS_PER_S)

static void open_warming(struct field *field, enum balance algorithm, size_t count)
{
    field_open(field, algorithm, count);
    field->balancer.cfg.slow_start = LASTS;
    balancer_warm(&field->balancer, &field->candidates[0], FIELD_BEGIN);
}

/* Of the draws at `permille` of its time. */
static void draw_at(struct field *field, int permille)
{
    struct balancer_query query = field_query(field);
    query.now += LASTS / 1000 * permille;
    memset(field->picks, 0, sizeof field->picks);
    field_draw(field, &query, DRAWS);
}

/* The first one has `weight`, the others 1. */
static void expect_weight(const struct field *field, size_t count, double weight)
{
    const double whole = DRAWS / ((double)count - 1 + weight);
    field_expect_share(field, 1, whole * weight);
    for (uint64_t id = 2; id <= count; id++)
        field_expect_share(field, id, whole);
}

Test(slow_start, of_round_robin_grows_from_a_tenth)
{
    struct field field;
    open_warming(&field, BALANCE_ROUND_ROBIN, 5);
    draw_at(&field, 0);
    expect_weight(&field, 5, 0.1);
    draw_at(&field, 500);
    expect_weight(&field, 5, 0.55);
    draw_at(&field, 1000);
    for (uint64_t id = 1; id <= 5; id++)
        cr_assert_eq(field.picks[id], DRAWS / 5u, "in turn again");
}

/* It takes part in that share of the picks; two choices then give it what they give anybody. */
static void expect_two_choices(enum balance algorithm)
{
    struct field field;
    open_warming(&field, algorithm, 5);
    draw_at(&field, 0);
    field_expect_share(&field, 1, DRAWS * 0.1 / 5);
    draw_at(&field, 500);
    field_expect_share(&field, 1, DRAWS * 0.55 / 5);
    draw_at(&field, 1000);
    for (uint64_t id = 1; id <= 5; id++)
        field_expect_share(&field, id, DRAWS / 5);
}

Test(slow_start, of_least_request_grows_from_a_tenth)
{
    expect_two_choices(BALANCE_LEAST_REQUEST);
}

Test(slow_start, of_peak_ewma_grows_from_a_tenth)
{
    expect_two_choices(BALANCE_PEAK_EWMA);
}

Test(slow_start, bounds_one_that_is_idle_beside_busy_ones)
{
    struct field field;
    open_warming(&field, BALANCE_LEAST_REQUEST, 2);
    field.candidates[1].in_flight = 100;
    draw_at(&field, 0);
    field_expect_share(&field, 1, DRAWS * 0.1);
    draw_at(&field, 999);
    field_expect_share(&field, 1, DRAWS);
}

Test(slow_start, leaves_the_only_one_all_calls)
{
    struct field field;
    open_warming(&field, BALANCE_LEAST_REQUEST, 1);
    draw_at(&field, 0);
    cr_assert_eq(field.picks[1], (unsigned)DRAWS);
}

Test(slow_start, of_all_at_once_keeps_nobody_waiting)
{
    struct field field;
    static const enum balance both[] = {BALANCE_LEAST_REQUEST, BALANCE_ROUND_ROBIN};
    for (size_t i = 0; i < 2; i++) {
        open_warming(&field, both[i], 4);
        for (size_t k = 1; k < 4; k++)
            balancer_warm(&field.balancer, &field.candidates[k], FIELD_BEGIN);
        draw_at(&field, 0);
        for (uint64_t id = 1; id <= 4; id++)
            field_expect_share(&field, id, DRAWS / 4);
    }
}

Test(slow_start, yields_to_the_mask_and_to_what_was_tried)
{
    struct field field;
    static const enum balance both[] = {BALANCE_LEAST_REQUEST, BALANCE_ROUND_ROBIN};
    for (size_t i = 0; i < 2; i++) {
        open_warming(&field, both[i], 3);
        struct balancer_query query = field_query(&field);
        uint64_t mask = 1 << 1 | 1 << 2;
        const uint64_t tried[] = {2};
        query.may_use = field_mask;
        query.context = &mask;
        query.tried = tried;
        query.tried_count = 1;
        for (int k = 0; k < 100; k++)
            cr_assert_eq(field_pick(&field, &query), 1u, "rather a new one than one that failed");
    }
}

Test(slow_start, is_off_where_nothing_is_named)
{
    struct field field;
    open_warming(&field, BALANCE_ROUND_ROBIN, 4);
    field.balancer.cfg.slow_start = 0;
    draw_at(&field, 0);
    for (uint64_t id = 1; id <= 4; id++)
        cr_assert_eq(field.picks[id], DRAWS / 4u);
}
