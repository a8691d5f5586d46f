/* dialled.h - the endpoints of a target that the app has chosen itself: it dialled an address, and
 * the kernel redirected it to us. Each is an endpoint like others (a pool, a breaker of its own),
 * but a call goes to the one that was dialled, and to no other.
 *
 * Embedded in a destination. Bounded: who has not been dialled for longest makes room. Loop thread
 * only. */
#ifndef OUTRIGGER_REQUEST_DIALLED_H
#define OUTRIGGER_REQUEST_DIALLED_H

#include "upstream/endpoint.h"

#define DIALLED_MAX 256 /* addresses of a target: a headless service of as many pods */
#define DIALLED_STALE (600 * NS_PER_S)

struct dialled {
    struct endpoint_set *set; /* NULL: nobody dialled */
    struct dialled_place *places;
    size_t count;
};

struct endpoint_set *dialled_use(struct dialled *dialled, struct loop *loop,
                                 const struct endpoint_hooks *hooks, const struct address *address);
/* The set, which has that address; NULL without memory. */

void dialled_end(struct dialled *dialled);

#endif
