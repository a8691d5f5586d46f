/* keep.h - a failed response held back while a retry is prepared: if no retry reaches the wire, the
 * caller gets it.
 *
 * Up to CALL_KEPT_BODY_BYTES of body, from the replay pool. A longer one is not lost: its upstream
 * is stopped until the retry starts (then it goes) or is refused (then it is relayed). Loop thread
 * only. */
#ifndef OUTRIGGER_REQUEST_KEEP_H
#define OUTRIGGER_REQUEST_KEEP_H

#include "request/request.h"

void keep_begin(struct request *request);
/* CALL_KEEP, inside the callback of the head. */

void keep_bytes(struct request *request, struct span bytes);
void keep_end(struct request *request, struct span trailers);

void keep_drop(struct request *request);
/* Harmless when nothing is kept. */

#endif
