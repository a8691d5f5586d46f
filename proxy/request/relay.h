/* relay.h - the upstream's response on its way down, with backpressure: while the caller does not
 * take what comes, the upstream is not read. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_RELAY_H
#define OUTRIGGER_REQUEST_RELAY_H

#include "request/request.h"

void relay_begin(struct request *request);
/* CALL_RELAY: request->head, or the kept head whose body goes on arriving. */

void relay_kept(struct request *request);
/* The kept head with its whole body is the answer. */

void relay_bytes(struct request *request, struct span bytes);
void relay_end(struct request *request, struct span trailers);
/* What the upstream sends after the head that was relayed. */

void relay_over(struct request *request);
/* After the response's end: the caller's body has ended too, or the upstream takes no more of it.
 */

void relay_go_on(struct request *request);
/* The caller takes bytes again. */

#endif
