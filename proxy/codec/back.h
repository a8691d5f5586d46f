/* back.h - the upstream's side of one attempt, whichever HTTP it speaks: a connection of HTTP/1.1
 * with one request at a time, or one stream of HTTP/2.
 *
 * Its user (an attempt) sends with back_send_*, and hears by the handler. A response is never
 * ambiguous: what the parsers refuse is on_failed(PROTOCOL_ERROR). Backpressure: back_pause stops
 * delivery (what was read already may still come: at most one read); while back_is_blocked the user
 * must not send more body until on_writable.
 * Ownership: back_close consumes, and no handler is called after it. Loop thread only. */
#ifndef OUTRIGGER_CODEC_BACK_H
#define OUTRIGGER_CODEC_BACK_H

#include "base/reason.h"
#include "base/span.h"
#include "codec/edit.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct back;
struct outbox;

struct back_handler {
    void (*on_connected)(struct back *back);                    /* HTTP/1.1 only */
    void (*on_interim)(struct back *back, struct message *msg); /* 1xx, not 101 */
    void (*on_head)(struct back *back, struct message *msg);    /* spans die with the callback */
    void (*on_body)(struct back *back, struct span bytes);
    /* also a tunnel's bytes; without .data they are on their way already (outbox_move) */
    void (*on_end)(struct back *back, struct span trailers); /* also a tunnel's orderly end */
    void (*on_failed)(struct back *back, enum reason reason, const char *detail); /* close it */
    void (*on_writable)(struct back *back); /* the backlog has gone; in a tunnel, or some of it */
};

struct back_class {
    void (*send_request)(struct back *back, const struct message *msg,
                         const struct request_edit *edit);
    void (*send_body)(struct back *back, struct span bytes);
    void (*send_end)(struct back *back, struct span trailers);
    void (*send_raw)(struct back *back, struct span bytes);
    void (*send_fin)(struct back *back);
    void (*start_tunnel)(struct back *back);
    void (*flush)(struct back *back);
    bool (*is_blocked)(const struct back *back);
    struct outbox *(*outbox)(struct back *back); /* NULL: there is none of its own */
    bool (*is_listening)(const struct back *back);
    bool (*is_unsent)(const struct back *back);
    bool (*has_answered)(const struct back *back);
    void (*pause)(struct back *back);
    void (*resume)(struct back *back);
    void (*close)(struct back *back);
};

struct back {
    const struct back_class *class;
    const struct back_handler *handler;
    void *user; /* of the handler */
};

static inline void back_send_request(struct back *back, const struct message *msg,
                                     const struct request_edit *edit)
{
    back->class->send_request(back, msg, edit);
}
/* The head; the body follows in msg->framing by the next two. A failure to write is told by
 * on_failed, later. */

static inline void back_send_body(struct back *back, struct span bytes)
{
    back->class->send_body(back, bytes);
}

static inline void back_send_end(struct back *back, struct span trailers)
{
    back->class->send_end(back, trailers);
}
/* Harmless when repeated. */

static inline void back_send_raw(struct back *back, struct span bytes)
{
    back->class->send_raw(back, bytes);
}
/* In a tunnel. */

static inline void back_send_fin(struct back *back)
{
    back->class->send_fin(back);
}
/* In a tunnel: our side ends, theirs may go on. */

static inline void back_start_tunnel(struct back *back)
{
    back->class->start_tunnel(back);
}
/* After on_connected (CONNECT) or on_head with 101. Bytes behind the head come by on_body in a
 * later callback. */

static inline void back_flush(struct back *back)
{
    back->class->flush(back);
}
/* What was sent goes out now, or at the end of the turn. */

static inline bool back_is_blocked(const struct back *back)
{
    return back->class->is_blocked(back);
}

static inline struct outbox *back_outbox(struct back *back)
{
    return back->class->outbox != NULL ? back->class->outbox(back) : NULL;
}
/* In a tunnel: for outbox_pair. NULL when its bytes cannot be moved. */

static inline bool back_is_listening(const struct back *back)
{
    return back->class->is_listening(back);
}
/* After on_end: does the peer go on taking the request's body? */

static inline bool back_is_unsent(const struct back *back)
{
    return back->class->is_unsent(back);
}
/* Has nothing of this request left us? */

static inline bool back_has_answered(const struct back *back)
{
    return back->class->has_answered(back);
}
/* Has some byte of a response come? */

static inline void back_pause(struct back *back)
{
    back->class->pause(back);
}

static inline void back_resume(struct back *back)
{
    back->class->resume(back);
}

static inline void back_close(struct back **taken)
{
    struct back *back = *taken;
    *taken = NULL;
    if (back != NULL)
        back->class->close(back);
}
/* Ends it at once (a reset when a response or request was cut short) and consumes it. NULL inside
 * is harmless. */

#endif
