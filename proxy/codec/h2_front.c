/* h2_front.c - see h2_front.h. */
#include "codec/h2_front.h"

#include "base/check.h"
#include "http/grpc.h"
#include "http/local_reply.h"

#include <stdlib.h>
#include <unistd.h>

struct h2_front_stream {
    struct front base;
    struct h2_stream stream;
};

_Static_assert(sizeof(struct h2_front_stream) <= H2_STREAM_MEMORY, "a caller's stream");

static const struct front_class h2_front_class;

static struct h2_front_stream *of_base(const struct front *base)
{
    return (struct h2_front_stream *)(uintptr_t)base;
}

static struct h2_front_stream *of_stream(struct h2_stream *stream)
{
    return CONTAINER_OF(stream, struct h2_front_stream, stream);
}

static struct h2_front *front_of(struct h2_session *session)
{
    return CONTAINER_OF(session, struct h2_front, session);
}

static const struct front_handler *handler_of(struct h2_stream *stream)
{
    return front_of(stream->session)->options.handler;
}

/* ---- what the caller sends ---- */

static struct h2_stream *open_stream(struct h2_session *session)
{
    const struct h2_front *front = front_of(session);
    struct h2_front_stream *fresh = h2_session_take_memory(session);
    if (fresh == NULL)
        return NULL;
    fresh->base = (struct front){.class = &h2_front_class, .context = front->options.context};
    return &fresh->stream;
}

static void free_stream(struct h2_stream *stream)
{
    struct h2_front *front = front_of(stream->session);
    front->idle_since = front->session.codec->loop->now;
    h2_session_give_memory(stream->session, of_stream(stream));
}

static bool is_grpc_list(const struct h2_head *head)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (head->headers[i].id == HEADER_CONTENT_TYPE)
            return grpc_is_content_type(head->headers[i].value);
    return false;
}

static void blame(struct h2_session *session, const struct h1_result *result)
{
    const bool is_list = result->reason == REASON_HEADER_TOO_LARGE;
    h2_session_count(session, is_list ? DEFENCE_HEADER_LIST : DEFENCE_MALFORMED);
    h2_session_charge(session, is_list ? H2_COST_LIST : H2_COST_FAULT);
}

static void on_trailers(struct h2_front_stream *front, struct h2_head *head)
{
    struct span lines;
    const struct h1_result result = h2_head_trailers(head, &lines);
    if (result.step == H1_DONE) {
        h2_stream_peer_ended(&front->stream, lines);
        return;
    }
    blame(front->stream.session, &result);
    front->stream.is_peer_ended = front->stream.is_end_told = true;
    if (front->base.user != NULL)
        handler_of(&front->stream)->on_bad_body(&front->base, result.reason, result.detail);
}

static void on_head(struct h2_stream *stream, struct h2_head *head, bool is_end)
{
    struct h2_front_stream *front = of_stream(stream);
    struct message msg;
    if (stream->has_head) {
        on_trailers(front, head);
        return;
    }
    stream->has_head = true;
    stream->is_peer_ended = stream->is_end_told = is_end;
    stream->is_grpc = is_grpc_list(head);
    const struct h1_result result = h2_head_request(head, is_end, &msg);
    if (result.step == H1_DONE) {
        handler_of(&front->stream)->on_request(&front->base, &msg);
        return;
    }
    blame(stream->session, &result);
    handler_of(&front->stream)->on_bad_request(&front->base, result.reason, result.detail);
}

static void on_data(struct h2_stream *stream, struct span bytes)
{
    struct front *base = &of_stream(stream)->base;
    if (base->user != NULL)
        handler_of(stream)->on_body(base, bytes);
}

static void on_end(struct h2_stream *stream, struct span trailers)
{
    struct front *base = &of_stream(stream)->base;
    if (base->user != NULL)
        handler_of(stream)->on_body_end(base, trailers);
}

static void on_writable(struct h2_stream *stream)
{
    struct front *base = &of_stream(stream)->base;
    if (base->user != NULL)
        handler_of(stream)->on_writable(base);
}

static void on_stream_closed(struct h2_stream *stream, uint32_t code)
{
    struct front *base = &of_stream(stream)->base;
    (void)code;
    if (base->user != NULL)
        handler_of(stream)->on_hangup(base);
    else
        h2_stream_retire(stream);
}

static void on_gone(struct h2_session *session)
{
    struct h2_front *front = front_of(session);
    front->options.on_gone(front);
    free(front);
}

static const struct h2_role front_role = {
    .side = H2_DOWNSTREAM,
    .open_stream = open_stream,
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_stream_closed = on_stream_closed,
    .free_stream = free_stream,
    .on_gone = on_gone,
};

/* ---- what we answer ---- */

static void begin_fields(const struct h2_front_stream *front, struct h2_fields *fields)
{
    h2_fields_init(fields, h2_scratch_fields(front->stream.session), H2_FIELDS_MAX);
}

static void do_read_body(struct front *base, bool is_wanted)
{
    h2_stream_read(&of_base(base)->stream, is_wanted);
}

static void do_send_interim(struct front *base, const struct message *msg)
{
    const struct response_edit edit = {.framing = BODY_NONE};
    struct h2_fields fields;
    begin_fields(of_base(base), &fields);
    h2_fields_response(&fields, msg, &edit);
    h2_stream_interim(&of_base(base)->stream, &fields);
}

static void do_send_head(struct front *base, const struct message *msg,
                         const struct response_edit *edit)
{
    struct h2_fields fields;
    begin_fields(of_base(base), &fields);
    h2_fields_response(&fields, msg, edit);
    h2_stream_head(&of_base(base)->stream, &fields, msg->is_whole);
}

static void do_send_reply(struct front *base, struct local_reply *reply)
{
    struct h2_front_stream *front = of_base(base);
    char text[LOCAL_REPLY_MAX];
    char body[LOCAL_REPLY_MAX];
    size_t len;
    size_t body_len;
    struct h2_fields fields;
    reply->is_grpc = reply->is_grpc || front->stream.is_grpc;
    if (local_reply_lines(reply, text, sizeof text, &len) != OK ||
        local_reply_body(reply, body, sizeof body, &body_len) != OK)
        return;
    begin_fields(front, &fields);
    h2_fields_status(&fields, local_reply_status(reply));
    h2_fields_lines(&fields, span_make(text, len));
    h2_stream_head(&front->stream, &fields, body_len == 0);
    h2_stream_send(&front->stream, span_make(body, body_len));
    h2_stream_end(&front->stream, SPAN_NONE);
}

static void do_send_body(struct front *base, struct span bytes)
{
    h2_stream_send(&of_base(base)->stream, bytes);
}

static void do_send_end(struct front *base, struct span trailers)
{
    h2_stream_end(&of_base(base)->stream, trailers);
}

static void do_start_tunnel(struct front *base, const struct message *msg,
                            const struct response_edit *edit)
{
    struct h2_fields fields;
    (void)msg, (void)edit; /* HTTP/2 has no 101 */
    begin_fields(of_base(base), &fields);
    h2_fields_status(&fields, 200);
    h2_stream_head(&of_base(base)->stream, &fields, false);
}

static void do_send_fin(struct front *base)
{
    h2_stream_end(&of_base(base)->stream, SPAN_NONE);
}

static void do_flush(struct front *base)
{
    h2_session_schedule(of_base(base)->stream.session);
}

static bool do_is_blocked(const struct front *base)
{
    return of_base(base)->stream.is_blocked;
}

static void do_finish(struct front *base, bool is_last)
{
    (void)is_last;
    base->user = NULL;
    h2_stream_leave(&of_base(base)->stream);
}

static void do_close(struct front *base, enum stream_ending ending)
{
    base->user = NULL;
    h2_stream_reset(&of_base(base)->stream,
                    ending == STREAM_END_RESET ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
}

static const struct front_class h2_front_class = {
    .version = 2,
    .read_body = do_read_body,
    .send_interim = do_send_interim,
    .send_head = do_send_head,
    .send_reply = do_send_reply,
    .send_body = do_send_body,
    .send_end = do_send_end,
    .start_tunnel = do_start_tunnel,
    .send_raw = do_send_body,
    .send_fin = do_send_fin,
    .flush = do_flush,
    .is_blocked = do_is_blocked,
    .finish = do_finish,
    .close = do_close,
};

/* ---- life ---- */

struct h2_front *h2_front_open(struct codec *codec, int fd, struct span bytes,
                               const struct h2_front_options *options)
{
    struct h2_front *front = calloc(1, sizeof *front);
    if (front == NULL || h2_session_start(&front->session, &front_role, codec) != OK) {
        close(fd);
        free(front);
        return NULL;
    }
    front->options = *options;
    front->session.peer = options->peer;
    front->idle_since = codec->loop->now;
    if (h2_session_open(&front->session, fd) != OK) {
        close(fd);
        h2_session_drop(&front->session);
        free(front);
        return NULL;
    }
    h2_session_feed(&front->session, bytes);
    return front;
}

void h2_front_drain(struct h2_front *front)
{
    h2_session_go_away(&front->session);
}

void h2_front_end(struct h2_front *front)
{
    h2_session_end(&front->session, NGHTTP2_NO_ERROR, NULL);
}
