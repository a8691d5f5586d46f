/* reply.c - see reply.h. */
#include "request/reply.h"

#include "http/local_reply.h"
#include "request/rate_view.h"
#include "request/relay.h"
#include "request/route.h"

static bool is_by_policy(enum reason reason)
{
    return reason == REASON_CIRCUIT_OPEN || reason == REASON_RATE_LIMITED ||
           reason == REASON_BULKHEAD_FULL || reason == REASON_QUEUE_TIMEOUT;
}

static bool is_timeout(enum reason reason)
{
    return reason == REASON_REQUEST_TIMEOUT || reason == REASON_ATTEMPT_TIMEOUT ||
           reason == REASON_CONNECT_TIMEOUT || reason == REASON_IDLE_TIMEOUT ||
           reason == REASON_MAX_DURATION;
}

const char *reply_place(const struct request *request)
{
    const struct call *call = &request->call;
    const char *const *at = call->lane->policy->at;
    if (is_by_policy(call->reason))
        return at[call->refused_by] ? at[call->refused_by] : "";
    if (is_timeout(call->reason))
        return at[POLICY_FAMILY_TIMEOUTS] ? at[POLICY_FAMILY_TIMEOUTS] : "";
    return "";
}

static struct span named(const char *text)
{
    return text != NULL && text[0] != '\0' ? span_of(text) : SPAN_NONE;
}

static dur_ns retry_after(const struct request *request)
{
    const mono_ns at = request->call.reply_not_before;
    return at == MONO_NEVER ? 0 : mono_until(request->proxy->loop->now, at);
}

static void send_local(struct request *request)
{
    const struct call *call = &request->call;
    char own_id[REQUEST_ID_LEN];
    struct rate_state rate;
    const bool has_rate = call->reason == REASON_RATE_LIMITED && rate_view(request, &rate);
    struct local_reply reply = {
        .reason = call->reason,
        .detail = call->reason == request->detail_reason ? request->detail : NULL,
        .target = span_of(call->lane->target->name),
        .policy = named(call->lane->policy_name),
        .rule = named(call->lane->rule_name),
        .at = named(reply_place(request)),
        .request_id = request_name(request, request_message(request), own_id),
        .retry_after = retry_after(request),
        .rate = has_rate ? &rate : NULL,
        .wall_s = loop_wall(request->proxy->loop) / NS_PER_S,
        .is_head = call->facts.method == METHOD_HEAD,
        .is_grpc = call->facts.is_grpc,
        .is_retries_exhausted = call->is_exhausted,
    };
    request->has_response = true;
    request->status = reason_http_status(call->reason);
    front_send_reply(request->front, &reply);
}

void reply_send(struct request *request)
{
    struct call *call = &request->call;
    if (request->front == NULL)
        return;
    if (call->has_kept_head) {
        relay_kept(request);
        return;
    }
    metrics_count_rejection(request_destination(request)->metrics, call->reason);
    send_local(request);
    request_detach(request, false);
    call_on_delivered(call, request->proxy->loop->now);
}

void reply_without_call(struct front *front, const struct request *request, enum reason reason,
                        const char *detail)
{
    const struct connection *connection = front->context;
    struct proxy *proxy = connection->proxy;
    const char *upstream = connection_upstream(connection);
    const struct target *target = target_table_lookup(&proxy->targets, span_of(upstream));
    struct metrics_target *metrics = target ? destination_of(target)->metrics : proxy->unroutable;
    const struct message *msg = request ? request_message(request) : NULL;
    char own_id[REQUEST_ID_LEN];
    struct local_reply reply = {
        .reason = reason,
        .detail = detail,
        .target = named(upstream),
        .request_id = msg ? request_name(request, msg, own_id) : SPAN_NONE,
        .wall_s = loop_wall(proxy->loop) / NS_PER_S,
        .is_head = msg != NULL && msg->method == METHOD_HEAD,
        .is_grpc = msg != NULL && request_is_grpc(msg),
    };
    metrics_count_rejection(metrics, reason);
    metrics_count_request(metrics, NULL, reason_http_status(reason), FATE_FAILURE);
    front_send_reply(front, &reply);
}
