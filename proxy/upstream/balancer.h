/* balancer.h - which endpoint an attempt goes to: least requests of two drawn at random (power of
 * two choices), among those that the caller's mask admits, and preferring those that this call has
 * not tried yet.
 *
 * Example: struct balancer_query query = {.rng = &loop->rng,
 *                                         .may_use = breaker_admits,
 *                                         .context = call,
 *                                         .tried = call->tried,
 *                                         .tried_count = call->tries};
 *          struct endpoint *e = balancer_pick(set, &query); // NULL: the mask admits none
 *
 * Pure but for the rng; takes no reference. */
#ifndef OUTRIGGER_UPSTREAM_BALANCER_H
#define OUTRIGGER_UPSTREAM_BALANCER_H

#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct endpoint_set;

struct balancer_query {
    struct rng *rng;
    bool (*may_use)(void *context,
                    const struct endpoint *endpoint); /* NULL: all; must have no side effect */
    void *context;
    const uint64_t *tried; /* ids of endpoints that earlier attempts of this call went to */
    size_t tried_count;
};

struct endpoint *balancer_pick(const struct endpoint_set *set, const struct balancer_query *query);
/* An endpoint, or NULL when the set is empty or the mask admits none. One that was tried before is
 * returned only when nothing else may be used. */

#endif
