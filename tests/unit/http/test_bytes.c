#include "http/bytes.h"

#include <criterion/criterion.h>

static bool is_in(unsigned value, const char *set)
{
    return value != 0 && strchr(set, (int)value) != NULL;
}

static bool is_alnum(unsigned value)
{
    return is_in(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

Test(bytes, classes_are_those_of_the_grammar)
{
    for (unsigned value = 0; value < 256; value++) {
        char byte = (char)value;
        cr_expect_eq(byte_is(byte, BYTE_TOKEN), is_alnum(value) || is_in(value, "!#$%&'*+-.^_`|~"),
                     "token %u", value);
        cr_expect_eq(byte_is(byte, BYTE_TARGET), value >= 0x21 && value <= 0x7e && value != '#',
                     "target %u", value);
        cr_expect_eq(byte_is(byte, BYTE_VALUE), value == 9 || (value >= 0x20 && value != 0x7f),
                     "value %u", value);
        cr_expect_eq(byte_is(byte, BYTE_NAME), is_alnum(value) || is_in(value, "-._~"), "name %u",
                     value);
        cr_expect_eq(byte_is(byte, BYTE_DIGIT), is_in(value, "0123456789"), "digit %u", value);
        cr_expect_eq(byte_is(byte, BYTE_HEX), is_in(value, "0123456789abcdefABCDEF"), "hex %u",
                     value);
    }
}

Test(bytes, only_blanks_are_trimmed)
{
    cr_expect(span_is(bytes_trim(SPAN(" \t a b\t ")), SPAN("a b")));
    cr_expect_eq(bytes_trim(SPAN(" \t ")).len, 0);
    cr_expect_eq(bytes_trim(SPAN("")).len, 0);
    cr_expect(span_is(bytes_trim(SPAN("\ra\n")), SPAN("\ra\n")));
}

Test(bytes, list_gives_its_members_and_skips_empty_ones)
{
    struct span rest = SPAN(", a ,,b\t,\tc d, ");
    struct span item = SPAN_NONE;
    cr_assert(bytes_next_item(&rest, &item));
    cr_expect(span_is(item, SPAN("a")));
    cr_assert(bytes_next_item(&rest, &item));
    cr_expect(span_is(item, SPAN("b")));
    cr_assert(bytes_next_item(&rest, &item));
    cr_expect(span_is(item, SPAN("c d")));
    cr_expect_not(bytes_next_item(&rest, &item));
    rest = SPAN_NONE;
    cr_expect_not(bytes_next_item(&rest, &item));
}

Test(bytes, decimal_is_digits_and_nothing_else)
{
    uint64_t value = 7;
    const char *bad[] = {"",
                         "+1",
                         "-1",
                         " 1",
                         "1 ",
                         "1.0",
                         "0x1",
                         "18446744073709551616",
                         "18446744073709551620",
                         "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(bytes_decimal(span_of(bad[i]), &value), "%s", bad[i]);
    cr_expect_eq(value, 7, "an out-parameter is untouched on error");
    cr_expect(bytes_decimal(SPAN("18446744073709551615"), &value));
    cr_expect_eq(value, UINT64_MAX);
    cr_expect(bytes_decimal(SPAN("000"), &value));
    cr_expect_eq(value, 0);
}
