/* h1_front.c - the caller's side of HTTP/1.1 on a socket. See h1_front.h.
 *   INVARIANT: no handler but on_gone is called in H1_FRONT_CLOSED; whoever calls one looks at the
 * state afterwards. INVARIANT: the inbox holds only bytes of the message that `scan` or `body` is
 * in, and of those behind it. */
#include "codec/h1_front.h"

#include "base/check.h"
#include "codec/h1_front_own.h"
#include "codec/h1_front_send.h"
#include "codec/h1_head.h"
#include "http/local_reply.h"

#include <stdlib.h>
#include <unistd.h>

#define TRAILER_ARENA_BYTES 32768

static const struct front_class h1_front_class;
static void close_front(struct h1_front *front, enum stream_ending ending);
static void do_flush(struct front *base);

static bool is_closed(const struct h1_front *front)
{
    return front->state == H1_FRONT_CLOSED;
}

void h1_front_watch(struct h1_front *front)
{
    if (is_closed(front))
        return;
    const bool has_room = inbox_length(&front->in) < H1_FRONT_INBOX_BYTES;
    bool wants_bytes = has_room;
    if (front->state == H1_FRONT_HEAD && !outbox_is_blocked(&front->out))
        wants_bytes = true; /* the limits of a head bound it */
    else if (front->state == H1_FRONT_CALL && !front->is_body_ended)
        wants_bytes = front->is_reading;
    else if (front->state == H1_FRONT_TUNNEL)
        wants_bytes = front->is_reading && !front->is_body_ended;
    else if (front->state == H1_FRONT_FLUSH)
        wants_bytes = false;
    if (front->is_fin_kept)
        wants_bytes = false;
    stream_want(&front->stream, wants_bytes, outbox_is_blocked(&front->out));
}

static void become_idle(struct h1_front *front)
{
    front->state = H1_FRONT_IDLE;
    front->idle_since = front->codec->loop->now;
    h1_scan_init(&front->scan, MESSAGE_REQUEST);
    list_append(&front->codec->idle_fronts, &front->idle_link);
}

/* ---- reading ---- */

void h1_front_head_refused(struct h1_front *front, const struct h1_result *result)
{
    wheel_clear(front->codec->loop->wheel, &front->timer);
    front->state = H1_FRONT_CALL;
    front->may_persist = false;
    front->is_body_ended = true;
    front->is_lost = true;
    front->is_reading = false;
    inbox_fini(&front->in);
    front->handler->on_bad_request(&front->base, result->reason, result->detail);
}

void h1_front_head_arrived(struct h1_front *front, struct message *msg)
{
    wheel_clear(front->codec->loop->wheel, &front->timer);
    front->state = H1_FRONT_CALL;
    front->requests++;
    front->version_minor = msg->version_minor;
    /* Behind a CONNECT that is refused there may be bytes that were meant for the tunnel. */
    front->may_persist = msg->is_keep_alive && !front->is_draining && !msg->is_connect;
    front->is_last = false;
    front->is_reading = false;
    h1_body_init(&front->body, msg->framing, msg->content_length, &front->arena);
    front->is_body_ended = front->body.is_done;
    front->handler->on_request(&front->base, msg);
}

void h1_front_await_head(struct h1_front *front)
{
    if (front->codec->header_timeout > 0)
        wheel_set(front->codec->loop->wheel, &front->timer,
                  mono_add(front->codec->loop->now, front->codec->header_timeout));
}

void h1_front_head_is_partial(struct h1_front *front)
{
    if (front->state == H1_FRONT_HEAD)
        return;
    list_remove(&front->idle_link);
    front->state = H1_FRONT_HEAD;
    if (!front->is_detecting)
        h1_front_await_head(front);
}

/* RFC 9113 section 3.4: who speaks HTTP/2 by prior knowledge says so in its first bytes. */
static bool is_preface(const struct h1_front *front, struct span bytes)
{
    const size_t len = bytes.len < H2_PREFACE.len ? bytes.len : H2_PREFACE.len;
    return front->requests == 0 && len > 0 && memcmp(bytes.data, H2_PREFACE.data, len) == 0;
}

/* The rest of the bytes goes along: h1_front_take_over hands it out. */
static size_t feed_preface(struct h1_front *front, struct span bytes)
{
    if (bytes.len < H2_PREFACE.len) {
        h1_front_head_is_partial(front);
        return 0;
    }
    front->rest = bytes;
    front->handler->on_preface(&front->base);
    return bytes.len;
}

size_t h1_front_feed_head(struct h1_front *front, struct span bytes)
{
    struct codec *codec = front->codec;
    if (is_preface(front, bytes))
        return feed_preface(front, bytes);
    struct h1_result result =
        h1_scan_head(&front->scan, bytes.data, bytes.len, &codec->request_limits);
    if (result.step == H1_NEED_MORE) {
        h1_front_head_is_partial(front);
        return 0;
    }
    list_remove(&front->idle_link);
    struct message msg;
    const size_t end = front->scan.at;
    if (result.step == H1_DONE)
        result = h1_parse_request(h1_scan_span(&front->scan, bytes.data), &codec->request_limits,
                                  codec->scratch, &msg);
    if (result.step == H1_ERROR) {
        h1_front_head_refused(front, &result);
        return bytes.len;
    }
    h1_front_head_arrived(front, &msg);
    return end;
}

static size_t feed_body(struct h1_front *front, struct span bytes)
{
    size_t used = 0;
    while (front->state == H1_FRONT_CALL && !front->is_body_ended) {
        const struct h1_chunk_event event =
            h1_body_next(&front->body, bytes.data + used, bytes.len - used);
        used += event.consumed;
        if (event.kind == H1_CHUNK_MORE)
            break;
        if (event.kind == H1_CHUNK_DATA) {
            front->handler->on_body(&front->base, event.data);
        } else if (event.kind == H1_CHUNK_END) {
            front->is_body_ended = true;
            front->handler->on_body_end(&front->base, h1_body_trailers(&front->body));
        } else {
            front->is_body_ended = true;
            front->is_lost = true;
            front->may_persist = false;
            front->handler->on_bad_body(&front->base, event.reason, event.detail);
            return bytes.len;
        }
    }
    return used;
}

/* Uses what the state can use of `bytes`; returns how much that was. */
static size_t feed(struct h1_front *front, struct span bytes)
{
    switch (front->state) {
    case H1_FRONT_IDLE:
    case H1_FRONT_HEAD: /* who does not take its answers gets no further ones */
        if (front->is_detecting && bytes.len > 0)
            return h1_front_feed_unknown(front, bytes);
        return bytes.len > 0 && !outbox_is_blocked(&front->out) ? h1_front_feed_head(front, bytes)
                                                                : 0;
    case H1_FRONT_CALL:
        return !front->is_body_ended && front->is_reading ? feed_body(front, bytes) : 0;
    case H1_FRONT_TUNNEL:
        if (!front->is_reading)
            return 0;
        front->handler->on_body(&front->base,
                                bytes); /* may stop the reading, but has taken these */
        return bytes.len;
    default: /* LINGER, FLUSH: thrown away */ return bytes.len;
    }
}

/* A head, then (when it is wanted already) its body: two states may pass in one piece; the next
 * request does not start before this one is finished. */
static size_t feed_all(struct h1_front *front, struct span bytes)
{
    size_t used = 0;
    while (used < bytes.len && !is_closed(front)) {
        const size_t taken = feed(front, span_make(bytes.data + used, bytes.len - used));
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}

static void connection_lost(struct h1_front *front)
{
    if (front->state == H1_FRONT_CALL || front->state == H1_FRONT_TUNNEL)
        front->handler->on_hangup(&front->base);
    else
        close_front(front, STREAM_END_ORDERLY);
}

static void keep_rest(struct h1_front *front, struct span rest)
{
    if (rest.len > 0 && !is_closed(front) && inbox_add(&front->in, rest) != OK)
        connection_lost(front);
}

static void received(struct h1_front *front, struct span bytes)
{
    if (inbox_length(&front->in) == 0) {
        const size_t used = feed_all(front, bytes);
        keep_rest(front, span_make(bytes.data + used, bytes.len - used));
        return;
    }
    if (inbox_add(&front->in, bytes) != OK) {
        connection_lost(front);
        return;
    }
    h1_front_next(front);
}

void h1_front_next(struct h1_front *front)
{
    const size_t used = feed_all(front, inbox_span(&front->in));
    if (!is_closed(front) && used > 0 && used <= inbox_length(&front->in))
        inbox_consume(&front->in, used);
}

static void tunnel_ended(struct h1_front *front)
{
    if (front->is_body_ended)
        return;
    front->is_body_ended = true;
    front->handler->on_body_end(&front->base, SPAN_NONE);
}

static void on_next_task(struct loop_task *task)
{
    struct h1_front *front = CONTAINER_OF(task, struct h1_front, next_task);
    if (front->out.is_failed)
        connection_lost(front);
    else if (inbox_length(&front->in) > 0)
        h1_front_next(front);
    if (front->state == H1_FRONT_TUNNEL && front->is_fin_kept && inbox_length(&front->in) == 0)
        tunnel_ended(front);
    codec_uncork(front->codec);
    h1_front_watch(front);
}

/* Between two requests: ends at once, or when the answers that wait for the caller have gone. */
static void end_idle(struct h1_front *front)
{
    list_remove(&front->idle_link);
    inbox_fini(&front->in);
    front->state = H1_FRONT_FLUSH;
    if (!outbox_is_blocked(&front->out))
        close_front(front, STREAM_END_ORDERLY);
}

static void caller_left(struct h1_front *front)
{
    switch (front->state) {
    case H1_FRONT_CALL:
        if (front->is_bare) /* it has said all that it has to say, and waits for the answer */
            front->is_fin_kept = true;
        else
            front->handler->on_hangup(&front->base);
        break;
    case H1_FRONT_TUNNEL: tunnel_ended(front); break;
    case H1_FRONT_FLUSH:
        break; /* it may still read what we send; a reset shows at the next write */
    case H1_FRONT_IDLE: end_idle(front); break;
    default: close_front(front, STREAM_END_ORDERLY); break;
    }
}

static void front_readable(struct h1_front *front)
{
    struct loop *loop = front->codec->loop;
    struct outbox *to = inbox_length(&front->in) == 0 ? outbox_way(&front->out) : NULL;
    const ssize_t got = to != NULL
                            ? outbox_move(to, &front->stream)
                            : stream_recv(&front->stream, loop->read_buffer, LOOP_READ_BYTES);
    outbox_weigh(&front->out, got);
    if (got > 0 && to != NULL)
        front->handler->on_body(&front->base, span_make(NULL, (size_t)got));
    else if (got > 0)
        received(front, span_make(loop->read_buffer, (size_t)got));
    else if (got == 0)
        caller_left(front);
    else if (got == STREAM_FAILED)
        connection_lost(front);
}

static void start_linger(struct h1_front *front)
{
    front->state = H1_FRONT_LINGER;
    inbox_fini(&front->in);
    if (stream_shutdown_write(&front->stream) != OK) {
        close_front(front, STREAM_END_ORDERLY);
        return;
    }
    wheel_set(front->codec->loop->wheel, &front->timer,
              mono_add(front->codec->loop->now, H1_FRONT_LINGER_TIME));
}

static void sent_all(struct h1_front *front)
{
    if (front->state != H1_FRONT_FLUSH)
        return;
    if (front->is_body_ended && !front->is_lost && inbox_length(&front->in) == 0)
        close_front(front, STREAM_END_ORDERLY);
    else
        start_linger(front);
}

/* After an answer a caller that reads nothing must not keep the connection for ever. During a call
 * the call has its own timeouts. */
static void watch_reader(struct h1_front *front)
{
    const bool is_answered = front->state == H1_FRONT_IDLE || front->state == H1_FRONT_FLUSH;
    const dur_ns most = front->codec->write_timeout;
    if (is_answered && most > 0 && outbox_is_blocked(&front->out))
        wheel_set(front->codec->loop->wheel, &front->timer,
                  mono_add(front->codec->loop->now, most));
}

static void taken_all(struct h1_front *front)
{
    switch (front->state) {
    case H1_FRONT_FLUSH: sent_all(front); break;
    case H1_FRONT_IDLE:
        wheel_clear(front->codec->loop->wheel, &front->timer);
        front->idle_since = front->codec->loop->now;
        if (inbox_length(&front->in) > 0)
            loop_defer(front->codec->loop, &front->next_task);
        break;
    default: front->handler->on_writable(&front->base); break;
    }
}

static void on_event(struct stream *stream, unsigned flags)
{
    struct h1_front *front = CONTAINER_OF(stream, struct h1_front, stream);
    if (flags & STREAM_WRITABLE) {
        const uint64_t sent_before = front->out.sent_bytes;
        const bool is_drained = outbox_resume(&front->out);
        const bool has_sent = front->out.sent_bytes != sent_before;
        if (has_sent)
            watch_reader(front);
        if (is_drained || (has_sent && front->state == H1_FRONT_TUNNEL))
            taken_all(front);
    }
    if (!is_closed(front) && (flags & STREAM_READABLE))
        front_readable(front);
    if (!is_closed(front) && (flags & STREAM_HANGUP) && front->state == H1_FRONT_CALL &&
        !front->is_bare)
        front->handler->on_hangup(&front->base);
    codec_uncork(front->codec);
    h1_front_watch(front);
}

/* ---- life ---- */

static void on_closed(struct stream *stream)
{
    struct h1_front *front = CONTAINER_OF(stream, struct h1_front, stream);
    front->handler->on_gone(&front->base);
    inbox_fini(&front->in);
    front->magic = 0;
    free(front);
}

static void on_timer(struct timer *timer, mono_ns now)
{
    struct h1_front *front = CONTAINER_OF(timer, struct h1_front, timer);
    const struct h1_result late = {H1_ERROR, REASON_HEADER_TIMEOUT, NULL};
    (void)now;
    if (front->is_detecting)
        h1_front_detect_now(front);
    else if (front->state == H1_FRONT_HEAD)
        h1_front_head_refused(front, &late);
    else
        close_front(front, STREAM_END_ORDERLY);
}

static void on_write_failed(struct outbox *out)
{
    struct h1_front *front = CONTAINER_OF(out, struct h1_front, out);
    loop_defer(front->codec->loop, &front->next_task);
}

struct h1_front *h1_front_open(struct codec *codec, int fd, const struct front_handler *handler,
                               void *context)
{
    struct h1_front *front = calloc(1, sizeof *front);
    if (front == NULL || stream_open(&front->stream, codec->loop, fd, on_event, on_closed) != OK) {
        close(fd);
        free(front);
        return NULL;
    }
    front->magic = H1_FRONT_MAGIC;
    front->codec = codec;
    front->base.class = &h1_front_class;
    front->handler = handler;
    front->base.context = context;
    front->is_body_ended = true;
    outbox_init(&front->out, codec, &front->stream, on_write_failed);
    arena_init(&front->arena, &codec->chunks, TRAILER_ARENA_BYTES);
    timer_init(&front->timer, on_timer);
    loop_task_init(&front->next_task, on_next_task);
    list_init(&front->idle_link);
    become_idle(front);
    h1_front_watch(front);
    return front;
}

static void stop(struct h1_front *front)
{
    front->state = H1_FRONT_CLOSED;
    list_remove(&front->idle_link);
    wheel_clear(front->codec->loop->wheel, &front->timer);
    loop_task_cancel(&front->next_task);
    outbox_fini(&front->out);
    arena_fini(&front->arena);
}

int h1_front_take_over(struct h1_front *front, struct span *rest)
{
    *rest = front->rest;
    const int fd = stream_take_fd(&front->stream);
    stop(front);
    return fd;
}

static void close_front(struct h1_front *front, enum stream_ending ending)
{
    if (is_closed(front))
        return;
    if (ending == STREAM_END_ORDERLY)
        outbox_flush(&front->out);
    if (outbox_is_blocked(&front->out) || front->out.is_failed)
        ending = STREAM_END_RESET; /* what is cut short must not look whole */
    stop(front);
    inbox_fini(&front->in);
    if (ending == STREAM_END_RESET)
        stream_reset(&front->stream);
    else
        stream_close(&front->stream);
}

void h1_front_drain(struct h1_front *front)
{
    CHECK_OBJ(front, H1_FRONT_MAGIC);
    front->is_draining = true;
    front->may_persist = false;
    if (front->state == H1_FRONT_IDLE)
        end_idle(front);
    h1_front_watch(front);
}

static void do_finish(struct front *base, bool is_last)
{
    struct h1_front *front = h1_front_of(base);
    front->base.user = NULL;
    if (is_closed(front))
        return;
    arena_fini(&front->arena);
    if (front->may_persist && front->is_body_ended && !is_last && !front->is_last &&
        !front->out.is_failed) {
        become_idle(front);
        watch_reader(front);
        if (inbox_length(&front->in) > 0)
            loop_defer(front->codec->loop, &front->next_task);
        h1_front_watch(front);
        return;
    }
    outbox_flush(&front->out);
    front->state = H1_FRONT_FLUSH;
    if (front->out.is_failed)
        close_front(front, STREAM_END_RESET);
    else if (!outbox_is_blocked(&front->out))
        sent_all(front);
    else
        watch_reader(front);
    h1_front_watch(front);
}

static void do_read_body(struct front *base, bool is_wanted)
{
    struct h1_front *front = h1_front_of(base);
    if (is_closed(front) || front->is_reading == is_wanted)
        return;
    front->is_reading = is_wanted;
    if (is_wanted && (inbox_length(&front->in) > 0 || front->is_fin_kept))
        loop_defer(front->codec->loop, &front->next_task);
    h1_front_watch(front);
}

/* ---- sending ---- */

static void do_send_reply(struct front *base, struct local_reply *reply)
{
    struct h1_front *front = h1_front_of(base);
    char text[LOCAL_REPLY_MAX];
    size_t len;
    const bool may_persist = front->may_persist && front->is_body_ended;
    if (front->is_bare) {
        outbox_fail(&front->out);
        return;
    }
    reply->is_last = !may_persist;
    reply->is_keep_alive_said = may_persist && front->version_minor == 0;
    if (local_reply_write(reply, text, sizeof text, &len) == OK)
        outbox_put(&front->out, span_make(text, len));
    do_flush(base);
}

static void do_start_tunnel(struct front *base, const struct message *msg,
                            const struct response_edit *edit)
{
    struct h1_front *front = h1_front_of(base);
    INVARIANT(front->state == H1_FRONT_CALL);
    if (msg == NULL && !front->is_bare)
        outbox_put(&front->out, SPAN("HTTP/1.1 200 Connection established\r\n\r\n"));
    else if (msg != NULL)
        h1_front_write_head(front, msg, edit);
    codec_uncork(front->codec);
    front->state = H1_FRONT_TUNNEL;
    front->is_reading = false;
    front->is_body_ended = false;
    front->may_persist = false;
}

static void do_send_fin(struct front *base)
{
    struct h1_front *front = h1_front_of(base);
    outbox_flush(&front->out);
    if (!front->out.is_failed && stream_shutdown_write(&front->stream) != OK)
        outbox_fail(&front->out);
}

static void do_flush(struct front *base)
{
    struct h1_front *front = h1_front_of(base);
    codec_uncork(front->codec);
    h1_front_watch(front);
}

static bool do_is_blocked(const struct front *base)
{
    return outbox_is_blocked(&((const struct h1_front *)base)->out);
}

static struct outbox *do_outbox(struct front *base)
{
    struct h1_front *front = h1_front_of(base);
    return front->stream.class == &tcp_class ? &front->out : NULL;
}

static void do_close(struct front *base, enum stream_ending ending)
{
    close_front(h1_front_of(base), ending);
}

static const struct front_class h1_front_class = {
    .version = 1,
    .read_body = do_read_body,
    .send_interim = h1_front_send_interim,
    .send_head = h1_front_send_head,
    .send_reply = do_send_reply,
    .send_body = h1_front_send_body,
    .send_end = h1_front_send_end,
    .start_tunnel = do_start_tunnel,
    .send_raw = h1_front_send_raw,
    .send_fin = do_send_fin,
    .flush = do_flush,
    .is_blocked = do_is_blocked,
    .outbox = do_outbox,
    .finish = do_finish,
    .close = do_close,
};
