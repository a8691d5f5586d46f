/* h1_back.h - an HTTP/1.1 connection to an upstream: one request at a time, streamed both ways.
 * What its user (an attempt) sees is codec/back.h.
 *
 * After on_end the connection may serve again if h1_back_may_persist; it then goes back to the
 * pool, which listens for FIN by a handler of its own.
 * Ownership: h1_back_connect allocates; h1_back_close consumes, and no handler is called after it.
 * Loop thread only. */
#ifndef OUTRIGGER_CODEC_H1_BACK_H
#define OUTRIGGER_CODEC_H1_BACK_H

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/mono.h"
#include "base/reason.h"
#include "codec/back.h"
#include "codec/codec.h"
#include "codec/h1_body.h"
#include "codec/h1_write.h"
#include "codec/inbox.h"
#include "codec/outbox.h"
#include "net/address.h"
#include "net/stream.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stdint.h>

#define H1_BACK_MAGIC 0xb1b1b1b1u

#define H1_BACK_INTERIM_LIMIT                                                                      \
    32 /* 1xx heads before a final one; attack: an upstream that never comes to the point */

enum h1_back_state {
    H1_BACK_CONNECTING = 0, /* no socket to write to yet */
    H1_BACK_IDLE,           /* open, no request on it: with its user, or in the pool */
    H1_BACK_HEAD,           /* a request was begun; the response's head is awaited */
    H1_BACK_BODY,           /* head delivered, body flows */
    H1_BACK_TUNNEL,         /* bytes both ways, no messages */
    H1_BACK_CLOSED,         /* waiting for the loop to let go of the memory */
};

struct h1_back {
    struct back base;
    uint32_t magic;
    enum h1_back_state state;
    struct codec *codec;
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
    mono_ns born_at;
    uint16_t age_permille;    /* of a largest age, so that connections do not all go together */
    uint64_t distrusted_turn; /* loop turn whose events are older than the request; 0 = none */
    mono_ns expires_at;
    void *endpoint;        /* upstream/pool: struct endpoint, a reference */
    uint64_t tls_settings; /* upstream/pool: with which it was made; 0: clear text */
    void *gone_context;
    void (*on_gone)(
        struct h1_back *back); /* before the memory goes: gives the endpoint's reference back */
};

static inline struct h1_back *h1_back_of(struct back *base)
{
    struct h1_back *back = (struct h1_back *)base;
    CHECK_OBJ(back, H1_BACK_MAGIC);
    return back;
}

enum err h1_back_connect(struct codec *codec, const struct address *to, const struct tls_order *tls,
                         const struct back_handler *handler, void *user,
                         struct h1_back **out) MUST_CHECK;
/* Starts connecting, with TLS where `tls` is not NULL; on_connected or on_failed follows, never
 * from inside. ERR_NO_MEMORY. */

void h1_back_use(struct h1_back *back, const struct back_handler *handler, void *user);
/* A new user for an idle connection. */

int h1_back_take_over(struct h1_back *back);
/* Consumes a connection on which nothing was said yet; its descriptor is the caller's. */

bool h1_back_may_persist(const struct h1_back *back);
/* After on_end: nothing is left over on either side, and both sides agreed to go on. */

bool h1_back_is_stale(struct h1_back *back);
/* Idle: has the peer closed it, or sent bytes that nobody asked for? One system call. */

static inline void h1_back_distrust_turn(struct h1_back *back)
{
    back->distrusted_turn = back->codec->loop->turns;
}
/* Idle and read dry, instead of h1_back_is_stale, where the wait of this turn told all that there
 * was: what it found on it is older than the request that is sent now, and ends as CONNECTION_RESET
 * without an answer. Only for calls that may be sent again for nothing. */

static inline void h1_back_close(struct h1_back **taken)
{
    struct back *base = *taken ? &(*taken)->base : NULL;
    *taken = NULL;
    back_close(&base);
}
/* back_close of one that is known to be HTTP/1.1. */

#endif
