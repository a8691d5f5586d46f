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

#include <stdlib.h>

#define REQUEST_MAGIC 0x7e90e571u
#define FREE_REQUESTS 256 /* kept for reuse: a warm proxy allocates nothing per call */

/* ---- birth ---- */

static struct request *request_take(struct proxy *proxy)
{
    struct list *first = list_first(&proxy->free_requests);
    struct request *request;
    if (first != NULL) {
        request = CONTAINER_OF(first, struct request, link);
        list_remove(first);
        proxy->free_request_count--;
    } else {
        request = malloc(sizeof *request);
        if (request == NULL)
            return NULL;
    }
    memset(request, 0, sizeof *request);
    return request;
}

static struct request *request_new(struct front *front)
{
    struct connection *connection = front->context;
    struct proxy *proxy = connection->proxy;
    struct request *request = request_take(proxy);
    if (request == NULL)
        return NULL;
    request->magic = REQUEST_MAGIC;
    request->proxy = proxy;
    request->connection = connection;
    request->front = front;
    request->began_at = proxy->loop->now;
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
    replay_fini(&request->replay);
    arena_fini(&request->arena);
    list_remove(&request->link);
    proxy->request_count--;
    proxy->busy_at = proxy->loop->now;
    request->magic = 0;
    if (proxy->free_request_count >= FREE_REQUESTS) {
        free(request);
        return;
    }
    list_prepend(&proxy->free_requests, &request->link); /* last used, still in the cache */
    proxy->free_request_count++;
}

static void name_request(struct request *request)
{
    request->request_id = message_value(&request->msg, HEADER_X_REQUEST_ID);
    if (request->request_id.len > 0)
        return;
    struct rng *rng = &request->proxy->loop->rng;
    request_id_write(rng_next(rng), rng_next(rng), request->own_id);
    request->request_id = span_make(request->own_id, REQUEST_ID_LEN);
}

static dur_ns caller_deadline(const struct request *request, const struct policy *policy)
{
    const char *name = policy->timeouts.deadline_header;
    if (request_is_grpc(&request->msg))
        return grpc_timeout_from(message_value(&request->msg, HEADER_GRPC_TIMEOUT));
    if (name == NULL)
        return DUR_FOREVER;
    const struct header *header = message_find_name(&request->msg, span_of(name));
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

static struct call_facts facts_of(const struct request *request, const struct lane *lane)
{
    const struct message *msg = &request->msg;
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
        .caller_deadline = caller_deadline(request, lane->policy),
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
    if (request == NULL || message_copy(msg, &request->arena, &request->msg) != OK) {
        reply_without_call(front, NULL, REASON_OVERLOADED, "no memory for the request");
        front_finish(front, true);
        if (request != NULL)
            request_free(request);
        return;
    }
    struct proxy *proxy = connection->proxy;
    name_request(request);
    struct lane *lane = NULL;
    const enum reason reason =
        route_request(proxy, connection, &request->msg, &lane, &request->detail);
    request->detail_reason = reason;
    if (lane == NULL) {
        request_unroutable(request, reason);
        return;
    }
    const struct call_facts facts = facts_of(request, lane);
    const enum reason refusal = reason != REASON_NONE ? reason : proxy_refusal(proxy, connection);
    attempt_init(&request->attempt, &proxy->pool, &attempt_io_handler);
    request->http = route_http(connection, lane->target, &request->msg);
    upload_begin(request, lane->policy, &facts);
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

/* From here on the two know nothing of each other. */
static struct front *part(struct request *request)
{
    struct front *front = request->front;
    if (request->connection != NULL && request->proxy->access.cfg.mode != ACCESS_OFF)
        request->client = arena_copy(&request->arena, span_of(request->connection->peer)).data;
    request->connection = NULL;
    request->front = NULL;
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
        metrics_note_duration(metrics, mono_since(request->proxy->loop->now, request->began_at));
}

static void log_request(struct request *request)
{
    const struct call *call = &request->call;
    const struct connection *connection = request->connection;
    const dur_ns took = mono_since(request->proxy->loop->now, request->began_at);
    const bool is_refusal = call->reason != REASON_NONE && !call->has_kept_head;
    if (!access_log_wants(&request->proxy->access, is_refusal))
        return;
    const struct access_entry entry = {
        .wall_ns = loop_wall(request->proxy->loop) - took,
        .request_id = request->request_id,
        .target = call->lane->target->name,
        .rule = call->lane->rule_name,
        .method = request->msg.method_name,
        .path = request->msg.target,
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
    attempt_abort(&request->attempt);
    if (request->connection != NULL)
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
