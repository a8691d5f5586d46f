/* cidrs.h - a set of networks of one address family, ascending, none within another: an interval
 * set of nf_tables takes no overlap, and networks overlap only by one being within the other.
 * Example: struct cidr cidr; if (cidr_parse(SPAN("10.0.0.0/8"), &cidr) == NULL) cidr_set_add(&set,
 * cidr). All zeros is the empty set. Plain values, any thread. */
#ifndef OUTRIGGER_BASE_CIDRS_H
#define OUTRIGGER_BASE_CIDRS_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIDR_SET_MAX 256 /* networks; an argument is not meant to hold more */
#define CIDR_TEXT_MAX 64

struct cidr {
    bool is_ipv6;
    uint8_t length;    /* bits of the prefix: up to 32, IPv6 128 */
    uint8_t bytes[16]; /* in network order, zeros behind the prefix; IPv4 uses the first four */
};

struct cidr_set {
    struct cidr items[CIDR_SET_MAX];
    size_t count;
};

const char *cidr_parse(struct span text, struct cidr *out);
/* "10.0.0.0/8", "fd00::/8", or one address. NULL when good; else what is wrong with it, static,
 * `out` untouched. */

void cidr_format(const struct cidr *cidr, char out[CIDR_TEXT_MAX]);
/* "10.0.0.0/8"; IPv6 as RFC 5952 has it. */

bool cidr_set_add(struct cidr_set *set, struct cidr cidr);
/* Those within it go; nothing is added when one of the set has it within. False when there is no
 * room, `set` untouched. */

#endif
