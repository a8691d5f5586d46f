/* outbox.h - what still has to go out on a stream: at most one write per turn and message, and a
 * bounded backlog.
 *
 * Small pieces are corked: copied one behind the other into the loop's write buffer and sent
 * together, by outbox_flush at the end of the callback, or when another stream corks. A piece above
 * OUTBOX_COPY_BYTES goes out at once, gathered behind what is corked, without a copy. What the
 * socket does not take is kept in a backlog; from then on the owner must stop its source
 * (outbox_is_blocked), so a backlog is never longer than what one read can bring. A write that
 * fails, maybe in the middle of somebody else's callback, is told by on_failed, which may only
 * defer what it does about it. The two outboxes of a tunnel may be twins: while one's stream brings
 * much at a time, that goes to the other's without a copy, and what it does not take waits in a
 * pipe, which blocks as a backlog does. Example: outbox_put(&conn->out, head);
 * outbox_put(&conn->out, body); outbox_flush(&conn->out); on WRITABLE: if
 * (outbox_resume(&conn->out) && !outbox_is_blocked(&conn->out)) -> the source may go on Ownership:
 * embedded in its connection; the backlog is its own. One cork per loop (struct codec).
 * Single-threaded. */
#ifndef OUTRIGGER_CODEC_OUTBOX_H
#define OUTRIGGER_CODEC_OUTBOX_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OUTBOX_COPY_BYTES 8192 /* up to here one copy is cheaper than a longer iovec (measured) */
#define OUTBOX_BACKLOG_BYTES (1024 * 1024) /* a bug guard: sources stop long before */

#define OUTBOX_BUSY_BYTES                                                                          \
    32768 /* a read that brings so much is worth a move next time: two system calls as well, but   \
             no copy, and up to a pipe's fill at once */

struct codec;
struct pipe;
struct stream;

struct outbox {
    struct codec *codec;
    struct stream *stream;
    char *backlog;
    size_t start; /* of what is not sent yet, in backlog */
    size_t end;
    size_t capacity;
    uint64_t sent_bytes;
    struct pipe *pipe;   /* NULL, or what waits in it is older than the backlog */
    struct outbox *twin; /* of a tunnel: where goes what comes on this one's stream; NULL */
    bool is_busy;        /* of a twin: the last read of its stream brought OUTBOX_BUSY_BYTES */
    bool is_failed;      /* the socket is gone, or there was no memory: what is put is dropped */
    void (*on_failed)(struct outbox *out); /* once */
};

void outbox_init(struct outbox *out, struct codec *codec, struct stream *stream,
                 void (*on_failed)(struct outbox *out));
void outbox_fini(struct outbox *out);

void outbox_put(struct outbox *out, struct span bytes);
/* Takes a copy of, or sends, `bytes`. */

char *outbox_reserve(struct outbox *out, size_t size);
/* Room for `size` (<= LOOP_WRITE_BYTES / 2) bytes to be written in place; NULL when there is a
 * backlog or a failure: format elsewhere and use outbox_put. Finish with outbox_commit. */

void outbox_commit(struct outbox *out, size_t size);

void outbox_fail(struct outbox *out);
/* Something that belongs into it could not be made: the stream is of no more use. */

void outbox_flush(struct outbox *out);
/* Sends what is corked. */

bool outbox_resume(struct outbox *out);
/* The stream is writable: sends from the backlog. True when it is empty now (and was not before).
 */

static inline bool outbox_is_blocked(const struct outbox *out)
{
    return out->end > out->start || out->pipe != NULL;
}

bool outbox_is_empty(const struct outbox *out);
/* Nothing corked, nothing in the backlog: all was handed to the socket. */

void outbox_pair(struct outbox *one, struct outbox *other);
/* A tunnel begins between their streams, neither of which has TLS. NULL: nothing is paired. */

void outbox_part(struct outbox *out);
bool outbox_drain(struct outbox *out);
/* Inside outbox.c: no twin any more, and what is in the pipe is lost; sends from the pipe, true
 * when it is empty now. */

struct outbox *outbox_way(const struct outbox *own);
/* The twin, when what comes next on the stream of `own` should be moved there; else NULL. */

ssize_t outbox_move(struct outbox *to, struct stream *from);
/* After outbox_way, at once: what came on `from` goes out on the stream of `to`, or waits in its
 * pipe. Returns as stream_recv. */

static inline void outbox_weigh(struct outbox *own, ssize_t got)
{
    own->is_busy = got >= OUTBOX_BUSY_BYTES;
}
/* After each read of its stream. */

#endif
