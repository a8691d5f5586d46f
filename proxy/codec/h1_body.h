/* h1_body.h - the reading side of a message body, whatever its framing: bytes in, payload and end
 * out.
 *
 * Example: h1_body_init(&body, msg.framing, msg.content_length, &arena);
 *          struct h1_chunk_event e = h1_body_next(&body, bytes, len);     // as h1_chunked_next
 * A body of length 0 is at its end before the first byte: ask h1_body_is_done. Pure. */
#ifndef OUTRIGGER_CODEC_H1_BODY_H
#define OUTRIGGER_CODEC_H1_BODY_H

#include "codec/h1_chunked.h"
#include "http/message.h"

#include <stdbool.h>

struct h1_body {
    enum body_framing framing;
    bool is_done;
    uint64_t left; /* BODY_LENGTH: bytes still to come */
    struct h1_chunked chunked;
};

static inline void h1_body_init(struct h1_body *body, enum body_framing framing, uint64_t length,
                                struct arena *arena)
{
    body->framing = framing;
    body->left = length;
    body->is_done = framing == BODY_NONE || (framing == BODY_LENGTH && length == 0);
    if (framing == BODY_CHUNKED)
        h1_chunked_init(&body->chunked, arena);
}

struct h1_chunk_event h1_body_next(struct h1_body *body, const char *bytes, size_t len);
/* The next piece of `bytes`. H1_CHUNK_END comes with the last byte of a length, never for
 * BODY_UNTIL_CLOSE. */

static inline struct span h1_body_trailers(const struct h1_body *body)
{
    return body->framing == BODY_CHUNKED ? h1_chunked_trailers(&body->chunked) : SPAN_NONE;
}

#endif
