/* attempt.h - one try at an upstream: find an endpoint, take or make a connection, send, hear.
 *
 * attempt_start never calls back from inside; it says ATTEMPT_READY when a pooled connection is in
 * hand and the request can be sent at once, else on_ready or on_failed follows (but after
 * ATTEMPT_NO_MEMORY, where none is on). What it needs until it has its connection is in
 * attempt_search, and gone afterwards: an open stream is held long. After on_end,
 * attempt_release; at any time, attempt_abort. Between start and release or abort the endpoint
 * counts it in flight (the balancer's measure). Example: if (attempt_start(&a, &order) ==
 * ATTEMPT_READY) attempt_send(...) Ownership: embedded in the request; holds its endpoint and
 * connection. Loop thread only. */
#ifndef OUTRIGGER_UPSTREAM_ATTEMPT_H
#define OUTRIGGER_UPSTREAM_ATTEMPT_H

#include "base/reason.h"
#include "net/loop.h"
#include "upstream/balancer.h"
#include "upstream/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTEMPT_TRIED_MAX                                                                          \
    8 /* endpoints remembered as tried by a call; further ones count as untried */

struct attempt;

struct attempt_handler {
    void (*on_ready)(struct attempt *attempt); /* connected: send now */
    void (*on_interim)(struct attempt *attempt, struct message *msg);
    void (*on_head)(struct attempt *attempt, struct message *msg);
    void (*on_body)(struct attempt *attempt, struct span bytes);
    void (*on_end)(struct attempt *attempt, struct span trailers);
    void (*on_failed)(struct attempt *attempt, enum reason reason, const char *detail);
    void (*on_writable)(struct attempt *attempt);
    void (*on_endpoint)(
        struct attempt *attempt); /* attempt->endpoint was chosen; may come from inside start */
};

enum attempt_state {
    ATTEMPT_NONE = 0,
    ATTEMPT_RESOLVING,
    ATTEMPT_CONNECTING,
    ATTEMPT_OPEN,
    ATTEMPT_FAILING
};
enum attempt_start { ATTEMPT_LATER, ATTEMPT_READY, ATTEMPT_NO_MEMORY };

struct attempt_order {
    struct endpoint_set *endpoints;
    uint64_t wanted;    /* id of the endpoint that the gate admitted; 0 = the balancer chooses */
    uint64_t key;       /* by which it chooses (balancer_key); 0 = none */
    enum repeat repeat; /* if the connection turns out dead */
    bool needs_fresh;   /* a pooled connection just failed: take none */
    bool is_tunnel;     /* never from the pool, never to it */
    bool is_http2;      /* a stream of a shared connection; of `negotiates`, if that is not known */
    bool negotiates;    /* over TLS: whichever HTTP is agreed on */
    bool stays; /* the wanted endpoint and no other, however long it takes; none wanted: none
                   will do, and the attempt says why */
    struct pool_tls tls;
};

struct attempt_search { /* while it looks for a connection */
    struct attempt *attempt;
    struct attempt_order order;
    union {                               /* what it waits for, one at a time */
        struct endpoint_wait wait;        /* RESOLVING: addresses */
        struct h2_back_wait session_wait; /* CONNECTING, with `session`: room on it */
        struct loop_task failure_task;    /* FAILING: the turn's end */
    };
    struct h2_back *session;   /* that it waits for; NULL = none */
    struct attempt_race *race; /* a connect to the other family beside its own; NULL = none */
    const char *failure_detail;
    enum reason failure;
};

struct attempt {
    struct pool *pool;
    const struct attempt_handler *handler;
    struct attempt_search *search; /* NULL when it is OPEN, or none is on */
    struct endpoint *endpoint;     /* a reference while the attempt is on */
    struct back *back;
    uint64_t serial; /* of the connection of HTTP/2 that it was on last */
    uint64_t tried_first;
    uint64_t *tried; /* ATTEMPT_TRIED_MAX, from the second one on: see attempt_tried */
    uint8_t tried_count;
    enum attempt_state state : 8;
    bool is_reused;
    bool is_http2; /* it is, or will be, a stream of a shared connection */
    bool is_tunnel;
};

void attempt_init(struct attempt *attempt, struct pool *pool,
                  const struct attempt_handler *handler);

void attempt_fini(struct attempt *attempt);
/* attempt_abort, and the end of the call whose attempts they were. */

enum attempt_start attempt_start(struct attempt *attempt, const struct attempt_order *order);

bool attempt_start_at(struct attempt *attempt, const struct attempt_order *order,
                      struct endpoint *endpoint);
/* At that endpoint, on a fresh connection or a shared one. on_ready may come from inside. False: no
 * memory, and none is on. */

void attempt_release(struct attempt *attempt, const struct pool_stay *stay);
/* After on_end: the connection goes to the pool, or is closed where it cannot serve again. */

void attempt_adopt(struct attempt *attempt);
/* Of a tunnel in which nothing was said yet: its connection becomes one of HTTP/2 that calls share;
 * the attempt is over. */

void attempt_abort(struct attempt *attempt);
/* Ends it now, in any state; no callback follows. Harmless when none is on. */

static inline const uint64_t *attempt_tried(const struct attempt *attempt)
{
    return attempt->tried != NULL ? attempt->tried : &attempt->tried_first;
}
/* The ids of endpoints that were tried, attempt->tried_count of them. */

static inline bool attempt_is_on(const struct attempt *attempt)
{
    return attempt->state != ATTEMPT_NONE;
}

#endif
