/* rate_view.h - what a caller is told about its rate limit (draft-ietf-httpapi-ratelimit-headers).
 * Loop thread only. */
#ifndef OUTRIGGER_REQUEST_RATE_VIEW_H
#define OUTRIGGER_REQUEST_RATE_VIEW_H

#include "codec/h1_write.h"
#include "http/rate_fields.h"
#include "request/request.h"

bool rate_view(struct request *request, struct rate_state *out);
/* The state of the bucket that the request is counted in; false when there is no rate limit in
 * force. */

size_t rate_view_lines(struct request *request, char text[2][RATE_FIELD_MAX],
                       struct header_line lines[2]);
/* RateLimit and RateLimit-Policy for a passing response, where `headers: true`; else 0 lines. */

#endif
