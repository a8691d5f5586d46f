/* replay.c - see replay.h. */
#include "request/replay.h"

#include <stdlib.h>

#define FIRST_BYTES 4096

void replay_init(struct replay *replay, uint64_t limit)
{
    const uint32_t most = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
    *replay = (struct replay){.limit = most, .state = REPLAY_OK};
}

void replay_fini(struct replay *replay, struct replay_pool *pool)
{
    if (replay->capacity == 0)
        return;
    pool->left_bytes += replay->capacity;
    free(replay->bytes);
    replay->bytes = NULL;
    replay->length = replay->capacity = 0;
}

void replay_give_up(struct replay *replay, struct replay_pool *pool, enum replayability why)
{
    replay_fini(replay, pool);
    replay->state = why;
}

static bool grow(struct replay *replay, struct replay_pool *pool, size_t wanted)
{
    size_t capacity = replay->capacity ? replay->capacity : FIRST_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    const size_t more = capacity - replay->capacity;
    if (more > pool->left_bytes)
        return false;
    char *bigger = realloc(replay->bytes, capacity);
    if (bigger == NULL)
        return false;
    pool->left_bytes -= more;
    replay->bytes = bigger;
    replay->capacity = (uint32_t)capacity;
    return true;
}

void replay_add(struct replay *replay, struct replay_pool *pool, struct span bytes)
{
    if (replay->state != REPLAY_OK || bytes.len == 0)
        return;
    const size_t wanted = replay->length + bytes.len;
    if (wanted > replay->limit) {
        replay_give_up(replay, pool, replay->limit == 0 ? REPLAY_COMMITTED : REPLAY_BODY_TOO_LARGE);
        return;
    }
    if (wanted > replay->capacity && !grow(replay, pool, wanted)) {
        replay_give_up(replay, pool, REPLAY_POOL_EMPTY);
        return;
    }
    memcpy(replay->bytes + replay->length, bytes.data, bytes.len);
    replay->length = (uint32_t)wanted;
}
