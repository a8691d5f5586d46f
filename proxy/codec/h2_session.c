/* h2_session.c - the life of a session, its reading and its writing. See h2_session.h. */
#include "codec/h2_session.h"

#include "base/check.h"
#include "codec/h2_own.h"

#include <stdlib.h>
#include <string.h>

#define PREFACE_BYTES 24
#define ACKS_MAX 1000   /* SETTINGS and PING acks that wait for a peer who does not read */
#define SETTINGS_MAX 32 /* entries of one frame */
#define CONTINUATIONS_MAX 8
#define GREETING_MAX 64     /* bytes of our SETTINGS frame */
#define NG_STREAM_BYTES 224 /* of nghttp2 1.52; with others they come from libc like the rest */
#define STREAMS_SLACK 10000 /* more than one read can begin */

static const char does_not_read[] =
    "the peer makes us answer and reads nothing of it: it hangs, or it attacks";

static void session_run(struct h2_session *session);

nghttp2_nv *h2_scratch_fields(const struct h2_session *session)
{
    return session->codec->h2->fields;
}

void h2_session_schedule(struct h2_session *session)
{
    loop_defer(session->codec->loop, &session->task);
}

/* ---- life ---- */

static bool make_options(struct h2_codec *h2, const struct codec *codec)
{
    nghttp2_option *options;
    if (nghttp2_option_new(&options) != 0)
        return false;
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1); /* or memory grows by the closed ones */
    nghttp2_option_set_max_outbound_ack(options, ACKS_MAX);
    nghttp2_option_set_max_settings(options, SETTINGS_MAX);
    nghttp2_option_set_max_continuations(options, CONTINUATIONS_MAX);
    nghttp2_option_set_max_send_header_block_length(
        options, 2 * (size_t)codec->request_limits.max_header_bytes);
    /* Our own bucket (note_reset) is the first line, and says ENHANCE_YOUR_CALM. */
    nghttp2_option_set_stream_reset_rate_limit(options, 2 * H2_RESET_BURST,
                                               2 * H2_RESETS_PER_SECOND);
    h2->options = options;
    return true;
}

static struct h2_codec *codec_h2(struct codec *codec)
{
    if (codec->h2 != NULL)
        return codec->h2;
    struct h2_codec *h2 = calloc(1, sizeof *h2);
    if (h2 == NULL)
        return NULL;
    if (!h2_events_make(h2) || !make_options(h2, codec)) {
        nghttp2_session_callbacks_del(h2->callbacks);
        free(h2);
        return NULL;
    }
    list_init(&h2->sessions);
    slab_init(&h2->stream_memory, H2_STREAM_MEMORY);
    slab_init(&h2->ng_streams, NG_STREAM_BYTES);
    codec->h2 = h2;
    return h2;
}

void h2_codec_free(struct codec *codec)
{
    struct h2_codec *h2 = codec->h2;
    codec->h2 = NULL;
    if (h2 == NULL)
        return;
    slab_fini(&h2->stream_memory);
    slab_fini(&h2->ng_streams);
    h2_head_free(&h2->spare_head);
    nghttp2_session_callbacks_del(h2->callbacks);
    nghttp2_option_del(h2->options);
    free(h2);
}

/* ---- nghttp2's memory ----
 * nghttp2 1.52 frees DATA that it has no memory to queue, and its stream holds it all the same: the
 * end of the stream would free it again. So what is freed meanwhile is spared, and goes with the
 * stream. Its streams are what lives long, in a slab. */

static struct slab *ng_streams(const struct h2_session *session)
{
    return &session->codec->h2->ng_streams;
}

static void *ng_malloc(size_t size, void *context)
{
    return size == NG_STREAM_BYTES ? slab_alloc(ng_streams(context)) : malloc(size);
}

static void *ng_calloc(size_t count, size_t size, void *context)
{
    (void)context;
    return calloc(count, size);
}

static void *ng_realloc(void *pointer, size_t size, void *context)
{
    (void)context;
    INVARIANT(!slab_is_block(pointer));
    return realloc(pointer, size);
}

static void give_back(struct h2_session *session, void *pointer)
{
    if (slab_is_block(pointer))
        slab_free(ng_streams(session), pointer);
    else
        free(pointer);
}

static void ng_free(void *pointer, void *context)
{
    struct h2_session *session = context;
    if (session->is_submitting && pointer != NULL && session->spared == NULL)
        session->spared = pointer;
    else
        give_back(session, pointer);
}

void *h2_session_take_memory(struct h2_session *session)
{
    void *memory = slab_alloc(&session->codec->h2->stream_memory);
    return memory != NULL ? memset(memory, 0, H2_STREAM_MEMORY) : NULL;
}

void h2_session_give_memory(struct h2_session *session, void *memory)
{
    slab_free(&session->codec->h2->stream_memory, memory);
}

int h2_session_submit_data(struct h2_session *session, int32_t id,
                           const nghttp2_data_provider *data)
{
    session->is_submitting = true;
    const int status = nghttp2_submit_data(session->ng, NGHTTP2_FLAG_END_STREAM, id, data);
    session->is_submitting = false;
    if (status != NGHTTP2_ERR_NOMEM)
        give_back(session, session->spared);
    session->spared = NULL;
    return status;
}

static int submit_settings(struct h2_session *session)
{
    const struct codec *codec = session->codec;
    const bool is_server = session->role->side == H2_DOWNSTREAM;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, codec->request_limits.max_header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {is_server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         is_server ? codec->h2_limits.max_streams + STREAMS_SLACK : 0},
    };
    const int status = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, entries,
                                               sizeof entries / sizeof *entries);
    return status != 0 ? status
                       : nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0,
                                                               H2_SESSION_WINDOW);
}

static void on_task(struct loop_task *task)
{
    session_run(CONTAINER_OF(task, struct h2_session, task));
}

static void on_write_failed(struct outbox *out)
{
    h2_session_schedule(CONTAINER_OF(out, struct h2_session, out));
}

enum err h2_session_start(struct h2_session *session, const struct h2_role *role,
                          struct codec *codec)
{
    struct h2_codec *h2 = codec_h2(codec);
    const mono_ns now = codec->loop->now;
    if (h2 == NULL)
        return ERR_NO_MEMORY;
    *session = (struct h2_session){.magic = H2_SESSION_MAGIC, .role = role, .codec = codec};
    session->pinged_at = MONO_NEVER;
    session->heard_at = session->wrote_at = now;
    if (role->side == H2_DOWNSTREAM)
        session->framed_bytes = PREFACE_BYTES;
    h2_guard_init(&session->guard, now);
    list_init(&session->link);
    list_init(&session->streams);
    list_init(&session->chores);
    list_init(&session->dead);
    loop_task_init(&session->task, on_task);
    nghttp2_mem mem = {session, ng_malloc, ng_free, ng_calloc, ng_realloc};
    const int status =
        role->side == H2_DOWNSTREAM
            ? nghttp2_session_server_new3(&session->ng, h2->callbacks, session, h2->options, &mem)
            : nghttp2_session_client_new3(&session->ng, h2->callbacks, session, h2->options, &mem);
    if (status != 0)
        return ERR_NO_MEMORY;
    if (submit_settings(session) != 0) {
        nghttp2_session_del(session->ng);
        return ERR_NO_MEMORY;
    }
    outbox_init(&session->out, codec, &session->stream, on_write_failed);
    list_append(&h2->sessions, &session->link);
    return OK;
}

void h2_session_drop(struct h2_session *session)
{
    list_remove(&session->link);
    loop_task_cancel(&session->task);
    nghttp2_session_del(session->ng);
    session->ng = NULL;
}

static void on_event(struct stream *stream, unsigned flags);

enum err h2_session_open(struct h2_session *session, int fd)
{
    const enum err e = stream_open(&session->stream, session->codec->loop, fd, on_event,
                                   h2_session_on_socket_closed);
    if (e == OK)
        h2_session_connected(session);
    return e;
}

void h2_session_take(struct h2_session *session, struct stream *from)
{
    stream_adopt(&session->stream, from, on_event, h2_session_on_socket_closed);
    h2_session_connected(session);
}

void h2_session_connected(struct h2_session *session)
{
    session->opened_at = session->heard_at = session->wrote_at = h2_session_now(session);
    stream_set_callback(&session->stream, on_event);
    stream_want(&session->stream, true, false);
    h2_session_schedule(session);
}

static void bury(struct h2_session *session)
{
    LIST_FOREACH_SAFE (link, following, &session->dead) {
        struct h2_stream *stream = CONTAINER_OF(link, struct h2_stream, link);
        list_remove(link);
        h2_stream_fini(stream);
        session->role->free_stream(stream);
    }
}

/* The socket is gone, and so is the last answer that had come whole and waited for its reader. */
static void finish_if_over(struct h2_session *session)
{
    bury(session);
    if (!session->is_socket_gone || session->stream_count > 0)
        return;
    list_remove(&session->link);
    loop_task_cancel(&session->task);
    nghttp2_session_del(session->ng);
    session->ng = NULL;
    session->magic = 0;
    session->role->on_gone(session);
}

void h2_session_on_socket_closed(struct stream *stream)
{
    struct h2_session *session = CONTAINER_OF(stream, struct h2_session, stream);
    session->is_socket_gone = true;
    finish_if_over(session);
}

/* ---- the end ---- */

/* An answer that the upstream has sent whole outlives its connection: a slow caller still gets it.
 */
static bool is_whole(const struct h2_session *session, const struct h2_stream *stream)
{
    return session->role->side == H2_UPSTREAM && stream->is_peer_ended && !stream->is_end_told &&
           !stream->is_left;
}

static void tell_stream(struct h2_session *session, struct h2_stream *stream)
{
    h2_stream_closed(stream);
    if (!stream->is_retired)
        session->role->on_stream_closed(stream, NGHTTP2_INTERNAL_ERROR);
    h2_stream_retire(stream); /* whoever held it has been told */
}

/* Out of a list of its own: who is told may end other streams, and some stay. */
static void tell_streams(struct h2_session *session)
{
    struct list telling;
    struct list *first;
    list_init(&telling);
    while ((first = list_first(&session->streams)) != NULL) {
        list_remove(first);
        list_append(&telling, first);
    }
    while ((first = list_first(&telling)) != NULL) {
        struct h2_stream *stream = CONTAINER_OF(first, struct h2_stream, link);
        if (!is_whole(session, stream)) {
            tell_stream(session, stream);
            continue;
        }
        h2_stream_closed(stream);
        list_remove(first);
        list_append(&session->streams, first);
    }
}

static void close_socket(struct h2_session *session)
{
    session->state = H2_CLOSED;
    h2_session_give_head_back(session);
    outbox_fini(&session->out);
    stream_close(&session->stream);
}

void h2_session_lose(struct h2_session *session, enum reason reason, const char *detail)
{
    CHECK_OBJ(session, H2_SESSION_MAGIC);
    if (session->state == H2_CLOSED)
        return;
    const bool is_known = session->state != H2_OPEN;
    session->state = H2_LINGER; /* nothing is sent any more */
    session->detail = session->detail ? session->detail : detail;
    session->lost_reason = reason == REASON_NONE ? REASON_CONNECTION_RESET : reason;
    tell_streams(session);
    if (!is_known && session->role->on_lost != NULL)
        session->role->on_lost(session, reason, session->detail);
    close_socket(session);
}

void h2_session_end(struct h2_session *session, uint32_t code, const char *detail)
{
    CHECK_OBJ(session, H2_SESSION_MAGIC);
    if (session->state != H2_OPEN)
        return;
    session->state = H2_ENDING;
    session->ending_at = h2_session_now(session);
    session->detail = detail;
    session->lost_reason =
        code == NGHTTP2_NO_ERROR ? REASON_CONNECTION_RESET : REASON_PROTOCOL_ERROR;
    if (nghttp2_session_terminate_session(session->ng, code) != 0)
        outbox_fail(&session->out); /* no GOAWAY, then: just the end */
    tell_streams(session);
    if (session->role->on_lost != NULL)
        session->role->on_lost(
            session, code == NGHTTP2_NO_ERROR ? REASON_NONE : REASON_PROTOCOL_ERROR, detail);
    h2_session_schedule(session);
}

void h2_session_go_away(struct h2_session *session)
{
    CHECK_OBJ(session, H2_SESSION_MAGIC);
    if (session->is_notice_sent || session->state != H2_OPEN)
        return;
    session->is_notice_sent = true;
    session->ending_at = h2_session_now(session);
    (void)nghttp2_submit_shutdown_notice(session->ng);
    h2_session_schedule(session);
}

/* All is said: half-closed, so that a peer that is still sending gets to read our GOAWAY. */
static void linger(struct h2_session *session)
{
    if (outbox_is_blocked(&session->out))
        return;
    session->state = H2_LINGER;
    session->ending_at = h2_session_now(session);
    if (stream_shutdown_write(&session->stream) != OK)
        close_socket(session);
}

/* ---- writing ---- */

static void do_chores(struct h2_session *session)
{
    struct list *first;
    while ((first = list_first(&session->chores)) != NULL) {
        struct h2_stream *stream = CONTAINER_OF(first, struct h2_stream, chore_link);
        list_remove(first);
        h2_stream_do_chores(stream);
    }
}

/* Our limit of streams is said to the peer but kept by ourselves (on_begin_headers): nghttp2 would
 * end the connection for one stream too many, and counts those that are reset as gone. So it is
 * given a larger one, and its first frame says ours. */
static void put_greeting(struct h2_session *session, const uint8_t *bytes, size_t len)
{
    uint8_t frame[GREETING_MAX];
    const uint32_t most = session->codec->h2_limits.max_streams;
    session->is_greeted = true;
    if (len <= sizeof frame && len > 4) {
        memcpy(frame, bytes, len);
        for (size_t i = 0; i < 4; i++)
            frame[len - 1 - i] = (uint8_t)(most >> (8 * i));
        bytes = frame;
    }
    outbox_put(&session->out, span_make((const char *)bytes, len));
}

static bool write_some(struct h2_session *session)
{
    const uint8_t *bytes;
    const ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
    if (len < 0) {
        outbox_fail(&session->out);
        return false;
    }
    if (len > 0 && !session->is_greeted && session->role->side == H2_DOWNSTREAM)
        put_greeting(session, bytes, (size_t)len);
    else if (len > 0)
        outbox_put(&session->out, span_make((const char *)bytes, (size_t)len));
    return len > 0 || !list_is_empty(&session->chores);
}

static void write_all(struct h2_session *session)
{
    const uint64_t sent_before = session->out.sent_bytes;
    do {
        do_chores(session);
        if (outbox_is_blocked(&session->out) || session->out.is_failed)
            break;
    } while (write_some(session));
    outbox_flush(&session->out);
    if (session->out.sent_bytes != sent_before)
        session->wrote_at = h2_session_now(session);
}

static bool is_done(const struct h2_session *session)
{
    return !nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng);
}

static void write_turn(struct h2_session *session)
{
    write_all(session);
    if (session->is_condemned && session->state == H2_OPEN) {
        h2_session_end(session, session->code, session->detail);
        write_all(session);
    }
    if (session->state == H2_OPEN && is_done(session))
        h2_session_end(session, NGHTTP2_NO_ERROR, NULL);
    else if (session->state == H2_ENDING && is_done(session))
        linger(session);
}

/* The turn's end for a session that was touched in it. */
static void session_run(struct h2_session *session)
{
    struct codec *codec = session->codec;
    if (session->out.is_failed)
        h2_session_lose(session, REASON_CONNECTION_RESET, "the connection was reset");
    else if (session->stream.state == STREAM_OPEN && session->state < H2_LINGER)
        write_turn(session);
    else
        do_chores(session);
    if (session->stream.state == STREAM_OPEN)
        stream_want(&session->stream, true, outbox_is_blocked(&session->out));
    finish_if_over(session);
    codec_uncork(codec);
}

/* ---- reading ---- */

/* nghttp2 has given the session up: there is nothing that could be said to the peer. */
static void feed_failed(struct h2_session *session, ssize_t status)
{
    if (status == NGHTTP2_ERR_NOMEM)
        h2_session_lose(session, REASON_OVERLOADED, "no memory for a connection of HTTP/2");
    else if (status == NGHTTP2_ERR_FLOODED)
        h2_session_give_up(session, DEFENCE_OUTBOUND_QUEUE, REASON_PROTOCOL_ERROR, does_not_read);
    else
        h2_session_give_up(session, DEFENCE_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR,
                           nghttp2_strerror((int)status));
}

void h2_session_feed(struct h2_session *session, struct span bytes)
{
    CHECK_OBJ(session, H2_SESSION_MAGIC);
    if (session->state != H2_OPEN)
        return;
    session->heard_at = h2_session_now(session);
    session->received_bytes += bytes.len;
    const ssize_t used =
        nghttp2_session_mem_recv(session->ng, (const uint8_t *)bytes.data, bytes.len);
    if (used < 0) {
        feed_failed(session, used);
        return;
    }
    h2_session_charge_unknown(session);
    if (nghttp2_session_get_outbound_queue_size(session->ng) > H2_OUTBOUND_MAX)
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_OUTBOUND_QUEUE,
                           does_not_read);
    h2_session_schedule(session);
}

static void readable(struct h2_session *session)
{
    struct loop *loop = session->codec->loop;
    const ssize_t got = stream_recv(&session->stream, loop->read_buffer, LOOP_READ_BYTES);
    if (got == STREAM_AGAIN)
        return;
    if (got <= 0)
        h2_session_lose(session, REASON_CONNECTION_RESET,
                        got == 0 ? "the connection was closed" : "the connection was reset");
    else
        h2_session_feed(session, span_make(loop->read_buffer, (size_t)got));
}

static void on_event(struct stream *stream, unsigned flags)
{
    struct h2_session *session = CONTAINER_OF(stream, struct h2_session, stream);
    struct codec *codec = session->codec;
    if (flags & STREAM_WRITABLE) {
        const uint64_t sent_before = session->out.sent_bytes;
        (void)outbox_resume(&session->out);
        if (session->out.sent_bytes != sent_before)
            session->wrote_at = h2_session_now(session);
        h2_session_schedule(session);
    }
    if (session->state != H2_CLOSED && (flags & STREAM_READABLE))
        readable(session);
    codec_uncork(codec);
}
