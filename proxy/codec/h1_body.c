/* h1_body.c - see h1_body.h. */
#include "codec/h1_body.h"

static struct h1_chunk_event next_of_length(struct h1_body *body, const char *bytes, size_t len)
{
    struct h1_chunk_event event = {.kind = H1_CHUNK_MORE};
    if (body->left == 0) {
        event.kind = H1_CHUNK_END;
        body->is_done = true;
        return event;
    }
    if (len == 0)
        return event;
    const size_t taken = len < body->left ? len : (size_t)body->left;
    body->left -= taken;
    event.kind = H1_CHUNK_DATA;
    event.consumed = taken;
    event.data = span_make(bytes, taken);
    return event;
}

static struct h1_chunk_event next_until_close(const char *bytes, size_t len)
{
    return (struct h1_chunk_event){.kind = len > 0 ? H1_CHUNK_DATA : H1_CHUNK_MORE,
                                   .consumed = len,
                                   .data = span_make(bytes, len)};
}

struct h1_chunk_event h1_body_next(struct h1_body *body, const char *bytes, size_t len)
{
    switch (body->framing) {
    case BODY_LENGTH: return next_of_length(body, bytes, len);
    case BODY_UNTIL_CLOSE: return next_until_close(bytes, len);
    case BODY_CHUNKED: {
        struct h1_chunk_event event = h1_chunked_next(&body->chunked, bytes, len);
        body->is_done = event.kind == H1_CHUNK_END;
        return event;
    }
    default: /* BODY_NONE */
        body->is_done = true;
        return (struct h1_chunk_event){.kind = H1_CHUNK_END};
    }
}
