/* relay.c - see relay.h. */
#include "request/relay.h"

#include "http/rate_fields.h"
#include "request/keep.h"
#include "request/rate_view.h"
#include "request/tunnel.h"
#include "request/upload.h"

#define RATE_LINES 2

static enum h1_connection connection_word(const struct request *request, enum body_framing framing)
{
    const struct h1_front *front = request->front;
    if (framing == BODY_UNTIL_CLOSE || !front->may_persist || upload_is_declined(request))
        return H1_CONNECTION_CLOSE;
    return request->msg.version_minor == 0 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_DEFAULT;
}

static void send_head(struct request *request, const struct message *head)
{
    char text[RATE_LINES][RATE_FIELD_MAX];
    struct h1_line lines[RATE_LINES];
    const bool is_upgrade = head->status == 101;
    const enum body_framing framing =
        is_upgrade ? BODY_NONE : h1_response_framing(head, request->msg.version_minor);
    const struct h1_response_edit edit = {
        .framing = framing,
        .connection = is_upgrade ? H1_CONNECTION_DEFAULT : connection_word(request, framing),
        .retries = request->call.is_exhausted ? H1_RETRIES_EXHAUSTED : H1_RETRIES_PASS,
        .via = span_of(request->proxy->pseudonym),
        .is_upgrade_passed = is_upgrade || head->status == 426,
        .lines = lines,
        .line_count = rate_view_lines(request, text, lines),
    };
    request->has_response = true;
    request->status = head->status;
    h1_front_send_head(request->front, head, &edit);
}

/* The caller is slow: stop the upstream. It is also how a lost caller shows: the next event of its
 * socket says so. */
static void hold_back(struct request *request)
{
    if (request->attempt.back != NULL && request->front != NULL &&
        h1_front_is_blocked(request->front))
        h1_back_pause(request->attempt.back);
}

static void delivered(struct request *request)
{
    request_detach(request, false);
    call_on_delivered(&request->call, request->proxy->loop->now);
}

static void body_complete(struct request *request, struct span trailers)
{
    h1_front_send_end(request->front, trailers);
    h1_front_flush(request->front);
}

void relay_kept(struct request *request)
{
    const struct span body = replay_span(&request->kept.body);
    send_head(request, &request->kept.head);
    h1_front_send_body(request->front, body);
    request->bytes_out += body.len;
    body_complete(request, request->kept.trailers);
    delivered(request);
}

/* Held back for a retry that is not made: what is kept first, then the rest as it comes. */
static void relay_held(struct request *request)
{
    if (request->kept.is_complete) { /* its end came between the decision and now */
        relay_kept(request);
        return;
    }
    if (request->attempt.back == NULL) {
        call_on_response_broken(&request->call, REASON_CONNECTION_RESET, request->proxy->loop->now);
        return;
    }
    const struct span held = replay_span(&request->kept.body);
    send_head(request, &request->kept.head);
    h1_front_send_body(request->front, held);
    request->bytes_out += held.len;
    h1_front_flush(request->front);
    keep_drop(request);
    h1_back_resume(request->attempt.back);
    hold_back(request);
    upload_restart(request);
}

void relay_begin(struct request *request)
{
    if (request->msg.is_connect || (request->head != NULL && request->head->status == 101)) {
        tunnel_begin(request);
        request->head = NULL;
        return;
    }
    request->is_relaying = true;
    if (request->head == NULL) {
        relay_held(request);
        return;
    }
    send_head(request, request->head);
    request->head = NULL;
}

void relay_bytes(struct request *request, struct span bytes)
{
    call_touch(&request->call, request->proxy->loop->now);
    if (request->front == NULL)
        return;
    request->bytes_out += bytes.len;
    h1_front_send_body(request->front, bytes);
    hold_back(request);
}

void relay_over(struct request *request)
{
    upload_stop(request);
    attempt_release(&request->attempt, request->call.lane->policy->timeouts.pool_idle);
    call_on_attempt_ended(&request->call, request->proxy->loop->now);
    if (request->front != NULL)
        delivered(request);
}

/* An upstream may answer before it has read the whole body and still go on reading it: then so do
 * we, until the body or the connection ends (RFC 9112 section 9.3). A caller that were cut off in
 * its body might never read the answer. */
static bool is_upload_going_on(const struct request *request)
{
    return !request->is_upload_done && !upload_is_declined(request) && request->front != NULL &&
           h1_back_is_listening(request->attempt.back);
}

void relay_end(struct request *request, struct span trailers)
{
    if (request->front != NULL)
        body_complete(request, trailers);
    request->is_response_done = true;
    if (!is_upload_going_on(request))
        relay_over(request);
}

void relay_go_on(struct request *request)
{
    call_touch(&request->call, request->proxy->loop->now);
    if (request->attempt.back != NULL)
        h1_back_resume(request->attempt.back);
}
