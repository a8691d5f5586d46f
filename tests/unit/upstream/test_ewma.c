#include "upstream/ewma.h"

#include <criterion/criterion.h>

#define MS NS_PER_MS
#define BEGIN (50 * NS_PER_S)

static void expect_about(uint64_t cost, double wanted)
{
    cr_assert((double)cost > wanted * 0.985 && (double)cost < wanted * 1.015, "%llu, not %.0f",
              (unsigned long long)cost, wanted);
}

Test(ewma, knows_nothing_before_the_first_sample)
{
    const struct ewma ewma = {0};
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 0u);
}

Test(ewma, believes_a_slow_answer_at_once)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, 10 * MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 10u * MS);
    ewma_observe(&ewma, 700 * MS, BEGIN + MS);
    cr_assert_eq(ewma_cost(&ewma, BEGIN + MS), 700u * MS);
}

Test(ewma, falls_with_time_by_e_in_ten_seconds)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, 1000 * MS, BEGIN);
    expect_about(ewma_cost(&ewma, BEGIN + 1 * NS_PER_S), 904.8 * MS);
    expect_about(ewma_cost(&ewma, BEGIN + 5 * NS_PER_S), 606.5 * MS);
    expect_about(ewma_cost(&ewma, BEGIN + 10 * NS_PER_S), 367.9 * MS);
    expect_about(ewma_cost(&ewma, BEGIN + 23 * NS_PER_S), 100.3 * MS);
    for (mono_ns at = BEGIN; at < BEGIN + EWMA_FORGET; at += 10 * MS)
        cr_assert(ewma_cost(&ewma, at + 10 * MS) < ewma_cost(&ewma, at));
}

Test(ewma, forgets_after_thirty_seconds)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, 1000 * MS, BEGIN);
    cr_assert(ewma_cost(&ewma, BEGIN + EWMA_FORGET - 1) > 0);
    cr_assert_eq(ewma_cost(&ewma, BEGIN + EWMA_FORGET), 0u);
    ewma_observe(&ewma, 1 * MS, BEGIN + EWMA_FORGET);
    cr_assert_eq(ewma_cost(&ewma, BEGIN + EWMA_FORGET), 1u * MS, "the first sample again");
    ewma_observe(&ewma, 1, BEGIN + EWMA_FORGET);
    cr_assert(ewma_cost(&ewma, BEGIN + EWMA_FORGET + 20 * NS_PER_S) > 0, "known is not unknown");
}

Test(ewma, believes_quick_answers_slowly)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, 1000 * MS, BEGIN);
    ewma_observe(&ewma, 10 * MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 1000u * MS, "no time has passed");
    ewma_observe(&ewma, 10 * MS, BEGIN + 10 * NS_PER_S);
    expect_about(ewma_cost(&ewma, BEGIN + 10 * NS_PER_S), 367.9 * MS + 632.1 / 100 * MS);
}

Test(ewma, comes_to_the_latency_of_a_steady_stream_however_dense)
{
    static const dur_ns every[] = {1000 * MS, 1 * MS, NS_PER_S / 50000};
    for (int i = 0; i < 3; i++) {
        struct ewma ewma = {0};
        mono_ns at = BEGIN;
        ewma_observe(&ewma, 2000 * MS, at);
        for (; at < BEGIN + 30 * NS_PER_S; at += every[i])
            ewma_observe(&ewma, 20 * MS, at);
        expect_about(ewma_cost(&ewma, at), 20 * MS + 1980 * 0.0498 * MS);
    }
}

Test(ewma, bounds_what_it_holds)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, DUR_FOREVER, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), (uint64_t)EWMA_MOST);
    ewma_observe_failure(&ewma, DUR_FOREVER, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), (uint64_t)EWMA_MOST);
    ewma_observe(&ewma, 0, BEGIN + EWMA_FORGET);
    cr_assert_eq(ewma_cost(&ewma, BEGIN + EWMA_FORGET), 1u);
}

Test(ewma, survives_a_clock_that_goes_back)
{
    struct ewma ewma = {0};
    ewma_observe(&ewma, 10 * MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN - NS_PER_S), 10u * MS);
    ewma_observe(&ewma, 5 * MS, BEGIN - NS_PER_S);
    cr_assert_eq(ewma_cost(&ewma, BEGIN - NS_PER_S), 10u * MS);
}

Test(ewma, takes_a_failure_for_an_answer_of_a_second_or_twice_as_slow)
{
    struct ewma ewma = {0};
    ewma_observe_failure(&ewma, MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 1000u * MS, "quick to refuse is not quick");
    ewma_observe_failure(&ewma, MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 2000u * MS);
    for (int i = 0; i < 9; i++)
        ewma_observe_failure(&ewma, MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 10000u * MS, "so that it may come back in a minute");
    ewma_observe_failure(&ewma, 15 * NS_PER_S, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 15000u * MS, "a timeout took what it took");
}

Test(ewma, learns_from_a_caller_that_left_only_what_is_worse)
{
    struct ewma ewma = {0};
    ewma_observe_least(&ewma, 3 * MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 3u * MS);
    ewma_observe_least(&ewma, 200 * MS, BEGIN);
    cr_assert_eq(ewma_cost(&ewma, BEGIN), 200u * MS);
    ewma_observe_least(&ewma, 1 * MS, BEGIN + 5 * NS_PER_S);
    expect_about(ewma_cost(&ewma, BEGIN + 5 * NS_PER_S), 121.3 * MS);
    ewma_observe_least(&ewma, -5, BEGIN + 5 * NS_PER_S);
    expect_about(ewma_cost(&ewma, BEGIN + 5 * NS_PER_S), 121.3 * MS);
}
