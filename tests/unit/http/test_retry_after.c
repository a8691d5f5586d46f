#include "http/retry_after.h"

#include <criterion/criterion.h>

#define NOV_1994 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

Test(retry_after, seconds_are_a_wait)
{
    cr_expect_eq(retry_after_from(SPAN("0"), 0), 0);
    cr_expect_eq(retry_after_from(SPAN("120"), NOV_1994), 120 * NS_PER_S);
    cr_expect_eq(retry_after_from(SPAN("9223372036"), 0), INT64_C(9223372036) * NS_PER_S);
}

Test(retry_after, absurd_waits_saturate)
{
    cr_expect_eq(retry_after_from(SPAN("9223372037"), 0), DUR_FOREVER);
    cr_expect_eq(retry_after_from(SPAN("9223372036854775808"), 0), DUR_FOREVER);
    cr_expect_eq(retry_after_from(SPAN("99999999999999999999999"), 0), DUR_FOREVER);
}

Test(retry_after, date_is_a_wait_from_now)
{
    cr_expect_eq(retry_after_from(SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), NOV_1994 - 30),
                 30 * NS_PER_S);
    cr_expect_eq(retry_after_from(SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), NOV_1994), 0);
    cr_expect_eq(retry_after_from(SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), NOV_1994 + 30), 0);
    cr_expect_eq(retry_after_from(SPAN("Fri, 31 Dec 9999 23:59:59 GMT"), NOV_1994), DUR_FOREVER);
}

Test(retry_after, nonsense_asks_for_nothing)
{
    const char *bad[] = {"", "soon", "-5", "+5", "5s", "5.5", " 5", "Sun, 06 Nov 1994"};
    cr_expect_eq(retry_after_from(SPAN_NONE, 0), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(retry_after_from(span_of(bad[i]), 0), 0, "'%s'", bad[i]);
}
