/* replay.h - a request body kept so that it can be sent again, out of a pool that all calls share.
 *
 * The pool bounds what retries may cost in memory (8 MiB): when it is empty, a body is not
 * replayable, and the metric says so. Kept failed heads take their bodies from the same pool. Loop
 * thread only. */
#ifndef OUTRIGGER_REQUEST_REPLAY_H
#define OUTRIGGER_REQUEST_REPLAY_H

#include "base/span.h"
#include "policy/retry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_POOL_BYTES (8u * 1024 * 1024)

struct replay_pool {
    size_t left_bytes;
};

struct replay { /* bytes kept so far */
    char *bytes;
    uint32_t length;
    uint32_t capacity; /* charged to the pool */
    uint32_t limit;
    enum replayability state : 8;
};

void replay_init(struct replay *replay, uint64_t limit);
/* Keeps up to `limit` bytes (and no more than the pool has); 0 keeps nothing: the first byte makes
 * it REPLAY_COMMITTED. */

void replay_give_up(struct replay *replay, struct replay_pool *pool, enum replayability why);
/* Gives the memory back and says why from now on. */

void replay_add(struct replay *replay, struct replay_pool *pool, struct span bytes);
/* Keeps them, or gives up: REPLAY_BODY_TOO_LARGE past the limit, REPLAY_POOL_EMPTY. */

static inline struct span replay_span(const struct replay *replay)
{
    return span_make(replay->bytes, replay->length);
}

void replay_fini(struct replay *replay, struct replay_pool *pool);

#endif
