/* h2_session.h - one connection of HTTP/2, whoever opened it: the nghttp2 session on its socket,
 * its streams, and what it may cost us.
 *
 * nghttp2 is called from here and from h2_stream only. Its callbacks may queue heads; DATA and what
 * ends a session is noted (chores) and done by a task at the turn's end, which then lets nghttp2
 * write. So all frames of a turn leave in one send, and a session is never freed in its own call.
 * Roles (h2_front, h2_back) say what a head or a byte means.
 * Defence: the guard (h2_guard), limits of h2_head, a bucket of resets, the peer's SETTINGS and
 * PING acks, PINGs of ours, and h2_sessions_sweep for everything that takes time. Ownership:
 * embedded in its role's connection, which is freed after role->on_gone. Loop thread only. */
#ifndef OUTRIGGER_CODEC_H2_SESSION_H
#define OUTRIGGER_CODEC_H2_SESSION_H

#include "base/defence.h"
#include "base/list.h"
#include "base/reason.h"
#include "codec/codec.h"
#include "codec/h2_fields.h"
#include "codec/h2_guard.h"
#include "codec/h2_head.h"
#include "codec/outbox.h"
#include "net/stream.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#define H2_FRAME_MAX 16384 /* we announce no other */
#define H2_STREAM_WINDOW                                                                           \
    (256 * 1024) /* what a peer may send on a stream before we have passed it on */
#define H2_SESSION_WINDOW (1024 * 1024)
#define H2_HELD_MAX (64 * 1024 * 1024) /* of all streams: 256 are stuck; then all must wait */
#define H2_OUTBOUND_MAX 10000          /* frames that wait for a peer who does not read */

struct h2_session;
struct h2_stream;

struct h2_role {
    enum h2_side side;
    struct h2_stream *(*open_stream)(struct h2_session *session);
    /* A caller begins a request; NULL: no memory. */
    void (*on_head)(struct h2_stream *stream, struct h2_head *head, bool is_end);
    /* A header block is complete: a head, an interim one, or trailers. */
    void (*on_data)(struct h2_stream *stream, struct span bytes);
    void (*on_end)(struct h2_stream *stream, struct span trailers); /* of what the peer sends */
    void (*on_writable)(struct h2_stream *stream);
    void (*on_stream_closed)(struct h2_stream *stream, uint32_t code);
    /* nghttp2 has let go of it, or the session is lost (code INTERNAL_ERROR) */
    void (*free_stream)(struct h2_stream *stream);
    void (*on_settings)(struct h2_session *session); /* NULL: does not care */
    void (*on_lost)(struct h2_session *session, enum reason reason, const char *detail);
    /* its streams have been told; it will go. NULL: does not care */
    void (*on_gone)(struct h2_session *session);
};

enum h2_session_state {
    H2_OPEN = 0,
    H2_ENDING, /* our last GOAWAY goes out; what comes is thrown away */
    H2_LINGER, /* half-closed, so that the peer gets to read it */
    H2_CLOSED, /* no socket; it stays for answers that came whole and wait for their readers */
};

struct h2_session {
    uint32_t magic;
    enum h2_session_state state;
    const struct h2_role *role;
    struct codec *codec;
    const char *peer; /* its address, for the log; outlives the session */
    nghttp2_session *ng;
    struct stream stream;
    struct outbox out;
    struct list link;    /* h2_codec.sessions */
    struct list streams; /* h2_stream.link */
    struct list chores;  /* h2_stream.chore_link */
    struct list dead;    /* h2_stream.link: memory that goes at the turn's end */
    struct loop_task task;
    uint32_t stream_count;
    struct h2_head *head; /* of the block that is arriving */
    int32_t head_id;
    mono_ns head_at;
    struct h2_guard guard;
    uint64_t received_bytes;
    uint64_t framed_bytes;  /* of frames whose head nghttp2 knew */
    uint64_t unknown_bytes; /* the rest, as far as it was charged */
    size_t held_bytes;      /* of all streams, not passed on yet */
    size_t owed_bytes;      /* of the connection's window, not given back yet */
    mono_ns opened_at;
    mono_ns heard_at;  /* last byte of the peer */
    mono_ns wrote_at;  /* last byte that the socket took */
    mono_ns pinged_at; /* a PING of ours is unanswered since; MONO_NEVER */
    mono_ns ending_at;
    void *spared;       /* what nghttp2 frees in nghttp2_submit_data, and may still hold */
    bool is_submitting; /* in there */
    bool is_socket_gone;
    bool is_condemned;  /* to be ended with `code` when nghttp2 has returned */
    bool is_going_away; /* a GOAWAY of either side: no new streams */
    bool is_greeted;    /* our SETTINGS have left */
    bool is_notice_sent;
    bool is_last_id_sent;
    enum reason lost_reason; /* what its streams are told when it is lost */
    uint32_t code;
    const char *detail;
    uint64_t settings_turn; /* loop turn in which SETTINGS came last */
    int32_t last_id;        /* the highest request that was begun */
    uint64_t begun_ids;     /* bit n: the n-th odd id below it was begun, too */
};

enum err h2_session_start(struct h2_session *session, const struct h2_role *role,
                          struct codec *codec) MUST_CHECK;
/* Before the socket: nghttp2's half, and our SETTINGS queued. ERR_NO_MEMORY, and nothing to undo.
 */

void h2_session_drop(struct h2_session *session);
/* Undoes start, where no socket came of it. */

enum err h2_session_open(struct h2_session *session, int fd) MUST_CHECK;
/* Takes a connected socket; on an error it stays the caller's. */

void h2_session_take(struct h2_session *session, struct stream *from);
/* The same with somebody else's open connection (stream_adopt). */

void h2_session_connected(struct h2_session *session);
/* session->stream was connected by stream_connect with h2_session_on_socket_closed. */

void h2_session_on_socket_closed(struct stream *stream);

void h2_session_feed(struct h2_session *session, struct span bytes);
/* What came from the peer. */

void *h2_session_take_memory(struct h2_session *session);
/* For a stream of its role: H2_STREAM_MEMORY bytes, zeroed; NULL without memory. */

void h2_session_give_memory(struct h2_session *session, void *memory);

int h2_session_submit_data(struct h2_session *session, int32_t id,
                           const nghttp2_data_provider *data);
/* nghttp2_submit_data; a failure does no harm. */

void h2_session_schedule(struct h2_session *session);
/* Chores and writing, at the end of this turn. */

void h2_session_condemn(struct h2_session *session, uint32_t code, enum defence defence,
                        const char *detail);
/* Ended soon, with a GOAWAY of that code; counted, and said in the log. May be called from
 * anywhere. `detail` says what to do about it. */

void h2_session_must(struct h2_session *session, int status);
/* `status` of nghttp2: without memory something is never sent, so the session is condemned, or its
 * peer would wait for ever. */

void h2_session_give_up(struct h2_session *session, enum defence defence, enum reason reason,
                        const char *detail);
/* The same for a peer that would not hear us: it is lost at once. */

void h2_session_count(const struct h2_session *session, enum defence defence);
/* Something that costs a stream, not the connection. */

void h2_session_charge(struct h2_session *session, uint32_t units);
/* Of the guard; condemns. */

void h2_session_end(struct h2_session *session, uint32_t code, const char *detail);
/* GOAWAY, and all streams are told that it is lost. */

void h2_session_lose(struct h2_session *session, enum reason reason, const char *detail);
/* The socket is gone, or to be closed now. */

void h2_session_go_away(struct h2_session *session);
/* Graceful: a notice now, the last stream id a second later; running streams end in peace. */

void h2_sessions_sweep(struct codec *codec, mono_ns now);
/* About once a second: time-outs of heads, writes and PINGs, and the second GOAWAY. */

nghttp2_nv *h2_scratch_fields(const struct h2_session *session);
/* H2_FIELDS_MAX of them, valid until the next submit. */

void h2_codec_free(struct codec *codec);

#endif
