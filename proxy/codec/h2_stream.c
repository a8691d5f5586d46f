/* h2_stream.c - see h2_stream.h.
 *   INVARIANT: a retired stream is in session->dead and told nothing more.
 *   INVARIANT: has_item exactly while nghttp2 holds DATA of it that was not asked for whole. */
#include "codec/h2_stream.h"

#include "base/check.h"
#include "codec/h2_session.h"

#define PIECE_BYTES 65536 /* delivered at once, as one read of HTTP/1.1 would be */

enum chore {
    CHORE_PUSH = 1 << 0,     /* hand DATA or trailers to nghttp2 */
    CHORE_WRITABLE = 1 << 1, /* tell who waits that all has gone */
    CHORE_DELIVER = 1 << 2,  /* what is held, and window that is owed */
};
#define CHORES (CHORE_PUSH | CHORE_WRITABLE | CHORE_DELIVER)

static void add_chore(struct h2_stream *stream, unsigned chore)
{
    stream->chores |= chore & CHORES;
    if (!list_is_linked(&stream->chore_link))
        list_append(&stream->session->chores, &stream->chore_link);
    h2_session_schedule(stream->session);
}

static uint32_t this_turn(const struct h2_stream *stream)
{
    return (uint32_t)stream->session->codec->loop->turns;
}

static mono_ns now_of(const struct h2_stream *stream)
{
    return stream->session->codec->loop->now;
}

void h2_stream_init(struct h2_stream *stream, struct h2_session *session, int32_t id)
{
    *stream = (struct h2_stream){.session = session, .id = id};
    list_init(&stream->link);
    list_init(&stream->chore_link);
    list_append(&session->streams, &stream->link);
    session->stream_count++;
    stream->is_open = id > 0;
}

/* The connection's window is given back at once, so that a slow stream does not stop the others -
 * unless too much is held already. */
static void credit_session(struct h2_session *session, size_t bytes)
{
    session->owed_bytes += bytes;
    if (session->held_bytes > H2_HELD_MAX || session->owed_bytes == 0 || session->state != H2_OPEN)
        return;
    h2_session_must(session, nghttp2_session_consume_connection(session->ng, session->owed_bytes));
    session->owed_bytes = 0;
}

static void drop_held(struct h2_stream *stream)
{
    const size_t held = inbox_length(&stream->in);
    stream->session->held_bytes -= held;
    inbox_consume(&stream->in, held); /* whoever is told of trailers may be who drops the rest */
    credit_session(stream->session, 0);
}

void h2_stream_fini(struct h2_stream *stream)
{
    inbox_fini(&stream->in);
    inbox_fini(&stream->out);
}

void h2_stream_retire(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    if (stream->is_retired)
        return;
    stream->is_retired = true;
    drop_held(stream);
    list_remove(&stream->chore_link);
    list_remove(&stream->link);
    list_append(&session->dead, &stream->link);
    session->stream_count--;
    if (stream->id > 0 && !stream->is_closed)
        nghttp2_session_set_stream_user_data(session->ng, stream->id, NULL);
    h2_session_schedule(session);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
    struct h2_session *session = stream->session;
    const bool is_over = stream->is_closed || stream->id < 0;
    if (!is_over && session->state == H2_OPEN)
        h2_session_must(
            session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id,
                                               stream->is_faulty ? NGHTTP2_PROTOCOL_ERROR : code));
    h2_stream_retire(stream);
}

void h2_stream_leave(struct h2_stream *stream)
{
    if (stream->is_closed || stream->session->state != H2_OPEN) {
        h2_stream_retire(stream);
    } else if (!stream->is_ended) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    } else {
        stream->is_left = true;
        stream->out_at = now_of(stream);
        drop_held(stream);
    }
}

void h2_stream_closed(struct h2_stream *stream)
{
    stream->is_closed = true;
    stream->has_item = false;
    inbox_fini(&stream->out);
    if (stream->is_left)
        h2_stream_retire(stream);
}

/* ---- sending ---- */

static void no_memory(struct h2_stream *stream)
{
    stream->is_broken = true;
    h2_session_must(stream->session, NGHTTP2_ERR_NOMEM);
}

static int nghttp2_head(struct h2_stream *stream, const struct h2_fields *fields, uint8_t flags)
{
    return nghttp2_submit_headers(stream->session->ng, flags, stream->id, NULL, fields->list,
                                  fields->count, stream);
}

void h2_stream_head(struct h2_stream *stream, const struct h2_fields *fields, bool is_end)
{
    if (stream->is_closed || stream->is_ended || stream->session->state != H2_OPEN)
        return;
    const uint8_t flags = is_end ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE;
    const int32_t id = nghttp2_head(stream, fields, flags);
    stream->is_ended = is_end;
    stream->out_at = now_of(stream);
    if (id < 0)
        no_memory(stream);
    else if (stream->id < 0)
        stream->id = id;
    h2_session_schedule(stream->session);
}

void h2_stream_interim(struct h2_stream *stream, const struct h2_fields *fields)
{
    if (!stream->is_closed && !stream->is_ended && stream->session->state == H2_OPEN)
        h2_session_must(stream->session, nghttp2_head(stream, fields, NGHTTP2_FLAG_NONE));
    h2_session_schedule(stream->session);
}

void h2_stream_headers_sent(struct h2_stream *stream, bool is_end)
{
    stream->is_open = true;
    if (is_end) {
        stream->is_end_sent = true;
    } else if (inbox_length(&stream->out) > 0 || stream->is_ended) {
        add_chore(stream, CHORE_PUSH);
    }
}

void h2_stream_send(struct h2_stream *stream, struct span bytes)
{
    if (bytes.len == 0 || stream->is_closed || stream->is_ended || stream->is_broken)
        return;
    if (inbox_length(&stream->out) == 0) {
        stream->queued_turn = this_turn(stream);
        stream->out_at = now_of(stream);
    }
    if (inbox_add(&stream->out, bytes) != OK) {
        no_memory(stream);
        return;
    }
    stream->is_blocked =
        stream->queued_turn != this_turn(stream) || inbox_length(&stream->out) > H2_QUEUE_BYTES;
    if (stream->is_open && !stream->has_item)
        add_chore(stream, CHORE_PUSH);
}

void h2_stream_end(struct h2_stream *stream, struct span trailers)
{
    if (stream->is_ended || stream->is_closed || stream->is_broken)
        return;
    if (inbox_add_trailers(&stream->out, trailers) != OK) {
        no_memory(stream);
        return;
    }
    stream->is_ended = true;
    if (stream->is_open && !stream->has_item)
        add_chore(stream, CHORE_PUSH);
}

static bool has_trailers(const struct h2_stream *stream)
{
    return inbox_has_trailers(&stream->out);
}

static void submit_trailers(struct h2_stream *stream)
{
    struct h2_fields fields;
    h2_fields_init(&fields, h2_scratch_fields(stream->session), H2_FIELDS_MAX);
    h2_fields_lines(&fields, inbox_trailers(&stream->out));
    h2_session_must(stream->session, nghttp2_submit_trailer(stream->session->ng, stream->id,
                                                            fields.list, fields.count));
    stream->has_item = true; /* nothing may follow */
}

static void push(struct h2_stream *stream)
{
    const nghttp2_data_provider provider = {.source.ptr = stream,
                                            .read_callback = h2_stream_on_read};
    if (stream->has_item || !stream->is_open || stream->is_end_sent || stream->is_closed)
        return;
    if (inbox_length(&stream->out) == 0 && has_trailers(stream)) {
        submit_trailers(stream);
        return;
    }
    if (inbox_length(&stream->out) == 0 && !stream->is_ended)
        return;
    const int status = h2_session_submit_data(stream->session, stream->id, &provider);
    h2_session_must(stream->session, status);
    stream->has_item = status == 0;
}

/* nghttp2 asks how much of its frame we fill. DATA that has all been asked for leaves nghttp2's
 * queue: what comes later is submitted anew. */
ssize_t h2_stream_on_read(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2_stream *stream = source->ptr;
    const size_t held = inbox_length(&stream->out);
    const size_t taken = held < length ? held : length;
    (void)ng, (void)id, (void)buffer, (void)context;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (taken < held)
        return (ssize_t)taken;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    stream->has_item = false;
    if (!stream->is_ended || has_trailers(stream))
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (has_trailers(stream))
        add_chore(stream, CHORE_PUSH);
    return (ssize_t)taken;
}

/* In pieces that are corked, so that several frames make one send. */
static void put_corked(struct outbox *out, struct span bytes)
{
    while (bytes.len > 0) {
        const size_t piece = bytes.len < OUTBOX_COPY_BYTES ? bytes.len : OUTBOX_COPY_BYTES;
        outbox_put(out, span_make(bytes.data, piece));
        bytes = span_make(bytes.data + piece, bytes.len - piece);
    }
}

int h2_stream_on_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *framehd,
                      size_t length, nghttp2_data_source *source, void *context)
{
    struct h2_stream *stream = source->ptr;
    struct outbox *out = &stream->session->out;
    (void)ng, (void)frame, (void)context;
    outbox_put(out, span_make((const char *)framehd, 9));
    put_corked(out, span_make(inbox_span(&stream->out).data, length));
    if (length > 0)
        inbox_consume(&stream->out, length);
    stream->out_at = now_of(stream);
    if (inbox_length(&stream->out) == 0 && stream->is_blocked)
        add_chore(stream, CHORE_WRITABLE);
    return outbox_is_blocked(out) ? NGHTTP2_ERR_PAUSE : 0;
}

/* ---- receiving ---- */

static void credit_stream(struct h2_stream *stream, size_t bytes)
{
    stream->debt += (uint32_t)bytes;
    if (!stream->is_reading || stream->debt == 0)
        return;
    h2_session_must(stream->session,
                    nghttp2_session_consume_stream(stream->session->ng, stream->id, stream->debt));
    stream->debt = 0;
}

void h2_stream_received(struct h2_stream *stream, struct span bytes)
{
    struct h2_session *session = stream->session;
    credit_session(session, bytes.len);
    if (stream->is_left)
        return;
    if (stream->is_reading && inbox_length(&stream->in) == 0) {
        session->role->on_data(stream, bytes);
        credit_stream(stream, bytes.len);
        return;
    }
    if (inbox_add(&stream->in, bytes) != OK)
        no_memory(stream);
    else
        session->held_bytes += bytes.len;
}

static void tell_end(struct h2_stream *stream, struct span trailers)
{
    stream->is_end_told = true;
    if (!stream->is_left)
        stream->session->role->on_end(stream, trailers);
}

void h2_stream_peer_ended(struct h2_stream *stream, struct span trailers)
{
    const bool is_held = inbox_length(&stream->in) > 0;
    if (is_held && inbox_add_trailers(&stream->in, trailers) != OK) {
        no_memory(stream);
        return;
    }
    stream->is_peer_ended = true;
    if (!is_held)
        tell_end(stream, trailers);
}

void h2_stream_read(struct h2_stream *stream, bool is_wanted)
{
    if (stream->is_reading == is_wanted)
        return;
    stream->is_reading = is_wanted;
    if (is_wanted && (inbox_length(&stream->in) > 0 || stream->debt > 0))
        add_chore(stream, CHORE_DELIVER);
}

static void deliver(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    while (stream->is_reading && !stream->is_retired && inbox_length(&stream->in) > 0) {
        struct span piece = inbox_span(&stream->in);
        if (piece.len > PIECE_BYTES)
            piece.len = PIECE_BYTES;
        session->role->on_data(stream, piece);
        if (stream->is_retired || stream->is_left)
            return;
        session->held_bytes -= piece.len;
        inbox_consume(&stream->in, piece.len);
        credit_stream(stream, piece.len);
    }
    credit_session(session, 0);
    credit_stream(stream, 0);
    if (stream->is_peer_ended && !stream->is_end_told && inbox_length(&stream->in) == 0)
        tell_end(stream, inbox_trailers(&stream->in));
}

/* ---- chores ---- */

void h2_stream_do_chores(struct h2_stream *stream)
{
    const unsigned chores = stream->chores;
    stream->chores = 0;
    if (chores & CHORE_DELIVER)
        deliver(stream);
    if (!stream->is_retired && (chores & CHORE_WRITABLE) && inbox_length(&stream->out) == 0) {
        stream->is_blocked = false;
        if (!stream->is_left)
            stream->session->role->on_writable(stream);
    }
    if (!stream->is_retired && (chores & CHORE_PUSH))
        push(stream);
}
