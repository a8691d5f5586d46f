/* codec.h - what all connections of one loop share: limits, scratch space, the cork. One per loop,
 * loop thread only. */
#ifndef OUTRIGGER_CODEC_CODEC_H
#define OUTRIGGER_CODEC_CODEC_H

#include "base/arena.h"
#include "base/defence.h"
#include "base/mono.h"
#include "codec/h1_scan.h"
#include "http/message.h"
#include "net/loop.h"
#include "net/pipe.h"

#include <stdint.h>

struct h2_codec;
struct outbox;

struct h2_limits {
    uint32_t max_streams;       /* http2.maxConcurrentStreams, of a caller's connection */
    dur_ns keep_alive_interval; /* 0 = no PING */
    dur_ns keep_alive_timeout;
};

struct codec {
    struct loop *loop;
    struct h1_limits request_limits;
    struct h1_limits response_limits;
    struct h2_limits h2_limits;
    dur_ns header_timeout; /* limits.headerTimeout; 0 = off */
    dur_ns write_timeout;  /* limits.writeTimeout; 0 = off */
    struct h2_codec *h2;   /* what HTTP/2 needs; made with the first session */
    void *defence_context;
    void (*on_defence)(void *context, enum h2_side side,
                       enum defence defence); /* NULL: nobody counts */
    struct outbox *corked; /* whose bytes are in loop->write_buffer; NULL = nobody's */
    size_t corked_bytes;
    struct list
        idle_fronts; /* h1_front.idle_link: callers' connections between requests, oldest first */
    struct header scratch[H1_MAX_HEADERS]; /* of the head being parsed; valid during its callback */
    struct arena_pool chunks;              /* of trailers and requests */
    struct pipe_pool pipes;                /* of busy tunnels */
};

void codec_init(struct codec *codec, struct loop *loop);
void codec_fini(struct codec *codec);

void codec_uncork(struct codec *codec);
/* Sends what is corked, whoever's it is. Every callback of a socket ends with it. */

#endif
