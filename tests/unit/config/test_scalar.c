#include "config/scalar.h"

#include <criterion/criterion.h>

static dur_ns duration(const char *text)
{
    dur_ns value = -1;
    return duration_parse(span_of(text), &value) ? value : -1;
}

Test(duration, refuses_what_gep_2257_does_not_allow)
{
    static const char *const bad[] = {
        "",    "0",   "5",    "1.5s", "-1s", "+1s",     "1 s",          "s",
        "1S",  "1us", "1ns",  "1d",   "1s ", "100000s", "1h1h1h1h1h",   "1m1",
        "1s2", "ms",  "0x1s", "1e3s", " 1s", "1sm",     "1h2m3s4ms5ms", "1\xc2\xb5s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(duration(bad[i]), -1, "%s", bad[i]);
}

Test(duration, takes_up_to_four_parts_in_any_order)
{
    cr_assert_eq(duration("0s"), 0);
    cr_assert_eq(duration("0h"), 0);
    cr_assert_eq(duration("250ms"), 250 * NS_PER_MS);
    cr_assert_eq(duration("5m5s"), 305 * NS_PER_S);
    cr_assert_eq(duration("1h30m"), 5400 * NS_PER_S);
    cr_assert_eq(duration("1ms1s1m1h"), 3661 * NS_PER_S + NS_PER_MS);
    cr_assert_eq(duration("1s1s"), 2 * NS_PER_S);
    cr_assert_eq(duration("00001s"), NS_PER_S);
    cr_assert_eq(duration("99999h99999h99999h99999h"), INT64_C(4) * 99999 * 3600 * NS_PER_S);
}

Test(duration, leaves_the_result_alone_when_it_refuses)
{
    dur_ns value = 7;
    cr_assert_not(duration_parse(SPAN("1s2x"), &value));
    cr_assert_eq(value, 7);
}

Test(duration, is_written_as_it_can_be_read)
{
    char text[64];
    static const char *const good[] = {"0s", "1ms",   "999ms", "1s",       "1s500ms",
                                       "1m", "1h30m", "24h",   "1h1m1s1ms"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        duration_format(duration(good[i]), text, sizeof text);
        cr_assert_str_eq(text, good[i]);
    }
}

Test(size, takes_binary_units_and_bytes_only)
{
    uint64_t value = 7;
    static const char *const bad[] = {"",
                                      "KiB",
                                      "64KB",
                                      "64Ki",
                                      "64k",
                                      "1.5MiB",
                                      "-1",
                                      "64 KiB",
                                      "18446744073709551616",
                                      "18014398509481984KiB",
                                      "64kib",
                                      "1TiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(size_parse(span_of(bad[i]), &value), "%s", bad[i]);
    cr_assert(size_parse(SPAN("65536"), &value) && value == 65536);
    cr_assert(size_parse(SPAN("64KiB"), &value) && value == 65536);
    cr_assert(size_parse(SPAN("8MiB"), &value) && value == 8 << 20);
    cr_assert(size_parse(SPAN("3GiB"), &value) && value == UINT64_C(3) << 30);
    cr_assert(size_parse(SPAN("18446744073709551615"), &value) && value == UINT64_MAX);
}

Test(size, is_written_in_the_largest_unit_that_divides_it)
{
    char text[32];
    size_format(0, text, sizeof text);
    cr_assert_str_eq(text, "0");
    size_format(1025, text, sizeof text);
    cr_assert_str_eq(text, "1025");
    size_format(65536, text, sizeof text);
    cr_assert_str_eq(text, "64KiB");
    size_format(8 << 20, text, sizeof text);
    cr_assert_str_eq(text, "8MiB");
}

Test(count, takes_digits_only)
{
    uint64_t value = 7;
    static const char *const bad[] = {
        "", "-1", "+1", "1.0", "1e3", "0x10", " 1", "1 ", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(count_parse(span_of(bad[i]), &value), "%s", bad[i]);
    cr_assert(count_parse(SPAN("18446744073709551615"), &value) && value == UINT64_MAX);
    cr_assert(count_parse(SPAN("007"), &value) && value == 7);
}

Test(percent, scales_by_its_decimals)
{
    uint64_t value = 7;
    static const char *const bad[] = {"",   ".",  ".5",  "5.",  "12.55",     "1,5",
                                      "-1", "5%", "1e1", "1.x", "1234567890"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(percent_parse(span_of(bad[i]), 1, &value), "%s", bad[i]);
    cr_assert(percent_parse(SPAN("20"), 1, &value) && value == 200);
    cr_assert(percent_parse(SPAN("12.5"), 1, &value) && value == 125);
    cr_assert(percent_parse(SPAN("0.01"), 4, &value) && value == 100);
}

Test(words, are_as_far_apart_as_edits_between_them)
{
    cr_assert_eq(word_distance(SPAN("attempts"), SPAN("attempts")), 0);
    cr_assert_eq(word_distance(SPAN("Attempts"), SPAN("attempts")), 0);
    cr_assert_eq(word_distance(SPAN("atempts"), SPAN("attempts")), 1);
    cr_assert_eq(word_distance(SPAN("attemtps"), SPAN("attempts")), 1);
    cr_assert_eq(word_distance(SPAN(""), SPAN("abc")), 3);
    cr_assert_eq(word_distance(SPAN("0123456789012345678901234567890123456789x"), SPAN("a")),
                 SIZE_MAX);
}

Test(words, are_near_when_a_third_of_the_longer_one_differs)
{
    size_t distance = 9;
    cr_assert_not(word_is_near(SPAN("ab"), SPAN("xb"), &distance));
    cr_assert_not(word_is_near(SPAN("timeout"), SPAN("retry"), &distance));
    cr_assert_eq(distance, 9);
    cr_assert(word_is_near(SPAN("abc"), SPAN("xbc"), &distance));
    cr_assert_eq(distance, 1);
}

Test(token, has_no_separators)
{
    cr_assert_not(token_is_valid(SPAN("")));
    cr_assert_not(token_is_valid(SPAN("a b")));
    cr_assert_not(token_is_valid(SPAN("a:b")));
    cr_assert_not(token_is_valid(SPAN("a\0b")));
    cr_assert_not(token_is_valid(SPAN("\xc3\xa9")));
    cr_assert(token_is_valid(SPAN("X-Tenant_1!")));
}
