/* reply.h - answers of a server by libh2o, and what a request says. Example: reply_note(req, 404,
 * "no such circuit: %s", id). The thread of the request. */
#ifndef OUTRIGGER_ADMIN_REPLY_H
#define OUTRIGGER_ADMIN_REPLY_H

#include "base/span.h"
#include "telemetry/text.h"

#include <h2o.h>
#include <stdbool.h>

void reply_text(h2o_req_t *req, int status, const char *content_type, struct text *body);
/* Takes the body, and answers; HEAD gets the head alone. A broken body is a 500. */

void reply_note(h2o_req_t *req, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A short answer for a person. */

bool request_is(const h2o_req_t *req, const char *method);
struct span request_header(h2o_req_t *req, const char *name);
/* SPAN_NONE when absent. `name` in lower case. */

#endif
