/* attempt_io.c - see attempt_io.h. Every callback here ends with proxy_perform: the call may have
 * asked for something. */
#include "request/attempt_io.h"

#include "base/check.h"
#include "http/classify.h"
#include "http/retry_after.h"
#include "request/host.h"
#include "request/keep.h"
#include "request/relay.h"
#include "request/tunnel.h"
#include "request/upload.h"

#include <stdio.h>

#define DEADLINE_DIGITS 24

static struct request *request_from(struct attempt *attempt)
{
    return CONTAINER_OF(attempt, struct request, attempt);
}

/* ---- starting ---- */

/* The deadline header is rewritten downward on every attempt: what is left of this one. */
static size_t deadline_line(struct request *request, char digits[DEADLINE_DIGITS],
                            struct h1_line *line)
{
    const char *name = request->call.lane->policy->timeouts.deadline_header;
    const dur_ns left = call_attempt_left(&request->call, request->proxy->loop->now);
    if (name == NULL || left == DUR_FOREVER)
        return 0;
    const int len = snprintf(digits, DEADLINE_DIGITS, "%lld", (long long)(left / NS_PER_MS));
    *line = (struct h1_line){
        .name = span_of(name), .value = span_make(digits, (size_t)len), .replaces = true};
    return 1;
}

static void send_request(struct request *request)
{
    char digits[DEADLINE_DIGITS];
    struct h1_line line;
    const struct message *msg = &request->msg;
    const struct h1_request_edit edit = {
        .via = span_of(request->proxy->pseudonym),
        .request_id = request->request_id,
        .host = span_of(request->call.lane->target->name),
        .attempt = request->call.attempt + 1,
        .is_upgrade_passed = msg->is_upgrade,
        .lines = &line,
        .line_count = deadline_line(request, digits, &line),
    };
    call_on_connected(&request->call, request->proxy->loop->now);
    call_on_wire(&request->call);
    keep_drop(request);
    h1_back_send_request(request->attempt.back, msg, &edit);
    upload_open(request);
}

static void open_attempt(struct request *request)
{
    if (request->msg.is_connect)
        tunnel_connected(request);
    else
        send_request(request);
}

static enum repeat repeat_of(const struct request *request)
{
    const struct call_facts *facts = &request->call.facts;
    if (facts->is_idempotent)
        return request->msg.framing == BODY_NONE ? REPEAT_FREE : REPEAT_PAID;
    const bool may_retry = request->call.lane->policy->retry.mode != POLICY_OFF;
    return facts->is_method_listed && may_retry ? REPEAT_PAID : REPEAT_NEVER;
}

void attempt_io_start(struct request *request)
{
    struct call *call = &request->call;
    struct endpoint_set *endpoints = host_endpoints(call);
    request->has_sent_head = false;
    if (endpoints == NULL) {
        const struct call_failure failure = {.reason = REASON_DNS_FAILURE};
        call_on_attempt_failed(call, &failure, request->proxy->loop->now);
        return;
    }
    const struct attempt_order order = {
        .endpoints = endpoints,
        .wanted = call->endpoint_seat ? call->endpoint_id : CANDIDATE_UNKNOWN,
        .repeat = repeat_of(request),
        .needs_fresh = call->needs_fresh,
        .is_tunnel = call->facts.is_tunnel || request->msg.is_upgrade,
    };
    if (attempt_start(&request->attempt, &order) == ATTEMPT_READY)
        open_attempt(request);
}

void attempt_io_abort(struct request *request)
{
    upload_stop(request);
    attempt_abort(&request->attempt);
    if (request->kept.is_on && !request->kept.is_complete)
        keep_drop(request);
}

/* ---- what the upstream says ---- */

static void on_endpoint(struct attempt *attempt)
{
    struct request *request = request_from(attempt);
    call_on_endpoint(&request->call, attempt->endpoint->id, request->proxy->loop->now);
}

static void on_ready(struct attempt *attempt)
{
    struct request *request = request_from(attempt);
    open_attempt(request);
    proxy_perform(request->proxy);
}

static void on_interim(struct attempt *attempt, struct message *msg)
{
    struct request *request = request_from(attempt);
    if (request->front == NULL || request->msg.version_minor == 0)
        return;
    if (msg->status != 100) {
        h1_front_send_interim(request->front, msg);
    } else if (request->msg.expects_continue && !request->is_continue_sent &&
               request->bytes_in == 0) {
        request->is_continue_sent = true;
        h1_front_send_interim(request->front, msg);
        upload_go_on(request);
    }
    h1_front_flush(request->front);
}

static struct call_head head_of(struct request *request, const struct message *msg)
{
    const struct breaker_config *breaker = &request->call.lane->policy->breaker;
    const struct classification class =
        classify(msg->status, -1, &breaker->failure_codes, breaker->throttled_is_failure);
    const int64_t wall_s = loop_wall(request->proxy->loop) / NS_PER_S;
    return (struct call_head){
        .status = msg->status,
        .grpc_status = -1,
        .outcome = class.outcome,
        .retry_after = message_has(msg, HEADER_RETRY_AFTER)
                           ? retry_after_from(message_value(msg, HEADER_RETRY_AFTER), wall_s)
                           : 0,
        .is_exhausted_marked =
            message_has(msg, HEADER_X_OUTRIGGER_RETRIES) &&
            span_is_nocase(message_value(msg, HEADER_X_OUTRIGGER_RETRIES), SPAN("exhausted")),
        .is_upgrade = msg->status == 101,
    };
}

static void on_failed(struct attempt *attempt, enum reason reason, const char *detail);

static void on_head(struct attempt *attempt, struct message *msg)
{
    struct request *request = request_from(attempt);
    if (msg->status == 101 &&
        !request->is_upload_done) { /* where the tunnel begins nobody could tell (RFC 9110 7.8) */
        on_failed(attempt, REASON_PROTOCOL_ERROR,
                  "the upstream switched protocols before it had the whole request");
        return;
    }
    const struct call_head head = head_of(request, msg);
    request->head = msg;
    call_on_head(&request->call, &head, request->proxy->loop->now);
    proxy_perform(request->proxy); /* may be the end of the request: relay or keep clears `head` */
}

static void on_body(struct attempt *attempt, struct span bytes)
{
    struct request *request = request_from(attempt);
    if (request->is_tunnel)
        tunnel_down(request, bytes);
    else if (request->is_relaying)
        relay_bytes(request, bytes);
    else
        keep_bytes(request, bytes);
    proxy_perform(request->proxy);
}

static void on_end(struct attempt *attempt, struct span trailers)
{
    struct request *request = request_from(attempt);
    if (request->is_tunnel)
        tunnel_down_end(request);
    else if (request->is_relaying)
        relay_end(request, trailers);
    else
        keep_end(request, trailers);
    proxy_perform(request->proxy);
}

static void fail_attempt(struct request *request, enum reason reason)
{
    const struct h1_back *back = request->attempt.back;
    const struct call_failure failure = {
        .reason = reason,
        .is_reused = request->attempt.is_reused,
        .is_unsent = back == NULL || back->out.sent_bytes == back->sent_before,
        .is_answered = back != NULL && back->has_answered,
    };
    upload_stop(request);
    call_on_attempt_failed(&request->call, &failure, request->proxy->loop->now);
    attempt_abort(&request->attempt);
}

static void on_failed(struct attempt *attempt, enum reason reason, const char *detail)
{
    struct request *request = request_from(attempt);
    const mono_ns now = request->proxy->loop->now;
    request->detail = detail;
    request->detail_reason = reason;
    if (request->is_response_done) {
        relay_over(request);
    } else if (request->is_relaying || request->is_tunnel) {
        call_on_response_broken(&request->call, reason, now);
    } else if (request->kept.is_on && !request->kept.is_complete) {
        attempt_io_abort(request);
        call_on_response_broken(&request->call, reason, now);
    } else {
        fail_attempt(request, reason);
    }
    proxy_perform(request->proxy);
}

static void on_writable(struct attempt *attempt)
{
    struct request *request = request_from(attempt);
    call_touch(&request->call, request->proxy->loop->now);
    if (request->is_tunnel)
        tunnel_up_go_on(request);
    else
        upload_go_on(request);
}

const struct attempt_handler attempt_io_handler = {
    .on_ready = on_ready,
    .on_interim = on_interim,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_writable = on_writable,
    .on_endpoint = on_endpoint,
};
