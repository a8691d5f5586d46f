/* dns_relay.h - takes name queries on a UDP socket that somebody else has made, asks the server
 * that each was sent to, and brings the answer back: for programs that cannot reach it themselves
 * (outrigger run --transparent).
 *
 * A query passes as it is, with its id, from a socket of its own: a random port, connected to the
 * one server, so an answer must come from there, with that id and that question. At most
 * DNS_RELAY_MAX are under way, each for DNS_RELAY_LIMIT; what comes beyond, and what a server
 * refuses, is answered SERVFAIL, what is no query is dropped. Whoever gets no answer asks again by
 * itself, as with any server: a dead one stalls nobody else.
 *
 * Example: struct dns_relay *relay; if (dns_relay_new(loop, fd, NULL, &relay) != OK) ...;
 *          dns_relay_free(&relay);
 * Loop thread only. */
#ifndef OUTRIGGER_NET_DNS_RELAY_H
#define OUTRIGGER_NET_DNS_RELAY_H

#include "base/err.h"
#include "base/mono.h"
#include "net/address.h"
#include "net/loop.h"

#define DNS_RELAY_MAX 256
#define DNS_RELAY_LIMIT (10 * NS_PER_S) /* twice what resolvers wait for one try */
#define DNS_PORT 53

struct dns_relay;

MUST_CHECK enum err dns_relay_new(struct loop *loop, int fd, const struct address *server,
                                  struct dns_relay **out);
/* Takes the descriptor on success. `server` (copied) is asked instead of whom queries were sent to;
 * NULL: nobody is. ERR_NOT_FOUND: no such descriptor; ERR_INVALID: it is no UDP socket that tells
 * where packets were going. */

void dns_relay_free(struct dns_relay **relay);
/* Closes everything; memory goes when the loop has turned. */

#endif
