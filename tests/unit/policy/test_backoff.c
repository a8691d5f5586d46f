#include "policy/backoff.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>

#define MS NS_PER_MS

static const struct backoff_config none = {.base = 25 * MS, .max = 250 * MS, .jitter = JITTER_NONE};

static struct backoff_config with(enum jitter jitter)
{
    struct backoff_config cfg = none;
    cfg.jitter = jitter;
    return cfg;
}

Test(backoff, saturates_its_exponent)
{
    const struct backoff_config endless = {1, DUR_FOREVER, JITTER_NONE};
    cr_assert_eq(backoff_delay(&none, 62, 0, NULL), 250 * MS);
    cr_assert_eq(backoff_delay(&none, 63, 0, NULL), 250 * MS);
    cr_assert_eq(backoff_delay(&none, UINT32_MAX, 0, NULL), 250 * MS);
    cr_assert_eq(backoff_delay(&endless, UINT32_MAX, 0, NULL), INT64_C(1) << 62);
}

Test(backoff, saturates_what_would_overflow)
{
    const struct backoff_config endless = {3600 * NS_PER_S, DUR_FOREVER, JITTER_NONE};
    cr_assert_eq(backoff_delay(&endless, 60, 0, NULL), DUR_FOREVER);
}

Test(backoff, of_nothing_is_nothing)
{
    struct rng rng = seeded_rng("backoff of nothing");
    for (enum jitter jitter = JITTER_FULL; jitter <= JITTER_NONE; jitter++) {
        const struct backoff_config cfg = {0, 250 * MS, jitter};
        cr_assert_eq(backoff_delay(&cfg, 7, 0, &rng), 0);
    }
}

Test(backoff, without_jitter_doubles_up_to_the_maximum)
{
    static const dur_ns wanted[] = {25 * MS, 50 * MS, 100 * MS, 200 * MS, 250 * MS, 250 * MS};
    for (uint32_t retry = 0; retry < 6; retry++)
        cr_assert_eq(backoff_delay(&none, retry, 0, NULL), wanted[retry]);
}

/* Draws often; returns the least and the most, in thousandths of `top`. */
static void draw(const struct backoff_config *cfg, uint32_t retry, dur_ns previous, dur_ns top,
                 dur_ns *least, dur_ns *most)
{
    struct rng rng = seeded_rng("backoff spread");
    *least = DUR_FOREVER;
    *most = 0;
    for (int i = 0; i < 5000; i++) {
        const dur_ns delay = backoff_delay(cfg, retry, previous, &rng);
        *least = dur_min(*least, delay * 1000 / top);
        *most = dur_max(*most, (delay * 1000 + top - 1) / top);
    }
}

Test(backoff, full_is_uniform_from_nothing_to_the_exponential)
{
    const struct backoff_config cfg = with(JITTER_FULL);
    for (uint32_t retry = 0; retry < 6; retry++) {
        dur_ns least;
        dur_ns most;
        draw(&cfg, retry, 0, backoff_delay(&none, retry, 0, NULL), &least, &most);
        cr_assert(least >= 0 && least < 20, "retry %u: %ld", retry, (long)least);
        cr_assert(most > 980 && most <= 1000, "retry %u: %ld", retry, (long)most);
    }
}

Test(backoff, equal_is_half_fixed_and_half_random)
{
    const struct backoff_config cfg = with(JITTER_EQUAL);
    for (uint32_t retry = 0; retry < 6; retry++) {
        dur_ns least;
        dur_ns most;
        draw(&cfg, retry, 0, backoff_delay(&none, retry, 0, NULL), &least, &most);
        cr_assert(least >= 500 && least < 510, "retry %u: %ld", retry, (long)least);
        cr_assert(most > 990 && most <= 1000, "retry %u: %ld", retry, (long)most);
    }
}

Test(backoff, equal_of_an_odd_time_keeps_its_top)
{
    const struct backoff_config cfg = {1, 1, JITTER_EQUAL};
    struct rng rng = seeded_rng("backoff odd");
    int tops = 0;
    for (int i = 0; i < 100; i++)
        tops += backoff_delay(&cfg, 0, 0, &rng) == 1;
    cr_assert(tops > 10 && tops < 90, "%d", tops);
}

Test(backoff, decorrelated_is_from_the_base_to_three_times_the_previous)
{
    const struct backoff_config cfg = with(JITTER_DECORRELATED);
    dur_ns least;
    dur_ns most;
    draw(&cfg, 3, 60 * MS, 180 * MS, &least, &most);
    cr_assert(least >= 138 && least < 160, "%ld", (long)least); /* 25 of 180 */
    cr_assert(most > 980 && most <= 1000, "%ld", (long)most);
}

Test(backoff, decorrelated_starts_from_the_base)
{
    const struct backoff_config cfg = with(JITTER_DECORRELATED);
    dur_ns least;
    dur_ns most;
    draw(&cfg, 0, 0, 75 * MS, &least, &most);
    cr_assert(least >= 333 && least < 345, "%ld", (long)least);
    cr_assert(most > 980 && most <= 1000, "%ld", (long)most);
}

Test(backoff, decorrelated_is_capped)
{
    const struct backoff_config cfg = with(JITTER_DECORRELATED);
    struct rng rng = seeded_rng("backoff capped");
    dur_ns previous = DUR_FOREVER;
    for (int i = 0; i < 1000; i++) {
        previous = backoff_delay(&cfg, 0, previous, &rng);
        cr_assert(previous >= 25 * MS && previous <= 250 * MS);
    }
}

Test(backoff, longest_is_the_sum_of_the_tallest_waits)
{
    const struct backoff_config full = with(JITTER_FULL);
    cr_assert_eq(backoff_longest(&full, 0), 0);
    cr_assert_eq(backoff_longest(&full, 3), 175 * MS); /* 25 + 50 + 100 */
    cr_assert_eq(backoff_longest(&full, 6), 875 * MS); /* the fifth and sixth are capped at 250 */
    const struct backoff_config decorrelated = with(JITTER_DECORRELATED);
    cr_assert_eq(backoff_longest(&decorrelated, 3), 550 * MS); /* 75 + 225 + 250 */
}
