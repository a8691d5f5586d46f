/* h2_own.h - what the files of one session share: h2_session.c (its life), h2_events.c (what
 * nghttp2 tells), h2_sweep.c (what takes time). Nobody else includes it. */
#ifndef OUTRIGGER_CODEC_H2_OWN_H
#define OUTRIGGER_CODEC_H2_OWN_H

#include "base/check.h"
#include "base/slab.h"
#include "codec/h2_session.h"
#include "codec/h2_stream.h"

/* What nghttp2 must be told once, and what sessions share. */
struct h2_codec {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    struct list sessions;
    struct slab stream_memory;
    struct slab ng_streams;     /* nghttp2's */
    struct h2_head *spare_head; /* blocks are short-lived: one is mostly enough */
    mono_ns log_again_at;       /* one line a second about connections that were ended */
    nghttp2_nv fields[H2_FIELDS_MAX];
};

#define H2_SESSION_MAGIC 0x52e5510au

bool h2_events_make(struct h2_codec *h2);
/* h2->callbacks; false without memory. */

void h2_session_give_head_back(struct h2_session *session);
/* The buffer of the header block that has arrived, or never will. */

void h2_session_charge_unknown(struct h2_session *session);
/* For frames of types that nghttp2 tells nothing of. */

static inline mono_ns h2_session_now(const struct h2_session *session)
{
    return session->codec->loop->now;
}

#endif
