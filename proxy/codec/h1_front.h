/* h1_front.h - an HTTP/1.1 connection of a caller: requests come one at a time, responses go out in
 * order. What its user sees is codec/front.h.
 *
 * The next (maybe pipelined) request follows in a later callback, or the connection ends -
 * lingering where the caller is still sending, so that it gets to read the answer. A caller whose
 * first bytes are the preface of HTTP/2 is on_preface; whoever takes the descriptor over goes on.
 * One that does not speak HTTP at all is a tunnel from the start (h1_front_tunnel).
 * Ownership: h1_front_open allocates and takes the descriptor; after on_gone the memory goes. Loop
 * thread only. */
#ifndef OUTRIGGER_CODEC_H1_FRONT_H
#define OUTRIGGER_CODEC_H1_FRONT_H

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/wheel.h"
#include "codec/codec.h"
#include "codec/front.h"
#include "codec/h1_body.h"
#include "codec/h1_write.h"
#include "codec/inbox.h"
#include "codec/outbox.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

#define H1_FRONT_MAGIC 0xf1f1f1f1u
#define H2_PREFACE SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

#define H1_FRONT_INBOX_BYTES                                                                       \
    (128 * 1024) /* pipelined bytes kept while a call runs; then reading stops */
#define H1_FRONT_LINGER_TIME                                                                       \
    (5 * NS_PER_S) /* how long a refused caller may go on sending before the connection ends */

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
    struct front base;
    uint32_t magic;
    enum h1_front_state state;
    const struct front_handler *handler;
    struct codec *codec;
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
    bool is_detecting;             /* what it speaks is not known yet */
    bool is_fin_kept;              /* of a bare one, which came before the tunnel stood */
    bool is_bare;                  /* a tunnel from the start: nothing of ours is said on it */
    bool is_last;                  /* a response said Connection: close */
    bool is_draining;              /* no further request is taken */
    bool is_body_ended;            /* on_body_end was told, or there was none */
    bool is_lost;          /* a fault in its bytes: where the next message begins nobody knows */
    uint8_t version_minor; /* of the request that is served */
    struct span rest;      /* behind a preface of HTTP/2, while on_preface runs */
    uint64_t requests;
};

static inline struct h1_front *h1_front_of(struct front *base)
{
    struct h1_front *front = (struct h1_front *)base;
    CHECK_OBJ(front, H1_FRONT_MAGIC);
    return front;
}

struct h1_front *h1_front_open(struct codec *codec, int fd, const struct front_handler *handler,
                               void *context);
/* Takes `fd`, always. NULL (and fd closed) without memory. */

void h1_front_detect(struct h1_front *front, dur_ns timeout);
/* Before its first bytes: they may be of any protocol (net/sniff.h). After `timeout` what came so
 * far decides; 0: it is waited for without end. */

void h1_front_tunnel(struct h1_front *front, const char *to);
/* Before its first request: all of its bytes are a tunnel's, to "host:port". on_request tells of a
 * CONNECT that nobody wrote; the caller hears the upstream's bytes alone, and a reset when it is
 * refused. */

int h1_front_take_over(struct h1_front *front, struct span *rest);
/* Inside on_preface, or in a tunnel that carries HTTP/2: the descriptor is the caller's from now
 * on, with the bytes that were read of it already (valid until the callback returns); on_gone
 * follows. */

void h1_front_drain(struct h1_front *front);
/* No further request: an idle connection ends now, a busy one after its response. */

#endif
