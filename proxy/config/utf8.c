/* utf8.c - see utf8.h. */
#include "config/utf8.h"

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The length of the sequence that `lead` starts and the bounds of its second byte (RFC 3629 section
 * 4); 0 if none. */
static size_t sequence_length(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80)
        return lead ? 1 : 0;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF) {
        *low = lead == 0xE0 ? 0xA0 : 0x80;
        *high = lead == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *low = lead == 0xF0 ? 0x90 : 0x80;
        *high = lead == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

static bool is_sequence(const unsigned char *at, size_t left, size_t length, unsigned char low,
                        unsigned char high)
{
    if (length == 0 || length > left)
        return false;
    if (length > 1 && (at[1] < low || at[1] > high))
        return false;
    for (size_t i = 2; i < length; i++)
        if (!is_continuation(at[i]))
            return false;
    return true;
}

bool utf8_is_valid(struct span text, size_t *bad)
{
    const unsigned char *bytes = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.len;) {
        unsigned char low, high;
        size_t length = sequence_length(bytes[i], &low, &high);
        if (!is_sequence(bytes + i, text.len - i, length, low, high)) {
            *bad = i;
            return false;
        }
        i += length;
    }
    return true;
}

size_t utf8_cut(struct span text, size_t max)
{
    if (text.len <= max)
        return text.len;
    while (max > 0 && is_continuation((unsigned char)text.data[max]))
        max--;
    return max;
}

struct place utf8_place(const char *file, struct span text, size_t offset)
{
    struct place place = {file, 1, 1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (!is_continuation((unsigned char)text.data[i])) {
            place.column++;
        }
    }
    return place;
}
