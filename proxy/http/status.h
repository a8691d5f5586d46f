/* status.h - the words behind status codes (RFC 9110 section 15). Constant data, any thread. */
#ifndef OUTRIGGER_HTTP_STATUS_H
#define OUTRIGGER_HTTP_STATUS_H

const char *status_phrase(int status);
/* "Service Unavailable"; "Unknown" for a status that has no name here. */

#endif
