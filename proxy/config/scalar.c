/* scalar.c - see scalar.h. */
#include "config/scalar.h"

#include <stdio.h>

#define DURATION_MAX_PARTS 4
#define DURATION_MAX_DIGITS 5
#define WORD_MAX 40

struct unit {
    const char *name;
    int64_t factor;
};

/* Longest first where one is the beginning of another. */
static const struct unit duration_units[] = {
    {"ms", NS_PER_MS},
    {"m", 60 * NS_PER_S},
    {"s", NS_PER_S},
    {"h", 3600 * NS_PER_S},
};
static const struct unit size_units[] = {
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_parse(struct span text, size_t max, uint64_t *out)
{
    size_t i = 0;
    uint64_t value = 0;
    for (; i < text.len && i < max && is_digit(text.data[i]); i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return 0;
    *out = value;
    return i;
}
/* How many digits there are at the start, 0 when there are none or their value is past 64 bits. */

static struct span skip(struct span text, size_t n)
{
    return span_make(text.data + n, text.len - n);
}

bool duration_parse(struct span text, dur_ns *out)
{
    dur_ns sum = 0;
    size_t parts = 0;
    while (text.len > 0 && parts < DURATION_MAX_PARTS) {
        uint64_t number = 0;
        size_t digits = digits_parse(text, DURATION_MAX_DIGITS, &number);
        if (digits == 0)
            return false;
        text = skip(text, digits);
        size_t i = 0;
        while (i < COUNT_OF(duration_units) &&
               !span_starts_with(text, span_of(duration_units[i].name)))
            i++;
        if (i == COUNT_OF(duration_units))
            return false;
        text = skip(text, strlen(duration_units[i].name));
        sum = dur_add(sum, dur_mul((dur_ns)number, duration_units[i].factor));
        parts++;
    }
    if (parts == 0 || text.len > 0)
        return false;
    *out = sum;
    return true;
}

void duration_format(dur_ns value, char *out, size_t size)
{
    static const struct unit descending[] = {
        {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S}, {"ms", NS_PER_MS}};
    size_t len = 0;
    snprintf(out, size, "0s");
    for (size_t i = 0; i < COUNT_OF(descending) && len < size; i++) {
        int64_t number = value / descending[i].factor;
        value %= descending[i].factor;
        if (number > 0)
            len += (size_t)snprintf(out + len, size - len, "%lld%s", (long long)number,
                                    descending[i].name);
    }
}

bool size_parse(struct span text, uint64_t *out)
{
    uint64_t number = 0;
    size_t digits = digits_parse(text, SIZE_MAX, &number);
    if (digits == 0)
        return false;
    text = skip(text, digits);
    if (text.len == 0) {
        *out = number;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(size_units); i++)
        if (span_is(text, span_of(size_units[i].name)))
            return !__builtin_mul_overflow(number, (uint64_t)size_units[i].factor, out);
    return false;
}

void size_format(uint64_t value, char *out, size_t size)
{
    size_t i = COUNT_OF(size_units);
    while (i > 0 && (value == 0 || value % (uint64_t)size_units[i - 1].factor != 0))
        i--;
    if (i == 0)
        snprintf(out, size, "%llu", (unsigned long long)value);
    else
        snprintf(out, size, "%llu%s",
                 (unsigned long long)(value / (uint64_t)size_units[i - 1].factor),
                 size_units[i - 1].name);
}

bool count_parse(struct span text, uint64_t *out)
{
    uint64_t number = 0;
    size_t digits = digits_parse(text, SIZE_MAX, &number);
    if (digits == 0 || digits != text.len)
        return false;
    *out = number;
    return true;
}

bool percent_parse(struct span text, unsigned decimals, uint64_t *out)
{
    uint64_t value = 0;
    size_t digits = digits_parse(text, 9, &value);
    if (digits == 0)
        return false;
    text = skip(text, digits);
    bool has_point = text.len > 0 && text.data[0] == '.';
    if (has_point)
        text = skip(text, 1);
    if (text.len > decimals || (has_point ? text.len == 0 : text.len > 0))
        return false;
    for (unsigned i = 0; i < decimals; i++) {
        if (i < text.len && !is_digit(text.data[i]))
            return false;
        value = value * 10 + (i < text.len ? (uint64_t)(text.data[i] - '0') : 0);
    }
    *out = value;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t word_distance(struct span a, struct span b)
{
    if (a.len > WORD_MAX || b.len > WORD_MAX)
        return SIZE_MAX;
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a.len; i++)
        rows[i][0] = i;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        for (size_t j = 1; j <= b.len; j++) {
            bool is_same = lower(a.data[i - 1]) == lower(b.data[j - 1]);
            size_t best = least(rows[i - 1][j] + 1, rows[i][j - 1] + 1);
            best = least(best, rows[i - 1][j - 1] + (is_same ? 0 : 1));
            bool is_swap = i > 1 && j > 1 && lower(a.data[i - 1]) == lower(b.data[j - 2]) &&
                           lower(a.data[i - 2]) == lower(b.data[j - 1]);
            rows[i][j] = is_swap ? least(best, rows[i - 2][j - 2] + 1) : best;
        }
    }
    return rows[a.len][b.len];
}

bool word_is_near(struct span typed, struct span known, size_t *distance)
{
    size_t longer = typed.len > known.len ? typed.len : known.len;
    size_t found = word_distance(typed, known);
    if (found == SIZE_MAX || found * 3 > longer)
        return false;
    *distance = found;
    return true;
}

bool token_is_valid(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = lower(text.data[i]);
        bool is_alnum = (c >= 'a' && c <= 'z') || is_digit(c);
        if (!is_alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return text.len > 0;
}
