/* attempt.c - see attempt.h. */
#include "upstream/attempt.h"

#include "base/check.h"
#include "upstream/attempt_race.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct back_handler back_handler;

static void on_session(struct h2_back_wait *wait, struct h2_back *session, enum reason reason,
                       const char *detail);

/* ---- the search for a connection ---- */

static struct attempt_search *search_new(struct attempt *attempt, const struct attempt_order *order)
{
    struct attempt_search *search = slab_alloc(&attempt->pool->searches);
    if (search == NULL)
        return NULL;
    *search = (struct attempt_search){.attempt = attempt, .order = *order};
    if (order->tls.client != NULL)
        tls_client_ref(order->tls.client);
    return search;
}

static void search_over(struct attempt *attempt)
{
    struct attempt_search *search = attempt->search;
    attempt->search = NULL;
    if (search == NULL)
        return;
    tls_client_unref(&search->order.tls.client);
    slab_free(&attempt->pool->searches, search);
}

static enum attempt_start opened(struct attempt *attempt)
{
    attempt->state = ATTEMPT_OPEN;
    search_over(attempt);
    return ATTEMPT_READY;
}

static void on_failure_task(struct loop_task *task)
{
    struct attempt_search *search = CONTAINER_OF(task, struct attempt_search, failure_task);
    struct attempt *attempt = search->attempt;
    attempt->handler->on_failed(attempt, search->failure, search->failure_detail);
}

static void fail_later(struct attempt *attempt, enum reason reason, const char *detail)
{
    struct attempt_search *search = attempt->search;
    attempt->state = ATTEMPT_FAILING;
    search->failure = reason;
    search->failure_detail = detail;
    loop_task_init(&search->failure_task, on_failure_task);
    loop_defer(attempt->pool->codec->loop, &search->failure_task);
}

/* Most calls try one. */
static void remember(struct attempt *attempt)
{
    const uint64_t id = attempt->endpoint->candidate.id;
    if (attempt->tried_count == 0)
        attempt->tried_first = id;
    if (attempt->tried_count == 1) {
        attempt->tried = malloc(ATTEMPT_TRIED_MAX * sizeof *attempt->tried);
        if (attempt->tried == NULL)
            return;
        attempt->tried[0] = attempt->tried_first;
    }
    if (attempt->tried_count == ATTEMPT_TRIED_MAX)
        return;
    if (attempt->tried_count > 0)
        attempt->tried[attempt->tried_count] = id;
    attempt->tried_count++;
}

static void take_endpoint(struct attempt *attempt, struct endpoint *endpoint)
{
    attempt->endpoint = endpoint_ref(endpoint);
    endpoint->candidate.in_flight++;
    remember(attempt);
    attempt->handler->on_endpoint(attempt);
}

static void drop_endpoint(struct attempt *attempt)
{
    if (attempt->endpoint == NULL)
        return;
    attempt->endpoint->candidate.in_flight--;
    endpoint_unref(&attempt->endpoint);
}

/* What is offered when a connection is made: all, where the peer may choose. */
static enum tls_alpn offer(const struct attempt *attempt)
{
    if (attempt->search->order.negotiates)
        return TLS_ALPN_ANY;
    return attempt->is_http2 ? TLS_ALPN_HTTP2 : TLS_ALPN_HTTP1;
}

static struct pool_tls tls_of(const struct attempt *attempt)
{
    struct pool_tls tls = attempt->search->order.tls;
    tls.alpn = offer(attempt);
    return tls;
}

#define NO_ROOM                                                                                    \
    "every endpoint has as many connections as connectionPool.maxConnections allows: raise it, "   \
    "or "                                                                                          \
    "add endpoints"
#define NOT_WELL                                                                                   \
    "every endpoint fails its health check or is ejected, and healthCheck.panic is refuse: "       \
    "outrigger_endpoint_healthy and the log say which and why"

#define IS_UNFIT                                                                                   \
    "the endpoint that was dialled fails its health check, and others do not, or "                 \
    "healthCheck.panic is refuse: outrigger_endpoint_healthy and the log say why"

static void fail_to_connect(struct attempt *attempt, enum err e)
{
    fail_later(attempt, REASON_OVERLOADED, e == ERR_FULL ? NO_ROOM : "no memory for a connection");
}

static void connect_endpoint(struct attempt *attempt)
{
    struct h1_back *back;
    const struct pool_tls tls = tls_of(attempt);
    attempt->state = ATTEMPT_CONNECTING;
    attempt->is_http2 = false;
    attempt->is_reused = false;
    const enum err e =
        pool_connect(attempt->pool, attempt->endpoint, &tls, &back_handler, attempt, &back);
    if (e == OK)
        attempt->back = &back->base;
    else
        fail_to_connect(attempt, e);
}

static enum attempt_start begin_stream(struct attempt *attempt, struct h2_back *session)
{
    attempt->back = h2_back_begin(session, &back_handler, attempt);
    if (attempt->back == NULL) {
        fail_later(attempt, REASON_OVERLOADED, "no memory for a stream");
        return ATTEMPT_LATER;
    }
    attempt->serial = session->serial;
    return opened(attempt);
}

static enum attempt_start join_session(struct attempt *attempt)
{
    struct attempt_search *search = attempt->search;
    const uint64_t refused = search->order.needs_fresh ? attempt->serial : 0;
    attempt->is_http2 = true;
    const struct pool_tls tls = tls_of(attempt);
    struct h2_back *session;
    const enum err e = pool_session(attempt->pool, attempt->endpoint, &tls, search->order.repeat,
                                    refused, &session);
    if (e != OK) {
        fail_to_connect(attempt, e);
        return ATTEMPT_LATER;
    }
    attempt->is_reused = !h2_back_is_coming(session);
    if (attempt->is_reused)
        return begin_stream(attempt, session);
    attempt->state = ATTEMPT_CONNECTING;
    search->session = session;
    h2_back_wait_init(&search->session_wait, on_session);
    h2_back_wait(session, &search->session_wait);
    return ATTEMPT_LATER;
}

/* Where ALPN decides: as it was decided last. */
static bool wants_session(const struct attempt *attempt)
{
    if (attempt->search->order.negotiates)
        return attempt->endpoint->alpn == ENDPOINT_ALPN_HTTP2;
    return attempt->search->order.is_http2;
}

static enum attempt_start reach_endpoint(struct attempt *attempt)
{
    enum attempt_start started = ATTEMPT_LATER;
    if (wants_session(attempt))
        started = join_session(attempt);
    else
        connect_endpoint(attempt);
    if (attempt->state == ATTEMPT_CONNECTING)
        attempt_race_begin(attempt);
    return started;
}

static bool has_room(void *context, const struct candidate *candidate)
{
    (void)context;
    return pool_has_room(CONTAINER_OF(candidate, struct endpoint, candidate));
}

/* A healthy one; where there is none, any, unless the policy forbids it. */
static struct candidate *choose(struct attempt *attempt)
{
    const struct attempt_order *order = &attempt->search->order;
    struct endpoint_set *endpoints = order->endpoints;
    struct loop *loop = attempt->pool->codec->loop;
    struct balancer_query query = {
        .rng = &loop->rng,
        .now = loop->now,
        .key = order->key,
        .may_use = endpoints->max_connections > 0 ? has_room : NULL,
        .tried = attempt_tried(attempt),
        .tried_count = attempt->tried_count,
    };
    struct candidate *picked = balancer_pick(&endpoints->balancer, &query);
    query.takes_unhealthy = true;
    if (picked == NULL && !endpoints->refuses_unhealthy)
        picked = balancer_pick(&endpoints->balancer, &query);
    if (picked != NULL)
        balancer_take(&endpoints->balancer, picked);
    return picked;
}

static bool has_well(const struct endpoint_set *endpoints)
{
    for (size_t i = 0; i < endpoints->balancer.count; i++)
        if (!endpoints->balancer.candidates[i]->is_unhealthy)
            return true;
    return false;
}

/* Of one that the caller chose: unhealthy, and it is no panic. */
static bool is_unfit(const struct endpoint_set *endpoints, const struct candidate *candidate)
{
    return candidate->is_unhealthy && (endpoints->refuses_unhealthy || has_well(endpoints));
}

/* One is well, and has no room for a connection. */
static bool has_full(const struct endpoint_set *endpoints)
{
    for (size_t i = 0; endpoints->max_connections > 0 && i < endpoints->balancer.count; i++)
        if (!endpoints->balancer.candidates[i]->is_unhealthy &&
            !pool_has_room(endpoint_at(endpoints, i)))
            return true;
    return false;
}

/* The balancer's choice, if it chose already (the gate was asked about that one), or a new one. */
static struct endpoint *pick(struct attempt *attempt)
{
    struct attempt_order *order = &attempt->search->order;
    struct candidate *picked = NULL;
    if (order->wanted != 0)
        picked = balancer_find(&order->endpoints->balancer, order->wanted);
    if (picked != NULL && order->stays && is_unfit(order->endpoints, picked))
        return NULL;
    if (picked != NULL || order->stays)
        return endpoint_of(picked);
    order->wanted = 0; /* or it left DNS since the gate was asked: any other will do */
    return endpoint_of(choose(attempt));
}

/* No endpoint may be used. */
static void fail_to_pick(struct attempt *attempt)
{
    const struct attempt_order *order = &attempt->search->order;
    const struct endpoint_set *endpoints = order->endpoints;
    const bool is_named = order->stays && order->wanted != 0;
    if (is_named && balancer_find(&endpoints->balancer, order->wanted) != NULL)
        fail_later(attempt, REASON_NO_ENDPOINT, IS_UNFIT);
    else if (!is_named && has_full(endpoints))
        fail_to_connect(attempt, ERR_FULL);
    else if (endpoints->balancer.count > 0 && endpoints->refuses_unhealthy)
        fail_later(attempt, REASON_NO_ENDPOINT, NOT_WELL);
    else
        fail_later(attempt, REASON_NO_ENDPOINT, "no endpoint is left to try");
}

static enum attempt_start go(struct attempt *attempt)
{
    struct endpoint *endpoint = pick(attempt);
    if (endpoint == NULL) {
        fail_to_pick(attempt);
        return ATTEMPT_LATER;
    }
    take_endpoint(attempt, endpoint);
    const struct attempt_order *order = &attempt->search->order;
    const bool may_reuse = !order->needs_fresh && !order->is_tunnel && !wants_session(attempt);
    struct h1_back *back =
        may_reuse ? pool_lease(attempt->pool, endpoint, order->tls.settings, order->repeat) : NULL;
    if (back == NULL)
        return reach_endpoint(attempt);
    h1_back_use(back, &back_handler, attempt);
    attempt->back = &back->base;
    attempt->is_http2 = false;
    attempt->is_reused = true;
    return opened(attempt);
}

static void on_endpoints(struct endpoint_wait *wait, enum reason reason)
{
    const struct attempt_search *search = CONTAINER_OF(wait, struct attempt_search, wait);
    struct attempt *attempt = search->attempt;
    if (reason != REASON_NONE)
        attempt->handler->on_failed(attempt, reason, search->order.endpoints->failure);
    else if (go(attempt) == ATTEMPT_READY)
        attempt->handler->on_ready(attempt);
}

void attempt_init(struct attempt *attempt, struct pool *pool, const struct attempt_handler *handler)
{
    *attempt = (struct attempt){.pool = pool, .handler = handler};
}

static bool take_order(struct attempt *attempt, const struct attempt_order *order)
{
    INVARIANT(attempt->state == ATTEMPT_NONE);
    attempt->is_reused = false;
    attempt->is_tunnel = order->is_tunnel;
    attempt->search = search_new(attempt, order);
    return attempt->search != NULL;
}

enum attempt_start attempt_start(struct attempt *attempt, const struct attempt_order *order)
{
    if (!take_order(attempt, order))
        return ATTEMPT_NO_MEMORY;
    struct attempt_search *search = attempt->search;
    if (endpoint_set_use(order->endpoints))
        return go(attempt);
    attempt->state = ATTEMPT_RESOLVING;
    endpoint_wait_init(&search->wait, on_endpoints);
    endpoint_set_wait(order->endpoints, &search->wait);
    return ATTEMPT_LATER;
}

bool attempt_start_at(struct attempt *attempt, const struct attempt_order *order,
                      struct endpoint *endpoint)
{
    if (!take_order(attempt, order))
        return false;
    take_endpoint(attempt, endpoint);
    if (reach_endpoint(attempt) == ATTEMPT_READY)
        attempt->handler->on_ready(attempt);
    return true;
}

void attempt_release(struct attempt *attempt, const struct pool_stay *stay)
{
    INVARIANT(attempt->state == ATTEMPT_OPEN);
    if (attempt->is_http2)
        pool_set_stay(h2_back_of(attempt->back), stay);
    if (attempt->is_http2 || attempt->is_tunnel) {
        back_close(&attempt->back);
    } else {
        struct h1_back *back = h1_back_of(attempt->back);
        attempt->back = NULL;
        pool_release(attempt->pool, &back, stay);
    }
    drop_endpoint(attempt);
    attempt->state = ATTEMPT_NONE;
}

void attempt_adopt(struct attempt *attempt)
{
    INVARIANT(attempt->state == ATTEMPT_OPEN && attempt->is_tunnel);
    const int fd = h1_back_take_over(h1_back_of(attempt->back));
    attempt->back = NULL;
    if (pool_adopt_session(attempt->pool, attempt->endpoint, fd) != OK)
        close(fd);
    drop_endpoint(attempt);
    attempt->state = ATTEMPT_NONE;
}

static void leave_session(struct attempt_search *search)
{
    struct h2_back *session = search->session;
    search->session = NULL;
    if (session == NULL)
        return;
    h2_back_wait_cancel(&search->session_wait);
    pool_leave_session(session);
}

void attempt_abort(struct attempt *attempt)
{
    attempt_race_end(attempt);
    struct attempt_search *search = attempt->search;
    if (attempt->state == ATTEMPT_RESOLVING)
        endpoint_wait_cancel(&search->wait);
    if (attempt->state == ATTEMPT_FAILING)
        loop_task_cancel(&search->failure_task);
    if (search != NULL)
        leave_session(search);
    search_over(attempt);
    back_close(&attempt->back);
    drop_endpoint(attempt);
    attempt->state = ATTEMPT_NONE;
}

void attempt_fini(struct attempt *attempt)
{
    attempt_abort(attempt);
    free(attempt->tried);
    attempt->tried = NULL;
    attempt->tried_count = 0;
}

/* What it tells from now on, it tells this one. */
void attempt_take_over(struct attempt *attempt, struct attempt *rival)
{
    INVARIANT(rival->state == ATTEMPT_OPEN);
    leave_session(attempt->search);
    back_close(&attempt->back);
    drop_endpoint(attempt);
    attempt->back = rival->back;
    attempt->back->user = attempt;
    attempt->endpoint = rival->endpoint;
    attempt->serial = rival->serial;
    attempt->is_http2 = rival->is_http2;
    attempt->is_reused = rival->is_reused;
    opened(attempt);
    remember(attempt);
    rival->back = NULL;
    rival->endpoint = NULL;
    rival->state = ATTEMPT_NONE;
}

/* ---- what the connection tells ---- */

/* ALPN has chosen HTTP/2: the connection becomes one that calls share, and this call the first on
 * it. */
static void become_session(struct attempt *attempt)
{
    struct h1_back *back = h1_back_of(attempt->back);
    attempt->back = NULL;
    attempt->endpoint->alpn = ENDPOINT_ALPN_HTTP2;
    if (pool_turn_session(attempt->pool, attempt->endpoint, &back) != OK)
        fail_later(attempt, REASON_OVERLOADED, "no memory for a connection");
    else if (join_session(attempt) == ATTEMPT_READY)
        attempt->handler->on_ready(attempt);
}

static void back_connected(struct back *back)
{
    struct attempt *attempt = back->user;
    attempt_race_end(attempt);
    if (attempt->search->order.negotiates) {
        if (strcmp(stream_alpn(&h1_back_of(back)->stream), "h2") == 0) {
            endpoint_connected(attempt->endpoint);
            become_session(attempt);
            return;
        }
        attempt->endpoint->alpn = ENDPOINT_ALPN_HTTP1;
    }
    opened(attempt);
    endpoint_connected(attempt->endpoint);
    attempt->handler->on_ready(attempt);
}

/* A connection of HTTP/2 that it waited for is ready, with room at least a moment ago, or lost. */
static void on_session(struct h2_back_wait *wait, struct h2_back *session, enum reason reason,
                       const char *detail)
{
    struct attempt_search *search = CONTAINER_OF(wait, struct attempt_search, session_wait);
    struct attempt *attempt = search->attempt;
    search->session = NULL;
    if (reason == REASON_TLS_FAILURE && search->order.negotiates &&
        attempt->endpoint->alpn == ENDPOINT_ALPN_HTTP2) {
        attempt->endpoint->alpn = ENDPOINT_ALPN_UNKNOWN; /* it has another mind than last time */
        connect_endpoint(attempt);
        return;
    }
    if (reason != REASON_NONE) {
        if (!attempt_race_goes_on(attempt, reason, detail))
            attempt->handler->on_failed(attempt, reason, detail);
        return;
    }
    attempt_race_end(attempt);
    endpoint_connected(attempt->endpoint);
    const enum attempt_start started =
        h2_back_room(session) > 0 ? begin_stream(attempt, session) : join_session(attempt);
    if (started == ATTEMPT_READY)
        attempt->handler->on_ready(attempt);
}

static void back_failed(struct back *back, enum reason reason, const char *detail)
{
    struct attempt *attempt = back->user;
    const bool is_connecting = attempt->state == ATTEMPT_CONNECTING;
    if (is_connecting && attempt_race_goes_on(attempt, reason, detail))
        return;
    attempt->handler->on_failed(attempt, reason, detail);
}

static void back_interim(struct back *back, struct message *msg)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_interim(attempt, msg);
}

static void back_head(struct back *back, struct message *msg)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_head(attempt, msg);
}

static void back_body(struct back *back, struct span bytes)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_body(attempt, bytes);
}

static void back_end(struct back *back, struct span trailers)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_end(attempt, trailers);
}

static void back_writable(struct back *back)
{
    struct attempt *attempt = back->user;
    attempt->handler->on_writable(attempt);
}

static const struct back_handler back_handler = {
    .on_connected = back_connected,
    .on_interim = back_interim,
    .on_head = back_head,
    .on_body = back_body,
    .on_end = back_end,
    .on_failed = back_failed,
    .on_writable = back_writable,
};
