/* front.h - the caller's side of one call, whichever HTTP it speaks: a connection of HTTP/1.1
 * between two requests and through each of them, or one stream of HTTP/2.
 *
 * on_request hands over a head; its body is delivered by on_body only between
 * front_read_body(true) and (false), so whoever cannot take it stops the caller. The user answers
 * with front_send_* (or front_send_reply), then front_finish. A caller that leaves during a request
 * is on_hangup, at once. What the strict parsers refuse is on_bad_request; the user answers it and
 * finishes.
 *
 * Example: on_request:  front->user = request_new(front, msg); ...
 *          later:       front_send_head(front, &head, &edit); front_send_body(front, bytes);
 *                       front_send_end(front, SPAN_NONE); front_flush(front);
 *                       front_finish(front, false);
 * Ownership: the memory is the codec's; after front_finish or front_close the user lets go of it.
 * Loop thread only. */
#ifndef OUTRIGGER_CODEC_FRONT_H
#define OUTRIGGER_CODEC_FRONT_H

#include "base/reason.h"
#include "base/span.h"
#include "codec/edit.h"
#include "http/message.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct front;
struct local_reply;
struct outbox;

struct front_handler {
    void (*on_request)(struct front *front, struct message *msg); /* spans die with the callback */
    void (*on_bad_request)(struct front *front, enum reason reason, const char *detail);
    /* no request is being served: front_send_reply, then front_finish */
    void (*on_body)(struct front *front, struct span bytes);
    /* also a tunnel's bytes; without .data they are on their way already (outbox_move) */
    void (*on_body_end)(struct front *front,
                        struct span trailers); /* also the end of a tunnel's sending side */
    void (*on_bad_body)(struct front *front, enum reason reason, const char *detail);
    void (*on_writable)(struct front *front); /* the backlog has gone; in a tunnel, or some of it */
    void (*on_hangup)(struct front *front);   /* the caller left during a request or tunnel */
    void (*on_preface)(struct front *front); /* HTTP/1.1: the caller speaks HTTP/2; h2_front_take */
    void (*on_opaque)(struct front *front, struct span bytes);
    /* HTTP/1.1 with h1_front_detect: the caller speaks something else; `bytes` came so far, maybe
     * none. h1_front_tunnel, or front_close */
    void (*on_gone)(struct front *front); /* HTTP/1.1: the connection is no more */
};

struct front_class {
    uint8_t version; /* of HTTP: 1 or 2 */
    void (*read_body)(struct front *front, bool is_wanted);
    void (*send_interim)(struct front *front, const struct message *msg);
    void (*send_head)(struct front *front, const struct message *msg,
                      const struct response_edit *edit);
    void (*send_reply)(struct front *front, struct local_reply *reply);
    void (*send_body)(struct front *front, struct span bytes);
    void (*send_end)(struct front *front, struct span trailers);
    void (*start_tunnel)(struct front *front, const struct message *msg,
                         const struct response_edit *edit);
    void (*send_raw)(struct front *front, struct span bytes);
    void (*send_fin)(struct front *front);
    void (*flush)(struct front *front);
    bool (*is_blocked)(const struct front *front);
    struct outbox *(*outbox)(struct front *front); /* NULL: there is none of its own */
    void (*finish)(struct front *front, bool is_last);
    void (*close)(struct front *front, enum stream_ending ending);
};

struct front {
    const struct front_class *class;
    void *user;    /* of the handler: the request that is served, NULL between requests */
    void *context; /* of whoever accepted it: listener, peer */
};

static inline void front_read_body(struct front *front, bool is_wanted)
{
    front->class->read_body(front, is_wanted);
}
/* Delivery may begin in a later callback; after `false` the rest of what was read comes still
 * (HTTP/1.1: at most one read). */

static inline void front_send_interim(struct front *front, const struct message *msg)
{
    front->class->send_interim(front, msg);
}
/* 1xx; nothing towards an HTTP/1.0 caller (the user knows). */

static inline void front_send_head(struct front *front, const struct message *msg,
                                   const struct response_edit *edit)
{
    front->class->send_head(front, msg, edit);
}

static inline void front_send_reply(struct front *front, struct local_reply *reply)
{
    front->class->send_reply(front, reply);
}
/* An answer of our own, whole. What it says of the connection is set here. */

static inline void front_send_body(struct front *front, struct span bytes)
{
    front->class->send_body(front, bytes);
}

static inline void front_send_end(struct front *front, struct span trailers)
{
    front->class->send_end(front, trailers);
}
/* `trailers`: lines "name: value CRLF", maybe none. */

static inline void front_start_tunnel(struct front *front, const struct message *msg,
                                      const struct response_edit *edit)
{
    front->class->start_tunnel(front, msg, edit);
}
/* Says so (200 to a CONNECT when msg is NULL, else this 101); from now on bytes, not messages;
 * front_read_body still says when. */

static inline void front_send_raw(struct front *front, struct span bytes)
{
    front->class->send_raw(front, bytes);
}
/* In a tunnel. */

static inline void front_send_fin(struct front *front)
{
    front->class->send_fin(front);
}
/* In a tunnel: our side ends when all is sent. */

static inline void front_flush(struct front *front)
{
    front->class->flush(front);
}

static inline bool front_is_blocked(const struct front *front)
{
    return front->class->is_blocked(front);
}

static inline struct outbox *front_outbox(struct front *front)
{
    return front->class->outbox != NULL ? front->class->outbox(front) : NULL;
}
/* In a tunnel: for outbox_pair. NULL when its bytes cannot be moved. */

static inline void front_finish(struct front *front, bool is_last)
{
    front->class->finish(front, is_last);
}
/* The response is complete; front->user is forgotten. With is_last, or where the request does not
 * allow another, an HTTP/1.1 connection ends when all is sent. */

static inline void front_close(struct front *front, enum stream_ending ending)
{
    front->class->close(front, ending);
}
/* Ends it now. STREAM_END_RESET for a response that was cut short. Harmless when closed. */

#endif
