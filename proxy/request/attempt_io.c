/* attempt_io.c - see attempt_io.h. Every callback here ends with proxy_perform: the call may have
 * asked for something. */
#include "request/attempt_io.h"

#include "base/check.h"
#include "call/choice.h"
#include "http/bytes.h"
#include "http/classify.h"
#include "http/grpc.h"
#include "http/retry_after.h"
#include "request/host.h"
#include "request/keep.h"
#include "request/relay.h"
#include "request/tunnel.h"
#include "request/upload.h"

#include <stdio.h>

#define OWN_LINES 3
#define LINE_BYTES 24

static struct request *request_from(struct attempt *attempt)
{
    return CONTAINER_OF(attempt, struct request, attempt);
}

/* ---- starting ---- */

/* Fields of ours that differ from attempt to attempt. */
struct own_lines {
    struct header_line list[OWN_LINES];
    char text[OWN_LINES][LINE_BYTES];
    size_t count;
};

static void add_number(struct own_lines *lines, struct span name, long long number)
{
    char *text = lines->text[lines->count];
    const int len = snprintf(text, LINE_BYTES, "%lld", number);
    lines->list[lines->count++] =
        (struct header_line){.name = name, .value = span_make(text, (size_t)len), .replaces = true};
}

/* Both deadlines are rewritten downward on every attempt: to what is left of this one, and of the
 * caller's own grpc-timeout - not of backendRequest, which ends at the head: an upstream that were
 * told of it would end a stream that may go on. */
static void add_deadlines(const struct request *request, struct own_lines *lines)
{
    const char *name = request->call.lane->policy->timeouts.deadline_header;
    const mono_ns now = request->proxy->loop->now;
    const dur_ns left = call_attempt_left(&request->call, now);
    const dur_ns callers = call_caller_left(&request->call, now);
    if (name != NULL && left != DUR_FOREVER)
        add_number(lines, span_of(name), left / NS_PER_MS);
    if (callers == DUR_FOREVER)
        return;
    char *text = lines->text[lines->count];
    const size_t len = grpc_timeout_write(callers, text);
    lines->list[lines->count++] = (struct header_line){
        .name = SPAN("grpc-timeout"), .value = span_make(text, len), .replaces = true};
}

/* gRFC A6: how often this call was tried before, by the caller's own retries and by ours. */
static void add_previous_attempts(const struct request *request, const struct message *msg,
                                  struct own_lines *lines)
{
    const struct span name = SPAN("grpc-previous-rpc-attempts");
    uint64_t callers = 0;
    if (!request->call.facts.is_grpc || request->call.retries_made == 0)
        return;
    const struct header *said = message_find_name(msg, name);
    if (said == NULL || !bytes_decimal(said->value, &callers) || callers > UINT32_MAX)
        callers = 0;
    add_number(lines, name, (long long)callers + request->call.retries_made);
}

static void send_request(struct request *request)
{
    struct own_lines lines = {.count = 0};
    char own_id[REQUEST_ID_LEN];
    const struct message *msg = request_message(request);
    add_deadlines(request, &lines);
    add_previous_attempts(request, msg, &lines);
    const struct request_edit edit = {
        .via = span_of(request->proxy->pseudonym),
        .request_id = request_name(request, msg, own_id),
        .host = span_of(request->call.lane->target->name),
        .attempt = request->call.attempt + 1,
        .is_upgrade_passed = msg->is_upgrade,
        .lines = lines.list,
        .line_count = lines.count,
    };
    call_on_connected(&request->call, request->proxy->loop->now);
    call_on_wire(&request->call);
    keep_drop(request);
    back_send_request(request->attempt.back, msg, &edit);
    upload_open(request);
}

static void open_attempt(struct request *request)
{
    if (request->call.facts.is_tunnel)
        tunnel_connected(request);
    else
        send_request(request);
}

static enum repeat repeat_of(const struct request *request)
{
    const struct call_facts *facts = &request->call.facts;
    if (facts->is_idempotent)
        return request->has_body ? REPEAT_PAID : REPEAT_FREE;
    const bool may_retry = request->call.lane->policy->retry.mode != POLICY_OFF;
    return facts->is_method_listed && may_retry ? REPEAT_PAID : REPEAT_NEVER;
}

static void never_began(struct request *request, enum reason reason)
{
    const struct call_failure failure = {.reason = reason};
    call_on_attempt_failed(&request->call, &failure, request->proxy->loop->now);
}

void attempt_io_start(struct request *request)
{
    struct call *call = &request->call;
    struct endpoint_set *endpoints = host_endpoints(call);
    const bool is_upgrade = call->facts.is_upgrade; /* HTTP/2 has none: it goes by HTTP/1.1 */
    request->has_sent_head = false;
    if (endpoints == NULL) {
        never_began(request, REASON_DNS_FAILURE);
        return;
    }
    const bool is_plain_tunnel = call->facts.is_tunnel; /* CONNECT: TLS is the caller's business */
    const struct address *dialled = host_dialled(call);
    const bool is_chosen = dialled == NULL && choice_is_needed(call->lane);
    /* None would do when the gate asked, though the addresses are known (host's make_do). */
    const bool is_vain =
        is_chosen && call->endpoint_id == CANDIDATE_UNKNOWN && endpoint_set_use(endpoints);
    const struct attempt_order order = {
        .endpoints = endpoints,
        .wanted = dialled     ? address_hash(dialled)
                  : is_chosen ? call->endpoint_id
                              : CANDIDATE_UNKNOWN,
        .stays = dialled != NULL || is_vain,
        .key = host_balancer_key(call),
        .repeat = repeat_of(request),
        .needs_fresh = call->needs_fresh,
        .is_tunnel = is_plain_tunnel || is_upgrade,
        .is_http2 = !is_plain_tunnel && !is_upgrade && request->http == ROUTE_HTTP2,
        .negotiates = !is_plain_tunnel && !is_upgrade && request->http == ROUTE_ALPN,
        .tls = is_plain_tunnel ? (struct pool_tls){.client = NULL} : host_tls(call),
    };
    switch (attempt_start(&request->attempt, &order)) {
    case ATTEMPT_READY: open_attempt(request); break;
    case ATTEMPT_NO_MEMORY: never_began(request, REASON_OVERLOADED); break;
    default: /* LATER */ break;
    }
}

void attempt_io_abort(struct request *request)
{
    upload_stop(request);
    attempt_abort(&request->attempt);
    if (request->kept != NULL && !request->kept->is_complete)
        keep_drop(request);
}

/* ---- what the upstream says ---- */

static void on_endpoint(struct attempt *attempt)
{
    struct request *request = request_from(attempt);
    call_on_endpoint(&request->call, attempt->endpoint->candidate.id, request->proxy->loop->now);
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
    if (request->front == NULL || request->is_http10)
        return;
    if (msg->status != 100) {
        front_send_interim(request->front, msg);
    } else if (request->expects_continue && !request->is_continue_sent && request->bytes_in == 0) {
        request->is_continue_sent = true;
        front_send_interim(request->front, msg);
        upload_go_on(request);
    }
    front_flush(request->front);
}

static enum outcome outcome_of(const struct request *request, int status, int grpc_status)
{
    const struct breaker_config *breaker = &request->call.lane->policy->breaker;
    return classify(status, grpc_status, &breaker->failure_codes, breaker->throttled_is_failure)
        .outcome;
}

/* Of a head without grpc-status: what gRPC makes of its HTTP status; -1 when the trailers say. */
static int grpc_status_of(const struct message *msg)
{
    if (message_has(msg, HEADER_GRPC_STATUS))
        return grpc_status_from(message_value(msg, HEADER_GRPC_STATUS));
    if (msg->status != 200)
        return grpc_status_from_http(msg->status);
    return msg->is_whole ? GRPC_UNKNOWN : -1;
}

static dur_ns wait_of(struct request *request, const struct message *msg)
{
    const int64_t wall_s = loop_wall(request->proxy->loop) / NS_PER_S;
    dur_ns wait = 0;
    if (message_has(msg, HEADER_RETRY_AFTER))
        wait = retry_after_from(message_value(msg, HEADER_RETRY_AFTER), wall_s);
    if (request->call.facts.is_grpc && message_has(msg, HEADER_GRPC_RETRY_PUSHBACK_MS))
        wait = grpc_pushback_from(message_value(msg, HEADER_GRPC_RETRY_PUSHBACK_MS));
    return wait;
}

static struct call_head head_of(struct request *request, const struct message *msg)
{
    const bool is_grpc = request->call.facts.is_grpc;
    const int grpc_status = is_grpc ? grpc_status_of(msg) : -1;
    return (struct call_head){
        .status = msg->status,
        .grpc_status = grpc_status,
        .awaits_trailers = is_grpc && grpc_status < 0,
        .outcome = outcome_of(request, msg->status, grpc_status),
        .retry_after = wait_of(request, msg),
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
    if (request->call.head.awaits_trailers && request->is_relaying) {
        const int status = grpc_status_in(trailers);
        call_on_trailers(&request->call, status, outcome_of(request, 200, status),
                         request->proxy->loop->now);
    }
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
    const struct back *back = request->attempt.back;
    const struct call_failure failure = {
        .reason = reason,
        .is_reused = request->attempt.is_reused,
        .is_unsent = back == NULL || back_is_unsent(back),
        .is_answered = back != NULL && back_has_answered(back),
    };
    upload_stop(request);
    call_on_attempt_failed(&request->call, &failure, request->proxy->loop->now);
    attempt_abort(&request->attempt);
}

static void on_failed(struct attempt *attempt, enum reason reason, const char *detail)
{
    struct request *request = request_from(attempt);
    const mono_ns now = request->proxy->loop->now;
    if (reason_group(reason) == REASON_GROUP_CONNECT_FAILURE && detail != NULL)
        detail =
            arena_copy(&request->arena, span_of(detail)).data; /* TLS's, gone with its stream */
    request->detail = detail;
    request->detail_reason = reason;
    if (request->is_response_done) {
        relay_over(request);
    } else if (request->is_relaying || request->is_tunnel) {
        call_on_response_broken(&request->call, reason, now);
    } else if (request->kept != NULL && !request->kept->is_complete) {
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
