/* outbox.h - what still has to go out on a stream: at most one write per turn and message, and a
 * bounded backlog.
 *
 * Small pieces are corked: copied one behind the other into the loop's write buffer and sent
 * together, by outbox_flush at the end of the callback, or when another stream corks. A piece above
 * OUTBOX_COPY_BYTES goes out at once, gathered behind what is corked, without a copy. What the
 * socket does not take is kept in a backlog; from then on the owner must stop its source
 * (outbox_is_blocked), so a backlog is never longer than what one read can bring. A write that
 * fails, maybe in the middle of somebody else's callback, is told by on_failed, which may only
 * defer what it does about it. Example: outbox_put(&conn->out, head); outbox_put(&conn->out, body);
 * outbox_flush(&conn->out); on WRITABLE: if (outbox_resume(&conn->out) &&
 * !outbox_is_blocked(&conn->out)) -> the source may go on Ownership: embedded in its connection;
 * the backlog is its own. One cork per loop (struct codec). Single-threaded. */
#ifndef OUTRIGGER_CODEC_OUTBOX_H
#define OUTRIGGER_CODEC_OUTBOX_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_COPY_BYTES 8192 /* up to here one copy is cheaper than a longer iovec (measured) */
#define OUTBOX_BACKLOG_BYTES (1024 * 1024) /* a bug guard: sources stop long before */

struct codec;
struct stream;

struct outbox {
    struct codec *codec;
    struct stream *stream;
    char *backlog;
    size_t start; /* of what is not sent yet, in backlog */
    size_t end;
    size_t capacity;
    uint64_t sent_bytes;
    bool is_failed; /* the socket is gone, or there was no memory: what is put is dropped */
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
    return out->end > out->start;
}

bool outbox_is_empty(const struct outbox *out);
/* Nothing corked, nothing in the backlog: all was handed to the socket. */

#endif
