#include "sim/expectation.h"

#include <criterion/criterion.h>

static struct expectation parsed;
static char why[256];

static bool parse(const char *text)
{
    why[0] = '\0';
    return expectation_parse(span_of(text), &parsed, why, sizeof why);
}

Test(expectation, refuses_what_says_nothing)
{
    cr_assert_not(parse(""));
    cr_assert_not(parse("speed < 3"));
    cr_assert(strstr(why, "goodput"), "%s", why);
    cr_assert_not(parse("goodput"));
    cr_assert_not(parse("goodput > many"));
    cr_assert_not(parse("goodput = 95%"));
    cr_assert_not(parse("p99 < 5"));
    cr_assert(strstr(why, "250ms"), "%s", why);
    cr_assert_not(parse("goodput > 95% sometimes"));
    cr_assert_not(parse("goodput > 95% in [60s, 50s]"));
    cr_assert_not(parse("goodput > 95% in [60s 70s]"));
    cr_assert_not(parse("goodput > 95% after 60s and more"));
    cr_assert_not(parse("never goodput"));
    cr_assert_not(parse("recovers of 60s"));
    cr_assert_not(parse("queue < 99999999999999999999999999999999999"));
}

Test(expectation, reads_a_share)
{
    cr_assert(parse("goodput > 95%"));
    cr_assert_eq(parsed.measure, MEASURE_GOODPUT);
    cr_assert_eq(parsed.comparison, ABOVE);
    cr_assert_float_eq(parsed.limit, 0.95, 1e-9);
    cr_assert(parse("errors <= 2.5"));
    cr_assert_float_eq(parsed.limit, 0.025, 1e-9);
}

Test(expectation, reads_a_number_and_a_time)
{
    cr_assert(parse("amplification < 1.3"));
    cr_assert_float_eq(parsed.limit, 1.3, 1e-9);
    cr_assert(parse("p99 <= 250ms"));
    cr_assert_float_eq(parsed.limit, 250e6, 1);
    cr_assert_eq(parsed.comparison, AT_MOST);
}

Test(expectation, reads_windows)
{
    cr_assert(parse("goodput > 95% outside [60s, 120s]"));
    cr_assert(window_holds(&parsed.window, 59 * NS_PER_S));
    cr_assert_not(window_holds(&parsed.window, 60 * NS_PER_S));
    cr_assert_not(window_holds(&parsed.window, 119 * NS_PER_S));
    cr_assert(window_holds(&parsed.window, 120 * NS_PER_S));
    cr_assert(parse("calls >= 10 in [1s,2s]"));
    cr_assert(window_holds(&parsed.window, NS_PER_S));
    cr_assert(parse("queue < 5 after 1m30s"));
    cr_assert_not(window_holds(&parsed.window, 89 * NS_PER_S));
    cr_assert(window_holds(&parsed.window, 90 * NS_PER_S));
    cr_assert(parse("retries < 5 before 3s"));
    cr_assert_not(window_holds(&parsed.window, 3 * NS_PER_S));
}

Test(expectation, reads_events)
{
    cr_assert(parse("recovers within 30s of 120s"));
    cr_assert_eq(parsed.within, 30 * NS_PER_S);
    cr_assert_eq(parsed.window.from, 120 * NS_PER_S);
    cr_assert(parse("never recovers of 70s"));
    cr_assert(parsed.is_never);
    cr_assert(parse("never trips"));
    cr_assert(parse("trips within 5s of 60s"));
    cr_assert_eq(parsed.measure, MEASURE_TRIPS);
}
