/* upload.c - see upload.h. */
#include "request/upload.h"

#include "request/relay.h"

#define REPLAY_PIECE_BYTES 65536

static bool is_sending(const struct request *request)
{
    return request->has_sent_head && request->attempt.back != NULL && !request->is_tunnel;
}

/* The clocks stand still while the caller's bytes are the only thing that is missing. Behind an
 * Expect the upstream speaks first: its 100, or the caller's own impatience, ends that. */
static void update_clock(struct request *request)
{
    const mono_ns now = request->proxy->loop->now;
    const bool waits = is_sending(request) && !request->is_upload_done &&
                       !upload_is_declined(request) && !back_is_blocked(request->attempt.back) &&
                       !request->has_response;
    call_resume(&request->call, now);
    if (waits)
        call_pause(&request->call, now);
}

bool upload_is_declined(const struct request *request)
{
    return request->expects_continue && !request->is_continue_sent && request->bytes_in == 0 &&
           !request->is_upload_done;
}

static void read_caller(struct request *request, bool is_wanted)
{
    if (request->front != NULL && !request->is_upload_done)
        front_read_body(request->front, is_wanted);
}

void upload_begin(struct request *request, const struct message *msg, const struct policy *policy,
                  const struct call_facts *facts)
{
    request->is_upload_done = msg->is_whole;
    const bool may_repeat =
        facts->is_idempotent || (policy->retry.mode != POLICY_OFF && facts->is_method_listed) ||
        request->http !=
            ROUTE_HTTP1; /* a refused stream was not worked on: any call may go again */
    replay_init(&request->replay, may_repeat ? policy->retry.max_body_bytes : 0);
    request->is_too_long_to_keep =
        msg->has_content_length && msg->content_length > request->replay.limit;
}

static struct span trailers_of(const struct request *request)
{
    return request->upload_trailers != NULL ? *request->upload_trailers : SPAN_NONE;
}

/* Sends what is kept as far as the upstream takes it; true when all of it has gone. */
static bool send_kept(struct request *request)
{
    struct back *back = request->attempt.back;
    const struct span kept = replay_span(&request->replay);
    while (request->replay_sent < kept.len && !back_is_blocked(back)) {
        const size_t left = kept.len - request->replay_sent;
        const size_t piece = left < REPLAY_PIECE_BYTES ? left : REPLAY_PIECE_BYTES;
        back_send_body(back, span_make(kept.data + request->replay_sent, piece));
        request->replay_sent += (uint32_t)piece;
    }
    return request->replay_sent >= kept.len;
}

void upload_go_on(struct request *request)
{
    struct back *back = request->attempt.back;
    if (!is_sending(request))
        return;
    const bool is_all_sent = send_kept(request);
    if (is_all_sent && request->is_upload_done)
        back_send_end(back, trailers_of(request));
    back_flush(back);
    if (request->is_upload_done)
        return;
    read_caller(request, is_all_sent && !back_is_blocked(back));
    update_clock(request);
}

void upload_open(struct request *request)
{
    request->replay_sent = 0;
    upload_restart(request);
}

void upload_restart(struct request *request)
{
    request->has_sent_head = true;
    upload_go_on(request);
}

/* A length that cannot be kept is known at the first byte: what is kept until then would be copied
 * for nothing. */
static void keep_for_replay(struct request *request, struct span bytes)
{
    if (request->bytes_in == 0 && request->is_too_long_to_keep)
        replay_give_up(&request->replay, &request->proxy->replay,
                       request->replay.limit == 0 ? REPLAY_COMMITTED : REPLAY_BODY_TOO_LARGE);
    replay_add(&request->replay, &request->proxy->replay, bytes);
}

void upload_bytes(struct request *request, struct span bytes)
{
    keep_for_replay(request, bytes);
    request->bytes_in += bytes.len;
    call_touch(&request->call, request->proxy->loop->now);
    if (!is_sending(request))
        return;
    back_send_body(request->attempt.back, bytes);
    request->replay_sent = request->replay.length;
    if (back_is_blocked(request->attempt.back))
        read_caller(request, false);
    update_clock(request);
}

static void keep_trailers(struct request *request, struct span trailers)
{
    if (trailers.len == 0)
        return;
    struct span *kept = arena_alloc(&request->arena, sizeof *kept);
    if (kept != NULL)
        *kept = arena_copy(&request->arena, trailers);
    request->upload_trailers = kept;
}

void upload_end(struct request *request, struct span trailers)
{
    request->is_upload_done = true;
    keep_trailers(request, trailers);
    if (!is_sending(request))
        return;
    back_send_end(request->attempt.back, trailers_of(request));
    back_flush(request->attempt.back);
    call_resume(&request->call, request->proxy->loop->now);
    if (request->is_response_done)
        relay_over(request);
}

void upload_stop(struct request *request)
{
    request->has_sent_head = false;
    read_caller(request, false);
    call_resume(&request->call, request->proxy->loop->now);
}
