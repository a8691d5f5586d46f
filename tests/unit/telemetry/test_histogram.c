/* Which bucket a duration falls into. */
#include "telemetry/histogram.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(histogram, puts_a_bound_into_the_bucket_below_it_and_the_next_nanosecond_above)
{
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        cr_assert_eq(histogram_bucket(histogram_bounds[i] - 1), i, "just below bound %u", i);
        cr_assert_eq(histogram_bucket(histogram_bounds[i]), i, "at bound %u", i);
        cr_assert_eq(histogram_bucket(histogram_bounds[i] + 1), i + 1, "just above bound %u", i);
    }
}

Test(histogram, takes_the_ends_of_time)
{
    cr_assert_eq(histogram_bucket(0), 0);
    cr_assert_eq(histogram_bucket(-1), 0);
    cr_assert_eq(histogram_bucket(INT64_MIN), 0);
    cr_assert_eq(histogram_bucket(DUR_FOREVER), HISTOGRAM_BOUNDS);
}

Test(histogram, has_bounds_that_grow_and_say_what_they_are)
{
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double seconds = 0;
        cr_assert_eq(sscanf(histogram_bound_words[i], "%lf", &seconds), 1);
        cr_assert_eq((dur_ns)(seconds * 1e6 + 0.5) * NS_PER_US, histogram_bounds[i]);
        cr_assert_lt(histogram_bounds[i], histogram_bounds[i + 1]);
    }
    cr_assert_str_eq(histogram_bound_words[HISTOGRAM_BOUNDS], "+Inf");
}

Test(histogram, counts_and_sums_what_it_observes)
{
    struct histogram histogram;
    memset(&histogram, 0, sizeof(histogram));
    histogram_observe(&histogram, 4 * NS_PER_MS);
    histogram_observe(&histogram, 20 * NS_PER_S);
    histogram_observe(&histogram, -1);
    cr_assert_eq(cell_get(&histogram.buckets[0]), 2);
    cr_assert_eq(cell_get(&histogram.buckets[HISTOGRAM_BOUNDS]), 1);
    cr_assert_eq(cell_get(&histogram.sum_ns), (uint64_t)(20 * NS_PER_S + 4 * NS_PER_MS));
}
