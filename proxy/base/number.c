/* number.c - see number.h. */
#include "base/number.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool digits_parse(struct span digits, uint32_t base, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const int digit = digit_of(digits.data[i]);
        if (digit < 0 || (uint32_t)digit >= base)
            return false;
        value = value * base + (uint32_t)digit;
        if (value > UINT32_MAX)
            return false;
    }
    *out = value;
    return digits.len > 0;
}

static bool keep_within(uint64_t value, uint32_t lowest, uint32_t highest, uint32_t *out)
{
    if (value < lowest || value > highest)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool number_parse(struct span text, uint32_t lowest, uint32_t highest, uint32_t *out)
{
    uint64_t value;
    const bool has_leading_zero = text.len > 1 && text.data[0] == '0';
    return !has_leading_zero && digits_parse(text, 10, &value) &&
           keep_within(value, lowest, highest, out);
}

bool number_parse_hex(struct span text, uint32_t lowest, uint32_t highest, uint32_t *out)
{
    uint64_t value;
    if (!span_starts_with(text, SPAN("0x")))
        return number_parse(text, lowest, highest, out);
    return digits_parse(span_make(text.data + 2, text.len - 2), 16, &value) &&
           keep_within(value, lowest, highest, out);
}
