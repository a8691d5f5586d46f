/* connection.h - a caller's connection: from accept to its end, one request after the other. Loop
 * thread only. */
#ifndef OUTRIGGER_REQUEST_CONNECTION_H
#define OUTRIGGER_REQUEST_CONNECTION_H

#include "codec/h1_front.h"
#include "net/address.h"
#include "request/proxy.h"

struct request;

struct connection {
    struct list link; /* proxy.connections */
    struct proxy *proxy;
    struct entrance *entrance;
    struct h1_front *front;
    struct request *request;       /* that is being served; NULL between requests */
    char peer[ADDRESS_TEXT_BYTES]; /* without port; "unix:" for an unnamed one */
};

void connection_accept(struct entrance *entrance, int fd, const struct address *peer);
/* Takes the descriptor. */

void connection_refuse(struct entrance *entrance, int fd);
/* At limits.maxConnections: says 503 overloaded as far as the socket takes it, and closes. */

void connections_sweep(struct proxy *proxy, dur_ns idle);
/* Ends connections that have been idle between requests for that long. */

bool connections_are_flushed(const struct proxy *proxy);
/* Has every caller's socket taken the answers to calls that are over? For the end of a drain. */

#endif
