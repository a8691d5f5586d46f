/* pool_own.h - what pool.c and pool_warm.c share. */
#ifndef OUTRIGGER_UPSTREAM_POOL_OWN_H
#define OUTRIGGER_UPSTREAM_POOL_OWN_H

#include "upstream/pool.h"

struct pool_slot {        /* endpoint->pool */
    struct list idle;     /* h1_back.pool_link, last used first */
    struct list sessions; /* h2_back.slot_link, oldest first */
    uint32_t count;       /* of `idle` */
    uint32_t open_count;  /* all connections to it */
    uint32_t warming;     /* of them: being made ready */
    dur_ns warm_pause;    /* after a connect to make one ready failed; 0: none did */
    mono_ns warm_at;      /* not before */
};

struct pool_slot *pool_slot_of(struct endpoint *endpoint);
/* Made at the first need; NULL without memory. */

void pool_keep(struct pool *pool, struct h1_back **back, const struct pool_stay *stay);
/* Consumes a connection that could serve: keeps it, unless its time is over or there are enough. */

void pool_warm_end(struct pool *pool);
/* Gives up what is on its way. pool_warm.c */

#endif
