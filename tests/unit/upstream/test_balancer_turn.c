/* roundRobin: each in its turn, whoever comes, goes, is masked or tried. */
#include "balancer_field.h"

/* The next `count` picks are `count` different ones. */
static void expect_round(struct field *field, const struct balancer_query *query, unsigned count)
{
    uint64_t seen[FIELD_MAX + 1] = {0};
    for (unsigned i = 0; i < count; i++) {
        const uint64_t id = field_pick(field, query);
        cr_assert(id != 0 && seen[id]++ == 0, "%u twice in a round", (unsigned)id);
    }
}

Test(round_robin, takes_each_once_a_round_in_the_same_order)
{
    struct field field;
    uint64_t order[7];
    field_open(&field, BALANCE_ROUND_ROBIN, 7);
    const struct balancer_query query = field_query(&field);
    for (int i = 0; i < 70; i++) {
        const uint64_t id = field_pick(&field, &query);
        if (i < 7)
            order[i] = id;
        cr_assert_eq(id, order[i % 7]);
    }
    for (uint64_t id = 1; id <= 7; id++)
        cr_assert_eq(field.picks[id], 10u);
}

Test(round_robin, begins_at_random)
{
    unsigned begins[5] = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct field field;
        field_open(&field, BALANCE_ROUND_ROBIN, 0);
        rng_seed(&field.rng, seed);
        field_set(&field, (const uint64_t[]){1, 2, 3, 4}, 4);
        const struct balancer_query query = field_query(&field);
        begins[field_pick(&field, &query)]++;
    }
    for (int id = 1; id <= 4; id++)
        cr_assert(begins[id] > 900 && begins[id] < 1100, "%d: %u", id, begins[id]);
}

Test(round_robin, counts_what_was_taken_not_what_was_offered)
{
    struct field field;
    field_open(&field, BALANCE_ROUND_ROBIN, 3);
    const struct balancer_query query = field_query(&field);
    struct candidate *offered = balancer_pick(&field.balancer, &query);
    cr_assert_eq(balancer_pick(&field.balancer, &query), offered, "nobody went there");
    balancer_take(&field.balancer, offered);
    cr_assert_neq(balancer_pick(&field.balancer, &query), offered);
}

Test(round_robin, is_even_over_what_a_mask_leaves)
{
    struct field field;
    uint64_t mask = 1 << 1 | 1 << 4 | 1 << 5; /* neighbours of masked ones get no more */
    field_open(&field, BALANCE_ROUND_ROBIN, 5);
    struct balancer_query query = field_query(&field);
    query.may_use = field_mask;
    query.context = &mask;
    field_draw(&field, &query, 300);
    cr_assert_eq(field.picks[1], 100u);
    cr_assert_eq(field.picks[4], 100u);
    cr_assert_eq(field.picks[5], 100u);
}

Test(round_robin, goes_on_in_rounds_after_a_mask_is_lifted)
{
    struct field field;
    uint64_t mask = 1 << 1 | 1 << 2 | 1 << 3;
    field_open(&field, BALANCE_ROUND_ROBIN, 5);
    struct balancer_query query = field_query(&field);
    query.may_use = field_mask;
    query.context = &mask;
    field_draw(&field, &query, 7);
    query.may_use = NULL;
    for (int round = 0; round < 5; round++)
        expect_round(&field, &query, 5);
}

Test(round_robin, skips_and_doubles_nobody_when_endpoints_come_and_go)
{
    struct field field;
    field_open(&field, BALANCE_ROUND_ROBIN, 4);
    const struct balancer_query query = field_query(&field);
    const uint64_t first = field_pick(&field, &query);
    const uint64_t second = field_pick(&field, &query);
    field_set(&field, (const uint64_t[]){9, 3, 8, 1, 4, 2}, 6); /* two come, in between */
    const uint64_t third = field_pick(&field, &query);
    const uint64_t fourth = field_pick(&field, &query);
    cr_assert(first <= 4 && second <= 4 && third <= 4 && fourth <= 4);
    cr_assert_eq(first + second + third + fourth, 10u, "the round of the four ends first");
    for (int round = 0; round < 3; round++)
        expect_round(&field, &query, 6);
    const uint64_t three[] = {8, 2, 4};
    field_set(&field, three, 3); /* three leave */
    for (int round = 0; round < 3; round++)
        expect_round(&field, &query, 3);
}

Test(round_robin, never_differs_by_more_than_one_while_nothing_changes)
{
    struct field field;
    uint64_t ids[12];
    field_open(&field, BALANCE_ROUND_ROBIN, 12);
    const struct balancer_query query = field_query(&field);
    for (int change = 0; change < 200; change++) {
        size_t count = 0;
        for (uint64_t id = 1; id <= 12; id++)
            if (rng_below(&field.rng, 3) > 0 || id == 1)
                ids[count++] = id;
        field_set(&field, ids, count);
        unsigned before[13];
        memcpy(before, field.picks, sizeof before);
        const unsigned draws = (unsigned)rng_below(&field.rng, 40);
        field_draw(&field, &query, (int)draws);
        for (size_t i = 0; i < count; i++) {
            const unsigned got = field.picks[ids[i]] - before[ids[i]];
            cr_assert(got == draws / count || got == (draws + count - 1) / count, "%u of %u", got,
                      draws);
        }
    }
}

Test(round_robin, of_a_retry_takes_the_next_in_turn)
{
    struct field field;
    field_open(&field, BALANCE_ROUND_ROBIN, 3);
    struct balancer_query query = field_query(&field);
    uint64_t tried[1] = {field_pick(&field, &query)};
    query.tried = tried;
    query.tried_count = 1;
    const uint64_t second = field_pick(&field, &query);
    query.tried_count = 0;
    const uint64_t third = field_pick(&field, &query);
    cr_assert_eq(tried[0] + second + third, 6u);
}

Test(round_robin, lets_one_leave_in_its_turn)
{
    struct field field;
    field_open(&field, BALANCE_ROUND_ROBIN, 2);
    const struct balancer_query query = field_query(&field);
    struct candidate *next = balancer_pick(&field.balancer, &query);
    const uint64_t other = 3 - next->id;
    field_set(&field, &other, 1);
    balancer_take(&field.balancer, next); /* an attempt that was decided before */
    cr_assert_eq(field_pick(&field, &query), other);
}
