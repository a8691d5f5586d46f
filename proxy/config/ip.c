/* ip.c - see ip.h. */
#include "config/ip.h"

#include <stdio.h>

#define IPV6_GROUPS 8

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool ipv4_parse(struct span text, uint8_t out[4])
{
    uint8_t parts[4];
    size_t at = 0;
    for (size_t part = 0; part < 4; part++) {
        if (part > 0 && (at == text.len || text.data[at++] != '.'))
            return false;
        size_t start = at;
        unsigned value = 0;
        while (at < text.len && at - start < 3 && is_digit(text.data[at]))
            value = value * 10 + (unsigned)(text.data[at++] - '0');
        bool has_leading_zero = at - start > 1 && text.data[start] == '0';
        if (at == start || value > 255 || has_leading_zero)
            return false;
        parts[part] = (uint8_t)value;
    }
    if (at != text.len)
        return false;
    memcpy(out, parts, sizeof parts);
    return true;
}

/* One side of "::": groups of up to four hex digits, the last two of the address may be an IPv4
 * literal. Returns how many groups, -1 when it is none. */
static int groups_parse(struct span text, bool may_end_in_ipv4, uint16_t groups[IPV6_GROUPS])
{
    int count = 0;
    size_t at = 0;
    while (at < text.len) {
        uint8_t v4[4];
        if (may_end_in_ipv4 && count <= IPV6_GROUPS - 2 &&
            ipv4_parse(span_make(text.data + at, text.len - at), v4)) {
            groups[count++] = (uint16_t)(v4[0] << 8 | v4[1]);
            groups[count++] = (uint16_t)(v4[2] << 8 | v4[3]);
            return count;
        }
        unsigned value = 0;
        size_t start = at;
        while (at < text.len && at - start < 4 && hex_digit(text.data[at]) >= 0)
            value = value << 4 | (unsigned)hex_digit(text.data[at++]);
        if (at == start || count == IPV6_GROUPS)
            return -1;
        groups[count++] = (uint16_t)value;
        if (at == text.len)
            return count;
        if (text.data[at++] != ':' || at == text.len)
            return -1;
    }
    return count;
}

bool ipv6_parse(struct span text, uint8_t out[16])
{
    if (text.len < 2 || text.len >= IP_TEXT_MAX)
        return false;
    uint16_t left[IPV6_GROUPS], right[IPV6_GROUPS];
    const char *gap = memmem(text.data, text.len, "::", 2);
    size_t left_len = gap ? (size_t)(gap - text.data) : text.len;
    int left_count = groups_parse(span_make(text.data, left_len), gap == NULL, left);
    int right_count = 0;
    if (gap)
        right_count = groups_parse(span_make(gap + 2, text.len - left_len - 2), true, right);
    if (left_count < 0 || right_count < 0)
        return false;
    int count = left_count + right_count;
    if (gap ? count >= IPV6_GROUPS : count != IPV6_GROUPS)
        return false;

    memset(out, 0, 16);
    for (int i = 0; i < left_count; i++) {
        out[2 * i] = (uint8_t)(left[i] >> 8);
        out[2 * i + 1] = (uint8_t)left[i];
    }
    for (int i = 0; i < right_count; i++) {
        int group = IPV6_GROUPS - right_count + i;
        out[2 * group] = (uint8_t)(right[i] >> 8);
        out[2 * group + 1] = (uint8_t)right[i];
    }
    return true;
}

static unsigned group_of(const uint8_t ip[16], int i)
{
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

static int longest_zeros(const uint8_t ip[16], int *length)
{
    int best = -1;
    *length = 1; /* RFC 5952 section 4.2.2: one zero group alone is not shortened */
    for (int start = 0; start < IPV6_GROUPS; start++) {
        int end = start;
        while (end < IPV6_GROUPS && group_of(ip, end) == 0)
            end++;
        if (end - start > *length) {
            best = start;
            *length = end - start;
        }
    }
    return best;
}

struct span ipv6_format(const uint8_t ip[16], char out[IP_TEXT_MAX])
{
    int gap_length;
    int gap = longest_zeros(ip, &gap_length);
    size_t len = 0;
    for (int i = 0; i < IPV6_GROUPS; i++) {
        if (i == gap) {
            out[len++] = ':';
            if (i == 0)
                out[len++] = ':';
            i += gap_length - 1;
            continue;
        }
        const char *colon = i < IPV6_GROUPS - 1 ? ":" : "";
        len += (size_t)snprintf(out + len, IP_TEXT_MAX - len, "%x%s", group_of(ip, i), colon);
    }
    out[len] = '\0';
    return span_make(out, len);
}
