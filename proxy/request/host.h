/* host.h - what the engine of `call` asks and is told, by the proxy: keys, replayability,
 * candidates, metrics, events. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_HOST_H
#define OUTRIGGER_REQUEST_HOST_H

#include "call/call.h"
#include "upstream/pool.h"

extern const struct call_host request_host; /* engine.context is the struct proxy */

struct endpoint_set *host_endpoints(struct call *call);
/* The endpoints of the call's target, made at the first need; NULL when its name cannot be one. */

const struct address *host_dialled(const struct call *call);
/* The one address that the call may go to, because the app dialled it; NULL: the target's. */

struct pool_stay host_stay(const struct call *call);
/* How long the connection of a call that is over may serve others. */

struct pool_tls host_tls(const struct call *call);
/* How connections to the call's target speak. */

uint64_t host_balancer_key(const struct call *call);
/* By which its endpoint is chosen; 0: by none. */

#endif
