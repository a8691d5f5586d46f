/* pool_warm.c - connections that are made before a call needs them. */
#include "upstream/pool_own.h"

#include "base/check.h"

#include <stdlib.h>

#define WARM_AT_ONCE 4 /* new connections to an endpoint in one round */
#define WARM_PAUSE_MIN (1 * NS_PER_S)
#define WARM_PAUSE_MAX (30 * NS_PER_S)

struct warming {      /* one connection on its way */
    struct list link; /* pool.warming */
    struct pool *pool;
    struct h1_back *back;
    struct pool_stay stay;
};

static struct pool_slot *slot_of(const struct h1_back *back)
{
    return ((struct endpoint *)back->endpoint)->pool;
}

static void forget(struct warming *warming)
{
    slot_of(warming->back)->warming--;
    list_remove(&warming->link);
    free(warming);
}

static void warm_connected(struct back *base)
{
    struct h1_back *back = h1_back_of(base);
    const struct warming warming = *(struct warming *)base->user;
    slot_of(back)->warm_pause = 0;
    forget(base->user);
    pool_keep(warming.pool, &back, &warming.stay);
}

/* Attack: an endpoint that is down must not be dialled by every sidecar every second. */
static void pause_longer(struct pool_slot *slot, mono_ns now)
{
    slot->warm_pause = dur_min(dur_max(2 * slot->warm_pause, WARM_PAUSE_MIN), WARM_PAUSE_MAX);
    slot->warm_at = mono_add(now, slot->warm_pause);
}

static void warm_failed(struct back *base, enum reason reason, const char *detail)
{
    struct h1_back *back = h1_back_of(base);
    const mono_ns now = ((struct warming *)base->user)->pool->codec->loop->now;
    struct pool_slot *slot = slot_of(back);
    (void)reason;
    (void)detail;
    pause_longer(slot, now);
    forget(base->user);
    h1_back_close(&back);
}

static const struct back_handler warm_handler = {.on_connected = warm_connected,
                                                 .on_failed = warm_failed};

static bool warm_one(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls,
                     const struct pool_stay *stay)
{
    struct pool_slot *slot = endpoint->pool;
    struct h1_back *back;
    struct warming *warming = malloc(sizeof *warming);
    if (warming == NULL)
        return false;
    if (pool_connect(pool, endpoint, tls, &warm_handler, warming, &back) != OK) {
        free(warming);
        return false;
    }
    *warming = (struct warming){.pool = pool, .back = back, .stay = *stay};
    list_append(&pool->warming, &warming->link);
    slot->warming++;
    return true;
}

/* Of these settings: those of others, such as former certificates, serve no call any more. */
static struct h2_back *find_session(const struct pool_slot *slot, uint64_t settings)
{
    LIST_FOREACH (link, &slot->sessions) {
        struct h2_back *session = CONTAINER_OF(link, struct h2_back, slot_link);
        if (session->tls_settings == settings)
            return session;
    }
    return NULL;
}

/* Whether one that was begun has come is seen at the next round. */
static void warm_session(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls)
{
    struct pool_slot *slot = endpoint->pool;
    const struct h2_back *known = find_session(slot, tls->settings);
    const struct pool_tls http2 = {tls->client, tls->settings, tls->server_name, TLS_ALPN_HTTP2};
    struct h2_back *session;
    if (known != NULL) {
        slot->warm_pause = h2_back_is_coming(known) ? slot->warm_pause : 0;
        return;
    }
    pause_longer(slot, pool->codec->loop->now);
    (void)!pool_session(pool, endpoint, &http2, REPEAT_FREE, 0, &session);
}

static uint32_t count_ready(const struct pool_slot *slot, uint64_t settings, uint32_t wanted)
{
    uint32_t count = slot->warming;
    LIST_FOREACH (link, &slot->idle) {
        if (count >= wanted)
            break;
        count += CONTAINER_OF(link, struct h1_back, pool_link)->tls_settings == settings;
    }
    return count;
}

/* How many connections may still be made; those at the limit are left alone. */
static uint32_t room_of(const struct endpoint *endpoint)
{
    const struct pool_slot *slot = endpoint->pool;
    const uint32_t most = endpoint->set->max_connections;
    if (most == 0)
        return WARM_AT_ONCE;
    return slot->open_count < most ? most - slot->open_count : 0;
}

static void warm_endpoint(struct pool *pool, struct endpoint *endpoint, uint32_t wanted,
                          const struct pool_tls *tls, const struct pool_stay *stay)
{
    struct pool_slot *slot = pool_slot_of(endpoint);
    if (slot == NULL || pool->codec->loop->now < slot->warm_at)
        return;
    uint32_t left = room_of(endpoint);
    if (left > 0 && endpoint->set->speaks_http2) {
        warm_session(pool, endpoint, tls);
        return;
    }
    const struct pool_tls http1 = {tls->client, tls->settings, tls->server_name, TLS_ALPN_HTTP1};
    left = left < WARM_AT_ONCE ? left : WARM_AT_ONCE;
    while (left-- > 0 && count_ready(slot, tls->settings, wanted) < wanted)
        if (!warm_one(pool, endpoint, &http1, stay))
            return;
}

void pool_warm(struct pool *pool, struct endpoint_set *set, uint32_t wanted,
               const struct pool_tls *tls, const struct pool_stay *stay)
{
    const bool is_used =
        set->was_used && mono_since(pool->codec->loop->now, set->used_at) < POOL_WARM_TIME;
    for (size_t i = 0; wanted > 0 && is_used && i < set->balancer.count; i++)
        warm_endpoint(pool, endpoint_at(set, i), wanted, tls, stay);
}

void pool_warm_end(struct pool *pool)
{
    LIST_FOREACH_SAFE (link, following, &pool->warming) {
        struct warming *warming = CONTAINER_OF(link, struct warming, link);
        struct h1_back *back = warming->back;
        forget(warming);
        h1_back_close(&back);
    }
}
