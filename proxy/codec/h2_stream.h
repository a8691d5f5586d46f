/* h2_stream.h - one stream of a session, as both sides see it: bytes in, held back while nobody
 * wants them (the peer's window is given back only when they have been passed on), and bytes out,
 * as far as the peer's windows allow.
 *
 * Example: h2_stream_head(&s, &fields, false); h2_stream_send(&s, bytes);
 *          h2_stream_end(&s, SPAN_NONE);
 * An idle stream costs little: no buffer either way, and nothing of it in nghttp2's queues.
 * Ownership: embedded in its role's stream, which role->free_stream frees after h2_stream_retire,
 * at the turn's end. Loop thread only. */
#ifndef OUTRIGGER_CODEC_H2_STREAM_H
#define OUTRIGGER_CODEC_H2_STREAM_H

#include "base/list.h"
#include "base/mono.h"
#include "base/span.h"
#include "codec/h2_fields.h"
#include "codec/inbox.h"

#include <stdbool.h>
#include <stdint.h>

#define H2_QUEUE_BYTES 65536 /* to be sent: more than that, and whoever sends must wait */

struct h2_session;

struct h2_stream {
    struct h2_session *session;
    struct list link;       /* h2_session.streams, or .dead */
    struct list chore_link; /* h2_session.chores */
    struct inbox in;        /* held: came while nobody read */
    struct inbox out;       /* waits for nghttp2 to ask for it */
    mono_ns out_at;         /* last time that the peer's window took bytes */
    uint32_t debt; /* bytes passed on whose window is not given back, since reading stopped */
    int32_t id;    /* -1 before a request is submitted */
    uint32_t queued_turn; /* loop turn (low bits) in which `out` became non-empty */
    unsigned chores : 3;
    unsigned interims : 6;  /* responses of an upstream, before the final one */
    bool is_head : 1;       /* its request is a HEAD */
    bool is_grpc : 1;       /* a caller's, also where its head was refused */
    bool has_head : 1;      /* the peer's final head has come */
    bool is_reading : 1;    /* bytes may be delivered */
    bool is_open : 1;       /* our HEADERS are behind us: DATA may be submitted */
    bool has_item : 1;      /* DATA is in nghttp2's queue */
    bool is_blocked : 1;    /* whoever sends was told to wait */
    bool is_ended : 1;      /* we have nothing more to send */
    bool is_end_sent : 1;   /* and END_STREAM has left */
    bool is_peer_ended : 1; /* END_STREAM of the peer */
    bool is_end_told : 1;   /* and all before it was delivered */
    bool is_peer_reset : 1; /* RST_STREAM of the peer */
    bool is_broken : 1;     /* bytes of ours were lost for want of memory: it must not end well */
    bool is_faulty : 1;     /* what the peer sent on it was refused: reset with PROTOCOL_ERROR */
    bool is_closed : 1;     /* nghttp2 knows it no more */
    bool is_retired : 1;    /* nobody of ours wants it any more */
    bool is_left : 1;       /* retires when all is sent */
};

#define H2_STREAM_MEMORY                                                                           \
    (sizeof(struct h2_stream) + 3 * sizeof(void *)) /* with what a role embeds it in */

void h2_stream_init(struct h2_stream *stream, struct h2_session *session, int32_t id);

void h2_stream_head(struct h2_stream *stream, const struct h2_fields *fields, bool is_end);
/* A head; without an id yet, as a client, this is where it gets one. */

void h2_stream_interim(struct h2_stream *stream, const struct h2_fields *fields);

void h2_stream_send(struct h2_stream *stream, struct span bytes);

void h2_stream_end(struct h2_stream *stream, struct span trailers);
/* Harmless when repeated, or after a head that was the end. */

void h2_stream_read(struct h2_stream *stream, bool is_wanted);
/* Delivery of what is held begins at the turn's end. */

void h2_stream_leave(struct h2_stream *stream);
/* Nobody looks at it any more: what is to be sent goes out, then it retires. What the peer still
 * sends is thrown away, as far as its window goes; if it has not ended a second later the sweep
 * tells it to stop (RST_STREAM NO_ERROR: at once, some clients lose the answer over it). */

void h2_stream_reset(struct h2_stream *stream, uint32_t code);
/* RST_STREAM, unless it is over, and retires. */

/* ---- for h2_session ---- */

void h2_stream_received(struct h2_stream *stream, struct span bytes);
void h2_stream_peer_ended(struct h2_stream *stream, struct span trailers);
void h2_stream_headers_sent(struct h2_stream *stream, bool is_end);
void h2_stream_do_chores(struct h2_stream *stream);
void h2_stream_closed(struct h2_stream *stream);
void h2_stream_retire(struct h2_stream *stream);
void h2_stream_fini(struct h2_stream *stream);

ssize_t h2_stream_on_read(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length,
                          uint32_t *flags, nghttp2_data_source *source, void *context);
int h2_stream_on_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *framehd,
                      size_t length, nghttp2_data_source *source, void *context);

#endif
