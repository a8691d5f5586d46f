/* json.c - see json.h. */
#include "base/json.h"

#include "base/check.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes a UTF-8 sequence that starts with `first` has; 0 when none starts so (RFC 3629
 * section 4). */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 3;
    }
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* The second byte rules out over-long forms, surrogates and what is above U+10FFFF. */
static bool second_is_valid(unsigned char first, unsigned char second)
{
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

static size_t valid_length(const unsigned char *at, size_t left)
{
    size_t len = sequence_length(at[0]);
    if (len == 0 || len > left) {
        return 0;
    }
    if (len > 1 && !second_is_valid(at[0], at[1])) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

static size_t put_hex(unsigned code, char out[JSON_ESCAPE_MAX])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(out, "\\u00", 4);
    out[4] = digits[code >> 4 & 15];
    out[5] = digits[code & 15];
    return 6;
}

static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\': return (char)c;
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

size_t json_escape(const char *at, size_t left, char out[JSON_ESCAPE_MAX], size_t *out_len)
{
    INVARIANT(left > 0);
    const unsigned char *bytes = (const unsigned char *)at;
    size_t len = valid_length(bytes, left);
    if (len == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        *out_len = 3;
        return 1;
    }
    char letter = short_escape(bytes[0]);
    if (letter != 0) {
        out[0] = '\\';
        out[1] = letter;
        *out_len = 2;
    } else if (bytes[0] < 0x20 || bytes[0] == 0x7f) {
        *out_len = put_hex(bytes[0], out);
    } else if (bytes[0] == 0xc2 && bytes[1] < 0xa0) {
        *out_len = put_hex(bytes[1], out);
    } else {
        memcpy(out, at, len);
        *out_len = len;
    }
    return len;
}
