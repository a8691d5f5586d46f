/* tunnel.h - bytes both ways without messages: CONNECT, and after 101 (WebSocket). Either side may
 * end while the other goes on (half-close); a slow side stops the other. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_TUNNEL_H
#define OUTRIGGER_REQUEST_TUNNEL_H

#include "request/request.h"

void tunnel_connected(struct request *request);
/* CONNECT: the upstream connection is open. */

void tunnel_over(struct request *request);
/* The request ends: it is counted no more. */

void tunnel_begin(struct request *request);
/* CALL_RELAY of a CONNECT or a 101: tells the caller, and bytes flow. */

void tunnel_up(struct request *request, struct span bytes);
void tunnel_up_end(struct request *request);
void tunnel_up_go_on(struct request *request);
/* From the caller: bytes, its end; the upstream takes bytes again, maybe not yet enough. */

void tunnel_down(struct request *request, struct span bytes);
void tunnel_down_end(struct request *request);
void tunnel_down_go_on(struct request *request);
/* From the upstream: bytes, its end; the caller takes bytes again, maybe not yet enough. */

#endif
