/* endpoint.h - the addresses behind one `host:port`, found when first used and kept fresh only
 * while in use. Where they come from is discovery.h: DNS of that host, unless told otherwise
 * (endpoint_set_follow).
 *
 * A set asks DNS at its first use, then again when the answer's TTL (held to 1 s..60 s, +-10 %) has
 * passed and it is used again; calls go on with what is known meanwhile. When DNS fails the old
 * addresses stay: one bad answer must not remove healthy hosts. An answer more than 30 s overdue is
 * not trusted blindly (the address may be somebody else's by now): such a use waits up to 1 s for
 * DNS first.
 * Of addresses that were found one family is used at a time, IPv4 where there is one; the other
 * stands by (endpoint_fallback), because `localhost` and dual-stack names often have a server on
 * one of the two only. Addresses that were written down are used whatever their family. An endpoint
 * that left DNS stays in memory until its last reference (call, connection) goes.
 *
 * Example: if (!endpoint_set_use(set)) {
 *              endpoint_wait_init(&call->wait, on_endpoints);
 *              endpoint_set_wait(set, &call->wait);
 *              return;
 *          }
 *          e = endpoint_ref(endpoint_of(balancer_pick(&set->balancer, &query)));
 *          e->candidate.in_flight++; ... e->candidate.in_flight--; endpoint_unref(&e);
 *
 * Loop thread only. */
#ifndef OUTRIGGER_UPSTREAM_ENDPOINT_H
#define OUTRIGGER_UPSTREAM_ENDPOINT_H

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mono.h"
#include "base/reason.h"
#include "base/span.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "upstream/balancer.h"
#include "upstream/discovery.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct endpoint_set;

struct endpoint_hooks {
    void *context;
    void (*on_left)(void *context, struct endpoint *endpoint);
    /* it is no longer listed: idle connections to it should go. NULL: nobody cares */
    void (*on_free)(void *context, struct endpoint *endpoint);
    /* the last reference has gone: endpoint->pool must be given back. NULL: nobody cares */
};

enum endpoint_alpn { /* what was agreed on when that was asked last */
                     ENDPOINT_ALPN_UNKNOWN = 0,
                     ENDPOINT_ALPN_HTTP1,
                     ENDPOINT_ALPN_HTTP2,
};

struct endpoint {
    uint32_t magic;
    uint32_t refs;
    struct candidate candidate; /* its id is of the address: equal for the same address at all times
                                   and in all sets, never 0 */
    bool is_listed;             /* it is one of the addresses */
    bool is_literal;            /* written down, not found */
    uint8_t alpn;               /* enum endpoint_alpn */
    struct list link;           /* in set->members while is_listed */
    struct endpoint_set *set;   /* NULL once not listed */
    void *pool;                 /* the connection pool's slot */
    void *check;                /* request/health's, while it is checked; NULL */
    struct endpoint_hooks hooks;
    struct address address;
    char text[ADDRESS_TEXT_BYTES]; /* "10.0.0.1:80", "[::1]:80", "unix:/path" */
};

struct endpoint_wait {
    struct list link;
    void (*on_ready)(struct endpoint_wait *wait, enum reason reason);
};

struct endpoint_counts {
    uint64_t lookups;
    uint64_t failures; /* lookups that failed */
    uint64_t changes;  /* lookups that changed the list */
};

struct endpoint_set {
    uint32_t magic;
    uint32_t max_connections; /* to each; 0: no limit */
    bool refuses_unhealthy;   /* also when there are no others */
    mono_ns used_at;          /* when a call used it last */
    bool was_used;            /* a connection to one of them served a call */
    bool speaks_http2;        /* the last that did was of HTTP/2 */
    int family;               /* AF_ of the members in `usable` that were found */
    struct loop *loop;
    struct resolver *resolver;
    struct discovery *discovery;
    struct endpoint_hooks hooks;
    struct balancer balancer;  /* its candidates are the members of `family`, and the literals */
    struct candidate **usable; /* their array */
    struct list members;       /* struct endpoint: all that are listed */
    size_t member_count;
    struct list waits; /* struct endpoint_wait */
    struct loop_task answer_waits;
    struct timer patience; /* how long a use waits for news of an overdue answer */
    mono_ns refresh_at;    /* when a use asks again; MONO_NEVER where DNS has no part */
    mono_ns overdue_at;  /* from when on a use waits for the new answer; MONO_NEVER while DNS is of
                            no help */
    const char *failure; /* of the last lookup, for a person; NULL */
    struct endpoint_counts counts;
    uint16_t port;
    char host[RESOLVER_NAME_BYTES + 3]; /* a name, or "[v6]" */
};

static inline struct endpoint *endpoint_of(struct candidate *candidate)
{
    return candidate == NULL ? NULL : CONTAINER_OF(candidate, struct endpoint, candidate);
}

static inline struct endpoint *endpoint_at(const struct endpoint_set *set, size_t index)
{
    return endpoint_of(set->balancer.candidates[index]);
}

enum err MUST_CHECK endpoint_set_new(struct loop *loop, struct resolver *resolver, struct span host,
                                     uint16_t port, const struct endpoint_hooks *hooks,
                                     struct endpoint_set **out);
/* For a name, a literal, or "unix:/path" (port is ignored). ERR_INVALID for what is none of these,
 * ERR_NO_MEMORY. */

enum err MUST_CHECK endpoint_set_follow(struct endpoint_set *set,
                                        const struct discovery_order *order);
/* From now on its addresses come from there; NULL: from DNS of its own host. An order like the one
 * in force changes nothing. Endpoints that both name stay the same objects. On an error nothing has
 * changed: ERR_INVALID, ERR_NO_MEMORY. */

void endpoint_set_free(struct endpoint_set **set);
/* Its endpoints live on until their references go. There must be no waits. */

bool endpoint_set_use(struct endpoint_set *set);
/* A call is about to use the set: asks DNS where due. True: there are endpoints, go on; false:
 * endpoint_set_wait. */

void endpoint_set_wait(struct endpoint_set *set, struct endpoint_wait *wait);
/* After a false from endpoint_set_use. on_ready comes once, later: REASON_NONE (there are
 * endpoints), or REASON_DNS_FAILURE. */

static inline void endpoint_wait_init(struct endpoint_wait *wait,
                                      void (*on_ready)(struct endpoint_wait *wait,
                                                       enum reason reason))
{
    list_init(&wait->link);
    wait->on_ready = on_ready;
}

static inline void endpoint_wait_cancel(struct endpoint_wait *wait)
{
    list_remove(&wait->link);
}
/* on_ready will not come; harmless when it has. */

struct endpoint *endpoint_fallback(const struct endpoint *failed);
/* After a connect to `failed` was refused: an endpoint of the other family that may be tried in the
 * same attempt, for no byte was sent; NULL when there is none. At most once per attempt. */

void endpoint_connected(struct endpoint *endpoint);
/* A connect succeeded: its family becomes the one in use. Costs a comparison when it is already. */

struct endpoint *endpoint_ref(struct endpoint *endpoint);
void endpoint_unref(struct endpoint **endpoint);

#endif
