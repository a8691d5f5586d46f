/* h2_sweep.c - what a session may not put off for ever: a look about once a second at heads that do
 * not end, bytes that the peer does not take, PINGs without an answer, and the second GOAWAY. */
#include "base/check.h"
#include "codec/h2_own.h"

#define STOP_TIME (1 * NS_PER_S) /* for a caller to end what it sends, after its answer */
#define LINGER_TIME (2 * NS_PER_S)
#define NOTICE_TIME (1 * NS_PER_S) /* between two GOAWAYs: what is under way arrives meanwhile */

/* Answers that nobody waits for any more but the peer, who takes nothing (CVE-2019-9517). */
static void sweep_left(struct h2_session *session, mono_ns now)
{
    LIST_FOREACH_SAFE (link, following, &session->streams) {
        struct h2_stream *stream = CONTAINER_OF(link, struct h2_stream, link);
        const dur_ns since = mono_since(now, stream->out_at);
        if (stream->is_left && stream->is_end_sent && since >= STOP_TIME)
            h2_stream_reset(stream, NGHTTP2_NO_ERROR);
        const dur_ns most = session->codec->write_timeout;
        if (!stream->is_left || stream->is_end_sent || most == 0 || since < most)
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
        h2_session_give_up(session, DEFENCE_KEEP_ALIVE, REASON_CONNECTION_RESET,
                           "the peer did not answer a PING within http2.keepAliveTimeout: it is "
                           "gone, or hangs");
        return;
    }
    if (session->stream_count == 0 ||
        mono_since(now, session->heard_at) < limits->keep_alive_interval)
        return;
    if (nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL) != 0)
        return; /* no memory: a peer that was not asked is not blamed */
    session->pinged_at = now;
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
    if (nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session->ng),
                              NGHTTP2_NO_ERROR, NULL, 0) != 0)
        return; /* no memory: said at the next look */
    session->is_last_id_sent = true;
    h2_session_schedule(session);
}

static void sweep_open(struct h2_session *session, mono_ns now)
{
    const struct codec *codec = session->codec;
    if (codec->write_timeout > 0 && outbox_is_blocked(&session->out) &&
        mono_since(now, session->wrote_at) >= codec->write_timeout) {
        h2_session_give_up(
            session, DEFENCE_WRITE_TIMEOUT, REASON_CONNECTION_RESET,
            "the peer took no byte for limits.writeTimeout: it hangs, or is cut off");
        return;
    }
    if (session->settings_turn == 0 && session->role->side == H2_DOWNSTREAM &&
        codec->header_timeout > 0 && mono_since(now, session->opened_at) >= codec->header_timeout) {
        h2_session_condemn(
            session, NGHTTP2_SETTINGS_TIMEOUT, DEFENCE_PROTOCOL_ERROR,
            "the peer began HTTP/2 and sent no SETTINGS within limits.headerTimeout");
        return;
    }
    if (session->head != NULL && codec->header_timeout > 0 &&
        mono_since(now, session->head_at) >= codec->header_timeout) {
        h2_session_condemn(session, NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_GLITCHES,
                           "the peer sent no end of a header block within limits.headerTimeout");
        return;
    }
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
    slab_trim(&codec->h2->stream_memory);
    slab_trim(&codec->h2->ng_streams);
    codec_uncork(codec);
}
