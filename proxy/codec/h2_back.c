/* h2_back.c - see h2_back.h. */
#include "codec/h2_back.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct h2_back_stream {
    struct back base;
    struct h2_stream stream;
};

_Static_assert(sizeof(struct h2_back_stream) <= H2_STREAM_MEMORY, "an upstream's stream");
_Static_assert(H2_BACK_INTERIM_LIMIT < 63, "h2_stream.interims counts one more");

static const struct back_class h2_back_class;
static uint64_t serials;

static struct h2_back_stream *of_base(const struct back *base)
{
    return (struct h2_back_stream *)(uintptr_t)base;
}

static struct h2_back_stream *of_stream(struct h2_stream *stream)
{
    return CONTAINER_OF(stream, struct h2_back_stream, stream);
}

static struct h2_back *back_of(struct h2_session *session)
{
    return CONTAINER_OF(session, struct h2_back, session);
}

struct h2_back *h2_back_of(struct back *base)
{
    return back_of(of_base(base)->stream.session);
}

/* ---- who waits ---- */

static void tell_waits(struct h2_back *back, enum reason reason, const char *detail)
{
    struct list waits;
    struct list *first;
    list_init(&waits);
    while ((first = list_first(&back->waits)) != NULL) {
        list_remove(first);
        list_append(&waits, first);
    }
    while ((first = list_first(&waits)) != NULL) {
        struct h2_back_wait *wait = CONTAINER_OF(first, struct h2_back_wait, link);
        list_remove(first);
        wait->on_ready(wait, back, reason, detail);
    }
}

void h2_back_wait(struct h2_back *back, struct h2_back_wait *wait)
{
    INVARIANT(h2_back_is_coming(back));
    list_append(&back->waits, &wait->link);
}

void h2_back_wait_cancel(struct h2_back_wait *wait)
{
    list_remove(&wait->link);
}

/* ---- what the upstream sends ---- */

static void fail(struct h2_back_stream *back, enum reason reason, const char *detail)
{
    if (!back->stream.is_retired)
        back->base.handler->on_failed(&back->base, reason, detail);
}

static void refuse(struct h2_back_stream *back, enum defence defence, const char *detail)
{
    struct h2_session *session = back->stream.session;
    h2_session_count(session, defence);
    h2_session_charge(session, defence == DEFENCE_HEADER_LIST ? H2_COST_LIST : H2_COST_FAULT);
    back->stream.is_faulty = true;
    fail(back, REASON_PROTOCOL_ERROR, detail);
}

static void on_trailers(struct h2_back_stream *back, struct h2_head *head)
{
    struct span lines;
    const struct h1_result result = h2_head_trailers(head, &lines);
    if (result.step == H1_DONE)
        h2_stream_peer_ended(&back->stream, lines);
    else
        refuse(back, head->is_too_large ? DEFENCE_HEADER_LIST : DEFENCE_MALFORMED, result.detail);
}

static void on_interim(struct h2_back_stream *back, struct message *msg)
{
    if (++back->stream.interims > H2_BACK_INTERIM_LIMIT)
        refuse(back, DEFENCE_MALFORMED, "too many interim responses before a final one");
    else
        back->base.handler->on_interim(&back->base, msg);
}

static void on_head(struct h2_stream *stream, struct h2_head *head, bool is_end)
{
    struct h2_back_stream *back = of_stream(stream);
    struct message msg;
    if (stream->has_head) {
        on_trailers(back, head);
        return;
    }
    const enum method method = stream->is_head ? METHOD_HEAD : METHOD_OTHER;
    const struct h1_result result = h2_head_response(head, is_end, method, &msg);
    if (result.step != H1_DONE) {
        refuse(back, head->is_too_large ? DEFENCE_HEADER_LIST : DEFENCE_MALFORMED, result.detail);
        return;
    }
    if (msg.status < 200) {
        on_interim(back, &msg);
        return;
    }
    stream->has_head = true;
    back->base.handler->on_head(&back->base, &msg);
    if (is_end && !stream->is_retired)
        h2_stream_peer_ended(stream, SPAN_NONE);
}

static void on_data(struct h2_stream *stream, struct span bytes)
{
    struct h2_back_stream *back = of_stream(stream);
    back->base.handler->on_body(&back->base, bytes);
}

static void on_end(struct h2_stream *stream, struct span trailers)
{
    struct h2_back_stream *back = of_stream(stream);
    back->base.handler->on_end(&back->base, trailers);
}

static void on_writable(struct h2_stream *stream)
{
    struct h2_back_stream *back = of_stream(stream);
    back->base.handler->on_writable(&back->base);
}

static const char *reset_detail(const struct h2_back_stream *back)
{
    return back->stream.session->state == H2_OPEN ? "the upstream reset the stream"
           : back->stream.session->detail         ? back->stream.session->detail
                                                  : "the upstream closed the connection";
}

/* What it has sent whole is delivered still; a reset behind that tells that the request's rest is
 * not wanted. */
static void on_stream_closed(struct h2_stream *stream, uint32_t code)
{
    struct h2_back_stream *back = of_stream(stream);
    const bool is_open = stream->session->state == H2_OPEN;
    if (stream->is_peer_ended && (!stream->is_end_told || stream->is_end_sent))
        return;
    if (code == NGHTTP2_REFUSED_STREAM)
        fail(back, REASON_REFUSED_STREAM, "the upstream refused the stream");
    else if (is_open && !stream->is_peer_reset && !stream->is_peer_ended)
        fail(
            back, REASON_PROTOCOL_ERROR,
            "the upstream broke the rules of HTTP/2 on the stream: its HTTP/2 library is at fault");
    else
        fail(back, is_open ? REASON_CONNECTION_RESET : stream->session->lost_reason,
             reset_detail(back));
}

static void free_stream(struct h2_stream *stream)
{
    struct h2_back *back = back_of(stream->session);
    h2_session_give_memory(stream->session, of_stream(stream));
    if (back->session.stream_count > 0 || back->session.state != H2_OPEN)
        return;
    back->idle_since = back->session.codec->loop->now;
    back->options.on_idle(back);
}

static void on_settings(struct h2_session *session)
{
    struct h2_back *back = back_of(session);
    if (back->is_settled)
        return;
    back->is_settled = true;
    tell_waits(back, REASON_NONE, NULL);
}

static void on_lost(struct h2_session *session, enum reason reason, const char *detail)
{
    struct h2_back *back = back_of(session);
    const bool was_coming = h2_back_is_coming(back);
    back->is_refused = true;
    back->options.on_lost(back);
    if (was_coming && reason == REASON_PROTOCOL_ERROR)
        detail = "the upstream does not speak HTTP/2 in clear text: does `protocol` fit it?";
    if (was_coming)
        tell_waits(back, reason == REASON_NONE ? REASON_CONNECTION_RESET : reason, detail);
}

static void on_gone(struct h2_session *session)
{
    struct h2_back *back = back_of(session);
    INVARIANT(list_is_empty(&back->waits));
    back->options.on_gone(back);
    free(back);
}

static const struct h2_role back_role = {
    .side = H2_UPSTREAM,
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_stream_closed = on_stream_closed,
    .free_stream = free_stream,
    .on_settings = on_settings,
    .on_lost = on_lost,
    .on_gone = on_gone,
};

/* ---- life ---- */

static enum err back_new(struct codec *codec, const struct h2_back_options *options,
                         struct h2_back **out)
{
    struct h2_back *back = calloc(1, sizeof *back);
    if (back == NULL)
        return ERR_NO_MEMORY;
    if (h2_session_start(&back->session, &back_role, codec) != OK) {
        free(back);
        return ERR_NO_MEMORY;
    }
    back->options = *options;
    back->serial = ++serials;
    back->idle_since = codec->loop->now;
    back->born_at = codec->loop->now;
    back->retires_at = MONO_NEVER;
    list_init(&back->waits);
    list_init(&back->slot_link);
    list_init(&back->pool_link);
    *out = back;
    return OK;
}

static void on_connected(struct stream *stream, enum reason reason)
{
    struct h2_session *session = CONTAINER_OF(stream, struct h2_session, stream);
    if (reason != REASON_NONE)
        h2_session_lose(session, reason, stream->tls != NULL ? stream_detail(stream) : NULL);
    else if (stream->tls != NULL && strcmp(stream_alpn(stream), "h2") != 0)
        h2_session_lose(session, REASON_TLS_FAILURE,
                        "the upstream does not speak HTTP/2 over TLS: does `protocol` fit it?");
    else
        h2_session_connected(session);
    codec_uncork(session->codec);
}

enum err h2_back_connect(struct codec *codec, const struct address *to, const struct tls_order *tls,
                         const struct h2_back_options *options, struct h2_back **out)
{
    const enum err e = back_new(codec, options, out);
    if (e != OK)
        return e;
    struct stream *stream = &(*out)->session.stream;
    if (tls != NULL)
        stream_connect_tls(stream, codec->loop, &to->any, to->len, tls, on_connected,
                           h2_session_on_socket_closed);
    else
        stream_connect(stream, codec->loop, &to->any, to->len, on_connected,
                       h2_session_on_socket_closed);
    return OK;
}

enum err h2_back_turn(struct codec *codec, struct stream *stream,
                      const struct h2_back_options *options, struct h2_back **out)
{
    const enum err e = back_new(codec, options, out);
    if (e == OK)
        h2_session_take(&(*out)->session, stream);
    return e;
}

enum err h2_back_adopt(struct codec *codec, int fd, const struct h2_back_options *options,
                       struct h2_back **out)
{
    enum err e = back_new(codec, options, out);
    if (e != OK)
        return e;
    e = h2_session_open(&(*out)->session, fd);
    if (e == OK)
        return OK;
    h2_session_drop(&(*out)->session);
    free(*out);
    return e;
}

uint32_t h2_back_room(const struct h2_back *back)
{
    const struct h2_session *session = &back->session;
    if (session->codec->loop->now >= back->retires_at)
        return 0;
    if (!back->is_settled || session->state != H2_OPEN || session->is_going_away ||
        session->is_condemned || !nghttp2_session_check_request_allowed(session->ng))
        return 0;
    const uint32_t peers =
        nghttp2_session_get_remote_settings(session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    const uint32_t most = peers < H2_BACK_STREAMS_MAX ? peers : H2_BACK_STREAMS_MAX;
    return most > session->stream_count ? most - session->stream_count : 0;
}

struct back *h2_back_begin(struct h2_back *back, const struct back_handler *handler, void *user)
{
    struct h2_back_stream *fresh = h2_session_take_memory(&back->session);
    if (fresh == NULL)
        return NULL;
    fresh->base = (struct back){&h2_back_class, handler, user};
    h2_stream_init(&fresh->stream, &back->session, -1);
    fresh->stream.is_reading = true;
    return &fresh->base;
}

bool h2_back_is_stale(struct h2_back *back)
{
    return back->session.stream.has_hung_up || stream_has_ended(&back->session.stream);
}

void h2_back_end(struct h2_back *back)
{
    if (back->session.stream.state == STREAM_OPEN)
        h2_session_end(&back->session, NGHTTP2_NO_ERROR, NULL);
    else
        h2_session_lose(&back->session, REASON_NONE, NULL);
}

/* ---- sending ---- */

static void do_send_request(struct back *base, const struct message *msg,
                            const struct request_edit *edit)
{
    struct h2_back_stream *back = of_base(base);
    struct h2_fields fields;
    back->stream.is_head = msg->method == METHOD_HEAD;
    h2_fields_init(&fields, h2_scratch_fields(back->stream.session), H2_FIELDS_MAX);
    h2_fields_request(&fields, msg, edit);
    h2_stream_head(&back->stream, &fields, msg->is_whole);
}

static void do_send_body(struct back *base, struct span bytes)
{
    h2_stream_send(&of_base(base)->stream, bytes);
}

static void do_send_end(struct back *base, struct span trailers)
{
    h2_stream_end(&of_base(base)->stream, trailers);
}

static void do_flush(struct back *base)
{
    h2_session_schedule(of_base(base)->stream.session);
}

static bool do_is_blocked(const struct back *base)
{
    return of_base(base)->stream.is_blocked;
}

static bool do_is_listening(const struct back *base)
{
    return !of_base(base)->stream.is_closed;
}

static bool do_is_unsent(const struct back *base)
{
    return !of_base(base)->stream.is_open;
}

static bool do_has_answered(const struct back *base)
{
    const struct h2_back_stream *back = of_base(base);
    return back->stream.has_head || back->stream.interims > 0;
}

static void do_pause(struct back *base)
{
    h2_stream_read(&of_base(base)->stream, false);
}

static void do_resume(struct back *base)
{
    h2_stream_read(&of_base(base)->stream, true);
}

/* A request that is not whole yet, or an answer: CANCEL; whole on both sides: it just goes. */
static void do_close(struct back *base)
{
    struct h2_stream *stream = &of_base(base)->stream;
    if (stream->is_peer_ended && stream->is_ended)
        h2_stream_leave(stream);
    else
        h2_stream_reset(stream, stream->is_peer_ended ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

/* Without the rows of tunnels: those go by HTTP/1.1, or carry no HTTP. */
static const struct back_class h2_back_class = {
    .send_request = do_send_request,
    .send_body = do_send_body,
    .send_end = do_send_end,
    .flush = do_flush,
    .is_blocked = do_is_blocked,
    .is_listening = do_is_listening,
    .is_unsent = do_is_unsent,
    .has_answered = do_has_answered,
    .pause = do_pause,
    .resume = do_resume,
    .close = do_close,
};
