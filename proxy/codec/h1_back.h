/* h1_back.h - an HTTP/1.1 connection to an upstream: one request at a time, streamed both ways.
 *
 * Its user (an attempt) sends with h1_back_send_*, and hears by the handler. A response is never
 * ambiguous: what the parser refuses is on_failed(PROTOCOL_ERROR). After on_end the connection may
 * serve again if h1_back_may_persist; it then goes back to the pool, which listens for FIN by a
 * handler of its own. Backpressure: h1_back_pause stops reading (what was read already is still
 * delivered: at most one read); while h1_back_is_blocked the user must not send more body until
 * on_writable. Ownership: h1_back_connect allocates; h1_back_close consumes, and no handler is
 * called after it. Loop thread only. */
#ifndef OUTRIGGER_CODEC_H1_BACK_H
#define OUTRIGGER_CODEC_H1_BACK_H

#include "base/arena.h"
#include "base/list.h"
#include "base/mono.h"
#include "base/reason.h"
#include "codec/codec.h"
#include "codec/h1_body.h"
#include "codec/h1_write.h"
#include "codec/inbox.h"
#include "codec/outbox.h"
#include "net/address.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

#define H1_BACK_INTERIM_LIMIT                                                                      \
    32 /* 1xx heads before a final one; attack: an upstream that never comes to the point */

struct h1_back;

struct h1_back_handler {
    void (*on_connected)(struct h1_back *back);
    void (*on_interim)(struct h1_back *back, struct message *msg); /* 1xx, not 101 */
    void (*on_head)(struct h1_back *back, struct message *msg);    /* spans die with the callback */
    void (*on_body)(struct h1_back *back, struct span bytes);      /* also a tunnel's bytes */
    void (*on_end)(struct h1_back *back, struct span trailers);    /* also a tunnel's orderly end */
    void (*on_failed)(struct h1_back *back, enum reason reason,
                      const char *detail);     /* then close it */
    void (*on_writable)(struct h1_back *back); /* the backlog has gone */
};

enum h1_back_state {
    H1_BACK_CONNECTING = 0, /* no socket to write to yet */
    H1_BACK_IDLE,           /* open, no request on it: with its user, or in the pool */
    H1_BACK_HEAD,           /* a request was begun; the response's head is awaited */
    H1_BACK_BODY,           /* head delivered, body flows */
    H1_BACK_TUNNEL,         /* bytes both ways, no messages */
    H1_BACK_CLOSED,         /* waiting for the loop to let go of the memory */
};

struct h1_back {
    uint32_t magic;
    enum h1_back_state state;
    struct codec *codec;
    const struct h1_back_handler *handler;
    void *user; /* of the handler */
    struct stream stream;
    struct outbox out;
    struct inbox in;
    struct h1_scan scan;
    struct h1_body body;
    struct arena arena; /* of trailers */
    enum method method;
    enum body_framing request_framing;
    bool has_asked_upgrade;
    bool is_paused;
    bool is_read_ended;   /* the peer's FIN was read: there is nothing more to read */
    bool is_drained;      /* the last read left nothing in the socket */
    bool is_request_done; /* the whole request was handed over */
    bool is_keep_alive;   /* the response allows another request */
    uint64_t sent_before; /* out.sent_bytes when this request began: equal means that nothing of it
                             left */
    bool has_answered;    /* some byte of this response came */
    uint32_t keep_alive_seconds;  /* of the peer's Keep-Alive; 0 = not said */
    struct loop_task failed_task; /* a write failed */
    uint32_t interims;
    uint32_t requests; /* served before this one */

    struct list pool_link; /* upstream/pool: of the endpoint, last used first */
    struct list idle_link; /* upstream/pool: of all, oldest first */
    mono_ns idle_since;
    uint64_t distrusted_turn; /* loop turn whose events are older than the request; 0 = none */
    mono_ns expires_at;
    void *endpoint; /* upstream/pool: struct endpoint, a reference */
    void *gone_context;
    void (*on_gone)(
        struct h1_back *back); /* before the memory goes: gives the endpoint's reference back */
};

enum err h1_back_connect(struct codec *codec, const struct address *to,
                         const struct h1_back_handler *handler, void *user,
                         struct h1_back **out) MUST_CHECK;
/* Starts connecting; on_connected or on_failed follows, never from inside. ERR_NO_MEMORY. */

void h1_back_use(struct h1_back *back, const struct h1_back_handler *handler, void *user);
/* A new user for an idle connection. */

void h1_back_send_request(struct h1_back *back, const struct message *msg,
                          const struct h1_request_edit *edit);
/* The head; the body follows in msg->framing by the next two. A failure to write is told by
 * on_failed, later. */

void h1_back_send_body(struct h1_back *back, struct span bytes);
void h1_back_send_end(struct h1_back *back, struct span trailers);
void h1_back_send_raw(struct h1_back *back, struct span bytes);
/* In a tunnel. */

void h1_back_send_fin(struct h1_back *back);
/* In a tunnel: our side ends, theirs may go on. */

void h1_back_flush(struct h1_back *back);
/* What was sent goes out now. Every callback of the other side ends with it. */

static inline bool h1_back_is_blocked(const struct h1_back *back)
{
    return outbox_is_blocked(&back->out);
}

void h1_back_pause(struct h1_back *back);
void h1_back_resume(struct h1_back *back);

void h1_back_start_tunnel(struct h1_back *back);
/* After on_connected (CONNECT) or on_head with 101. Bytes behind the head come by on_body in a
 * later callback. */

static inline bool h1_back_is_listening(const struct h1_back *back)
{
    return back->is_keep_alive && !back->stream.has_hung_up && !back->out.is_failed;
}
/* After on_end: does the peer go on taking the request's body? */

bool h1_back_may_persist(const struct h1_back *back);
/* After on_end: nothing is left over on either side, and both sides agreed to go on. */

bool h1_back_is_stale(struct h1_back *back);
/* Idle: has the peer closed it, or sent bytes that nobody asked for? One system call. */

static inline void h1_back_distrust_turn(struct h1_back *back)
{
    back->distrusted_turn = back->codec->loop->turns;
}
/* Idle and read dry, instead of h1_back_is_stale: what the wait of this turn found on it is older
 * than the request that is sent now, and ends as CONNECTION_RESET without an answer. (A turn with
 * 1 024 events or more may wait twice; then a good answer can be taken for an old one, so only for
 * calls that may be sent again for nothing.) */

void h1_back_close(struct h1_back **back);
/* Ends it at once (RST when a response or request was cut short) and consumes it. NULL inside is
 * harmless. */

#endif
