/* h1_head.h - the strict parser of HTTP/1 heads (RFC 9112): a scanned head in, a struct message
 * out.
 *
 * What could be read in two ways is refused, never repaired and never forwarded: Content-Length
 * with Transfer-Encoding, lengths that differ or are lists, any Transfer-Encoding but one
 * `chunked`, white space before a colon, two Host fields, a Host or target that is not exactly one
 * of the forms we serve. The verdict names the fault in words. Example: see h1_scan.h. Spans of the
 * message point into `head`; nothing is copied or allocated. `scratch` must hold
 * limits->max_headers entries and lives as long as the message is used. Pure. */
#ifndef OUTRIGGER_CODEC_H1_HEAD_H
#define OUTRIGGER_CODEC_H1_HEAD_H

#include "codec/h1_scan.h"
#include "http/message.h"

struct h1_result h1_parse_request(struct span head, const struct h1_limits *limits,
                                  struct header *scratch, struct message *msg);
/* H1_DONE or H1_ERROR. `head` comes from h1_scan_head. On error `msg` is undefined but for method
 * and method_name (a refusal of HEAD has no body). */

struct h1_result h1_parse_response(struct span head, const struct h1_limits *limits,
                                   enum method method, bool has_asked_upgrade,
                                   struct header *scratch, struct message *msg);
/* The same for the answer to a request of `method`. A 101 that nobody asked for is refused. Interim
 * responses (1xx) are messages of their own with BODY_NONE: parse the next head after them, except
 * after 101. */

struct h1_result h1_parse_fields(struct span lines, uint32_t max_headers, struct header *scratch,
                                 uint32_t *count);
/* Field lines alone, each with its CRLF, as trailers are (h1_chunked). bad_request or
 * header_too_large on error. */

#endif
