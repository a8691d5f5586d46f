/* h2_events.c - what nghttp2 tells of a session: what it costs the peer, and what it means to the
 * stream that it is about. Callbacks return 0 but for want of memory: an error would end nghttp2's
 * session half-way. */
#include "base/log.h"
#include "codec/h2_own.h"

#define FRAME_HEAD_BYTES 9
#define LOG_EVERY (1 * NS_PER_S)

/* ---- defence ---- */

void h2_session_count(const struct h2_session *session, enum defence defence)
{
    const struct codec *codec = session->codec;
    if (codec->on_defence != NULL && defence != DEFENCE_COUNT)
        codec->on_defence(codec->defence_context, session->role->side, defence);
}

/* A flood of connections must not become one of lines. */
static void say(const struct h2_session *session, enum defence defence, const char *detail)
{
    struct h2_codec *h2 = session->codec->h2;
    const mono_ns now = h2_session_now(session);
    const bool is_server = session->role->side == H2_DOWNSTREAM;
    if (defence == DEFENCE_COUNT || now < h2->log_again_at)
        return;
    h2->log_again_at = mono_add(now, LOG_EVERY);
    log_event(LOG_WARN, "http2_connection_ended", LOG_TEXT(detail),
              LOG_STR("kind", defence_word(defence)),
              LOG_STR("side", is_server ? "downstream" : "upstream"),
              LOG_STR("peer", session->peer ? session->peer : ""));
}

void h2_session_condemn(struct h2_session *session, uint32_t code, enum defence defence,
                        const char *detail)
{
    CHECK_OBJ(session, H2_SESSION_MAGIC);
    if (session->is_condemned || session->state != H2_OPEN)
        return;
    session->is_condemned = true;
    session->code = code;
    session->detail = detail;
    h2_session_count(session, defence);
    say(session, defence, detail);
    h2_session_schedule(session);
}

void h2_session_must(struct h2_session *session, int status)
{
    if (nghttp2_is_fatal(status))
        h2_session_condemn(session, NGHTTP2_INTERNAL_ERROR, DEFENCE_COUNT, "no memory");
}

void h2_session_give_up(struct h2_session *session, enum defence defence, enum reason reason,
                        const char *detail)
{
    h2_session_count(session, defence);
    say(session, defence, detail);
    h2_session_lose(session, reason, detail);
}

static void judge_guard(struct h2_session *session, bool has_credit)
{
    if (!has_credit)
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_GLITCHES,
                           "the peer sends too many frames that carry nothing: its HTTP/2 library "
                           "is at fault, or it attacks");
}

void h2_session_charge(struct h2_session *session, uint32_t units)
{
    judge_guard(session, h2_guard_charge(&session->guard, units, h2_session_now(session)));
}

/* Types that nghttp2 does not know reach no callback: their bytes are what is left over. */
void h2_session_charge_unknown(struct h2_session *session)
{
    const uint64_t known = session->framed_bytes + session->unknown_bytes;
    if (session->received_bytes <= known)
        return;
    const uint64_t bytes = session->received_bytes - known;
    session->unknown_bytes += bytes;
    judge_guard(session, h2_guard_charge_bytes(&session->guard, bytes, h2_session_now(session)));
}

static void note_reset(struct h2_session *session)
{
    if (!h2_guard_reset(&session->guard, h2_session_now(session)))
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_RESETS,
                           "the peer resets more than 1000 streams a second: let it cancel fewer "
                           "calls, or spread them over more connections");
}

/* ---- what nghttp2 tells ---- */

static const char broken_rules[] =
    "the peer broke the rules of HTTP/2 (RFC 9113): its HTTP/2 library is at fault";

static struct h2_session *session_of(void *context)
{
    return context;
}

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

/* RFC 9113 section 5.1.1: a request that skips ids closes them; nghttp2 keeps no memory of closed
 * streams, so the last 64 are remembered here. */
static void note_begun(struct h2_session *session, int32_t id)
{
    const uint32_t steps = (uint32_t)(id - session->last_id) / 2;
    session->begun_ids = steps < 64 ? session->begun_ids << steps | 1 : 1;
    session->last_id = id;
}

static bool was_skipped(const struct h2_session *session, int32_t id)
{
    if (id >= session->last_id || id % 2 == 0 || session->role->side != H2_DOWNSTREAM)
        return false;
    const uint32_t steps = (uint32_t)(session->last_id - id) / 2;
    return steps < 64 && (session->begun_ids >> steps & 1) == 0;
}

/* What nghttp2 lets pass though RFC 9113 calls it a connection error. */
static uint32_t fault_of(const struct h2_session *session, const nghttp2_frame_hd *hd)
{
    if (hd->length > H2_FRAME_MAX)
        return NGHTTP2_FRAME_SIZE_ERROR; /* section 4.2, of CONTINUATION */
    if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0)
        return NGHTTP2_PROTOCOL_ERROR; /* section 6.3 */
    if (hd->type == NGHTTP2_HEADERS && was_skipped(session, hd->stream_id))
        return NGHTTP2_PROTOCOL_ERROR; /* section 5.1.1 */
    return NGHTTP2_NO_ERROR;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *context)
{
    struct h2_session *session = session_of(context);
    (void)ng;
    session->framed_bytes += FRAME_HEAD_BYTES + hd->length;
    const uint32_t fault = fault_of(session, hd);
    if (fault != NGHTTP2_NO_ERROR)
        h2_session_condemn(session, fault, DEFENCE_PROTOCOL_ERROR, broken_rules);
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

void h2_session_give_head_back(struct h2_session *session)
{
    struct h2_codec *h2 = session->codec->h2;
    struct h2_head *head = session->head;
    session->head = NULL;
    if (head == NULL || h2->spare_head == NULL)
        h2->spare_head = head ? head : h2->spare_head;
    else
        h2_head_free(&head);
}

/* A stream counts until its call has ended, not until it is reset. */
static uint32_t stream_limit(const struct h2_session *session)
{
    return session->codec->h2_limits.max_streams;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = session_of(context);
    const bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (session->is_condemned || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct h2_stream *stream = stream_of(ng, frame->hd.stream_id);
    if (is_request && stream == NULL && session->stream_count >= stream_limit(session)) {
        h2_session_must(session,
                        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                  NGHTTP2_REFUSED_STREAM));
        note_begun(session, frame->hd.stream_id);
        return 0;
    }
    if (is_request && stream == NULL) {
        stream = session->role->open_stream(session);
        if (stream == NULL)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        h2_stream_init(stream, session, frame->hd.stream_id);
        note_begun(session, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
    }
    if (session->head == NULL)
        session->head = take_head(session);
    if (session->head == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    session->head_at = h2_session_now(session);
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
    if (session->head != NULL && stream != NULL && !stream->is_retired) {
        h2_guard_earn(&session->guard, H2_WORTH_HEAD);
        session->role->on_head(stream, session->head, is_end);
    }
    h2_session_give_head_back(session);
}

static void settings_arrived(struct h2_session *session, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        return;
    session->settings_turn = session->codec->loop->turns;
    if (session->role->on_settings != NULL)
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
        if (frame->hd.length > 0 && frame->data.padlen >= frame->hd.length && !is_end)
            h2_session_charge(session, H2_COST_EMPTY); /* nothing but padding */
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
    h2_guard_earn_data(&session->guard, len);
    if (stream == NULL || stream->is_retired || session->is_condemned)
        h2_session_must(session, nghttp2_session_consume(ng, id, len));
    else
        h2_stream_received(stream, span_make((const char *)bytes, len));
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context)
{
    struct h2_session *session = session_of(context);
    struct h2_stream *stream = stream_of(ng, id);
    if (session->head != NULL && session->head_id == id)
        h2_session_give_head_back(session); /* refused by nghttp2: its end will not be told */
    if (stream == NULL || stream->is_retired)
        return 0;
    h2_stream_closed(stream);
    if (!stream->is_retired)
        session->role->on_stream_closed(stream, code);
    return 0;
}

static void reset_sent(struct h2_session *session, uint32_t code)
{
    h2_guard_excuse(&session->guard, H2_STREAM_WINDOW);
    if (code == NGHTTP2_FLOW_CONTROL_ERROR &&
        session->settings_turn == session->codec->loop->turns) { /* RFC 9113 section 6.9.2 */
        h2_session_condemn(session, code, DEFENCE_PROTOCOL_ERROR, broken_rules);
        return;
    }
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
        h2_session_condemn(session, code, DEFENCE_PROTOCOL_ERROR, broken_rules);
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
            h2_guard_earn_data(&session->guard, frame->hd.length);
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

bool h2_events_make(struct h2_codec *h2)
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
