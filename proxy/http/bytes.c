/* bytes.c - the table is computed by the preprocessor from the grammar, so that it can be read
 * against the RFC. */
#include "http/bytes.h"

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')
#define IS_ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define IS_HEX(c) (IS_DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define IS_MARK(c)                                                                                 \
    ((c) == '!' || (c) == '#' || (c) == '$' || (c) == '%' || (c) == '&' || (c) == '\'' ||          \
     (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' || (c) == '^' || (c) == '_' ||           \
     (c) == '`' || (c) == '|' || (c) == '~')
#define IS_VISIBLE(c) ((c) > 0x20 && (c) < 0x7f)
#define IS_NAME(c)                                                                                 \
    (IS_ALPHA(c) || IS_DIGIT(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')

#define CLASS(c)                                                                                   \
    (uint8_t)((IS_ALPHA(c) || IS_DIGIT(c) || IS_MARK(c) ? BYTE_TOKEN : 0) |                        \
              (IS_VISIBLE(c) && (c) != '#' ? BYTE_TARGET : 0) |                                    \
              ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f) ? BYTE_VALUE : 0) |                     \
              (IS_NAME(c) ? BYTE_NAME : 0) | (IS_DIGIT(c) ? BYTE_DIGIT : 0) |                      \
              (IS_HEX(c) ? BYTE_HEX : 0))
#define CLASS4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t byte_classes[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

bool bytes_next_item(struct span *rest, struct span *item)
{
    while (rest->len > 0) {
        const char *comma = memchr(rest->data, ',', rest->len);
        size_t len = comma ? (size_t)(comma - rest->data) : rest->len;
        struct span found = bytes_trim(span_make(rest->data, len));
        size_t taken = comma ? len + 1 : len;
        rest->data += taken;
        rest->len -= taken;
        if (found.len > 0) {
            *item = found;
            return true;
        }
    }
    return false;
}

bool bytes_next_line(struct span *rest, struct span *name, struct span *value)
{
    const char *cr = rest->len > 0 ? memchr(rest->data, '\r', rest->len) : NULL;
    if (cr == NULL || (size_t)(cr - rest->data) + 2 > rest->len)
        return false;
    const size_t len = (size_t)(cr - rest->data);
    const char *colon = memchr(rest->data, ':', len);
    if (colon == NULL)
        return false;
    *name = span_make(rest->data, (size_t)(colon - rest->data));
    *value = bytes_trim(span_make(colon + 1, len - name->len - 1));
    *rest = span_make(cr + 2, rest->len - len - 2);
    return true;
}

bool bytes_decimal(struct span digits, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (!byte_is(digits.data[i], BYTE_DIGIT))
            return false;
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(digits.data[i] - '0'), &sum))
            return false;
    }
    if (digits.len == 0)
        return false;
    *value = sum;
    return true;
}
