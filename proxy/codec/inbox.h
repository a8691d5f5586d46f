/* inbox.h - bytes that were read but not used yet: a head that is not complete, a body nobody may
 * have yet, the next pipelined request. Empty, and without memory, on an idle connection. */
#ifndef OUTRIGGER_CODEC_INBOX_H
#define OUTRIGGER_CODEC_INBOX_H

#include "base/err.h"
#include "base/span.h"

#include <stdlib.h>

struct inbox {
    char *bytes;
    size_t start;
    size_t end;
    size_t capacity;
};

static inline struct span inbox_span(const struct inbox *in)
{
    return span_make(in->bytes + in->start, in->end - in->start);
}

static inline size_t inbox_length(const struct inbox *in)
{
    return in->end - in->start;
}

static inline void inbox_fini(struct inbox *in)
{
    free(in->bytes);
    *in = (struct inbox){NULL, 0, 0, 0};
}

static inline void inbox_consume(struct inbox *in, size_t len)
{
    in->start += len;
    if (in->start == in->end)
        inbox_fini(in);
}

enum err inbox_add(struct inbox *in, struct span bytes) MUST_CHECK;
/* A copy of `bytes` at the end; ERR_NO_MEMORY. The caller bounds the length. */

#endif
