#include "sim/latency.h"

#include <criterion/criterion.h>

static struct latency latency;

static void reset(void)
{
    latency = (struct latency){.count = 0};
}

TestSuite(latency, .init = reset);

Test(latency, of_nothing_is_nothing)
{
    cr_assert_eq(latency_quantile(&latency, 0.99), 0);
}

Test(latency, is_exact_to_three_percent)
{
    for (dur_ns took = 10 * NS_PER_US; took < 1000 * NS_PER_S; took = took * 3 / 2) {
        reset();
        latency_add(&latency, took);
        const double found = (double)latency_quantile(&latency, 0.5);
        cr_assert_float_eq(found / (double)took, 1, 0.035, "%lld", (long long)took);
    }
}

Test(latency, counts_what_is_beyond_at_the_edge)
{
    latency_add(&latency, DUR_FOREVER);
    cr_assert_gt(latency_quantile(&latency, 1), 1000 * NS_PER_S);
}

Test(latency, orders_its_quantiles)
{
    for (int i = 1; i <= 1000; i++)
        latency_add(&latency, i * NS_PER_MS);
    cr_assert_float_eq((double)latency_quantile(&latency, 0.5), 500e6, 16e6);
    cr_assert_float_eq((double)latency_quantile(&latency, 0.99), 990e6, 32e6);
}
