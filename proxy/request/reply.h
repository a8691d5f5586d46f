/* reply.h - the answers that the proxy gives itself, in the words of POLICY section 4. Loop thread
 * only. */
#ifndef OUTRIGGER_REQUEST_REPLY_H
#define OUTRIGGER_REQUEST_REPLY_H

#include "request/request.h"

void reply_send(struct request *request);
/* CALL_REPLY: the kept head where there is one, else a local reply with the call's reason. */

void reply_without_call(struct front *front, const struct request *request, enum reason reason,
                        const char *detail);
/* For what never became a call: no request at all, or one without a target (`request` may be NULL).
 * The connection is not finished by this. */

const char *reply_place(const struct request *request);
/* "file:line" of the block that refused; "" where no policy did. */

#endif
