/* h2_back.h - a connection to an upstream that speaks HTTP/2: each attempt on it is a stream (see
 * codec/back.h), and they share it.
 *
 * After connecting it waits for the peer's SETTINGS (RFC 9113 section 3.4: the first thing that a
 * server says): only then is it known how many streams there may be, and that it speaks HTTP/2 at
 * all, before anything of a request has left. Who wants a stream before that waits in line.
 * Example: if (h2_back_room(back) > 0) stream = h2_back_begin(back, &handler, attempt);
 *          else if (h2_back_is_coming(back)) h2_back_wait(back, &attempt->wait);
 * Ownership: h2_back_connect allocates; h2_back_end or a loss frees it, after on_gone. Loop thread
 * only. */
#ifndef OUTRIGGER_CODEC_H2_BACK_H
#define OUTRIGGER_CODEC_H2_BACK_H

#include "base/list.h"
#include "codec/back.h"
#include "codec/h2_session.h"
#include "codec/h2_stream.h"
#include "net/address.h"
#include "net/tls.h"

#define H2_BACK_INTERIM_LIMIT 32 /* 1xx heads before a final one, as in HTTP/1.1 */
#define H2_BACK_STREAMS_MAX 1000 /* at once on one connection, whatever the peer allows */

struct h2_back;

struct h2_back_wait {
    struct list link; /* h2_back.waits */
    void (*on_ready)(struct h2_back_wait *wait, struct h2_back *back, enum reason reason,
                     const char *detail);
    /* Once: REASON_NONE and there was room a moment ago (look again), or why not. */
};

struct h2_back_options {
    void *context;
    void (*on_idle)(struct h2_back *back); /* its last stream has ended */
    void (*on_lost)(struct h2_back *back); /* no further streams: it goes away, or is gone */
    void (*on_gone)(struct h2_back *back); /* before the memory goes */
};

struct h2_back {
    struct h2_session session;
    struct h2_back_options options;
    struct list waits;
    struct list slot_link; /* upstream/pool: of the endpoint */
    struct list pool_link; /* upstream/pool: of all */
    void *endpoint;        /* upstream/pool: struct endpoint, a reference */
    uint64_t tls_settings; /* upstream/pool: with which it was made; 0: clear text */
    uint64_t serial;       /* tells this connection from all others */
    mono_ns idle_since;
    dur_ns idle_time; /* timeouts.poolIdle of the last call on it */
    mono_ns born_at;
    mono_ns retires_at;    /* takes no stream from then on; MONO_NEVER: no limit */
    uint16_t age_permille; /* of a largest age, so that connections do not all go together */
    bool is_settled;       /* the peer's SETTINGS have come */
    bool is_refused;       /* connecting failed, or it is lost */
};

enum err h2_back_connect(struct codec *codec, const struct address *to, const struct tls_order *tls,
                         const struct h2_back_options *options, struct h2_back **out) MUST_CHECK;
/* Starts connecting, with TLS where `tls` is not NULL: a peer that does not choose HTTP/2 is a
 * TLS_FAILURE. ERR_NO_MEMORY. */

enum err h2_back_turn(struct codec *codec, struct stream *stream,
                      const struct h2_back_options *options, struct h2_back **out) MUST_CHECK;
/* The same with somebody else's connection, TLS and all, which closes for its owner. On an error it
 * is closed, too. */

enum err h2_back_adopt(struct codec *codec, int fd, const struct h2_back_options *options,
                       struct h2_back **out) MUST_CHECK;
/* The same with a socket that is connected; on an error it stays the caller's. */

static inline bool h2_back_is_coming(const struct h2_back *back)
{
    return !back->is_settled && !back->is_refused;
}
/* Connecting, or waiting for SETTINGS. */

uint32_t h2_back_room(const struct h2_back *back);
/* Streams that may be begun now. */

void h2_back_wait(struct h2_back *back, struct h2_back_wait *wait);

static inline void h2_back_wait_init(struct h2_back_wait *wait,
                                     void (*on_ready)(struct h2_back_wait *wait,
                                                      struct h2_back *back, enum reason reason,
                                                      const char *detail))
{
    list_init(&wait->link);
    wait->on_ready = on_ready;
}

void h2_back_wait_cancel(struct h2_back_wait *wait);
/* Harmless when it does not wait. */

struct back *h2_back_begin(struct h2_back *back, const struct back_handler *handler, void *user);
/* A stream, when there is room; NULL without memory. */

struct h2_back *h2_back_of(struct back *base);
/* Whose stream it is. */

bool h2_back_is_stale(struct h2_back *back);
/* Without streams: has the peer closed it? One system call. */

void h2_back_end(struct h2_back *back);
/* GOAWAY and close. */

#endif
