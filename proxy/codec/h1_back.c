/* h1_back.c - the upstream side of HTTP/1.1 on a socket. See h1_back.h.
 *   INVARIANT: no handler is called in H1_BACK_CLOSED; every loop that calls one looks at the state
 * afterwards. */
#include "codec/h1_back.h"

#include "base/check.h"
#include "codec/h1_head.h"
#include "http/hop.h"

#include <stdlib.h>

#define HEAD_EXTRA_BYTES 2048 /* what our own fields add at most, beside h1_line values */
#define TRAILER_ARENA_BYTES 32768

static const struct back_class h1_back_class;

static void back_failed(struct h1_back *back, enum reason reason, const char *detail)
{
    if (back->state != H1_BACK_CLOSED)
        back->base.handler->on_failed(&back->base, reason, detail);
}

/* ---- reading ---- */

static void response_ended(struct h1_back *back, struct span rest)
{
    const struct span trailers = h1_body_trailers(&back->body);
    if (rest.len >
        0) /* bytes that belong to no request: the connection must not serve another one */
        back->is_keep_alive = false;
    back->state = H1_BACK_IDLE;
    back->requests++;
    back->base.handler->on_end(&back->base, trailers);
    if (back->state != H1_BACK_CLOSED)
        arena_fini(&back->arena);
}

static size_t feed_body(struct h1_back *back, struct span bytes)
{
    size_t used = 0;
    while (back->state == H1_BACK_BODY) {
        const struct h1_chunk_event event =
            h1_body_next(&back->body, bytes.data + used, bytes.len - used);
        used += event.consumed;
        switch (event.kind) {
        case H1_CHUNK_DATA: back->base.handler->on_body(&back->base, event.data); break;
        case H1_CHUNK_END:
            response_ended(back, span_make(bytes.data + used, bytes.len - used));
            break;
        case H1_CHUNK_ERROR:
            back_failed(
                back, event.reason == REASON_OVERLOADED ? REASON_OVERLOADED : REASON_PROTOCOL_ERROR,
                event.detail);
            return used;
        default: return used;
        }
    }
    return used;
}

static void begin_response(struct h1_back *back)
{
    h1_scan_init(&back->scan, MESSAGE_RESPONSE);
    back->state = H1_BACK_HEAD;
}

static void head_arrived(struct h1_back *back, struct message *msg)
{
    if (msg->status < 200 && msg->status != 101) {
        begin_response(back);
        if (++back->interims > H1_BACK_INTERIM_LIMIT)
            back_failed(back, REASON_PROTOCOL_ERROR,
                        "too many interim responses before a final one");
        else
            back->base.handler->on_interim(&back->base, msg);
        return;
    }
    back->is_keep_alive = msg->is_keep_alive && msg->framing != BODY_UNTIL_CLOSE;
    back->keep_alive_seconds =
        message_has(msg, HEADER_KEEP_ALIVE) ? hop_keep_alive_seconds(msg) : 0;
    h1_body_init(&back->body, msg->framing, msg->content_length, &back->arena);
    back->state = H1_BACK_BODY;
    back->base.handler->on_head(&back->base, msg);
}

static size_t feed_head(struct h1_back *back, struct span bytes)
{
    struct codec *codec = back->codec;
    struct h1_result result =
        h1_scan_head(&back->scan, bytes.data, bytes.len, &codec->response_limits);
    if (result.step == H1_NEED_MORE)
        return 0;
    struct message msg;
    const size_t end = back->scan.at;
    if (result.step == H1_DONE)
        result = h1_parse_response(h1_scan_span(&back->scan, bytes.data), &codec->response_limits,
                                   back->method, back->has_asked_upgrade, codec->scratch, &msg);
    if (result.step == H1_ERROR) {
        back_failed(back, REASON_PROTOCOL_ERROR, result.detail);
        return bytes.len;
    }
    head_arrived(back, &msg);
    return end;
}

/* Feeds until nothing more can be used; returns how much was. */
static size_t feed(struct h1_back *back, struct span bytes)
{
    size_t used = 0;
    for (;;) {
        const struct span rest = span_make(bytes.data + used, bytes.len - used);
        const enum h1_back_state before = back->state;
        size_t taken = 0;
        if (before == H1_BACK_HEAD && rest.len > 0) {
            taken = feed_head(back, rest);
        } else if (before == H1_BACK_BODY) {
            taken = feed_body(back, rest);
        } else if (before == H1_BACK_TUNNEL && rest.len > 0) {
            taken = rest.len;
            back->base.handler->on_body(&back->base, rest);
        }
        used += taken;
        if (back->state == H1_BACK_CLOSED || (taken == 0 && back->state == before))
            return used;
    }
}

static void keep_rest(struct h1_back *back, struct span rest)
{
    if (rest.len > 0 && back->state != H1_BACK_CLOSED && inbox_add(&back->in, rest) != OK)
        back_failed(back, REASON_OVERLOADED, "no memory for a response head");
}

/* Feeds what was kept of a head, out of the inbox: at the response's end the connection must be
 * seen to be empty. */
static void feed_kept(struct h1_back *back)
{
    struct inbox kept = back->in;
    back->in = (struct inbox){.block = NULL};
    const size_t used = feed(back, inbox_span(&kept));
    inbox_consume(&kept, used);
    if (back->state == H1_BACK_CLOSED)
        inbox_fini(&kept);
    else
        back->in = kept;
}

static void received(struct h1_back *back, struct span bytes)
{
    if (back->state == H1_BACK_IDLE) {
        back_failed(back, REASON_PROTOCOL_ERROR, "the upstream sent bytes that nobody asked for");
        return;
    }
    back->has_answered = true;
    if (inbox_length(&back->in) == 0) {
        const size_t used = feed(back, bytes);
        keep_rest(back, span_make(bytes.data + used, bytes.len - used));
        return;
    }
    if (inbox_add(&back->in, bytes) != OK) {
        back_failed(back, REASON_OVERLOADED, "no memory for a response head");
        return;
    }
    feed_kept(back);
}

/* A write that failed has taken the socket's error with it: the end that is read then is no orderly
 * one. */
static void peer_ended(struct h1_back *back)
{
    const bool is_orderly = !back->out.is_failed;
    back->is_read_ended = true;
    if (back->state == H1_BACK_BODY && back->body.framing == BODY_UNTIL_CLOSE && is_orderly) {
        response_ended(back, SPAN_NONE);
    } else if (back->state == H1_BACK_TUNNEL && is_orderly) {
        back->base.handler->on_end(&back->base, SPAN_NONE);
    } else {
        back_failed(back, REASON_CONNECTION_RESET, "the upstream closed the connection too early");
    }
}

static void back_readable(struct h1_back *back)
{
    struct loop *loop = back->codec->loop;
    struct outbox *to = inbox_length(&back->in) == 0 ? outbox_way(&back->out) : NULL;
    const ssize_t got = to != NULL ? outbox_move(to, &back->stream)
                                   : stream_recv(&back->stream, loop->read_buffer, LOOP_READ_BYTES);
    outbox_weigh(&back->out, got);
    back->is_drained = got < LOOP_READ_BYTES;
    if (back->distrusted_turn == loop->turns)
        back_failed(back, REASON_CONNECTION_RESET,
                    "the idle connection had ended before the request was sent on it");
    else if (got > 0 && to != NULL)
        back->base.handler->on_body(&back->base, span_make(NULL, (size_t)got));
    else if (got > 0)
        received(back, span_make(loop->read_buffer, (size_t)got));
    else if (got == 0)
        peer_ended(back);
    else if (got == STREAM_FAILED || back->out.is_failed)
        back_failed(back, REASON_CONNECTION_RESET, "the upstream reset the connection");
}

static void watch_stream(struct h1_back *back)
{
    if (back->state != H1_BACK_CLOSED)
        stream_want(&back->stream, !back->is_paused && !back->is_read_ended,
                    outbox_is_blocked(&back->out));
}

/* ---- a write that fails ---- */

static void on_write_failed(struct outbox *out)
{
    struct h1_back *back = CONTAINER_OF(out, struct h1_back, out);
    loop_defer(back->codec->loop, &back->failed_task);
}

/* An upstream that refuses a long body may answer and reset at once: what it said is read before it
 * counts as lost. */
static void on_failed_task(struct loop_task *task)
{
    struct h1_back *back = CONTAINER_OF(task, struct h1_back, failed_task);
    if (back->is_paused)
        return; /* do_resume comes back here */
    if (back->is_read_ended)
        back_failed(back, REASON_CONNECTION_RESET, "the upstream reset the connection");
    else
        back_readable(back);
    if (back->state != H1_BACK_CLOSED && !back->is_read_ended)
        loop_defer(back->codec->loop, task);
    codec_uncork(back->codec);
    watch_stream(back);
}

static void on_event(struct stream *stream, unsigned flags)
{
    struct h1_back *back = CONTAINER_OF(stream, struct h1_back, stream);
    if (flags & STREAM_WRITABLE) {
        const uint64_t sent_before = back->out.sent_bytes;
        const bool is_drained = outbox_resume(&back->out);
        if (is_drained || (back->state == H1_BACK_TUNNEL && back->out.sent_bytes != sent_before))
            back->base.handler->on_writable(&back->base);
    }
    const bool may_read = back->state != H1_BACK_CLOSED && !back->is_paused && !back->is_read_ended;
    if (may_read && (flags & STREAM_READABLE))
        back_readable(back);
    else if (back->state == H1_BACK_IDLE && (flags & STREAM_HANGUP))
        back_failed(back, REASON_CONNECTION_RESET, "the upstream closed an idle connection");
    codec_uncork(back->codec);
    watch_stream(back);
}

/* ---- life ---- */

static void on_closed(struct stream *stream)
{
    struct h1_back *back = CONTAINER_OF(stream, struct h1_back, stream);
    if (back->on_gone != NULL)
        back->on_gone(back);
    back->magic = 0;
    free(back);
}

static void on_connected(struct stream *stream, enum reason reason)
{
    struct h1_back *back = CONTAINER_OF(stream, struct h1_back, stream);
    if (reason != REASON_NONE) {
        back_failed(back, reason, back->stream.tls != NULL ? stream_detail(stream) : NULL);
        return;
    }
    back->state = H1_BACK_IDLE;
    stream_set_callback(stream, on_event);
    stream_want(stream, true, false);
    back->base.handler->on_connected(&back->base);
    codec_uncork(back->codec);
    watch_stream(back);
}

enum err h1_back_connect(struct codec *codec, const struct address *to, const struct tls_order *tls,
                         const struct back_handler *handler, void *user, struct h1_back **out)
{
    struct h1_back *back = calloc(1, sizeof *back);
    if (back == NULL)
        return ERR_NO_MEMORY;
    back->magic = H1_BACK_MAGIC;
    back->codec = codec;
    back->base = (struct back){&h1_back_class, handler, user};
    outbox_init(&back->out, codec, &back->stream, on_write_failed);
    loop_task_init(&back->failed_task, on_failed_task);
    arena_init(&back->arena, &codec->chunks, TRAILER_ARENA_BYTES);
    list_init(&back->pool_link);
    list_init(&back->idle_link);
    if (tls != NULL)
        stream_connect_tls(&back->stream, codec->loop, &to->any, to->len, tls, on_connected,
                           on_closed);
    else
        stream_connect(&back->stream, codec->loop, &to->any, to->len, on_connected, on_closed);
    *out = back;
    return OK;
}

void h1_back_use(struct h1_back *back, const struct back_handler *handler, void *user)
{
    CHECK_OBJ(back, H1_BACK_MAGIC);
    back->base.handler = handler;
    back->base.user = user;
}

static void stop(struct h1_back *back)
{
    INVARIANT(back->state != H1_BACK_CLOSED);
    back->state = H1_BACK_CLOSED;
    list_remove(&back->pool_link);
    list_remove(&back->idle_link);
    loop_task_cancel(&back->failed_task);
    outbox_fini(&back->out);
    inbox_fini(&back->in);
    arena_fini(&back->arena);
}

int h1_back_take_over(struct h1_back *back)
{
    CHECK_OBJ(back, H1_BACK_MAGIC);
    const int fd = stream_take_fd(&back->stream);
    stop(back);
    return fd;
}

static void do_close(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    const bool is_cut = back->state == H1_BACK_HEAD || back->state == H1_BACK_BODY;
    stop(back);
    if (is_cut)
        stream_reset(&back->stream);
    else
        stream_close(&back->stream);
}

/* ---- sending ---- */

static void send_large_head(struct h1_back *back, const struct message *msg,
                            const struct request_edit *edit, size_t cap)
{
    size_t len;
    char *buf = malloc(cap);
    if (buf != NULL && h1_write_request(msg, edit, buf, cap, &len) == OK)
        outbox_put(&back->out, span_make(buf, len));
    else
        outbox_fail(&back->out);
    free(buf);
}

static size_t edit_size(const struct request_edit *edit)
{
    size_t size = HEAD_EXTRA_BYTES + edit->host.len + edit->request_id.len + edit->via.len;
    for (size_t i = 0; i < edit->line_count; i++)
        size += edit->lines[i].name.len + edit->lines[i].value.len + 4;
    return size;
}

static void do_send_request(struct back *base, const struct message *msg,
                            const struct request_edit *edit)
{
    struct h1_back *back = h1_back_of(base);
    INVARIANT(back->state == H1_BACK_IDLE);
    back->method = msg->method;
    back->has_asked_upgrade = edit->is_upgrade_passed && msg->is_upgrade;
    back->request_framing = msg->framing;
    back->is_request_done = msg->is_whole;
    back->is_keep_alive = false;
    back->sent_before = back->out.sent_bytes;
    back->has_answered = false;
    back->interims = 0;
    begin_response(back);

    size_t len;
    const size_t cap = msg->raw.len + edit_size(edit);
    char *room = cap <= LOOP_WRITE_BYTES / 2 ? outbox_reserve(&back->out, cap) : NULL;
    if (room != NULL && h1_write_request(msg, edit, room, cap, &len) == OK)
        outbox_commit(&back->out, len);
    else
        send_large_head(back, msg, edit, cap);
}

static void do_send_body(struct back *base, struct span bytes)
{
    struct h1_back *back = h1_back_of(base);
    if (bytes.len == 0)
        return;
    char head[H1_CHUNK_HEAD_MAX];
    const bool is_chunked = back->request_framing == BODY_CHUNKED;
    if (is_chunked)
        outbox_put(&back->out, span_make(head, h1_write_chunk_head(head, bytes.len)));
    outbox_put(&back->out, bytes);
    if (is_chunked)
        outbox_put(&back->out, SPAN(H1_CHUNK_TAIL));
}

static void do_send_end(struct back *base, struct span trailers)
{
    struct h1_back *back = h1_back_of(base);
    if (back->is_request_done)
        return;
    back->is_request_done = true;
    if (back->request_framing != BODY_CHUNKED)
        return;
    outbox_put(&back->out, SPAN(H1_LAST_CHUNK));
    outbox_put(&back->out, trailers);
    outbox_put(&back->out, SPAN(H1_CHUNK_TAIL));
}

static void do_send_raw(struct back *base, struct span bytes)
{
    struct h1_back *back = h1_back_of(base);
    outbox_put(&back->out, bytes);
}

static void do_send_fin(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    outbox_flush(&back->out);
    if (!back->out.is_failed && stream_shutdown_write(&back->stream) != OK)
        outbox_fail(&back->out);
}

static void do_flush(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    if (back->state == H1_BACK_CONNECTING || back->state == H1_BACK_CLOSED)
        return;
    outbox_flush(&back->out);
    watch_stream(back);
}

static void do_pause(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    back->is_paused = true;
    watch_stream(back);
}

static void do_resume(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    back->is_paused = false;
    if (back->out.is_failed)
        loop_defer(back->codec->loop, &back->failed_task);
    watch_stream(back);
}

static void do_start_tunnel(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    INVARIANT(back->state == H1_BACK_IDLE || back->state == H1_BACK_BODY);
    back->state = H1_BACK_TUNNEL;
}

bool h1_back_may_persist(const struct h1_back *back)
{
    return back->state == H1_BACK_IDLE && back->is_keep_alive && back->is_request_done &&
           inbox_length(&back->in) == 0 && outbox_is_empty(&back->out) && !back->out.is_failed &&
           !back->stream.has_hung_up;
}

bool h1_back_is_stale(struct h1_back *back)
{
    CHECK_OBJ(back, H1_BACK_MAGIC);
    return back->stream.has_hung_up || stream_peek_dead(&back->stream);
}

static bool do_is_blocked(const struct back *base)
{
    return outbox_is_blocked(&((const struct h1_back *)base)->out);
}

static struct outbox *do_outbox(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    return back->stream.class == &tcp_class ? &back->out : NULL;
}

static bool do_is_listening(const struct back *base)
{
    const struct h1_back *back = (const struct h1_back *)base;
    return back->is_keep_alive && !back->stream.has_hung_up && !back->out.is_failed;
}

static bool do_is_unsent(const struct back *base)
{
    const struct h1_back *back = (const struct h1_back *)base;
    return back->out.sent_bytes == back->sent_before;
}

static bool do_has_answered(const struct back *base)
{
    return ((const struct h1_back *)base)->has_answered;
}

static const struct back_class h1_back_class = {
    .send_request = do_send_request,
    .send_body = do_send_body,
    .send_end = do_send_end,
    .send_raw = do_send_raw,
    .send_fin = do_send_fin,
    .start_tunnel = do_start_tunnel,
    .flush = do_flush,
    .is_blocked = do_is_blocked,
    .outbox = do_outbox,
    .is_listening = do_is_listening,
    .is_unsent = do_is_unsent,
    .has_answered = do_has_answered,
    .pause = do_pause,
    .resume = do_resume,
    .close = do_close,
};
