#include "http/pen.h"

#include <criterion/criterion.h>

Test(pen, writes_text_numbers_and_fields)
{
    char buf[64];
    struct pen pen = {.buf = buf, .cap = sizeof(buf)};
    pen_number(&pen, 0);
    pen_put(&pen, SPAN(" "));
    pen_number(&pen, UINT64_MAX);
    pen_put(&pen, SPAN_NONE);
    pen_field(&pen, SPAN("a"), SPAN("b"));
    cr_expect(span_is(span_make(buf, pen.len), SPAN("0 18446744073709551615a: b\r\n")));
    cr_expect_not(pen.is_full);
}

Test(pen, what_does_not_fit_is_left_out_and_remembered)
{
    char buf[4] = "....";
    struct pen pen = {.buf = buf, .cap = 3};
    pen_put(&pen, SPAN("abc"));
    cr_expect_not(pen.is_full);
    pen_put(&pen, SPAN("d"));
    cr_expect(pen.is_full);
    cr_expect_eq(pen.len, 3);
    cr_expect_eq(buf[3], '.');
    pen_put(&pen, SPAN(""));
    cr_expect(pen.is_full, "a full pen stays full");
}
