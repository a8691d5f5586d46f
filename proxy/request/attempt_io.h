/* attempt_io.h - between a call and its attempt: starts and ends it, and tells the call what the
 * upstream says. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_ATTEMPT_IO_H
#define OUTRIGGER_REQUEST_ATTEMPT_IO_H

#include "request/request.h"

extern const struct attempt_handler attempt_io_handler;

void attempt_io_start(struct request *request);
/* CALL_START_ATTEMPT. */

bool attempt_io_is_http2(const struct request *request);
/* Is HTTP/2 spoken with the target: by its policy, its listener, or because the caller does? */

void attempt_io_abort(struct request *request);
/* CALL_ABORT_ATTEMPT: the upstream work ends now, and with it a kept head that is not complete. */

#endif
