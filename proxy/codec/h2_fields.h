/* h2_fields.h - a head on its way out in HTTP/2: pseudo-headers, the fields that may pass, and
 * ours.
 *
 * The same rules as codec/h1_write: hop-by-hop fields, what Connection nominates, and Outrigger's
 * own words of a peer are cut. nghttp2 copies what it is given and writes names in lower case.
 * Example: struct h2_fields fields; h2_fields_init(&fields, codec->h2->fields, H2_FIELDS_MAX);
 *          h2_fields_request(&fields, &msg, &edit);
 *          nghttp2_submit_headers(session, flags, -1, NULL, fields.list, fields.count, stream);
 * Ownership: the list is the caller's; numbers are written into `digits`, so the struct must live
 * until the submit. Pure. */
#ifndef OUTRIGGER_CODEC_H2_FIELDS_H
#define OUTRIGGER_CODEC_H2_FIELDS_H

#include "base/span.h"
#include "codec/edit.h"
#include "codec/h1_scan.h"
#include "http/message.h"

#include <nghttp2/nghttp2.h>
#include <stddef.h>

#define H2_OWN_FIELDS 32 /* pseudo-headers, edits, what a local reply says */
#define H2_FIELDS_MAX (H1_MAX_HEADERS + H2_OWN_FIELDS)
#define H2_PATH_MAX 16384 /* of an absolute-form's path and query that lie apart */

struct h2_fields {
    nghttp2_nv *list;
    size_t count;
    size_t max;
    char digits[2][24];
    char via[64];
    char status[3];
};

void h2_fields_init(struct h2_fields *fields, nghttp2_nv *list, size_t max);

void h2_fields_request(struct h2_fields *fields, const struct message *msg,
                       const struct request_edit *edit);

void h2_fields_response(struct h2_fields *fields, const struct message *msg,
                        const struct response_edit *edit);

void h2_fields_status(struct h2_fields *fields, int status);
/* The start of an answer of our own. */

void h2_fields_lines(struct h2_fields *fields, struct span lines);
/* Lines "name: value CRLF": trailers, or the rest of a local reply. */

#endif
