#include "base/number.h"

#include <criterion/criterion.h>

static uint32_t value;

static bool is_refused(const char *text)
{
    return !number_parse(span_of(text), 1, UINT32_MAX, &value);
}

Test(number, is_digits_only)
{
    static const char *const bad[] = {"",   " 1",  "1 ",  "+1",  "-1", "0x10",    "1.0",
                                      "1,", "007", "1e3", "one", "01", "\xd9\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(is_refused(bad[i]), "'%s'", bad[i]);
    cr_expect(!number_parse(SPAN_NONE, 0, 9, &value));
}

Test(number, keeps_its_bounds)
{
    cr_expect(!number_parse(SPAN("0"), 1, 65535, &value));
    cr_expect(number_parse(SPAN("1"), 1, 65535, &value) && value == 1);
    cr_expect(number_parse(SPAN("65535"), 1, 65535, &value) && value == 65535);
    cr_expect(!number_parse(SPAN("65536"), 1, 65535, &value));
    cr_expect(number_parse(SPAN("0"), 0, 1, &value) && value == 0);
}

Test(number, does_not_wrap_around)
{
    cr_expect(number_parse(SPAN("4294967295"), 0, UINT32_MAX, &value) && value == UINT32_MAX);
    cr_expect(is_refused("4294967296"));
    cr_expect(is_refused("18446744073709551617"));
    cr_expect(is_refused("99999999999999999999999999999999999999"));
}

Test(number, may_be_hexadecimal_where_that_is_asked_for)
{
    cr_expect(number_parse_hex(SPAN("0x539"), 1, UINT32_MAX, &value) && value == 1337);
    cr_expect(number_parse_hex(SPAN("0xFfFfFfFf"), 1, UINT32_MAX, &value) && value == UINT32_MAX);
    cr_expect(number_parse_hex(SPAN("1337"), 1, UINT32_MAX, &value) && value == 1337);
    cr_expect(!number_parse_hex(SPAN("0x"), 0, UINT32_MAX, &value));
    cr_expect(!number_parse_hex(SPAN("0x100000000"), 0, UINT32_MAX, &value));
    cr_expect(!number_parse_hex(SPAN("0xg"), 0, UINT32_MAX, &value));
    cr_expect(!number_parse_hex(SPAN("ff"), 0, UINT32_MAX, &value));
}

Test(number, that_is_refused_leaves_what_was_there)
{
    value = 7;
    cr_expect(!number_parse(SPAN("70000"), 1, 65535, &value));
    cr_expect_eq(value, 7);
}
