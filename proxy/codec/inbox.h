/* inbox.h - bytes that were read but not used yet: a head that is not complete, a body nobody may
 * have yet, the next pipelined request. A pointer wide, and without memory where nothing is held.
 * Behind a body its trailers may be held, apart. */
#ifndef OUTRIGGER_CODEC_INBOX_H
#define OUTRIGGER_CODEC_INBOX_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct inbox_block;

struct inbox {
    struct inbox_block *block; /* NULL: empty */
};

struct inbox_block {
    uint32_t start; /* of what is not used yet, in bytes */
    uint32_t end;
    uint32_t trailers; /* so many bytes, behind `end` */
    uint32_t capacity;
    char bytes[];
};

static inline size_t inbox_length(const struct inbox *in)
{
    return in->block != NULL ? in->block->end - in->block->start : 0;
}

static inline struct span inbox_span(const struct inbox *in)
{
    if (in->block == NULL)
        return SPAN_NONE;
    return span_make(in->block->bytes + in->block->start, inbox_length(in));
}

static inline struct span inbox_trailers(const struct inbox *in)
{
    if (in->block == NULL)
        return SPAN_NONE;
    return span_make(in->block->bytes + in->block->end, in->block->trailers);
}

static inline bool inbox_has_trailers(const struct inbox *in)
{
    return in->block != NULL && in->block->trailers > 0;
}

static inline void inbox_fini(struct inbox *in)
{
    free(in->block);
    in->block = NULL;
}

static inline void inbox_consume(struct inbox *in, size_t len)
{
    if (len == inbox_length(in) && !inbox_has_trailers(in))
        inbox_fini(in);
    else
        in->block->start += (uint32_t)len;
}

enum err inbox_add(struct inbox *in, struct span bytes) MUST_CHECK;
/* A copy of `bytes` at the end; ERR_NO_MEMORY. The caller bounds the length, far below 4 GiB. */

enum err inbox_add_trailers(struct inbox *in, struct span trailers) MUST_CHECK;
/* The same; nothing may be added behind them. */

#endif
