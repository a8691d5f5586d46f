/* discovery.h - whence the addresses of an endpoint set come: places (a host and a port), or SRV
 * records that name such; names are asked of DNS, all at once.
 *
 * What one place gave is remembered where there are several, so that a name that cannot be resolved
 * now keeps its addresses beside the others'. Of SRV records the lowest priority counts that has an
 * address; hosts that are named again keep what is known of them. Example:
 *     if (discovery_new(resolver, &order, on_found, set, &discovery) != OK) -> refuse
 *     if (discovery_is_fixed(discovery)) discovery_tell(discovery);   // on_found, at once
 *     else if (discovery_ask(discovery) != OK) -> failed              // else on_found, later
 * Owns copies of all texts. Loop thread only. */
#ifndef OUTRIGGER_UPSTREAM_DISCOVERY_H
#define OUTRIGGER_UPSTREAM_DISCOVERY_H

#include "base/err.h"
#include "base/mono.h"
#include "net/address.h"
#include "net/resolver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct discovery;

struct discovery_place {
    const char *host; /* a name, a literal, or "unix:/path" */
    uint16_t port;    /* of a Unix path: not used */
};

struct discovery_order {
    const struct discovery_place *places;
    size_t count;
    const char *srv; /* the name of SRV records: then there are no places. NULL: places it is */
};

struct discovered {
    const struct address *addresses;
    size_t count;
    size_t literal_count; /* they come first: written down as addresses, not found */
    dur_ns ttl;
    const char *failure; /* of a lookup, for a person. Where `count` > 0: of one of several, or what
                            was known before stays. NULL: none */
};

typedef void (*discovery_callback)(void *context, const struct discovered *found);
/* What it is told is valid during the callback only. */

enum err MUST_CHECK discovery_new(struct resolver *resolver, const struct discovery_order *order,
                                  discovery_callback callback, void *context,
                                  struct discovery **out);
/* ERR_INVALID for a place that is neither of the three, ERR_NO_MEMORY. */

void discovery_free(struct discovery **discovery);
/* What was asked is not told any more. Harmless on NULL; not from inside the callback. */

bool discovery_is(const struct discovery *discovery, const struct discovery_order *order);
/* Was it made of an order like this? */

bool discovery_is_fixed(const struct discovery *discovery);
/* Nothing but literals: DNS has no part in it. */

bool discovery_is_asking(const struct discovery *discovery);

enum err MUST_CHECK discovery_tell(struct discovery *discovery);
/* What is known without DNS, from inside. ERR_NO_MEMORY: nothing was told. */

enum err MUST_CHECK discovery_ask(struct discovery *discovery);
/* Not while it asks. OK: the callback comes, never from inside; else nothing could be asked. */

#endif
