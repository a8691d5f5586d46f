/* tunnel.c - see tunnel.h. */
#include "request/tunnel.h"

void tunnel_connected(struct request *request)
{
    const mono_ns now = request->proxy->loop->now;
    const struct call_head head = {.status = 200, .grpc_status = -1, .outcome = OUTCOME_SUCCESS};
    call_on_connected(&request->call, now);
    call_on_wire(&request->call);
    call_on_head(&request->call, &head, now);
}

static void tell_caller(struct request *request)
{
    const struct h1_response_edit edit = {
        .framing = BODY_NONE, .via = span_of(request->proxy->pseudonym), .is_upgrade_passed = true};
    if (request->msg.is_connect) {
        request->status = 200;
        h1_front_send_raw(request->front, SPAN("HTTP/1.1 200 Connection established\r\n\r\n"));
    } else {
        request->status = request->head->status;
        h1_front_send_head(request->front, request->head, &edit);
    }
    request->has_response = true;
}

void tunnel_begin(struct request *request)
{
    request->is_tunnel = true;
    request->is_upload_done = true;
    request->proxy->tunnel_count++;
    tell_caller(request);
    h1_front_flush(request->front);
    h1_front_start_tunnel(request->front);
    h1_back_start_tunnel(request->attempt.back);
    h1_front_read_body(request->front, true);
}

/* Both sides have ended and the upstream has all of it: the tunnel is over, in good order. */
static void over(struct request *request)
{
    if (!request->is_tunnel_up_done || !request->is_tunnel_down_done ||
        h1_back_is_blocked(request->attempt.back))
        return;
    const mono_ns now = request->proxy->loop->now;
    attempt_release(&request->attempt, 0);
    call_on_attempt_ended(&request->call, now);
    request_detach(request, true);
    call_on_delivered(&request->call, now);
}

void tunnel_up(struct request *request, struct span bytes)
{
    struct h1_back *back = request->attempt.back;
    request->bytes_in += bytes.len;
    call_touch(&request->call, request->proxy->loop->now);
    if (back == NULL)
        return;
    h1_back_send_raw(back, bytes);
    h1_back_flush(back);
    if (h1_back_is_blocked(back))
        h1_front_read_body(request->front, false);
}

/* A FIN goes on once everything before it has: with a backlog it waits for tunnel_up_go_on. */
static void pass_up_end(struct request *request)
{
    if (request->attempt.back != NULL && !h1_back_is_blocked(request->attempt.back))
        h1_back_send_fin(request->attempt.back);
}

void tunnel_up_end(struct request *request)
{
    request->is_tunnel_up_done = true;
    pass_up_end(request);
    over(request);
}

void tunnel_up_go_on(struct request *request)
{
    if (request->is_tunnel_up_done) {
        pass_up_end(request);
        over(request);
    } else if (request->front != NULL) {
        h1_front_read_body(request->front, true);
    }
}

void tunnel_down(struct request *request, struct span bytes)
{
    const mono_ns now = request->proxy->loop->now;
    call_on_tunnel_bytes(&request->call, now);
    call_touch(&request->call, now);
    request->bytes_out += bytes.len;
    h1_front_send_raw(request->front, bytes);
    h1_front_flush(request->front);
    if (h1_front_is_blocked(request->front))
        h1_back_pause(request->attempt.back);
}

static void pass_down_end(struct request *request)
{
    if (request->front != NULL && !h1_front_is_blocked(request->front))
        h1_front_send_fin(request->front);
}

void tunnel_down_end(struct request *request)
{
    request->is_tunnel_down_done = true;
    pass_down_end(request);
    over(request);
}

void tunnel_down_go_on(struct request *request)
{
    call_touch(&request->call, request->proxy->loop->now);
    if (request->is_tunnel_down_done)
        pass_down_end(request);
    else if (request->attempt.back != NULL)
        h1_back_resume(request->attempt.back);
}
