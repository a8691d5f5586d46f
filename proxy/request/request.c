/* request.c - birth, actions and end of a request. See request.h. */
#include "request/request.h"

#include "base/check.h"
#include "http/grpc.h"
#include "http/local_reply.h"
#include "http/request_id.h"
#include "request/attempt_io.h"
#include "request/keep.h"
#include "request/relay.h"
#include "request/reply.h"
#include "request/route.h"
#include "request/tunnel.h"
#include "request/upload.h"

#define REQUEST_MAGIC 0x7e90e571u

/* ---- birth ---- */

static struct request *request_new(struct front *front)
{
    struct connection *connection = front->context;
    struct proxy *proxy = connection->proxy;
    struct request *request = slab_alloc(&proxy->request_memory);
    if (request == NULL)
        return NULL;
    memset(request, 0, sizeof *request);
    request->magic = REQUEST_MAGIC;
    request->proxy = proxy;
    request->front = front;
    arena_init(&request->arena, front->class->version == 2 ? &proxy->stream_arenas : &proxy->arenas,
               REQUEST_ARENA_BYTES + REQUEST_ARENA_HEADS * (size_t)proxy->limits.max_header_bytes);
    list_append(&proxy->requests, &request->link);
    proxy->request_count++;
    front->user = request;
    return request;
}

static void request_free(struct request *request)
{
    struct proxy *proxy = request->proxy;
    keep_drop(request);
    replay_fini(&request->replay, &proxy->replay);
    arena_fini(&request->arena);
    list_remove(&request->link);
    proxy->request_count--;
    proxy->busy_at = proxy->loop->now;
    request->magic = 0;
    slab_free(&proxy->request_memory, request);
}

/* ---- its head ---- */

/* The spans of `msg` die with the callback that brought it, or with the front; until then most
 * calls have had all that they need of it. */
static bool take_head(struct request *request, const struct message *msg)
{
    struct proxy *proxy = request->proxy;
    request->pack = message_pack(msg, &request->arena);
    if (request->pack == NULL)
        return false;
    proxy->arriving = request;
    proxy->arriving_head = msg;
    request->is_http10 = msg->version_minor == 0;
    request->has_body = msg->framing != BODY_NONE;
    request->expects_continue = msg->expects_continue;
    if (message_value(msg, HEADER_X_REQUEST_ID).len > 0)
        return true;
    request->own_id[0] = rng_next(&proxy->loop->rng);
    request->own_id[1] = rng_next(&proxy->loop->rng);
    return true;
}

const struct message *request_message(const struct request *request)
{
    struct proxy *proxy = request->proxy;
    if (proxy->arriving == request)
        return proxy->arriving_head;
    message_unpack(request->pack, proxy->unpacked.headers, &proxy->unpacked);
    return &proxy->unpacked;
}

struct span request_name(const struct request *request, const struct message *msg,
                         char own[REQUEST_ID_LEN])
{
    const struct span given = message_value(msg, HEADER_X_REQUEST_ID);
    if (given.len > 0)
        return given;
    request_id_write(request->own_id[0], request->own_id[1], own);
    return span_make(own, REQUEST_ID_LEN);
}

/* ---- the beginning of its call ---- */

static dur_ns caller_deadline(const struct message *msg, const struct policy *policy)
{
    const char *name = policy->timeouts.deadline_header;
    if (request_is_grpc(msg))
        return grpc_timeout_from(message_value(msg, HEADER_GRPC_TIMEOUT));
    if (name == NULL)
        return DUR_FOREVER;
    const struct header *header = message_find_name(msg, span_of(name));
    if (header == NULL || header->value.len == 0 || header->value.len > 12)
        return DUR_FOREVER;
    int64_t ms = 0;
    for (size_t i = 0; i < header->value.len; i++) {
        const char digit = header->value.data[i];
        if (digit < '0' || digit > '9')
            return DUR_FOREVER;
        ms = ms * 10 + (digit - '0');
    }
    return dur_mul(NS_PER_MS, ms);
}

static struct call_facts facts_of(const struct message *msg, const struct lane *lane)
{
    const struct retry_config *retry = &lane->policy->retry;
    const bool has_key = retry->honours_idempotency_key && message_has(msg, HEADER_IDEMPOTENCY_KEY);
    return (struct call_facts){
        .method = msg->method,
        .is_method_listed = msg->is_connect /* nothing has been sent when a connect fails */
                            || route_is_method_listed(retry, msg),
        .is_idempotent = method_is_idempotent(msg->method) || has_key,
        .is_grpc = request_is_grpc(msg),
        .is_tunnel = msg->is_connect,
        .is_upgrade = msg->is_upgrade,
        .caller_deadline = caller_deadline(msg, lane->policy),
    };
}

static enum reason proxy_refusal(const struct proxy *proxy, const struct connection *connection)
{
    if (proxy->drain == DRAIN_DONE ||
        (proxy->drain == DRAIN_REFUSING && !connection_may_ask(connection)))
        return REASON_SHUTDOWN;
    return proxy->is_over_memory ? REASON_OVERLOADED : REASON_NONE;
}

static void request_unroutable(struct request *request, enum reason reason)
{
    reply_without_call(request->front, request, reason, request->detail);
    request_detach(request, false);
    request_free(request);
}

void request_begin(struct front *front, struct message *msg)
{
    struct connection *connection = front->context;
    struct request *request = request_new(front);
    if (request == NULL || !take_head(request, msg)) {
        reply_without_call(front, NULL, REASON_OVERLOADED, "no memory for the request");
        front_finish(front, true);
        if (request != NULL)
            request_free(request);
        return;
    }
    struct proxy *proxy = connection->proxy;
    struct lane *lane = NULL;
    const enum reason reason = route_request(proxy, connection, msg, &lane, &request->detail);
    request->detail_reason = reason;
    if (lane == NULL) {
        request_unroutable(request, reason);
        return;
    }
    const struct call_facts facts = facts_of(msg, lane);
    const enum reason refusal = reason != REASON_NONE ? reason : proxy_refusal(proxy, connection);
    attempt_init(&request->attempt, &proxy->pool, &attempt_io_handler);
    request->http = route_http(connection, lane->target, msg);
    upload_begin(request, msg, lane->policy, &facts);
    if (refusal != REASON_NONE)
        call_refuse(&request->call, &proxy->engine, lane, &facts, refusal, proxy->loop->now);
    else
        call_begin(&request->call, &proxy->engine, lane, &facts, proxy->loop->now);
}

void request_refuse_head(struct front *front, enum reason reason, const char *detail)
{
    reply_without_call(front, NULL, reason, detail);
    front_finish(front, true);
}

/* ---- the caller ---- */

/* From here on the two know nothing of each other. The bytes of a head that has just come may go
 * with its front. */
static struct front *part(struct request *request)
{
    struct proxy *proxy = request->proxy;
    struct front *front = request->front;
    const struct connection *connection = request_connection(request);
    if (connection != NULL && proxy->access.cfg.mode != ACCESS_OFF)
        request->client = arena_copy(&request->arena, span_of(connection->peer)).data;
    request->front = NULL;
    if (proxy->arriving == request)
        proxy->arriving = NULL;
    if (front != NULL)
        front->user = NULL;
    return front;
}

void request_detach(struct request *request, bool is_last)
{
    struct front *front = part(request);
    if (front != NULL)
        front_finish(front, is_last);
}

void request_cancel(struct request *request)
{
    struct front *front = part(request);
    if (front != NULL)
        front_close(front, request->has_response ? STREAM_END_RESET : STREAM_END_ORDERLY);
    call_on_cancel(&request->call, request->proxy->loop->now);
}

/* A gRPC stream can be told how it ends even now: by trailers. */
static void end_by_trailers(struct request *request)
{
    char text[LOCAL_REPLY_MAX];
    size_t len;
    const struct local_reply reply = {.reason = request->call.reason};
    if (local_reply_trailers(&reply, text, sizeof text, &len) == OK)
        front_send_end(request->front, span_make(text, len));
    front_flush(request->front);
    request_detach(request, true);
}

static void abort_downstream(struct request *request)
{
    const bool may_tell = request->front != NULL && request->call.facts.is_grpc &&
                          request->has_response && request->front->class->version == 2;
    if (may_tell) {
        end_by_trailers(request);
        return;
    }
    struct front *front = part(request);
    if (front != NULL)
        front_close(front, STREAM_END_RESET);
}

/* ---- the end ---- */

static void count_request(struct request *request)
{
    const struct lane *lane = request->call.lane;
    struct metrics_target *metrics = request_destination(request)->metrics;
    metrics_count_request(metrics, lane->user, request->status, request->call.fate);
    if (!request->is_tunnel)
        metrics_note_duration(metrics,
                              mono_since(request->proxy->loop->now, request->call.began_at));
}

static void log_request(struct request *request)
{
    const struct call *call = &request->call;
    const struct connection *connection = request_connection(request);
    const dur_ns took = mono_since(request->proxy->loop->now, call->began_at);
    const bool is_refusal = call->reason != REASON_NONE && !call->has_kept_head;
    if (!access_log_wants(&request->proxy->access, is_refusal))
        return;
    char own_id[REQUEST_ID_LEN];
    const struct message *msg = request_message(request);
    const struct access_entry entry = {
        .wall_ns = loop_wall(request->proxy->loop) - took,
        .request_id = request_name(request, msg, own_id),
        .target = call->lane->target->name,
        .rule = call->lane->rule_name,
        .method = msg->method_name,
        .path = msg->target,
        .client = span_of(connection != NULL ? connection->peer : request->client),
        .status = request->status,
        .fate = call->fate,
        .reason = call->reason,
        .at = is_refusal ? reply_place(request) : NULL,
        .took = took,
        .bytes_in = request->bytes_in,
        .bytes_out = request->bytes_out,
        .attempts = request->attempts,
        .attempt_count = request->attempt_count,
    };
    access_log_write(&entry);
}

static void request_finish(struct request *request)
{
    count_request(request);
    log_request(request);
    if (request->is_tunnel)
        tunnel_over(request);
    attempt_fini(&request->attempt);
    if (request->front != NULL)
        request_detach(request, true);
    call_fini(&request->call);
    request_free(request);
}

void request_perform(struct request *request, unsigned actions)
{
    if (actions & CALL_ABORT_ATTEMPT)
        attempt_io_abort(request);
    if (actions & CALL_START_ATTEMPT)
        attempt_io_start(request);
    if (actions & CALL_KEEP)
        keep_begin(request);
    if (actions & CALL_RELAY)
        relay_begin(request);
    if (actions & CALL_REPLY)
        reply_send(request);
    if (actions & CALL_ABORT_DOWNSTREAM)
        abort_downstream(request);
    if (actions & CALL_FINISH)
        request_finish(request);
}
