/* h2_session.c - see h2_session.h. */
#include "codec/h2_session.h"

#include "base/check.h"
#include "codec/h2_stream.h"

#include <stdlib.h>

#define H2_SESSION_MAGIC 0x52e5510au
#define PREFACE_BYTES 24
#define FRAME_HEAD_BYTES 9
#define LINGER_TIME (2 * NS_PER_S)
#define NOTICE_TIME                                                                                \
    (1 * NS_PER_S)      /* between the two GOAWAYs: what is under way arrives meanwhile */
#define ACKS_MAX 1000   /* SETTINGS and PING acks that wait for a peer who does not read */
#define SETTINGS_MAX 32 /* entries of one frame */
#define CONTINUATIONS_MAX 8

/* What nghttp2 must be told once, and what sessions share. */
struct h2_codec {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    struct list sessions;
    struct h2_head *spare_head; /* blocks are short-lived: one is mostly enough */
    nghttp2_nv fields[H2_FIELDS_MAX];
};

static void session_run(struct h2_session *session);

nghttp2_nv *h2_scratch_fields(const struct h2_session *session)
{
    return session->codec->h2->fields;
}

void h2_session_schedule(struct h2_session *session)
{
    if (session->state != H2_CLOSED)
        loop_defer(session->codec->loop, &session->task);
}

static mono_ns now_of(const struct h2_session *session)
{
    return session->codec->loop->now;
}

/* ---- defence ---- */

void h2_session_count(const struct h2_session *session, enum defence defence)
{
    const struct codec *codec = session->codec;
    if (codec->on_defence != NULL && defence != DEFENCE_COUNT)
        codec->on_defence(codec->defence_context, session->role->side, defence);
}

void h2_session_condemn(struct h2_session *session, uint32_t code, enum defence defence,
                        const char *detail)
{
    if (session->is_condemned || session->state != H2_OPEN)
        return;
    session->is_condemned = true;
    session->code = code;
    session->detail = detail;
    h2_session_count(session, defence);
    h2_session_schedule(session);
}

void h2_session_charge(struct h2_session *session, uint32_t units)
{
    if (!h2_guard_charge(&session->guard, units, now_of(session)))
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_GLITCHES,
                           "too many frames that carry nothing");
}

/* Types that nghttp2 does not know reach no callback: their bytes are what is left over. */
static void charge_unknown(struct h2_session *session)
{
    if (session->received_bytes <= session->framed_bytes + session->charged_bytes)
        return;
    const uint64_t unknown =
        session->received_bytes - session->framed_bytes - session->charged_bytes;
    const uint64_t units = unknown / H2_GUARD_BYTES;
    if (units == 0)
        return;
    session->charged_bytes += units * H2_GUARD_BYTES;
    h2_session_charge(session, (uint32_t)units);
}

static void note_reset(struct h2_session *session)
{
    const mono_ns now = now_of(session);
    const uint64_t back =
        (uint64_t)(mono_since(now, session->resets_at) / (NS_PER_S / H2_RESETS_PER_SECOND));
    if (back > 0) {
        session->resets = back < session->resets ? session->resets - (uint32_t)back : 0;
        session->resets_at = now;
    }
    if (++session->resets > H2_RESET_BURST)
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_RESETS,
                           "too many streams were reset");
}

/* ---- what nghttp2 tells ---- */

static struct h2_session *session_of(void *context)
{
    return context;
}

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *context)
{
    struct h2_session *session = session_of(context);
    (void)ng;
    session->framed_bytes += FRAME_HEAD_BYTES + hd->length;
    switch (hd->type) {
    case NGHTTP2_PING:
        if ((hd->flags & NGHTTP2_FLAG_ACK) == 0 || session->pinged_at == MONO_NEVER)
            h2_session_charge(session, H2_COST_EMPTY);
        break;
    case NGHTTP2_SETTINGS:
        if ((hd->flags & NGHTTP2_FLAG_ACK) == 0)
            h2_session_charge(session, H2_COST_EMPTY);
        break;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_WINDOW_UPDATE: h2_session_charge(session, H2_COST_EMPTY); break;
    case NGHTTP2_DATA:
        if (hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0)
            h2_session_charge(session, H2_COST_EMPTY);
        break;
    default: break;
    }
    return 0;
}

static struct h2_head *take_head(struct h2_session *session)
{
    struct h2_codec *h2 = session->codec->h2;
    struct h2_head *head = h2->spare_head;
    h2->spare_head = NULL;
    return head ? head
                : h2_head_new(session->role->side == H2_DOWNSTREAM
                                  ? &session->codec->request_limits
                                  : &session->codec->response_limits);
}

static void give_head_back(struct h2_session *session)
{
    struct h2_codec *h2 = session->codec->h2;
    struct h2_head *head = session->head;
    session->head = NULL;
    if (head == NULL || h2->spare_head == NULL)
        h2->spare_head = head ? head : h2->spare_head;
    else
        h2_head_free(&head);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = session_of(context);
    const bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (session->is_condemned || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct h2_stream *stream = stream_of(ng, frame->hd.stream_id);
    if (is_request && stream == NULL) {
        stream = session->role->open_stream(session);
        if (stream == NULL)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        h2_stream_init(stream, session, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
    }
    if (session->head == NULL)
        session->head = take_head(session);
    if (session->head == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    session->head_at = now_of(session);
    session->head_id = frame->hd.stream_id;
    h2_head_begin(session->head,
                  session->role->side == H2_DOWNSTREAM ? MESSAGE_REQUEST : MESSAGE_RESPONSE);
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *context)
{
    struct h2_session *session = session_of(context);
    (void)ng, (void)frame;
    if (session->head == NULL)
        return 0;
    const nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
    const nghttp2_vec v = nghttp2_rcbuf_get_buf(value);
    h2_head_add(session->head, span_make((const char *)n.base, n.len),
                span_make((const char *)v.base, v.len), (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
    return 0;
}

/* By itself nghttp2 would drop such a field and pass the rest (RFC 9113 section 8.2.1: malformed).
 */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *context)
{
    struct h2_session *session = session_of(context);
    (void)ng, (void)frame, (void)name, (void)value, (void)flags;
    if (session->head != NULL)
        session->head->is_malformed = true;
    return 0;
}

static void headers_arrived(struct h2_session *session, struct h2_stream *stream, bool is_end)
{
    h2_guard_earn(&session->guard, H2_WORTH_HEAD);
    if (session->head != NULL && stream != NULL && !stream->is_retired)
        session->role->on_head(stream, session->head, is_end);
    give_head_back(session);
}

static void settings_arrived(struct h2_session *session, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        session->role->on_settings(session);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = session_of(context);
    struct h2_stream *stream = stream_of(ng, frame->hd.stream_id);
    const bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (session->is_condemned)
        return 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: headers_arrived(session, stream, is_end); break;
    case NGHTTP2_DATA:
        if (is_end && stream != NULL && !stream->is_retired)
            h2_stream_peer_ended(stream, SPAN_NONE);
        break;
    case NGHTTP2_SETTINGS: settings_arrived(session, frame); break;
    case NGHTTP2_PING: session->pinged_at = MONO_NEVER; break;
    case NGHTTP2_GOAWAY: session->is_going_away = true; break;
    case NGHTTP2_RST_STREAM:
        if (stream != NULL)
            stream->is_peer_reset = true;
        note_reset(session);
        break;
    default: break;
    }
    return 0;
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
                    size_t len, void *context)
{
    struct h2_session *session = session_of(context);
    struct h2_stream *stream = stream_of(ng, id);
    (void)flags;
    h2_guard_earn(&session->guard, H2_WORTH_FRAME);
    if (stream == NULL || stream->is_retired || session->is_condemned)
        (void)nghttp2_session_consume(ng, id, len);
    else
        h2_stream_received(stream, span_make((const char *)bytes, len));
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context)
{
    struct h2_session *session = session_of(context);
    struct h2_stream *stream = stream_of(ng, id);
    if (session->head != NULL && session->head_id == id)
        give_head_back(session); /* refused by nghttp2: its end will not be told */
    if (stream == NULL || stream->is_retired)
        return 0;
    h2_stream_closed(stream);
    if (!stream->is_retired)
        session->role->on_stream_closed(stream, code);
    return 0;
}

static void reset_sent(struct h2_session *session, uint32_t code)
{
    switch (code) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_CANCEL:
    case NGHTTP2_INTERNAL_ERROR: return;
    case NGHTTP2_REFUSED_STREAM:
        h2_session_count(session, DEFENCE_STREAM_LIMIT);
        h2_session_charge(session, H2_COST_EMPTY);
        return;
    default:
        h2_session_count(session, DEFENCE_MALFORMED);
        h2_session_charge(session, H2_COST_FAULT);
    }
}

static void goaway_sent(struct h2_session *session, uint32_t code)
{
    session->is_going_away = true;
    if (code != NGHTTP2_NO_ERROR && session->state == H2_OPEN)
        h2_session_condemn(session, code, DEFENCE_PROTOCOL_ERROR,
                           "the peer broke the rules of HTTP/2");
}

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = session_of(context);
    const bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct h2_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h2_guard_earn(&session->guard, H2_WORTH_HEAD);
        stream = stream_of(ng, frame->hd.stream_id);
        if (stream != NULL && !stream->is_retired)
            h2_stream_headers_sent(stream, is_end);
        break;
    case NGHTTP2_DATA:
        if (frame->hd.length > 0)
            h2_guard_earn(&session->guard, H2_WORTH_FRAME);
        stream = is_end ? stream_of(ng, frame->hd.stream_id) : NULL;
        if (stream != NULL && !stream->is_retired)
            h2_stream_headers_sent(stream, true);
        break;
    case NGHTTP2_RST_STREAM: reset_sent(session, frame->rst_stream.error_code); break;
    case NGHTTP2_GOAWAY: goaway_sent(session, frame->goaway.error_code); break;
    default: break;
    }
    return 0;
}

/* ---- life ---- */

static bool make_callbacks(struct h2_codec *h2)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_stream_on_send);
    h2->callbacks = callbacks;
    return true;
}

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
    if (!make_callbacks(h2) || !make_options(h2, codec)) {
        nghttp2_session_callbacks_del(h2->callbacks);
        free(h2);
        return NULL;
    }
    list_init(&h2->sessions);
    codec->h2 = h2;
    return h2;
}

void h2_codec_free(struct codec *codec)
{
    struct h2_codec *h2 = codec->h2;
    codec->h2 = NULL;
    if (h2 == NULL)
        return;
    h2_head_free(&h2->spare_head);
    nghttp2_session_callbacks_del(h2->callbacks);
    nghttp2_option_del(h2->options);
    free(h2);
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
         is_server ? codec->h2_limits.max_streams : 0},
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
    session->heard_at = session->wrote_at = session->resets_at = now;
    session->charged_bytes = 0;
    if (role->side == H2_DOWNSTREAM)
        session->framed_bytes = PREFACE_BYTES;
    h2_guard_init(&session->guard, now);
    list_init(&session->link);
    list_init(&session->streams);
    list_init(&session->chores);
    list_init(&session->dead);
    loop_task_init(&session->task, on_task);
    const int status =
        role->side == H2_DOWNSTREAM
            ? nghttp2_session_server_new2(&session->ng, h2->callbacks, session, h2->options)
            : nghttp2_session_client_new2(&session->ng, h2->callbacks, session, h2->options);
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

void h2_session_connected(struct h2_session *session)
{
    session->heard_at = session->wrote_at = now_of(session);
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

void h2_session_on_socket_closed(struct stream *stream)
{
    struct h2_session *session = CONTAINER_OF(stream, struct h2_session, stream);
    bury(session);
    list_remove(&session->link);
    INVARIANT(session->stream_count == 0);
    nghttp2_session_del(session->ng);
    session->ng = NULL;
    session->magic = 0;
    session->role->on_gone(session);
}

/* ---- the end ---- */

static void tell_streams(struct h2_session *session)
{
    struct list *first;
    while ((first = list_first(&session->streams)) != NULL) {
        struct h2_stream *stream = CONTAINER_OF(first, struct h2_stream, link);
        h2_stream_closed(stream);
        if (!stream->is_retired)
            session->role->on_stream_closed(stream, NGHTTP2_INTERNAL_ERROR);
        h2_stream_retire(stream); /* whoever held it has been told */
    }
}

static void close_socket(struct h2_session *session)
{
    session->state = H2_CLOSED;
    loop_task_cancel(&session->task);
    give_head_back(session);
    outbox_fini(&session->out);
    stream_close(&session->stream);
}

void h2_session_lose(struct h2_session *session, enum reason reason, const char *detail)
{
    if (session->state == H2_CLOSED)
        return;
    const bool is_known = session->state != H2_OPEN;
    session->state = H2_LINGER; /* nothing is sent any more */
    session->detail = session->detail ? session->detail : detail;
    tell_streams(session);
    if (!is_known)
        session->role->on_lost(session, reason, session->detail);
    close_socket(session);
}

void h2_session_end(struct h2_session *session, uint32_t code, const char *detail)
{
    if (session->state != H2_OPEN)
        return;
    session->state = H2_ENDING;
    session->ending_at = now_of(session);
    session->detail = detail;
    (void)nghttp2_session_terminate_session(session->ng, code);
    tell_streams(session);
    session->role->on_lost(session, code == NGHTTP2_NO_ERROR ? REASON_NONE : REASON_PROTOCOL_ERROR,
                           detail);
    h2_session_schedule(session);
}

void h2_session_go_away(struct h2_session *session)
{
    if (session->is_notice_sent || session->state != H2_OPEN)
        return;
    session->is_notice_sent = true;
    session->ending_at = now_of(session);
    (void)nghttp2_submit_shutdown_notice(session->ng);
    h2_session_schedule(session);
}

/* All is said: half-closed, so that a peer that is still sending gets to read our GOAWAY. */
static void linger(struct h2_session *session)
{
    if (outbox_is_blocked(&session->out))
        return;
    session->state = H2_LINGER;
    session->ending_at = now_of(session);
    if (stream_shutdown_write(&session->stream) != OK)
        close_socket(session);
}

/* ---- writing ---- */

static void do_chores(struct h2_session *session)
{
    struct list *first;
    while (session->state == H2_OPEN && (first = list_first(&session->chores)) != NULL) {
        struct h2_stream *stream = CONTAINER_OF(first, struct h2_stream, chore_link);
        list_remove(first);
        h2_stream_do_chores(stream);
    }
}

static bool write_some(struct h2_session *session)
{
    const uint8_t *bytes;
    const ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
    if (len < 0) {
        outbox_fail(&session->out);
        return false;
    }
    if (len > 0)
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
        session->wrote_at = now_of(session);
}

static bool is_done(const struct h2_session *session)
{
    return !nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng);
}

/* The turn's end for a session that was touched in it. */
static void session_run(struct h2_session *session)
{
    if (session->stream.state != STREAM_OPEN) { /* still connecting */
        bury(session);
        return;
    }
    if (session->out.is_failed) {
        h2_session_lose(session, REASON_CONNECTION_RESET, "the connection was reset");
        return;
    }
    if (session->state == H2_LINGER)
        return;
    write_all(session);
    if (session->is_condemned && session->state == H2_OPEN) {
        h2_session_end(session, session->code, session->detail);
        write_all(session);
    }
    if (session->state == H2_OPEN && is_done(session))
        h2_session_end(session, NGHTTP2_NO_ERROR, NULL);
    else if (session->state == H2_ENDING && is_done(session))
        linger(session);
    bury(session);
    if (session->state != H2_CLOSED)
        stream_want(&session->stream, true, outbox_is_blocked(&session->out));
}

/* ---- reading ---- */

static const char *feed_fault(struct h2_session *session, ssize_t status)
{
    if (status == NGHTTP2_ERR_FLOODED)
        h2_session_count(session, DEFENCE_OUTBOUND_QUEUE);
    else if (status != NGHTTP2_ERR_NOMEM)
        h2_session_count(session, DEFENCE_PROTOCOL_ERROR);
    return nghttp2_strerror((int)status);
}

void h2_session_feed(struct h2_session *session, struct span bytes)
{
    session->heard_at = now_of(session);
    session->received_bytes += bytes.len;
    const ssize_t used =
        nghttp2_session_mem_recv(session->ng, (const uint8_t *)bytes.data, bytes.len);
    if (used < 0) {
        h2_session_lose(session, REASON_PROTOCOL_ERROR, feed_fault(session, used));
        return;
    }
    charge_unknown(session);
    if (nghttp2_session_get_outbound_queue_size(session->ng) > H2_OUTBOUND_MAX)
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_OUTBOUND_QUEUE,
                           "it makes us answer and does not read");
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
    else if (session->state == H2_OPEN)
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
            session->wrote_at = now_of(session);
        h2_session_schedule(session);
    }
    if (session->state != H2_CLOSED && (flags & STREAM_READABLE))
        readable(session);
    codec_uncork(codec);
}

/* ---- time ---- */

static bool has_stuck_bytes(const struct h2_session *session)
{
    return outbox_is_blocked(&session->out);
}

/* Answers that nobody waits for any more but the peer, who takes nothing (CVE-2019-9517). */
static void sweep_left(struct h2_session *session, mono_ns now)
{
    LIST_FOREACH_SAFE (link, following, &session->streams) {
        struct h2_stream *stream = CONTAINER_OF(link, struct h2_stream, link);
        if (!stream->is_left || stream->is_end_sent ||
            mono_since(now, stream->out_at) < session->codec->write_timeout)
            continue;
        h2_session_count(session, DEFENCE_WRITE_TIMEOUT);
        h2_stream_reset(stream, NGHTTP2_CANCEL);
    }
}

static void sweep_ping(struct h2_session *session, mono_ns now)
{
    const struct h2_limits *limits = &session->codec->h2_limits;
    if (limits->keep_alive_interval == 0)
        return;
    if (session->pinged_at != MONO_NEVER && session->heard_at > session->pinged_at)
        session->pinged_at = MONO_NEVER; /* whatever came, it is alive */
    if (session->pinged_at != MONO_NEVER) {
        if (mono_since(now, session->pinged_at) < limits->keep_alive_timeout)
            return;
        h2_session_count(session, DEFENCE_KEEP_ALIVE);
        h2_session_lose(session, REASON_CONNECTION_RESET, "it did not answer a PING");
        return;
    }
    if (session->stream_count == 0 ||
        mono_since(now, session->heard_at) < limits->keep_alive_interval)
        return;
    session->pinged_at = now;
    (void)nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL);
    h2_session_schedule(session);
}

static void sweep_going_away(struct h2_session *session, mono_ns now)
{
    if (!session->is_notice_sent || mono_since(now, session->ending_at) < NOTICE_TIME)
        return;
    if (session->stream_count == 0) {
        h2_session_end(session, NGHTTP2_NO_ERROR, NULL);
        return;
    }
    if (session->is_last_id_sent)
        return;
    session->is_last_id_sent = true;
    (void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
    h2_session_schedule(session);
}

static void sweep_open(struct h2_session *session, mono_ns now)
{
    const struct codec *codec = session->codec;
    if (codec->write_timeout > 0 && has_stuck_bytes(session) &&
        mono_since(now, session->wrote_at) >= codec->write_timeout) {
        h2_session_count(session, DEFENCE_WRITE_TIMEOUT);
        h2_session_lose(session, REASON_CONNECTION_RESET,
                        "it took no byte for limits.writeTimeout");
        return;
    }
    if (session->head != NULL && codec->header_timeout > 0 &&
        mono_since(now, session->head_at) >= codec->header_timeout) {
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_GLITCHES,
                           "a header block that does not end");
        return;
    }
    if (codec->write_timeout > 0)
        sweep_left(session, now);
    sweep_going_away(session, now);
    if (session->state == H2_OPEN)
        sweep_ping(session, now);
}

void h2_sessions_sweep(struct codec *codec, mono_ns now)
{
    if (codec->h2 == NULL)
        return;
    LIST_FOREACH_SAFE (link, following, &codec->h2->sessions) {
        struct h2_session *session = CONTAINER_OF(link, struct h2_session, link);
        if (session->stream.state != STREAM_OPEN || session->state == H2_CLOSED)
            continue;
        if (session->state == H2_OPEN)
            sweep_open(session, now);
        else if (mono_since(now, session->ending_at) >= LINGER_TIME)
            h2_session_lose(session, REASON_NONE, NULL);
    }
}
