/* h1_front.h - an HTTP/1.1 connection of a caller: requests come one at a time, responses go out in
 * order.
 *
 * on_request hands over a head; its body is delivered by on_body only between
 * h1_front_read_body(true) and (false), so whoever cannot take it stops the caller. The user
 * answers with h1_front_send_*, then h1_front_finish: the next (maybe pipelined) request follows in
 * a later callback, or the connection ends - lingering where the caller is still sending, so that
 * it gets to read the answer. A caller that leaves during a request is on_hangup, at once. What the
 * strict parser refuses is on_bad_request; the user answers it, finishes, and the connection
 * closes. Ownership: h1_front_open allocates and takes the descriptor; after on_gone the memory
 * goes. Loop thread only. */
#ifndef OUTRIGGER_CODEC_H1_FRONT_H
#define OUTRIGGER_CODEC_H1_FRONT_H

#include "base/arena.h"
#include "base/list.h"
#include "base/wheel.h"
#include "codec/codec.h"
#include "codec/h1_body.h"
#include "codec/h1_write.h"
#include "codec/inbox.h"
#include "codec/outbox.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

#define H1_FRONT_INBOX_BYTES                                                                       \
    (128 * 1024) /* pipelined bytes kept while a call runs; then reading stops */
#define H1_FRONT_LINGER_TIME                                                                       \
    (5 * NS_PER_S) /* how long a refused caller may go on sending before the connection ends */

#define H1_FRONT_FLUSH_TIME                                                                        \
    (30 * NS_PER_S) /* how long an answered caller may take not one byte; attack: callers that     \
                       never read */

struct h1_front;

struct h1_front_handler {
    void (*on_request)(struct h1_front *front,
                       struct message *msg); /* spans die with the callback */
    void (*on_bad_request)(struct h1_front *front, enum reason reason, const char *detail);
    /* no request is being served: answer by h1_front_send_raw, then h1_front_finish */
    void (*on_body)(struct h1_front *front, struct span bytes); /* also a tunnel's bytes */
    void (*on_body_end)(struct h1_front *front,
                        struct span trailers); /* also the end of a tunnel's sending side */
    void (*on_bad_body)(struct h1_front *front, enum reason reason, const char *detail);
    void (*on_writable)(struct h1_front *front); /* the backlog has gone */
    void (*on_hangup)(
        struct h1_front *front); /* the caller left during a request or tunnel; close it */
    void (*on_gone)(struct h1_front *front); /* the connection is no more */
};

enum h1_front_state {
    H1_FRONT_IDLE = 0, /* no byte of a request; in codec->idle_fronts */
    H1_FRONT_HEAD,     /* part of a head; the header timer runs */
    H1_FRONT_CALL,     /* a request is being served */
    H1_FRONT_TUNNEL,
    H1_FRONT_FLUSH,  /* last bytes go out, then it ends */
    H1_FRONT_LINGER, /* answered and half-closed; what still comes is thrown away */
    H1_FRONT_CLOSED,
};

struct h1_front {
    uint32_t magic;
    enum h1_front_state state;
    struct codec *codec;
    const struct h1_front_handler *handler;
    void *user;    /* of the handler: the request that is served, NULL between requests */
    void *context; /* of whoever accepted it: listener, peer */
    struct stream stream;
    struct outbox out;
    struct inbox in;
    struct h1_scan scan;
    struct h1_body body;
    struct arena arena; /* of request trailers */
    struct timer
        timer; /* header timeout; a caller that does not take the rest of its answer; linger */
    struct loop_task next_task; /* bytes in the inbox wait to be looked at */
    struct list idle_link;
    mono_ns idle_since;
    enum body_framing out_framing; /* of the response being sent */
    bool is_reading;               /* the body may be delivered */
    bool may_persist;              /* the request allows another one after it */
    bool is_last;                  /* a response said Connection: close */
    bool is_draining;              /* no further request is taken */
    bool is_body_ended;            /* on_body_end was told, or there was none */
    bool is_lost; /* a fault in its bytes: where the next message begins nobody knows */
    uint64_t requests;
};

struct h1_front *h1_front_open(struct codec *codec, int fd, const struct h1_front_handler *handler,
                               void *context);
/* Takes `fd`, always. NULL (and fd closed) without memory. */

void h1_front_read_body(struct h1_front *front, bool is_wanted);
/* Delivery may begin in a later callback; after `false` the rest of what was read comes still (at
 * most one read). */

void h1_front_send_interim(struct h1_front *front, const struct message *msg);
/* 1xx; nothing towards an HTTP/1.0 caller (the user knows). */

void h1_front_send_head(struct h1_front *front, const struct message *msg,
                        const struct h1_response_edit *edit);
void h1_front_send_body(struct h1_front *front, struct span bytes);
void h1_front_send_end(struct h1_front *front, struct span trailers);
void h1_front_send_raw(struct h1_front *front, struct span bytes);
/* Bytes as they are: a local reply, a tunnel. */

void h1_front_flush(struct h1_front *front);

static inline bool h1_front_is_blocked(const struct h1_front *front)
{
    return outbox_is_blocked(&front->out);
}

static inline bool h1_front_is_failed(const struct h1_front *front)
{
    return front->out.is_failed;
}

void h1_front_finish(struct h1_front *front, bool is_last);
/* The response is complete; front->user is forgotten. With is_last, or where the request does not
 * allow another, the connection ends when all is sent. */

void h1_front_start_tunnel(struct h1_front *front);
/* From now on bytes, not messages; h1_front_read_body still says when. */

void h1_front_send_fin(struct h1_front *front);
/* In a tunnel: our side ends when all is sent. */

void h1_front_close(struct h1_front *front, enum stream_ending ending);
/* Ends it now; on_gone follows. STREAM_END_RESET for a response that was cut short. Harmless when
 * closed. */

void h1_front_drain(struct h1_front *front);
/* No further request: an idle connection ends now, a busy one after its response. */

#endif
