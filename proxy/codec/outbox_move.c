/* outbox_move.c - the two outboxes of a tunnel, and bytes that go from one's stream to the other's
 * by a pipe. See outbox.h.
 *   INVARIANT: a move begins only when the outbox is empty, so what is in its pipe is older than
 * what is in its backlog. */
#include "codec/codec.h"
#include "codec/outbox.h"
#include "net/pipe.h"
#include "net/stream.h"

void outbox_pair(struct outbox *one, struct outbox *other)
{
    if (one == NULL || other == NULL || one->is_failed || other->is_failed)
        return;
    one->twin = other;
    other->twin = one;
}

void outbox_part(struct outbox *out)
{
    if (out->twin != NULL)
        out->twin->twin = NULL;
    out->twin = NULL;
    pipe_give(&out->codec->pipes, &out->pipe);
}

/* False while something stays in the pipe, or when all is lost. */
bool outbox_drain(struct outbox *out)
{
    const ssize_t sent = pipe_drain(out->pipe, out->stream);
    if (sent == STREAM_FAILED) {
        outbox_fail(out);
        return false;
    }
    if (sent > 0)
        out->sent_bytes += (size_t)sent;
    if (out->pipe->held > 0)
        return false;
    pipe_give(&out->codec->pipes, &out->pipe);
    return true;
}

struct outbox *outbox_way(const struct outbox *own)
{
    struct outbox *to = own->twin;
    const bool may = to != NULL && own->is_busy && !to->is_failed && outbox_is_empty(to) &&
                     pipe_pool_has(&own->codec->pipes);
    return may ? to : NULL;
}

ssize_t outbox_move(struct outbox *to, struct stream *from)
{
    struct pipe *pipe = pipe_take(&to->codec->pipes);
    const ssize_t got = pipe_fill(pipe, from);
    if (got <= 0) {
        pipe_give(&to->codec->pipes, &pipe);
        return got;
    }
    to->pipe = pipe;
    if (!outbox_drain(to) && !to->is_failed)
        stream_want(to->stream, to->stream->wanted & STREAM_READABLE, true);
    return got;
}
