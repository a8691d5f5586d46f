/* h1_chunked.h - the strict decoder of chunked bodies (RFC 9112 section 7.1): bytes in, payload
 * slices out.
 *
 * Call until the input is used up; each call takes `consumed` bytes from the front and tells one
 * thing: for (;;) { struct h1_chunk_event e = h1_chunked_next(&c, at, left); at += e.consumed; left
 * -= e.consumed; H1_CHUNK_DATA: relay e.data (a slice of the input) | H1_CHUNK_MORE: read again
 *         H1_CHUNK_END: h1_chunked_trailers(&c); what is left belongs to the next message |
 * H1_CHUNK_ERROR: close
 *     }
 * Payload and verdict do not depend on how the input was cut. Extensions are dropped; what is
 * neither payload nor trailer is bounded against the payload (H1_CHUNK_SLACK_BYTES). Trailers are
 * validated, forbidden ones are dropped, the rest is kept as raw lines in the arena, which is asked
 * for memory only when a trailer comes. Single-threaded. */
#ifndef OUTRIGGER_CODEC_H1_CHUNKED_H
#define OUTRIGGER_CODEC_H1_CHUNKED_H

#include "base/reason.h"
#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

struct arena;

/* A chunk may cost H1_CHUNK_BYTES_PER_PAYLOAD_BYTE framing bytes for each byte that it brings; what
 * is beyond adds up, and past the slack the body is refused. So chunks of two bytes and more are
 * free for ever; floods of one-byte chunks and chunk extensions (much work and traffic, no data)
 * end. The shape is that of Go's answer to CVE-2023-39326. */
#define H1_CHUNK_BYTES_PER_PAYLOAD_BYTE 4
#define H1_CHUNK_SLACK_BYTES 65536

#define H1_TRAILER_MAX_BYTES                                                                       \
    8192 /* all trailer lines, dropped ones included: bounds a body that never ends in lines */
#define H1_TRAILER_MAX_FIELDS 64

enum h1_chunk_kind { H1_CHUNK_MORE = 0, H1_CHUNK_DATA, H1_CHUNK_END, H1_CHUNK_ERROR };

struct h1_chunk_event {
    enum h1_chunk_kind kind;
    size_t consumed;
    struct span data;   /* H1_CHUNK_DATA: never empty */
    enum reason reason; /* H1_CHUNK_ERROR: bad_request, header_too_large (trailers), overloaded (no
                           memory) */
    const char *detail; /* H1_CHUNK_ERROR: what is wrong, for a person; static */
};

struct h1_chunked {
    uint8_t state; /* enum chunk_state of h1_chunked.c */
    uint8_t digits;
    uint64_t left;   /* payload bytes of this chunk still to come; its size while that is read */
    uint64_t excess; /* framing bytes beyond what the payload paid for */
    struct arena *arena;
    char *trailers; /* H1_TRAILER_MAX_BYTES, from the arena; NULL until a trailer comes */
    uint32_t kept;  /* bytes of accepted lines in `trailers` */
    uint32_t line;  /* bytes of the line being read, behind them */
    uint32_t seen;  /* trailer bytes in all */
    uint32_t fields;
};

void h1_chunked_init(struct h1_chunked *chunked, struct arena *arena);
/* At the start of a body. `arena` (of the request) must outlive the body. */

struct h1_chunk_event h1_chunked_next(struct h1_chunked *chunked, const char *bytes, size_t len);
/* See above. After END or ERROR it must not be called again. A response's errors are all
 * protocol_error: the caller maps. */

struct span h1_chunked_trailers(const struct h1_chunked *chunked);
/* After END: the accepted trailer lines, each with its CRLF; empty when there are none. Lives as
 * long as the arena. */

#endif
