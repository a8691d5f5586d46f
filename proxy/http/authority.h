/* authority.h - host[:port], strictly (RFC 3986 section 3.2, RFC 9110 section 7.2).
 *
 * Stricter than the grammar where it helps nobody but attackers: no user info, no percent-encoding,
 * no sub-delimiters, no zone ids, no empty host or port. "a.example:80" -> a.example, 80;
 * "[::1]:80" -> ::1, 80, is_ipv6. Pure. */
#ifndef OUTRIGGER_HTTP_AUTHORITY_H
#define OUTRIGGER_HTTP_AUTHORITY_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define AUTHORITY_HOST_MAX                                                                         \
    255 /* bytes of a host: no DNS name is longer (RFC 1035 section 2.3.4)                         \
         */

struct authority {
    struct span host; /* as it came, without brackets */
    uint16_t port;    /* 0: none given */
    bool is_ipv6;
};

const char *authority_parse(struct span text, struct authority *authority);
/* NULL and fills in `authority`, or what is wrong with `text`; static. */

#endif
