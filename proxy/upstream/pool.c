/* pool.c - see pool.h. */
#include "upstream/pool.h"

#include "base/check.h"
#include "upstream/attempt.h"
#include "upstream/pool_own.h"

#include <stdlib.h>

#define POOL_COMING_TIME                                                                           \
    (1 * NS_PER_S) /* for a connection that nobody waits for any more to come */
#define POOL_SESSION_IDLE (60 * NS_PER_S) /* before the first call on it has said its poolIdle */

struct pool_slot *pool_slot_of(struct endpoint *endpoint)
{
    if (endpoint->pool == NULL) {
        struct pool_slot *slot = calloc(1, sizeof *slot);
        if (slot == NULL)
            return NULL;
        list_init(&slot->idle);
        list_init(&slot->sessions);
        endpoint->pool = slot;
    }
    return endpoint->pool;
}

static void take_out(struct pool *pool, struct h1_back *back)
{
    struct pool_slot *slot = pool_slot_of(back->endpoint);
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

static void idle_failed(struct back *back, enum reason reason, const char *detail)
{
    (void)reason;
    (void)detail;
    drop(back->user, h1_back_of(back));
}

static const struct back_handler idle_handler = {.on_failed = idle_failed};

static void note_open(struct pool *pool, struct endpoint *endpoint)
{
    struct pool_slot *slot = endpoint->pool;
    pool->open_count++;
    slot->open_count++;
}

static void note_gone(struct pool *pool, struct endpoint *endpoint)
{
    struct pool_slot *slot = endpoint->pool;
    pool->open_count--;
    slot->open_count--;
}

static void on_gone(struct h1_back *back)
{
    struct pool *pool = back->gone_context;
    struct endpoint *endpoint = back->endpoint;
    note_gone(pool, endpoint);
    back->endpoint = NULL;
    endpoint_unref(&endpoint);
}

/* ---- endpoints ---- */

static bool is_unused(const struct h2_back *session)
{
    return session->session.stream_count == 0 && list_is_empty(&session->waits);
}

static void endpoint_left(void *context, struct endpoint *endpoint)
{
    struct pool_slot *slot = endpoint->pool;
    if (slot == NULL)
        return;
    LIST_FOREACH_SAFE (link, following, &slot->idle)
        drop(context, CONTAINER_OF(link, struct h1_back, pool_link));
    LIST_FOREACH_SAFE (link, following, &slot->sessions) {
        struct h2_back *session = CONTAINER_OF(link, struct h2_back, slot_link);
        if (is_unused(session))
            h2_back_end(session);
    }
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
    list_init(&pool->sessions);
    list_init(&pool->warming);
    slab_init(&pool->searches, sizeof(struct attempt_search));
}

void pool_fini(struct pool *pool)
{
    pool_warm_end(pool);
    LIST_FOREACH_SAFE (link, following, &pool->idle)
        drop(pool, CONTAINER_OF(link, struct h1_back, idle_link));
    LIST_FOREACH_SAFE (link, following, &pool->sessions)
        h2_session_lose(&CONTAINER_OF(link, struct h2_back, pool_link)->session, REASON_SHUTDOWN,
                        NULL);
    slab_fini(&pool->searches);
}

/* True where the wait of this turn is the look: see pool.h. Saves a system call, 4 % of a call's
 * CPU. */
static bool is_looked_at(struct h1_back *back, enum repeat repeat)
{
    if (repeat != REPEAT_FREE || !back->is_drained || back->stream.has_hung_up ||
        !back->stream.loop->interests.is_whole)
        return false;
    h1_back_distrust_turn(back);
    return true;
}

struct h1_back *pool_lease(struct pool *pool, struct endpoint *endpoint, uint64_t tls_settings,
                           enum repeat repeat)
{
    struct pool_slot *slot = endpoint->pool;
    const mono_ns now = pool->codec->loop->now;
    struct list *first;
    while (slot != NULL && (first = list_first(&slot->idle)) != NULL) {
        struct h1_back *back = CONTAINER_OF(first, struct h1_back, pool_link);
        if (repeat == REPEAT_NEVER && mono_since(now, back->idle_since) > POOL_SAFE_IDLE)
            return NULL; /* the others idled longer still */
        if (now >= back->expires_at || back->tls_settings != tls_settings ||
            (!is_looked_at(back, repeat) && h1_back_is_stale(back))) {
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

/* ---- how many there may be ---- */

static bool is_full(const struct endpoint *endpoint)
{
    const struct pool_slot *slot = endpoint->pool;
    const uint32_t most = endpoint->set ? endpoint->set->max_connections : 0;
    return most > 0 && slot != NULL && slot->open_count >= most;
}

static struct h2_back *find_unused(const struct pool_slot *slot)
{
    LIST_FOREACH (link, &slot->sessions) {
        struct h2_back *session = CONTAINER_OF(link, struct h2_back, slot_link);
        if (is_unused(session) && session->session.state == H2_OPEN)
            return session;
    }
    return NULL;
}

/* A connection that nobody uses makes room for one that somebody needs: what was wanted of this
 * endpoint's connections may have changed. */
static enum err make_room(struct pool *pool, struct endpoint *endpoint)
{
    struct pool_slot *slot = pool_slot_of(endpoint);
    struct h2_back *unused;
    if (slot == NULL)
        return ERR_NO_MEMORY;
    if (!is_full(endpoint))
        return OK;
    if (!list_is_empty(&slot->idle))
        drop(pool, CONTAINER_OF(list_last(&slot->idle), struct h1_back, pool_link));
    else if ((unused = find_unused(slot)) != NULL)
        h2_back_end(unused);
    else
        return ERR_FULL;
    return OK;
}

bool pool_has_room(const struct endpoint *endpoint)
{
    if (!is_full(endpoint))
        return true;
    const struct pool_slot *slot = endpoint->pool;
    if (!list_is_empty(&slot->idle))
        return true;
    LIST_FOREACH (link, &slot->sessions) {
        const struct h2_back *session = CONTAINER_OF(link, struct h2_back, slot_link);
        if (h2_back_room(session) > 0 || h2_back_is_coming(session))
            return true;
    }
    return false;
}

/* ---- new ones ---- */

static uint16_t draw_age(const struct pool *pool)
{
    return (uint16_t)(900 + rng_below(&pool->codec->loop->rng, 201));
}

/* When a connection is too old; MONO_NEVER: never. */
static mono_ns retirement(mono_ns born_at, uint16_t age_permille, dur_ns max_age)
{
    return max_age > 0 ? mono_add(born_at, dur_mul(max_age / 1000, age_permille)) : MONO_NEVER;
}

/* NULL: in clear text. */
static const struct tls_order *order_of(const struct pool *pool, const struct endpoint *endpoint,
                                        const struct pool_tls *tls, struct tls_order *order)
{
    *order = (struct tls_order){.client = tls->client,
                                .engine = pool->tls,
                                .server_name = tls->server_name,
                                .peer = endpoint->text,
                                .alpn = tls->alpn};
    return tls->client != NULL ? order : NULL;
}

enum err pool_connect(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls,
                      const struct back_handler *handler, void *user, struct h1_back **out)
{
    struct h1_back *back;
    struct tls_order order;
    enum err e = make_room(pool, endpoint);
    if (e == OK)
        e = h1_back_connect(pool->codec, &endpoint->address, order_of(pool, endpoint, tls, &order),
                            handler, user, &back);
    if (e != OK)
        return e;
    back->tls_settings = tls->settings;
    back->born_at = pool->codec->loop->now;
    back->age_permille = draw_age(pool);
    back->endpoint = endpoint_ref(endpoint);
    back->on_gone = on_gone;
    back->gone_context = pool;
    note_open(pool, endpoint);
    pool->connects++;
    *out = back;
    return OK;
}

static dur_ns idle_time(const struct h1_back *back, dur_ns most)
{
    if (back->keep_alive_seconds == 0)
        return most;
    const dur_ns peers = dur_mul(NS_PER_S, back->keep_alive_seconds);
    return dur_min(most, peers > NS_PER_S ? peers - NS_PER_S : 0);
}

/* What pool_warm goes by. */
static void note_use(struct endpoint *endpoint, bool is_http2)
{
    if (endpoint->set == NULL)
        return;
    endpoint->set->was_used = true;
    endpoint->set->speaks_http2 = is_http2;
}

void pool_release(struct pool *pool, struct h1_back **taken, const struct pool_stay *stay)
{
    note_use((*taken)->endpoint, false);
    if (h1_back_may_persist(*taken))
        pool_keep(pool, taken, stay);
    else
        h1_back_close(taken);
}

void pool_keep(struct pool *pool, struct h1_back **taken, const struct pool_stay *stay)
{
    struct h1_back *back = *taken;
    const struct endpoint *endpoint = back->endpoint;
    const mono_ns now = pool->codec->loop->now;
    const mono_ns retires_at = retirement(back->born_at, back->age_permille, stay->max_age);
    const mono_ns expires_at = mono_min(mono_add(now, idle_time(back, stay->idle)), retires_at);
    struct pool_slot *slot = endpoint->pool;
    if (!endpoint->is_listed || expires_at <= now || slot->count >= POOL_IDLE_PER_ENDPOINT) {
        h1_back_close(taken);
        return;
    }
    *taken = NULL;
    back->idle_since = now;
    back->expires_at = expires_at;
    h1_back_use(back, &idle_handler, pool);
    back_resume(&back->base);
    list_prepend(&slot->idle, &back->pool_link);
    list_append(&pool->idle, &back->idle_link);
    slot->count++;
    pool->idle_count++;
}

/* ---- HTTP/2: connections that calls share ---- */

static bool is_retired(const struct h2_back *session)
{
    return session->session.codec->loop->now >= session->retires_at;
}

static void session_idle(struct h2_back *session)
{
    const struct endpoint *endpoint = session->endpoint;
    if ((!endpoint->is_listed || is_retired(session)) && is_unused(session))
        h2_back_end(session);
}

void pool_set_stay(struct h2_back *session, const struct pool_stay *stay)
{
    session->idle_time = stay->idle;
    session->retires_at = retirement(session->born_at, session->age_permille, stay->max_age);
}

static void session_lost(struct h2_back *session)
{
    list_remove(&session->slot_link);
}

static void session_gone(struct h2_back *session)
{
    struct pool *pool = session->options.context;
    struct endpoint *endpoint = session->endpoint;
    list_remove(&session->slot_link);
    list_remove(&session->pool_link);
    note_gone(pool, endpoint);
    session->endpoint = NULL;
    endpoint_unref(&endpoint);
}

static struct h2_back_options session_options(struct pool *pool)
{
    return (struct h2_back_options){
        .context = pool, .on_idle = session_idle, .on_lost = session_lost, .on_gone = session_gone};
}

static void join(struct pool *pool, struct endpoint *endpoint, struct h2_back *session)
{
    struct pool_slot *slot = endpoint->pool;
    session->endpoint = endpoint_ref(endpoint);
    session->session.peer = endpoint->text;
    session->idle_time = POOL_SESSION_IDLE;
    session->age_permille = draw_age(pool);
    list_append(&slot->sessions, &session->slot_link);
    list_append(&pool->sessions, &session->pool_link);
    note_use(endpoint, true);
    note_open(pool, endpoint);
}

static enum err new_session(struct pool *pool, struct endpoint *endpoint,
                            const struct pool_tls *tls, struct h2_back **out)
{
    const struct h2_back_options options = session_options(pool);
    struct tls_order order;
    enum err e = make_room(pool, endpoint);
    if (e == OK)
        e = h2_back_connect(pool->codec, &endpoint->address, order_of(pool, endpoint, tls, &order),
                            &options, out);
    if (e != OK)
        return e;
    (*out)->tls_settings = tls->settings;
    pool->connects++;
    join(pool, endpoint, *out);
    return OK;
}

enum err pool_adopt_session(struct pool *pool, struct endpoint *endpoint, int fd)
{
    const struct h2_back_options options = session_options(pool);
    struct h2_back *session;
    if (pool_slot_of(endpoint) == NULL)
        return ERR_NO_MEMORY;
    const enum err e = h2_back_adopt(pool->codec, fd, &options, &session);
    if (e == OK)
        join(pool, endpoint, session);
    return e;
}

enum err pool_turn_session(struct pool *pool, struct endpoint *endpoint, struct h1_back **taken)
{
    const struct h2_back_options options = session_options(pool);
    struct h1_back *back = *taken;
    struct h2_back *session;
    *taken = NULL;
    const bool has_slot = pool_slot_of(endpoint) != NULL;
    const enum err e =
        has_slot ? h2_back_turn(pool->codec, &back->stream, &options, &session) : ERR_NO_MEMORY;
    if (e == OK) {
        session->tls_settings = back->tls_settings;
        join(pool, endpoint, session);
    }
    h1_back_close(&back); /* its socket has gone to the session */
    return e;
}

/* An HTTP/2 peer says GOAWAY before it closes, so a request that meets the end is told whether it
 * was seen: idle time does not matter as it does in HTTP/1.1. Only an end that is here already must
 * not be walked into. */
static bool has_died(struct pool *pool, struct h2_back *session, enum repeat repeat)
{
    if (session->session.stream_count > 0 || repeat == REPEAT_FREE || !h2_back_is_stale(session))
        return false;
    pool->stale++;
    h2_session_lose(&session->session, REASON_CONNECTION_RESET, "it had been closed");
    return true;
}

enum err pool_session(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls,
                      enum repeat repeat, uint64_t refused, struct h2_back **out)
{
    struct pool_slot *slot = pool_slot_of(endpoint);
    struct h2_back *coming = NULL;
    if (slot == NULL)
        return ERR_NO_MEMORY;
    LIST_FOREACH_SAFE (link, following, &slot->sessions) {
        struct h2_back *session = CONTAINER_OF(link, struct h2_back, slot_link);
        if (session->serial == refused || session->tls_settings != tls->settings)
            continue;
        if (h2_back_is_coming(session))
            coming = coming ? coming : session;
        else if (h2_back_room(session) > 0 && !has_died(pool, session, repeat)) {
            pool->reuses++;
            *out = session;
            return OK;
        }
    }
    *out = coming;
    return coming ? OK : new_session(pool, endpoint, tls, out);
}

void pool_leave_session(struct h2_back *session)
{
    const mono_ns now = session->session.codec->loop->now;
    if (h2_back_is_coming(session) && is_unused(session) &&
        mono_since(now, session->idle_since) >= POOL_COMING_TIME)
        h2_back_end(session);
}

static void sweep_sessions(struct pool *pool, mono_ns now)
{
    LIST_FOREACH_SAFE (link, following, &pool->sessions) {
        struct h2_back *session = CONTAINER_OF(link, struct h2_back, pool_link);
        const dur_ns most = h2_back_is_coming(session) ? POOL_COMING_TIME : session->idle_time;
        if (session->session.state == H2_OPEN && is_unused(session) &&
            (mono_since(now, session->idle_since) >= most || is_retired(session)))
            h2_back_end(session);
    }
}

void pool_sweep(struct pool *pool, mono_ns now)
{
    sweep_sessions(pool, now);
    LIST_FOREACH_SAFE (link, following, &pool->idle) {
        struct h1_back *back = CONTAINER_OF(link, struct h1_back, idle_link);
        if (now >= back->expires_at)
            drop(pool, back);
    }
    slab_trim(&pool->searches);
}
