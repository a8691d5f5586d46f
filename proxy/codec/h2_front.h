/* h2_front.h - a caller's connection that speaks HTTP/2: each of its streams is a front (see
 * codec/front.h), and they run side by side.
 *
 * Example: in on_preface:  fd = h1_front_take_over(h1, &bytes);
 *                          h2 = h2_front_open(codec, fd, bytes, &options);
 * Ownership: h2_front_open allocates and takes the descriptor; after on_gone the memory goes. Loop
 * thread only. */
#ifndef OUTRIGGER_CODEC_H2_FRONT_H
#define OUTRIGGER_CODEC_H2_FRONT_H

#include "codec/front.h"
#include "codec/h2_session.h"
#include "codec/h2_stream.h"

struct h2_front;

struct h2_front_options {
    const struct front_handler *handler; /* of its streams */
    void *context;                       /* front->context of its streams */
    const char *peer;                    /* for the log; outlives it */
    void (*on_gone)(struct h2_front *front);
};

struct h2_front {
    struct h2_session session;
    struct h2_front_options options;
    mono_ns idle_since; /* when the last stream ended; meaningful without streams */
};

struct h2_front *h2_front_open(struct codec *codec, int fd, struct span bytes,
                               const struct h2_front_options *options);
/* `bytes`: what was read already, the preface included. Takes `fd`, always; NULL (and fd closed)
 * without memory. */

static inline bool h2_front_is_idle(const struct h2_front *front)
{
    return front->session.stream_count == 0;
}

void h2_front_drain(struct h2_front *front);
/* Graceful: no further streams after those that are under way; it closes with the last one. */

void h2_front_end(struct h2_front *front);
/* GOAWAY and close; streams that are left are told. */

#endif
