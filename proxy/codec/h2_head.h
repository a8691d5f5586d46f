/* h2_head.h - a header block of HTTP/2, field by field, becomes the message that HTTP/1.1 would
 * have brought: every field a line of its own in one buffer, so that either codec can send it on.
 *
 * Beside nghttp2's checks of form (RFC 9113 section 8.2, 8.3) it holds our own limits: a list
 * beyond them is not kept, only counted, and refused at its end (attack: one frame of 16 KiB that
 * unpacks to 50 MB). What HTTP/1.1 could not carry safely is refused whoever will send it on.
 * Example: h2_head_begin(&head, MESSAGE_REQUEST);
 *          for each field: h2_head_add(&head, name, value, is_sensitive);
 *          struct h1_result r = h2_head_request(&head, is_end, &msg);
 *          if (r.step == H1_DONE) use(&msg);      // spans point into `head`
 * Ownership: the buffer is the head's; one per session while a block is arriving. Pure. */
#ifndef OUTRIGGER_CODEC_H2_HEAD_H
#define OUTRIGGER_CODEC_H2_HEAD_H

#include "base/codes.h"
#include "base/span.h"
#include "codec/h1_scan.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_FIELD_OVERHEAD 32 /* a field counts name + value + 32 (RFC 9113 section 6.5.2) */

struct h2_head {
    const struct h1_limits *limits;
    enum message_kind kind;
    size_t length;  /* of what is in `bytes` */
    size_t counted; /* of the list, as section 6.5.2 counts it */
    uint32_t fields;
    uint32_t cookies;
    bool is_too_large;
    bool is_malformed; /* nghttp2 has found a field that is none */
    const char *fault; /* of ours, for a person; NULL */
    struct span method, scheme, authority, path;
    int status;
    uint16_t header_count;
    struct header *headers;
    size_t capacity;
    char bytes[];
};

struct h2_head *h2_head_new(const struct h1_limits *limits);
/* With room for a list at the limits; NULL without memory. The limits must outlive it. */

void h2_head_free(struct h2_head **head);

void h2_head_begin(struct h2_head *head, enum message_kind kind);

void h2_head_add(struct h2_head *head, struct span name, struct span value, bool is_sensitive);
/* A field, in order; copied. */

struct h1_result h2_head_request(struct h2_head *head, bool is_end, struct message *msg);
struct h1_result h2_head_response(struct h2_head *head, bool is_end, enum method method,
                                  struct message *msg);
/* H1_DONE and the message, or H1_ERROR with reason and detail as the parser of HTTP/1.1. is_end:
 * the stream ends with this block. `msg` lives until the next h2_head_begin. */

struct h1_result h2_head_trailers(struct h2_head *head, struct span *lines);
/* H1_DONE and the lines that may be passed, each with its CRLF (see header_rule for what is
 * dropped), or H1_ERROR. */

#endif
