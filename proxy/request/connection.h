/* connection.h - a caller's connection: from accept to its end, one request after the other, or
 * with HTTP/2 many at once. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_CONNECTION_H
#define OUTRIGGER_REQUEST_CONNECTION_H

#include "codec/h1_front.h"
#include "codec/h2_front.h"
#include "net/address.h"
#include "request/proxy.h"

struct request;

struct connection {
    struct list link; /* proxy.connections */
    struct proxy *proxy;
    struct entrance *entrance;
    struct h1_front *h1; /* one of the two, by what it speaks */
    struct h2_front *h2;
    bool is_bare;           /* no HTTP: a tunnel from the start */
    struct address *caught; /* where it was going before it was redirected to us; NULL: here */
    char *tunnel_to;        /* "host:port" of a CONNECT that it came out of; NULL = none */
    char peer[ADDRESS_TEXT_BYTES]; /* without port; "unix:" for an unnamed one */
};

void connection_accept(struct entrance *entrance, int fd, const struct address *peer);
/* Takes the descriptor. */

void connection_refuse(struct entrance *entrance, int fd);
/* At limits.maxConnections: says 503 overloaded as far as the socket takes it, and closes; what may
 * speak another protocol is reset. */

void connection_become_h2(struct connection *connection, struct span bytes);
/* Its first bytes, or those inside its CONNECT, were the preface of HTTP/2; `bytes` are what came
 * with and behind it, maybe beside what h1_front_take_over hands out. */

static inline const char *connection_upstream(const struct connection *connection)
{
    return connection->tunnel_to ? connection->tunnel_to : connection->entrance->upstream;
}
/* Where everything on it goes; "" where each request says. */

bool connection_may_ask(const struct connection *connection);
/* While the proxy takes no new calls: has this caller not been told yet? Then its calls are served.
 */

void connections_sweep(struct proxy *proxy, dur_ns idle);
/* Ends connections that have been idle between requests for that long. */

void connections_drain(struct proxy *proxy);
/* No further requests on any of them; HTTP/2 says so by GOAWAY. */

bool connections_are_done(const struct proxy *proxy);
/* For the end of a drain: has every caller's socket taken the answers to calls that are over, and
 * is none free to ask for more? */

void connections_cut(struct proxy *proxy);
/* All of them end now. */

#endif
