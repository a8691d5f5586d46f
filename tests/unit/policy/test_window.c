#include "policy/window.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>
#include <signal.h>

#define S NS_PER_S
#define MS NS_PER_MS

static void add(struct window *window, int calls, bool is_failure, bool is_slow, mono_ns now)
{
    for (int i = 0; i < calls; i++)
        window_add(window, is_failure, is_slow, now);
}

Test(window, without_span_or_calls_aborts, .signal = SIGABRT)
{
    struct window window;
    window_init(&window, 0, 0, 0);
}

Test(window, starts_empty)
{
    struct window window;
    window_init(&window, 10 * S, 0, 123456789);
    const struct window_counts counts = window_counts(&window, 123456789);
    cr_assert_eq(counts.calls + counts.failures + counts.slow, 0);
}

Test(window, forgets_a_failure_when_its_bucket_leaves)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    window_add(&window, true, false, 3200 * MS);
    cr_assert_eq(window_counts(&window, 13 * S - 1).failures, 1);
    cr_assert_eq(window_counts(&window, 13 * S).failures, 0);
    cr_assert_eq(window_counts(&window, 13 * S).calls, 0);
}

Test(window, forgets_bucket_by_bucket)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    for (int i = 0; i < 10; i++)
        add(&window, i + 1, i % 2 == 0, i % 3 == 0, i * S);
    cr_assert_eq(window_counts(&window, 10 * S - 1).calls, 55);
    uint32_t left = 55;
    for (int i = 0; i < 10; i++) {
        left -= (uint32_t)i + 1;
        cr_assert_eq(window_counts(&window, (10 + i) * S).calls, left);
    }
}

Test(window, forgets_all_after_a_long_silence)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    add(&window, 7, true, true, 5 * S);
    add(&window, 1, false, false, 500000 * S);
    const struct window_counts counts = window_counts(&window, 500000 * S);
    cr_assert_eq(counts.calls, 1);
    cr_assert_eq(counts.failures, 0);
    cr_assert_eq(counts.slow, 0);
}

Test(window, counts_into_the_newest_bucket_when_the_clock_goes_back)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    window_add(&window, true, false, 100 * S);
    window_add(&window, true, false, 50 * S);
    cr_assert_eq(window_counts(&window, 20 * S).failures, 2);
    cr_assert_eq(window_counts(&window, 110 * S).failures, 0);
}

Test(window, counts_slow_beside_failures)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    window_add(&window, true, true, 0);
    window_add(&window, false, true, 0);
    window_add(&window, false, false, 0);
    const struct window_counts counts = window_counts(&window, 0);
    cr_assert_eq(counts.calls, 3);
    cr_assert_eq(counts.failures, 1);
    cr_assert_eq(counts.slow, 2);
}

Test(window, of_a_span_that_ten_does_not_divide_holds_it_whole)
{
    struct window window;
    window_init(&window, 15, 0, 0); /* buckets of 2 */
    window_add(&window, true, false, 0);
    cr_assert_eq(window_counts(&window, 19).failures, 1);
    cr_assert_eq(window_counts(&window, 20).failures, 0);
}

Test(window, of_an_endless_span_forgets_nothing)
{
    struct window window;
    window_init(&window, DUR_FOREVER, 0, 0);
    window_add(&window, true, false, 0);
    cr_assert_eq(window_counts(&window, INT64_MAX / 2).failures, 1);
}

Test(window, keeps_its_shape_when_cleared)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    add(&window, 5, true, true, 3 * S);
    window_clear(&window, 4 * S);
    cr_assert_eq(window_counts(&window, 4 * S).calls, 0);
    window_add(&window, true, false, 4 * S);
    cr_assert_eq(window_counts(&window, 14 * S - 1).failures, 1);
    cr_assert_eq(window_counts(&window, 14 * S).failures, 0);
}

Test(window, stops_counting_before_it_would_wrap)
{
    struct window window;
    window_init(&window, 10 * S, 0, 0);
    window.sum.calls = UINT32_MAX;
    window_add(&window, true, true, 0);
    cr_assert_eq(window.sum.calls, UINT32_MAX);
    cr_assert_eq(window.sum.failures, 0);
}

Test(window, of_calls_does_not_depend_on_time)
{
    struct window window;
    window_init(&window, 10 * S, 100, 0);
    add(&window, 60, true, false, 0);
    cr_assert_eq(window_counts(&window, 1000000 * S).failures, 60);
}

Test(window, of_calls_holds_the_last_ones)
{
    struct window window;
    window_init(&window, 0, 100, 0);
    add(&window, 100, true, false, 0);
    cr_assert_eq(window_counts(&window, 0).failures, 100);
    add(&window, 1, false, false, 0);
    cr_assert_eq(window_counts(&window, 0).failures, 90);
    cr_assert_eq(window_counts(&window, 0).calls, 91);
    add(&window, 99, false, false, 0);
    cr_assert_eq(window_counts(&window, 0).failures, 0);
    cr_assert_eq(window_counts(&window, 0).calls, 100);
}

Test(window, of_few_calls_is_exact)
{
    struct window window;
    window_init(&window, 0, 3, 0);
    add(&window, 3, true, false, 0);
    cr_assert_eq(window_counts(&window, 0).failures, 3);
    for (uint32_t left = 2; left < 3; left--) {
        add(&window, 1, false, true, 0);
        cr_assert_eq(window_counts(&window, 0).failures, left);
        cr_assert_eq(window_counts(&window, 0).calls, 3);
    }
}

Test(window, of_any_number_of_calls_reaches_that_number)
{
    for (uint32_t calls = 1; calls < 250; calls++) {
        struct window window;
        window_init(&window, 0, calls, 0);
        uint32_t most = 0;
        for (uint32_t i = 0; i < 4 * calls; i++) {
            window_add(&window, false, false, 0);
            const uint32_t inside = window_counts(&window, 0).calls;
            most = inside > most ? inside : most;
        }
        cr_assert_geq(most, calls);
        cr_assert_lt(most, calls + window.bucket_calls, "%u of %u", most, calls);
    }
}

/* Brute force: an event is inside while fewer than ten bucket borders lie between. */
Test(window, is_exact)
{
    enum { EVENTS = 4000 };
    static mono_ns at[EVENTS];
    static bool failed[EVENTS];
    static bool slow[EVENTS];
    struct rng rng = seeded_rng("window is exact");
    struct window window;
    const dur_ns length = 1000;
    mono_ns now = (mono_ns)rng_below(&rng, 1000000);
    window_init(&window, 10 * length, 0, now);
    for (int i = 0; i < EVENTS; i++) {
        now += (dur_ns)rng_below(&rng, rng_below(&rng, 100) == 0 ? 12000 : 300);
        at[i] = now;
        failed[i] = rng_below(&rng, 2) == 0;
        slow[i] = rng_below(&rng, 3) == 0;
        window_add(&window, failed[i], slow[i], now);
        const mono_ns asked = now + (dur_ns)rng_below(&rng, 2000);
        struct window_counts wanted = {0, 0, 0};
        for (int k = 0; k <= i; k++) {
            const bool is_inside = asked / length - at[k] / length < WINDOW_BUCKETS;
            wanted.calls += is_inside;
            wanted.failures += is_inside && failed[k];
            wanted.slow += is_inside && slow[k];
        }
        const struct window_counts counts = window_counts(&window, asked);
        now = asked;
        cr_assert_eq(counts.calls, wanted.calls);
        cr_assert_eq(counts.failures, wanted.failures);
        cr_assert_eq(counts.slow, wanted.slow);
    }
}
