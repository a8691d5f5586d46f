/* pool.h - idle connections to endpoints, last used first, so that few stay warm and the rest can
 * go.
 *
 * A connection is in exactly one place: with an attempt, or idle here (state == list). It leaves
 * after its idle time (timeouts.poolIdle, or a second before the peer's own Keep-Alive timeout),
 * when the peer closes it, or when its endpoint leaves DNS. FIN and RST are looked for at every
 * lease: by a recv(MSG_PEEK), or, where a dead connection costs the call nothing (REPEAT_FREE), by
 * the wait of this very turn: what it found is handed to the connection as an event of the turn of
 * the lease, and h1_back knows by that that it is older than the request. A call that may not be
 * repeated never takes one that idled longer than POOL_SAFE_IDLE: a peer may be closing it right
 * now. Ownership: the pool owns idle connections; a lease hands one over. Loop thread only. */
#ifndef OUTRIGGER_UPSTREAM_POOL_H
#define OUTRIGGER_UPSTREAM_POOL_H

#include "base/list.h"
#include "base/mono.h"
#include "base/slab.h"
#include "codec/h1_back.h"
#include "codec/h2_back.h"
#include "net/tls.h"
#include "upstream/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

enum repeat {                   /* what it means for a call that its connection turns out dead */
              REPEAT_NEVER = 0, /* it fails: it may have been carried out */
              REPEAT_PAID,      /* it is tried again by its retry policy */
              REPEAT_FREE,      /* idempotent and without a body: it goes on at once on a fresh
                                   connection */
};

#define POOL_SAFE_IDLE (1 * NS_PER_S)
#define POOL_WARM_TIME (600 * NS_PER_S)
#define POOL_IDLE_PER_ENDPOINT 1024 /* bound on what a burst of calls leaves behind */

struct pool_tls { /* how a connection to an endpoint is to speak; zero: in clear text */
    struct tls_client *client;
    uint64_t settings; /* tells those of other settings apart, which are not used; 0: clear text */
    const char *server_name;
    enum tls_alpn alpn;
};

struct pool_stay {  /* how long a connection may serve */
    dur_ns idle;    /* unused */
    dur_ns max_age; /* at all, 10 % less or more by chance; 0 = no limit */
};

struct pool {
    struct codec *codec;
    struct tls_engine *tls; /* borrowed; NULL: no endpoint speaks TLS */
    struct list idle;       /* h1_back.idle_link, oldest first */
    struct list sessions;   /* h2_back.pool_link: all connections of HTTP/2 */
    struct list warming;    /* connections on their way that no call has asked for (pool_warm.c) */
    struct slab searches;   /* upstream/attempt */
    uint32_t idle_count;
    uint32_t open_count; /* all connections, idle or in use */
    uint64_t connects;
    uint64_t reuses;
    uint64_t stale; /* found dead at a lease */
};

void pool_init(struct pool *pool, struct codec *codec);

void pool_fini(struct pool *pool);
/* Closes what is idle. */

struct endpoint_hooks pool_hooks(struct pool *pool);
/* For endpoint_set_new: endpoints that leave take their idle connections along. */

struct h1_back *pool_lease(struct pool *pool, struct endpoint *endpoint, uint64_t tls_settings,
                           enum repeat repeat);
/* An idle connection of those settings that is alive, or NULL. */

enum err pool_connect(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls,
                      const struct back_handler *handler, void *user,
                      struct h1_back **out) MUST_CHECK;
/* A new one; ERR_FULL: the endpoint has as many as it may, all in use; ERR_NO_MEMORY. */

bool pool_has_room(const struct endpoint *endpoint);
/* Could a call get a connection to it now? Cheap where there is no limit. */

void pool_release(struct pool *pool, struct h1_back **back, const struct pool_stay *stay);
/* Consumes a connection after its response: keeps it when it may serve again, else closes it.
 * stay->idle 0: never kept. */

void pool_set_stay(struct h2_back *session, const struct pool_stay *stay);
/* The same for a connection that calls share: as the last of them says. */

enum err pool_session(struct pool *pool, struct endpoint *endpoint, const struct pool_tls *tls,
                      enum repeat repeat, uint64_t refused, struct h2_back **out) MUST_CHECK;
/* A connection of HTTP/2 that has room for a stream, or else one that is coming (see h2_back_wait):
 * the first that there is, so that further ones are left alone and can go; a new one where there is
 * none. Never the one with the serial `refused`. Errors as of pool_connect. */

enum err pool_adopt_session(struct pool *pool, struct endpoint *endpoint, int fd) MUST_CHECK;
/* A connected socket on which nothing was said yet becomes such a connection. On an error it stays
 * the caller's. */

enum err pool_turn_session(struct pool *pool, struct endpoint *endpoint,
                           struct h1_back **back) MUST_CHECK;
/* Consumes a connection just made, on which ALPN has chosen HTTP/2: it becomes such a connection.
 */

void pool_leave_session(struct h2_back *session);
/* Who waited for it gave up: one that nobody waits for ends when it has not come within a second,
 * so that calls which are cancelled early do not each have a connection made. */

void pool_warm(struct pool *pool, struct endpoint_set *set, uint32_t wanted,
               const struct pool_tls *tls, const struct pool_stay *stay);
/* Makes the connections that are missing to have `wanted` idle ones to each endpoint in use (of
 * HTTP/2: one), of the kind that calls had last; none where no call has been for POOL_WARM_TIME. To
 * be told now and then, such as every second; where a connect fails it waits longer and longer, up
 * to 30 s. */

void pool_sweep(struct pool *pool, mono_ns now);
/* Closes what has been idle long enough. */

#endif
