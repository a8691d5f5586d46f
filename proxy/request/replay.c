/* replay.c - see replay.h. */
#include "request/replay.h"

#include <stdlib.h>

#define FIRST_BYTES 4096

void replay_init(struct replay *replay, struct replay_pool *pool, uint64_t limit)
{
    *replay = (struct replay){.pool = pool, .limit = limit, .state = REPLAY_OK};
}

void replay_fini(struct replay *replay)
{
    if (replay->capacity == 0)
        return;
    replay->pool->left_bytes += replay->capacity;
    free(replay->bytes);
    replay->bytes = NULL;
    replay->length = replay->capacity = 0;
}

void replay_give_up(struct replay *replay, enum replayability why)
{
    replay_fini(replay);
    replay->state = why;
}

static bool grow(struct replay *replay, size_t wanted)
{
    size_t capacity = replay->capacity ? replay->capacity : FIRST_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    const size_t more = capacity - replay->capacity;
    if (more > replay->pool->left_bytes)
        return false;
    char *bigger = realloc(replay->bytes, capacity);
    if (bigger == NULL)
        return false;
    replay->pool->left_bytes -= more;
    replay->bytes = bigger;
    replay->capacity = capacity;
    return true;
}

void replay_add(struct replay *replay, struct span bytes)
{
    if (replay->state != REPLAY_OK || bytes.len == 0)
        return;
    const size_t wanted = replay->length + bytes.len;
    if (wanted > replay->limit) {
        replay_give_up(replay, replay->limit == 0 ? REPLAY_COMMITTED : REPLAY_BODY_TOO_LARGE);
        return;
    }
    if (wanted > replay->capacity && !grow(replay, wanted)) {
        replay_give_up(replay, REPLAY_POOL_EMPTY);
        return;
    }
    memcpy(replay->bytes + replay->length, bytes.data, bytes.len);
    replay->length = wanted;
}
