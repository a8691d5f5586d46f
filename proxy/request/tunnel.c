/* tunnel.c - see tunnel.h. */
#include "request/tunnel.h"

#include "codec/outbox.h"
#include "request/connection.h"

/* A CONNECT may carry HTTP/2 in clear text (gRPC clients do so behind a forward proxy): then its
 * streams are calls like any other, to the target of the CONNECT. Until the caller has spoken, or
 * has been silent for detectTimeout, the upstream is not heard, so that its first bytes still
 * belong to whoever speaks with it. */
struct sniff {
    struct timer timer;
    struct request *request;
    size_t length;
    char held[24]; /* that look like the preface so far */
};

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
    const struct response_edit edit = {
        .framing = BODY_NONE, .via = span_of(request->proxy->pseudonym), .is_upgrade_passed = true};
    if (request->call.facts.is_tunnel) {
        request->status = 200;
        front_start_tunnel(request->front, NULL, &edit);
    } else {
        request->status = request->head->status;
        front_start_tunnel(request->front, request->head, &edit);
    }
    request->has_response = true;
}

static void sniff_end(struct request *request)
{
    struct sniff *sniff = request->sniff;
    request->sniff = NULL;
    if (sniff != NULL)
        wheel_clear(request->proxy->loop->wheel, &sniff->timer);
}

/* From here on long runs of bytes need not come by us, see codec/outbox.h. */
static void join(struct request *request)
{
    outbox_pair(front_outbox(request->front), back_outbox(request->attempt.back));
}

/* Bytes like any: what was held back goes first. */
static void sniff_pass(struct request *request)
{
    struct sniff *sniff = request->sniff;
    struct back *back = request->attempt.back;
    sniff_end(request);
    if (back == NULL)
        return;
    back_send_raw(back, span_make(sniff->held, sniff->length));
    back_flush(back);
    back_resume(back);
    if (request->front != NULL)
        join(request);
}

static void on_silence(struct timer *timer, mono_ns now)
{
    struct sniff *sniff = CONTAINER_OF(timer, struct sniff, timer);
    (void)now;
    sniff_pass(sniff->request);
    codec_uncork(&sniff->request->proxy->codec);
}

static void sniff_begin(struct request *request)
{
    struct proxy *proxy = request->proxy;
    const dur_ns most = proxy->snapshot->set->proxy.detect_timeout;
    const bool may = request->call.facts.is_tunnel && request->front->class->version == 1 &&
                     !request_connection(request)->is_bare;
    if (!may || most == 0 || route_is_opaque_port(proxy, request_message(request)->port))
        return;
    struct sniff *sniff = arena_zalloc(&request->arena, sizeof *sniff);
    if (sniff == NULL)
        return;
    sniff->request = request;
    request->sniff = sniff;
    timer_init(&sniff->timer, on_silence);
    wheel_set(proxy->loop->wheel, &sniff->timer, mono_add(proxy->loop->now, most));
    back_pause(request->attempt.back);
}

/* The tunnel's connection becomes one of the pool's, the caller's one of HTTP/2, and the CONNECT is
 * over. */
static void become_h2(struct request *request, struct span rest)
{
    struct connection *connection = request_connection(request);
    const mono_ns now = request->proxy->loop->now;
    sniff_end(request);
    connection->tunnel_to = strdup(request->call.lane->target->name);
    request->front->user = NULL;
    request->front = NULL;
    attempt_adopt(&request->attempt);
    call_on_attempt_ended(&request->call, now);
    call_on_delivered(&request->call, now);
    if (connection->tunnel_to == NULL)
        front_close(&connection->h1->base, STREAM_END_RESET);
    else
        connection_become_h2(connection, rest);
}

/* True when the bytes were dealt with. */
static bool sniff_bytes(struct request *request, struct span bytes)
{
    struct sniff *sniff = request->sniff;
    const size_t wanted = H2_PREFACE.len - sniff->length;
    const size_t len = bytes.len < wanted ? bytes.len : wanted;
    if (memcmp(bytes.data, H2_PREFACE.data + sniff->length, len) != 0) {
        sniff_pass(request);
        return false;
    }
    memcpy(sniff->held + sniff->length, bytes.data, len);
    sniff->length += len;
    if (sniff->length == H2_PREFACE.len)
        become_h2(request, span_make(bytes.data + len, bytes.len - len));
    return true;
}

void tunnel_over(struct request *request)
{
    sniff_end(request);
    request->proxy->tunnel_count--;
}

void tunnel_begin(struct request *request)
{
    request->is_tunnel = true;
    request->is_upload_done = true;
    request->proxy->tunnel_count++;
    tell_caller(request);
    back_start_tunnel(request->attempt.back);
    sniff_begin(request);
    if (request->sniff == NULL)
        join(request);
    front_read_body(request->front, true);
}

/* Where both sides have ended and the upstream has all of it the tunnel is over, in good order:
 * true. A stream of HTTP/2 needs the word; what it has not sent yet goes before. */
static bool end_if_over(struct request *request)
{
    if (!request->is_tunnel_up_done || !request->is_tunnel_down_done ||
        back_is_blocked(request->attempt.back))
        return false;
    const mono_ns now = request->proxy->loop->now;
    if (request->front != NULL && front_outbox(request->front) == NULL)
        front_send_fin(request->front);
    attempt_release(&request->attempt, 0);
    call_on_attempt_ended(&request->call, now);
    request_detach(request, true);
    call_on_delivered(&request->call, now);
    return true;
}

void tunnel_up(struct request *request, struct span bytes)
{
    if (request->sniff != NULL && sniff_bytes(request, bytes))
        return;
    struct back *back = request->attempt.back;
    request->bytes_in += bytes.len;
    metrics_count_tunnel_bytes(request_destination(request)->metrics, TUNNEL_UP, bytes.len);
    call_touch(&request->call, request->proxy->loop->now);
    if (back == NULL)
        return;
    if (bytes.data != NULL)
        back_send_raw(back, bytes);
    back_flush(back);
    if (back_is_blocked(back))
        front_read_body(request->front, false);
}

/* A FIN goes on once everything before it has: with a backlog it waits for tunnel_up_go_on. Where
 * the tunnel is over, to close a plain socket says it without a call of its own; TLS has a word for
 * it, which comes first. */
static void pass_up_end(struct request *request)
{
    struct back *back = request->attempt.back;
    const bool is_plain = back == NULL || back_outbox(back) != NULL;
    if (is_plain && end_if_over(request))
        return;
    if (back != NULL && !back_is_blocked(back))
        back_send_fin(back);
    if (!is_plain)
        end_if_over(request);
}

void tunnel_up_end(struct request *request)
{
    request->is_tunnel_up_done = true;
    if (request->sniff != NULL)
        sniff_pass(request);
    pass_up_end(request);
}

void tunnel_up_go_on(struct request *request)
{
    call_touch(&request->call, request->proxy->loop->now);
    if (request->attempt.back != NULL && back_is_blocked(request->attempt.back))
        return;
    if (request->is_tunnel_up_done)
        pass_up_end(request);
    else if (request->front != NULL)
        front_read_body(request->front, true);
}

void tunnel_down(struct request *request, struct span bytes)
{
    const mono_ns now = request->proxy->loop->now;
    call_on_tunnel_bytes(&request->call, now);
    call_touch(&request->call, now);
    request->bytes_out += bytes.len;
    metrics_count_tunnel_bytes(request_destination(request)->metrics, TUNNEL_DOWN, bytes.len);
    if (bytes.data != NULL)
        front_send_raw(request->front, bytes);
    front_flush(request->front);
    if (front_is_blocked(request->front))
        back_pause(request->attempt.back);
}

static void pass_down_end(struct request *request)
{
    if (request->front != NULL && !front_is_blocked(request->front))
        front_send_fin(request->front);
}

void tunnel_down_end(struct request *request)
{
    request->is_tunnel_down_done = true;
    if (!end_if_over(request))
        pass_down_end(request);
}

void tunnel_down_go_on(struct request *request)
{
    call_touch(&request->call, request->proxy->loop->now);
    if (request->front != NULL && front_is_blocked(request->front))
        return;
    if (request->is_tunnel_down_done)
        pass_down_end(request);
    else if (request->attempt.back != NULL)
        back_resume(request->attempt.back);
}
