/* route.h - which target and rule a request belongs to.
 *
 * An explicit listener's upstream is the target whatever Host says; on `outbound` absolute-form
 * wins over Host, and CONNECT names it. Targets come into being with their first call. Loop thread
 * only. */
#ifndef OUTRIGGER_REQUEST_ROUTE_H
#define OUTRIGGER_REQUEST_ROUTE_H

#include "call/target.h"
#include "http/message.h"
#include "request/proxy.h"

struct connection;

enum reason route_request(struct proxy *proxy, const struct connection *connection,
                          const struct message *msg, struct lane **out, const char **detail);
/* REASON_NONE and the lane (borrowed: call_begin takes its own reference), or why it cannot be
 * served: BAD_REQUEST, LOOP, OVERLOADED; `detail` then says more, or is NULL. `out` is the lane of
 * the target itself where one is known. */

bool route_is_method_listed(const struct retry_config *cfg, const struct message *msg);
/* May a call of this method be repeated by policy: in `methods`, or with an Idempotency-Key that is
 * honoured? */

enum route_http { ROUTE_HTTP1, ROUTE_HTTP2, ROUTE_ALPN };

struct entrance *route_door(const struct proxy *proxy, const struct address *address);
/* By which a connection to it would come back to us; NULL: it would not. */

bool route_is_opaque_port(const struct proxy *proxy, uint16_t port);
/* One of spec.opaquePorts. */

bool route_is_opaque(const struct proxy *proxy, const struct address *address);
/* Whatever goes there is passed on as it is: spec.opaquePorts, or `protocol: tcp` of a policy for
 * the address. */

bool route_is_tcp(const struct entrance *entrance);
/* Whatever comes in there is passed on as it is: `protocol: tcp` of the listener, or of the policy
 * for its upstream. */

enum route_http route_by_alpn(const struct document *document);
/* Over TLS, where `protocol` leaves it open: what tls.alpn offers. `document` may be NULL. */

enum route_http route_http(const struct connection *connection, const struct target *target,
                           const struct message *msg);
/* What is spoken with the target: the policy's word, else the listener's; auto speaks what the
 * caller spoke, and over TLS what is agreed on there (POLICY section 6). */

bool request_is_grpc(const struct message *msg);

void route_host_port(const char *target, struct span *host, uint16_t *port);
/* "payments:8080" -> payments, 8080; "[::1]:80" -> ::1, 80. */

#endif
