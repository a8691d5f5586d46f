/* upload.h - the caller's body on its way up: held, kept for a replay, sent, and waited for.
 *
 * The caller is read only while an attempt is open and takes what comes; a slow upstream so stops
 * the caller. While we wait for the caller's own bytes the clocks of the call stand still
 * (call_pause). What is kept is sent again piece by piece, as the upstream takes it; the caller is
 * read on when all of it has gone. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_UPLOAD_H
#define OUTRIGGER_REQUEST_UPLOAD_H

#include "request/request.h"

void upload_begin(struct request *request, const struct message *msg, const struct policy *policy,
                  const struct call_facts *facts);
/* At the start of the call: decides what is kept for a replay. */

void upload_open(struct request *request);
/* The attempt's request head was sent: sends what is kept, then reads on. */

void upload_bytes(struct request *request, struct span bytes);
void upload_end(struct request *request, struct span trailers);
/* What the caller sent. */

void upload_stop(struct request *request);
/* The attempt is over, or its final head is here: nobody waits for the caller any more. */

void upload_restart(struct request *request);
/* The attempt that upload_stop was for is relayed after all. */

bool upload_is_declined(const struct request *request);
/* The caller waits for a 100 that has not come: after a final head it may send the body, or not, or
 * another request. */

void upload_go_on(struct request *request);
/* The upstream takes bytes again; or a 100 has told the caller to send. */

#endif
