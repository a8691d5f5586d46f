/* enclosure.h - the addresses and routes of a network namespace that has no way out: whatever a
 * program in it calls is routed to loopback, where the rules (ruleset.h) hand TCP to the proxy.
 * Example: int code; const char *what; if (enclosure_make(&options, &what, &code) != OK) .... Needs
 * CAP_NET_ADMIN. Blocks for some system calls; any thread. */
#ifndef OUTRIGGER_INIT_ENCLOSURE_H
#define OUTRIGGER_INIT_ENCLOSURE_H

#include "base/err.h"

#include <stdbool.h>

/* What programs in it have as their own addresses beside loopback's: some look for one before they
 * ask DNS, or call anybody. RFC 7600 has a dummy address for IPv4; the other is a unique local one
 * (RFC 4193), to which getaddrinfo(3) prefers IPv4. */
#define ENCLOSURE_IPV4 "192.0.0.8"
#define ENCLOSURE_IPV6 "fd6f:7574:7269::1"

MUST_CHECK enum err enclosure_make(bool has_ipv6, const char **what, int *code);
/* Brings loopback up, adds the addresses, and routes everything to them; without `has_ipv6` only
 * IPv4, so that programs see at once that IPv6 leads nowhere. The same again changes nothing.
 * ERR_SYSTEM: `*what` (static) could not be done, `*code` is the errno. */

#endif
