/* attempt.c - see attempt.h. */
#include "upstream/attempt.h"

#include "base/check.h"

static const struct h1_back_handler back_handler;

static void fail_later(struct attempt *attempt, enum reason reason, const char *detail)
{
    attempt->state = ATTEMPT_FAILING;
    attempt->failure = reason;
    attempt->failure_detail = detail;
    loop_defer(attempt->pool->codec->loop, &attempt->failure_task);
}

static void on_failure_task(struct loop_task *task)
{
    struct attempt *attempt = CONTAINER_OF(task, struct attempt, failure_task);
    attempt->handler->on_failed(attempt, attempt->failure, attempt->failure_detail);
}

static void remember(struct attempt *attempt)
{
    if (attempt->tried_count < ATTEMPT_TRIED_MAX)
        attempt->tried[attempt->tried_count++] = attempt->endpoint->id;
}

static void take_endpoint(struct attempt *attempt, struct endpoint *endpoint)
{
    attempt->endpoint = endpoint_ref(endpoint);
    endpoint->in_flight++;
    remember(attempt);
    attempt->handler->on_endpoint(attempt);
}

static void drop_endpoint(struct attempt *attempt)
{
    if (attempt->endpoint == NULL)
        return;
    attempt->endpoint->in_flight--;
    endpoint_unref(&attempt->endpoint);
}

static void connect_endpoint(struct attempt *attempt)
{
    attempt->state = ATTEMPT_CONNECTING;
    attempt->is_reused = false;
    if (pool_connect(attempt->pool, attempt->endpoint, &back_handler, attempt, &attempt->back) !=
        OK)
        fail_later(attempt, REASON_OVERLOADED, "no memory for a connection");
}

static bool is_wanted(void *context, const struct endpoint *endpoint)
{
    const struct attempt *attempt = context;
    return attempt->order.wanted == 0 || endpoint->id == attempt->order.wanted;
}

static struct endpoint *pick(struct attempt *attempt)
{
    struct balancer_query query = {
        .rng = &attempt->pool->codec->loop->rng,
        .may_use = is_wanted,
        .context = attempt,
        .tried = attempt->tried,
        .tried_count = attempt->tried_count,
    };
    struct endpoint *endpoint = balancer_pick(attempt->order.endpoints, &query);
    if (endpoint == NULL && attempt->order.wanted != 0) {
        attempt->order.wanted = 0; /* it left DNS since the gate was asked: any other will do */
        endpoint = balancer_pick(attempt->order.endpoints, &query);
    }
    return endpoint;
}

static enum attempt_start go(struct attempt *attempt)
{
    struct endpoint *endpoint = pick(attempt);
    if (endpoint == NULL) {
        fail_later(attempt, REASON_NO_ENDPOINT, "no endpoint is left to try");
        return ATTEMPT_LATER;
    }
    take_endpoint(attempt, endpoint);
    const bool may_reuse = !attempt->order.needs_fresh && !attempt->order.is_tunnel;
    attempt->back = may_reuse ? pool_lease(attempt->pool, endpoint, attempt->order.repeat) : NULL;
    if (attempt->back == NULL) {
        connect_endpoint(attempt);
        return ATTEMPT_LATER;
    }
    h1_back_use(attempt->back, &back_handler, attempt);
    attempt->is_reused = true;
    attempt->state = ATTEMPT_OPEN;
    return ATTEMPT_READY;
}

static void on_endpoints(struct endpoint_wait *wait, enum reason reason)
{
    struct attempt *attempt = CONTAINER_OF(wait, struct attempt, wait);
    if (reason != REASON_NONE)
        attempt->handler->on_failed(attempt, reason, attempt->order.endpoints->failure);
    else if (go(attempt) == ATTEMPT_READY)
        attempt->handler->on_ready(attempt);
}

void attempt_init(struct attempt *attempt, struct pool *pool, const struct attempt_handler *handler)
{
    *attempt = (struct attempt){.pool = pool, .handler = handler};
    endpoint_wait_init(&attempt->wait, on_endpoints);
    loop_task_init(&attempt->failure_task, on_failure_task);
}

enum attempt_start attempt_start(struct attempt *attempt, const struct attempt_order *order)
{
    INVARIANT(attempt->state == ATTEMPT_NONE);
    attempt->order = *order;
    attempt->has_fallen_back = false;
    attempt->is_reused = false;
    if (endpoint_set_use(order->endpoints))
        return go(attempt);
    attempt->state = ATTEMPT_RESOLVING;
    endpoint_set_wait(order->endpoints, &attempt->wait);
    return ATTEMPT_LATER;
}

void attempt_release(struct attempt *attempt, dur_ns pool_idle)
{
    INVARIANT(attempt->state == ATTEMPT_OPEN);
    if (attempt->order.is_tunnel)
        h1_back_close(&attempt->back);
    else
        pool_release(attempt->pool, &attempt->back, pool_idle);
    drop_endpoint(attempt);
    attempt->state = ATTEMPT_NONE;
}

void attempt_abort(struct attempt *attempt)
{
    endpoint_wait_cancel(&attempt->wait);
    loop_task_cancel(&attempt->failure_task);
    h1_back_close(&attempt->back);
    drop_endpoint(attempt);
    attempt->state = ATTEMPT_NONE;
}

/* ---- what the connection tells ---- */

static void back_connected(struct h1_back *back)
{
    struct attempt *attempt = back->user;
    attempt->state = ATTEMPT_OPEN;
    endpoint_connected(attempt->endpoint);
    attempt->handler->on_ready(attempt);
}

/* A dual-stack name may be served on one family only: the other one is tried in the same attempt,
 * for nothing was sent. */
static bool fall_back(struct attempt *attempt, enum reason reason)
{
    if (reason != REASON_CONNECT_REFUSED || attempt->has_fallen_back || attempt->order.wanted != 0)
        return false;
    struct endpoint *other = endpoint_fallback(attempt->endpoint);
    if (other == NULL)
        return false;
    attempt->has_fallen_back = true;
    h1_back_close(&attempt->back);
    drop_endpoint(attempt);
    take_endpoint(attempt, other);
    connect_endpoint(attempt);
    return true;
}

static void back_failed(struct h1_back *back, enum reason reason, const char *detail)
{
    struct attempt *attempt = back->user;
    const bool is_connecting = attempt->state == ATTEMPT_CONNECTING;
    if (is_connecting && fall_back(attempt, reason))
        return;
    attempt->handler->on_failed(attempt, reason, detail);
}

static void back_interim(struct h1_back *back, struct message *msg)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_interim(attempt, msg);
}

static void back_head(struct h1_back *back, struct message *msg)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_head(attempt, msg);
}

static void back_body(struct h1_back *back, struct span bytes)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_body(attempt, bytes);
}

static void back_end(struct h1_back *back, struct span trailers)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_end(attempt, trailers);
}

static void back_writable(struct h1_back *back)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_writable(attempt);
}

static const struct h1_back_handler back_handler = {
    .on_connected = back_connected,
    .on_interim = back_interim,
    .on_head = back_head,
    .on_body = back_body,
    .on_end = back_end,
    .on_failed = back_failed,
    .on_writable = back_writable,
};
