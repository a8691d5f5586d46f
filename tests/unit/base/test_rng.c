#include "base/rng.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>

Test(rng, below_zero_is_zero_and_below_one_is_zero)
{
    struct rng rng;
    rng_seed(&rng, 1);
    cr_assert_eq(rng_below(&rng, 0), 0);
    cr_assert_eq(rng_below(&rng, 1), 0);
}

Test(rng, between_equal_or_crossed_ends_is_the_low_one)
{
    struct rng rng;
    rng_seed(&rng, 1);
    cr_assert_eq(rng_between(&rng, 7, 7), 7);
    cr_assert_eq(rng_between(&rng, 7, 3), 7);
}

Test(rng, between_the_ends_of_the_type_does_not_overflow)
{
    struct rng rng = seeded_rng("rng ends of the type");
    int negatives = 0;
    for (int i = 0; i < 1000; i++) {
        negatives += rng_between(&rng, INT64_MIN, INT64_MAX) < 0;
        const int64_t high = rng_between(&rng, INT64_MAX - 1, INT64_MAX);
        cr_assert_geq(high, INT64_MAX - 1);
    }
    cr_assert(negatives > 350 && negatives < 650, "%d of 1000 negative", negatives);
}

/* The vector that implementations of xoshiro256** test against. */
Test(rng, gives_the_published_sequence)
{
    struct rng rng = {{1, 2, 3, 4}};
    cr_assert_eq(rng_next(&rng), UINT64_C(11520));
    cr_assert_eq(rng_next(&rng), UINT64_C(0));
    cr_assert_eq(rng_next(&rng), UINT64_C(1509978240));
    cr_assert_eq(rng_next(&rng), UINT64_C(1215971899390074240));
}

Test(rng, is_seeded_by_splitmix64)
{
    struct rng rng;
    rng_seed(&rng, 0);
    cr_assert_eq(rng.state[0], UINT64_C(0xe220a8397b1dcdaf));
    cr_assert_eq(rng.state[1], UINT64_C(0x6e789e6aa1b965f4));
}

Test(rng, gives_the_same_sequence_for_the_same_seed)
{
    struct rng a;
    struct rng b;
    struct rng c;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        const uint64_t drawn = rng_next(&a);
        cr_assert_eq(drawn, rng_next(&b));
        same += drawn == rng_next(&c);
    }
    cr_assert_eq(same, 0);
}

Test(rng, below_reaches_every_value_about_equally)
{
    struct rng rng = seeded_rng("rng below");
    int seen[6] = {0};
    for (int i = 0; i < 60000; i++)
        seen[rng_below(&rng, 6)]++;
    for (int i = 0; i < 6; i++) /* the standard deviation is 91 */
        cr_assert(seen[i] > 9400 && seen[i] < 10600, "%d: %d", i, seen[i]);
}

Test(rng, below_draws_again_where_an_answer_would_be_favoured)
{
    struct rng rng = seeded_rng("rng bias");
    const uint64_t limit = (UINT64_C(1) << 63) + 1; /* half of all draws are unfair */
    int high = 0;
    for (int i = 0; i < 2000; i++) {
        const uint64_t drawn = rng_below(&rng, limit);
        cr_assert_lt(drawn, limit);
        high += drawn >= limit / 2;
    }
    cr_assert(high > 850 && high < 1150, "%d of 2000 in the upper half", high);
}

Test(rng, between_includes_both_ends)
{
    struct rng rng = seeded_rng("rng between");
    int seen[3] = {0};
    for (int i = 0; i < 300; i++)
        seen[rng_between(&rng, -1, 1) + 1]++;
    cr_assert(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}
