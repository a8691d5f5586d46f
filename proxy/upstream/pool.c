/* pool.c - see pool.h. */
#include "upstream/pool.h"

#include "base/check.h"

#include <stdlib.h>

struct pool_slot {    /* endpoint->pool */
    struct list idle; /* h1_back.pool_link, last used first */
    uint32_t count;
};

static struct pool_slot *slot_of(struct endpoint *endpoint)
{
    if (endpoint->pool == NULL) {
        struct pool_slot *slot = calloc(1, sizeof *slot);
        if (slot == NULL)
            return NULL;
        list_init(&slot->idle);
        endpoint->pool = slot;
    }
    return endpoint->pool;
}

static void take_out(struct pool *pool, struct h1_back *back)
{
    struct pool_slot *slot = slot_of(back->endpoint);
    list_remove(&back->pool_link);
    list_remove(&back->idle_link);
    slot->count--;
    pool->idle_count--;
}

static void drop(struct pool *pool, struct h1_back *back)
{
    take_out(pool, back);
    h1_back_close(&back);
}

/* ---- handlers of a connection that is idle here ---- */

static void idle_failed(struct h1_back *back, enum reason reason, const char *detail)
{
    (void)reason;
    (void)detail;
    drop(back->user, back);
}

static const struct h1_back_handler idle_handler = {.on_failed = idle_failed};

static void on_gone(struct h1_back *back)
{
    struct pool *pool = back->gone_context;
    struct endpoint *endpoint = back->endpoint;
    pool->open_count--;
    back->endpoint = NULL;
    endpoint_unref(&endpoint);
}

/* ---- endpoints ---- */

static void endpoint_left(void *context, struct endpoint *endpoint)
{
    struct pool_slot *slot = endpoint->pool;
    if (slot == NULL)
        return;
    LIST_FOREACH_SAFE (link, following, &slot->idle)
        drop(context, CONTAINER_OF(link, struct h1_back, pool_link));
}

static void endpoint_freed(void *context, struct endpoint *endpoint)
{
    (void)context;
    free(endpoint->pool);
    endpoint->pool = NULL;
}

struct endpoint_hooks pool_hooks(struct pool *pool)
{
    return (struct endpoint_hooks){
        .context = pool, .on_left = endpoint_left, .on_free = endpoint_freed};
}

/* ---- life ---- */

void pool_init(struct pool *pool, struct codec *codec)
{
    *pool = (struct pool){.codec = codec};
    list_init(&pool->idle);
}

void pool_fini(struct pool *pool)
{
    LIST_FOREACH_SAFE (link, following, &pool->idle)
        drop(pool, CONTAINER_OF(link, struct h1_back, idle_link));
}

/* True where the wait of this turn is the look: see pool.h. Saves a system call, 4 % of a call's
 * CPU. */
static bool is_looked_at(struct h1_back *back, enum repeat repeat)
{
    if (repeat != REPEAT_FREE || !back->is_drained || back->stream.has_hung_up)
        return false;
    h1_back_distrust_turn(back);
    return true;
}

struct h1_back *pool_lease(struct pool *pool, struct endpoint *endpoint, enum repeat repeat)
{
    struct pool_slot *slot = endpoint->pool;
    const mono_ns now = pool->codec->loop->now;
    struct list *first;
    while (slot != NULL && (first = list_first(&slot->idle)) != NULL) {
        struct h1_back *back = CONTAINER_OF(first, struct h1_back, pool_link);
        if (repeat == REPEAT_NEVER && mono_since(now, back->idle_since) > POOL_SAFE_IDLE)
            return NULL; /* the others idled longer still */
        if (now >= back->expires_at || (!is_looked_at(back, repeat) && h1_back_is_stale(back))) {
            pool->stale++;
            drop(pool, back);
            continue;
        }
        take_out(pool, back);
        pool->reuses++;
        return back;
    }
    return NULL;
}

enum err pool_connect(struct pool *pool, struct endpoint *endpoint,
                      const struct h1_back_handler *handler, void *user, struct h1_back **out)
{
    struct h1_back *back;
    const enum err e = h1_back_connect(pool->codec, &endpoint->address, handler, user, &back);
    if (e != OK)
        return e;
    back->endpoint = endpoint_ref(endpoint);
    back->on_gone = on_gone;
    back->gone_context = pool;
    pool->open_count++;
    pool->connects++;
    *out = back;
    return OK;
}

static dur_ns idle_time(const struct h1_back *back, dur_ns pool_idle)
{
    if (back->keep_alive_seconds == 0)
        return pool_idle;
    const dur_ns peers = dur_mul(NS_PER_S, back->keep_alive_seconds);
    return dur_min(pool_idle, peers > NS_PER_S ? peers - NS_PER_S : 0);
}

void pool_release(struct pool *pool, struct h1_back **taken, dur_ns pool_idle)
{
    struct h1_back *back = *taken;
    struct endpoint *endpoint = back->endpoint;
    const mono_ns now = pool->codec->loop->now;
    const dur_ns keeps = idle_time(back, pool_idle);
    struct pool_slot *slot = slot_of(endpoint);
    if (!h1_back_may_persist(back) || !endpoint->is_listed || keeps == 0 || slot == NULL ||
        slot->count >= POOL_IDLE_PER_ENDPOINT) {
        h1_back_close(taken);
        return;
    }
    *taken = NULL;
    back->idle_since = now;
    back->expires_at = mono_add(now, keeps);
    h1_back_use(back, &idle_handler, pool);
    h1_back_resume(back);
    list_prepend(&slot->idle, &back->pool_link);
    list_append(&pool->idle, &back->idle_link);
    slot->count++;
    pool->idle_count++;
}

void pool_sweep(struct pool *pool, mono_ns now)
{
    LIST_FOREACH_SAFE (link, following, &pool->idle) {
        struct h1_back *back = CONTAINER_OF(link, struct h1_back, idle_link);
        if (now >= back->expires_at)
            drop(pool, back);
    }
}
