/* cidrs.c - see cidrs.h. */
#include "base/cidrs.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool bit_of(const struct cidr *cidr, size_t bit)
{
    return (cidr->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static uint8_t bits_of_family(bool is_ipv6)
{
    return is_ipv6 ? 128 : 32;
}

static bool has_bits_behind_prefix(const struct cidr *cidr)
{
    for (size_t bit = cidr->length; bit < bits_of_family(cidr->is_ipv6); bit++)
        if (bit_of(cidr, bit))
            return true;
    return false;
}

/* ::ffff:10.0.0.1 is how programs write IPv4; no packet has it as its address. */
static bool is_mapped_ipv4(const struct cidr *cidr)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return cidr->is_ipv6 && cidr->length >= 96 && memcmp(cidr->bytes, prefix, sizeof prefix) == 0;
}

const char *cidr_parse(struct span text, struct cidr *out)
{
    char address[INET6_ADDRSTRLEN] = "";
    struct cidr cidr = {.length = 0};
    const char *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    const size_t address_len = slash ? (size_t)(slash - text.data) : text.len;
    if (address_len > 0 && address_len < sizeof address)
        memcpy(address, text.data, address_len);
    cidr.is_ipv6 = strchr(address, ':') != NULL;
    if (strlen(address) != address_len || /* too long, or a NUL in it */
        inet_pton(cidr.is_ipv6 ? AF_INET6 : AF_INET, address, cidr.bytes) != 1)
        return "is no network: write an address and a prefix, as in 10.0.0.0/8 or fd00::/8";

    uint32_t length = bits_of_family(cidr.is_ipv6);
    if (slash &&
        !number_parse(span_make(slash + 1, text.len - address_len - 1), 0, length, &length))
        return cidr.is_ipv6 ? "has no good prefix: 0 to 128 bits, as in fd00::/8"
                            : "has no good prefix: 0 to 32 bits, as in 10.0.0.0/8";
    cidr.length = (uint8_t)length;
    if (has_bits_behind_prefix(&cidr))
        return "has bits set behind its prefix: write the first address of the network, as in "
               "10.0.0.0/8";
    if (is_mapped_ipv4(&cidr))
        return "is IPv4 written as IPv6: write it as IPv4";
    *out = cidr;
    return NULL;
}

void cidr_format(const struct cidr *cidr, char out[CIDR_TEXT_MAX])
{
    char address[INET6_ADDRSTRLEN] = "";
    inet_ntop(cidr->is_ipv6 ? AF_INET6 : AF_INET, cidr->bytes, address, sizeof address);
    snprintf(out, CIDR_TEXT_MAX, "%s/%u", address, (unsigned)cidr->length);
}

static bool is_within(const struct cidr *inner, const struct cidr *outer)
{
    if (inner->length < outer->length)
        return false;
    for (size_t bit = 0; bit < outer->length; bit++)
        if (bit_of(inner, bit) != bit_of(outer, bit))
            return false;
    return true;
}

bool cidr_set_add(struct cidr_set *set, struct cidr cidr)
{
    struct cidr *items = set->items;
    size_t from = 0, to;
    while (from < set->count && memcmp(items[from].bytes, cidr.bytes, sizeof cidr.bytes) < 0)
        from++;
    /* Who has it within begins at or before it; who is within begins at or after it. */
    if ((from > 0 && is_within(&cidr, &items[from - 1])) ||
        (from < set->count && is_within(&cidr, &items[from])))
        return true;
    for (to = from; to < set->count && is_within(&items[to], &cidr);)
        to++;
    if (from == to && set->count == CIDR_SET_MAX)
        return false;
    memmove(items + from + 1, items + to, (set->count - to) * sizeof *items);
    items[from] = cidr;
    set->count = set->count + 1 - (to - from);
    return true;
}
