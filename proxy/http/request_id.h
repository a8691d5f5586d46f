/* request_id.h - a 128-bit name for a request, for logs that want to find each other. Not a secret.
 */
#ifndef OUTRIGGER_HTTP_REQUEST_ID_H
#define OUTRIGGER_HTTP_REQUEST_ID_H

#include <stdint.h>

#define REQUEST_ID_LEN 32

void request_id_write(uint64_t high, uint64_t low, char buf[REQUEST_ID_LEN]);
/* 32 hex digits, lower case, no NUL. */

#endif
