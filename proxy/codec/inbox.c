/* inbox.c - see inbox.h. */
#include "codec/inbox.h"

#include "base/check.h"

#define INBOX_FIRST_BYTES 1024 /* a small message fits, and malloc keeps such blocks at hand */

/* A block of `size` bytes in all, with what `in` holds. */
static enum err move(struct inbox *in, size_t size)
{
    const struct span held = inbox_span(in);
    struct inbox_block *bigger = malloc(size);
    if (bigger == NULL)
        return ERR_NO_MEMORY;
    bigger->start = bigger->trailers = 0;
    bigger->end = (uint32_t)held.len;
    bigger->capacity = (uint32_t)(size - sizeof *bigger);
    if (held.len > 0)
        memcpy(bigger->bytes, held.data, held.len);
    free(in->block);
    in->block = bigger;
    return OK;
}

static enum err put(struct inbox *in, struct span bytes)
{
    INVARIANT(!inbox_has_trailers(in));
    if (in->block == NULL || in->block->capacity - in->block->end < bytes.len) {
        const size_t needed = sizeof *in->block + inbox_length(in) + bytes.len;
        size_t size = INBOX_FIRST_BYTES;
        while (size < needed)
            size *= 2;
        if (move(in, size) != OK)
            return ERR_NO_MEMORY;
    }
    memcpy(in->block->bytes + in->block->end, bytes.data, bytes.len);
    return OK;
}

enum err inbox_add(struct inbox *in, struct span bytes)
{
    if (bytes.len == 0)
        return OK;
    if (put(in, bytes) != OK)
        return ERR_NO_MEMORY;
    in->block->end += (uint32_t)bytes.len;
    return OK;
}

enum err inbox_add_trailers(struct inbox *in, struct span trailers)
{
    if (trailers.len == 0)
        return OK;
    if (put(in, trailers) != OK)
        return ERR_NO_MEMORY;
    in->block->trailers = (uint32_t)trailers.len;
    return OK;
}
