/* authority.c - see the header for what is refused beyond the grammar, and why. */
#include "http/authority.h"

#include "http/bytes.h"

#define PORT_MAX_DIGITS 5
#define IPV6_GROUPS 8
#define IPV6_GROUP_MAX_DIGITS 4

static const char bad_byte[] = "the host has a character that no name may have";

static const char *parse_port(struct span text, uint16_t *port);
static bool is_ipv6(struct span text);
static bool is_ipv4(struct span text);

const char *authority_parse(struct span text, struct authority *authority)
{
    struct authority parsed = {.host = text};
    struct span after = SPAN_NONE;
    if (text.len == 0)
        return "the host is empty";
    if (text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.len);
        if (!close)
            return "the host has '[' without ']'";
        parsed.host = span_make(text.data + 1, (size_t)(close - text.data) - 1);
        parsed.is_ipv6 = true;
        if (!is_ipv6(parsed.host))
            return "the host is not a valid IPv6 address";
        after = span_make(close + 1, text.len - parsed.host.len - 2);
    } else {
        parsed.host.len = bytes_span(text.data, text.len, BYTE_NAME);
        if (parsed.host.len == 0)
            return text.data[0] == ':' ? "the host is empty" : bad_byte;
        if (parsed.host.len > AUTHORITY_HOST_MAX)
            return "the host is longer than any name can be";
        after = span_make(text.data + parsed.host.len, text.len - parsed.host.len);
    }
    if (after.len > 0) {
        const char *fault = parse_port(after, &parsed.port);
        if (fault)
            return fault;
    }
    *authority = parsed;
    return NULL;
}

/* `text` starts behind the host and is not empty: it must be ':' and a port. */
static const char *parse_port(struct span text, uint16_t *port)
{
    uint64_t value = 0;
    if (text.data[0] != ':')
        return bad_byte;
    struct span digits = span_make(text.data + 1, text.len - 1);
    if (digits.len > PORT_MAX_DIGITS || !bytes_decimal(digits, &value) || value == 0 ||
        value > UINT16_MAX)
        return "the port is not a number from 1 to 65535";
    *port = (uint16_t)value;
    return NULL;
}

/* RFC 4291 section 2.2: eight groups, one run of which may be "::", the last two maybe as an IPv4
 * address. */
static bool is_ipv6(struct span text)
{
    int groups = 0;
    bool has_gap = false;
    size_t at = 0;
    if (text.len >= 2 && text.data[0] == ':' && text.data[1] == ':') {
        has_gap = true;
        at = 2;
    }
    while (at < text.len) {
        struct span rest = span_make(text.data + at, text.len - at);
        size_t digits = bytes_span(rest.data, rest.len, BYTE_HEX);
        if (digits < rest.len && rest.data[digits] == '.' && is_ipv4(rest)) {
            groups += 2;
            break;
        }
        if (digits == 0 || digits > IPV6_GROUP_MAX_DIGITS)
            return false;
        groups++;
        at += digits;
        if (at == text.len)
            break;
        if (text.data[at++] != ':' || at == text.len)
            return false;
        if (text.data[at] == ':') {
            if (has_gap)
                return false;
            has_gap = true;
            at++;
        }
    }
    return has_gap ? groups < IPV6_GROUPS : groups == IPV6_GROUPS;
}

static bool is_ipv4(struct span text)
{
    for (int part = 0; part < 4; part++) {
        uint64_t value = 0;
        size_t digits = bytes_span(text.data, text.len, BYTE_DIGIT);
        if (digits > 3 || !bytes_decimal(span_make(text.data, digits), &value) || value > 255)
            return false;
        size_t taken = digits;
        if (part < 3) {
            if (taken == text.len || text.data[taken] != '.')
                return false;
            taken++;
        }
        text.data += taken;
        text.len -= taken;
    }
    return text.len == 0;
}
