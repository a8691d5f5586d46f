/* destination.h - what the proxy keeps of a target (target->user): its endpoints, how they are
 * found and chosen, how connections to them speak, its metrics.
 *
 * Made with its target; endpoints at the first call. A reload goes through destination_follow. A
 * target whose document is gone serves the calls that it has, and they must not go in clear text:
 * so it has hold of its TLS itself. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_DESTINATION_H
#define OUTRIGGER_REQUEST_DESTINATION_H

#include "call/target.h"
#include "config/policy_set.h"
#include "net/tls_client.h"
#include "request/dialled.h"
#include "request/health.h"
#include "telemetry/metrics.h"
#include "upstream/pool.h"

#include <stdbool.h>
#include <stdint.h>

struct proxy;

struct destination {
    struct metrics_target *metrics;
    struct endpoint_set *endpoints;  /* NULL: none yet (destination_endpoints) */
    struct dialled dialled;          /* those that the app dialled itself */
    const struct document *document; /* of the snapshot in force; NULL = none */
    struct tls_client *tls;          /* NULL: in clear text */
    uint64_t tls_settings;
    struct health_checks *health;          /* NULL: none */
    bool is_in_panic;                      /* every endpoint was ejected when one was chosen last */
    char server_name[RESOLVER_NAME_BYTES]; /* the target's host, as TLS wants it */
};

static inline struct destination *destination_of(const struct target *target)
{
    return target->user;
}

bool destination_new(struct proxy *proxy, struct target *target);
/* False without memory; target->user is NULL then. */

void destination_free(struct target *target);
/* Harmless where there is none. */

void destination_follow(struct proxy *proxy, struct target *target,
                        const struct document *document);
/* From now on by this document of the snapshot in force (NULL: by none). */

struct endpoint_set *destination_endpoints(struct proxy *proxy, struct target *target);
/* Made at the first need; NULL when the target's name cannot be one, or without memory. */

void destination_sweep(struct proxy *proxy, const struct target *target);
/* Now and then: connections that its policy wants to have ready, checks of its endpoints. */

void destination_part(struct proxy *proxy, struct target *target);
/* No document applies to it any more: it serves the calls that it has. */

struct endpoint_set *destination_dialled(struct proxy *proxy, struct target *target,
                                         const struct address *address);
/* Those that the app dialled itself, this address among them; NULL without memory. */

struct pool_tls destination_tls(const struct destination *destination);

#endif
