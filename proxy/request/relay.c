/* relay.c - see relay.h. */
#include "request/relay.h"

#include "http/rate_fields.h"
#include "request/host.h"
#include "request/keep.h"
#include "request/rate_view.h"
#include "request/tunnel.h"
#include "request/upload.h"

#define RATE_LINES 2

static void send_head(struct request *request, const struct message *head)
{
    char text[RATE_LINES][RATE_FIELD_MAX];
    struct header_line lines[RATE_LINES];
    const struct response_edit edit = {
        .connection = upload_is_declined(request) ? H1_CONNECTION_CLOSE : H1_CONNECTION_DEFAULT,
        .retries = request->call.is_exhausted ? RETRIES_EXHAUSTED : RETRIES_PASS,
        .via = span_of(request->proxy->pseudonym),
        .is_upgrade_passed = head->status == 426,
        .lines = lines,
        .line_count = rate_view_lines(request, text, lines),
    };
    request->has_response = true;
    request->status = head->status;
    front_send_head(request->front, head, &edit);
}

/* The caller is slow: stop the upstream. It is also how a lost caller shows: the next event of its
 * socket says so. */
static void hold_back(struct request *request)
{
    if (request->attempt.back != NULL && request->front != NULL && front_is_blocked(request->front))
        back_pause(request->attempt.back);
}

static void delivered(struct request *request)
{
    request_detach(request, false);
    call_on_delivered(&request->call, request->proxy->loop->now);
}

static void body_complete(struct request *request, struct span trailers)
{
    front_send_end(request->front, trailers);
    front_flush(request->front);
}

void relay_kept(struct request *request)
{
    const struct span body = replay_span(&request->kept->body);
    send_head(request, &request->kept->head);
    front_send_body(request->front, body);
    request->bytes_out += body.len;
    body_complete(request, request->kept->trailers);
    delivered(request);
}

/* Held back for a retry that is not made: what is kept first, then the rest as it comes. */
static void relay_held(struct request *request)
{
    if (request->kept->is_complete) { /* its end came between the decision and now */
        relay_kept(request);
        return;
    }
    if (request->attempt.back == NULL) {
        call_on_response_broken(&request->call, REASON_CONNECTION_RESET, request->proxy->loop->now);
        return;
    }
    const struct span held = replay_span(&request->kept->body);
    send_head(request, &request->kept->head);
    front_send_body(request->front, held);
    request->bytes_out += held.len;
    front_flush(request->front);
    keep_drop(request);
    back_resume(request->attempt.back);
    hold_back(request);
    upload_restart(request);
}

void relay_begin(struct request *request)
{
    if (request->call.facts.is_tunnel || (request->head != NULL && request->head->status == 101)) {
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
    front_send_body(request->front, bytes);
    hold_back(request);
}

void relay_over(struct request *request)
{
    upload_stop(request);
    const struct pool_stay stay = host_stay(&request->call);
    attempt_release(&request->attempt, &stay);
    call_on_attempt_ended(&request->call, request->proxy->loop->now);
    if (request->front != NULL)
        delivered(request);
}

/* An upstream may answer before it has read the whole body and still go on reading it: then so do
 * we, until the body or the connection ends (RFC 9112 section 9.3). A caller that were cut off in
 * its body might never read the answer; one of HTTP/2 does, and is told to stop. */
static bool is_upload_going_on(const struct request *request)
{
    return !request->is_upload_done && !upload_is_declined(request) && request->front != NULL &&
           request->front->class->version == 1 && back_is_listening(request->attempt.back);
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
        back_resume(request->attempt.back);
}
