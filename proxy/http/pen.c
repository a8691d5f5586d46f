/* pen.c */
#include "http/pen.h"

#define NUMBER_MAX_DIGITS 20

void pen_number(struct pen *pen, uint64_t number)
{
    char digits[NUMBER_MAX_DIGITS];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    pen_put(pen, span_make(digits + at, sizeof(digits) - at));
}

void pen_field(struct pen *pen, struct span name, struct span value)
{
    pen_put(pen, name);
    pen_put(pen, SPAN(": "));
    pen_put(pen, value);
    pen_put(pen, SPAN("\r\n"));
}
