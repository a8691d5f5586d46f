#include "http/http_date.h"

#include <criterion/criterion.h>
#include <time.h>

#define NOV_1994 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define YEAR_2026 1767225600

static void expect_date(const char *text, int64_t wall_s, int64_t wanted)
{
    int64_t got = -7;
    cr_expect(http_date_is_valid(span_of(text), wall_s, &got), "%s", text);
    cr_expect_eq(got, wanted, "%s: %ld, not %ld", text, (long)got, (long)wanted);
}

Test(http_date, three_forms_are_read)
{
    expect_date("Sun, 06 Nov 1994 08:49:37 GMT", YEAR_2026, NOV_1994);
    expect_date("Sunday, 06-Nov-94 08:49:37 GMT", YEAR_2026, NOV_1994);
    expect_date("Sun Nov  6 08:49:37 1994", YEAR_2026, NOV_1994);
    expect_date("Wed Nov 16 08:49:37 1994", YEAR_2026, NOV_1994 + 10 * 86400);
    expect_date("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0);
    expect_date("Thu, 29 Feb 2024 23:59:60 GMT", 0, 1709251200);
    expect_date("Tue, 29 Feb 2000 00:00:00 GMT", 0, 951782400);
}

Test(http_date, two_digit_year_is_at_most_fifty_years_ahead)
{
    expect_date("Wednesday, 01-Jan-76 00:00:00 GMT", YEAR_2026, 3345062400); /* 2076 */
    expect_date("Saturday, 01-Jan-77 00:00:00 GMT", YEAR_2026, 220924800);   /* 1977 */
    expect_date("Sunday, 06-Nov-94 08:49:37 GMT", -5, NOV_1994);
}

Test(http_date, what_is_not_a_date_is_refused)
{
    const char *bad[] = {
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +01",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun; 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994-08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08.49:37 GMT",
        "Sun, 06 Nov 1994 08:49.37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 UTC",
        "Sunday, 06-Nov-94_08:49:37 GMT",
        "Sunday; 06-Nov-94 08:49:37 GMT",
        "Sunday, xx-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 19x4",
        "Sun Nov  x 08:49:37 1994",
        "Sun_Nov  6 08:49:37 1994",
        "Sun Nov_ 6 08:49:37 1994",
        "Sun Nov  6_08:49:37 1994",
        "Sun Nov  6 08:49:37_1994",
        "Xun Nov  6 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t got = -7;
        cr_expect_not(http_date_is_valid(span_of(bad[i]), YEAR_2026, &got), "%s", bad[i]);
        cr_expect_eq(got, -7);
    }
    cr_expect_not(http_date_is_valid(SPAN_NONE, YEAR_2026, &(int64_t){0}));
}

Test(http_date, written_dates_agree_with_the_c_library_and_read_back)
{
    const int64_t step = 86400 * INT64_C(997) + 4321;
    for (int64_t at = 0; at < INT64_C(253402300799); at += step) {
        char ours[HTTP_DATE_LEN];
        char theirs[HTTP_DATE_LEN + 1];
        time_t when = (time_t)at;
        struct tm tm;
        int64_t back = -1;
        gmtime_r(&when, &tm);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        http_date_write(at, ours);
        cr_assert(span_is(span_make(ours, sizeof(ours)), span_of(theirs)), "%s", theirs);
        cr_assert(http_date_is_valid(span_make(ours, sizeof(ours)), 0, &back));
        cr_assert_eq(back, at);
    }
}

Test(http_date, times_out_of_range_are_written_as_the_nearest)
{
    char buf[HTTP_DATE_LEN];
    http_date_write(INT64_MIN, buf);
    cr_expect(span_is(span_make(buf, sizeof(buf)), SPAN("Thu, 01 Jan 1970 00:00:00 GMT")));
    http_date_write(INT64_MAX, buf);
    cr_expect(span_is(span_make(buf, sizeof(buf)), SPAN("Fri, 31 Dec 9999 23:59:59 GMT")));
}
