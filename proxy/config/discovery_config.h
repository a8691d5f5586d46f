/* discovery_config.h - the `discovery` block of a policy: whence the addresses of its targets come.
 * Plain values of the policy set's arena. */
#ifndef OUTRIGGER_CONFIG_DISCOVERY_CONFIG_H
#define OUTRIGGER_CONFIG_DISCOVERY_CONFIG_H

#include "config/address.h"

#include <stdint.h>

#define DISCOVERY_MAX_PLACES 256 /* as many as an answer of DNS may have */

struct discovery_config { /* at most one of the three; none: DNS is asked for the target's host */
    struct address_list addresses;
    const char *file; /* as written */
    const char *srv;  /* the name of SRV records */

    const char *path;              /* of the file; NULL: none */
    uint64_t contents;             /* a hash of what it holds; 0: none */
    struct address_list from_file; /* what it names */
};

static inline struct address_list discovery_places(const struct discovery_config *cfg)
{
    return cfg->path ? cfg->from_file : cfg->addresses;
}

#endif
