/* h1_scan.h - where does this HTTP/1 head end, and is it worth waiting for?
 *
 * Called with all bytes since the start of the message each time more have come; looks at every
 * byte once, whatever the pieces. A head that no later byte can make valid is refused at once: bare
 * CR or LF, NUL and other controls, obs-fold, a line, a head or a number of fields beyond the
 * limits. The verdict does not depend on how the bytes were cut. Example: h1_scan_init(&scan,
 * MESSAGE_REQUEST); struct h1_result r = h1_scan_head(&scan, buf, len, &limits); if (r.step ==
 * H1_DONE) r = h1_parse_request(h1_scan_span(&scan, buf), &limits, scratch, &msg); Holds no
 * pointer: the buffer may move between calls. Pure. */
#ifndef OUTRIGGER_CODEC_H1_SCAN_H
#define OUTRIGGER_CODEC_H1_SCAN_H

#include "base/reason.h"
#include "base/span.h"
#include "http/message.h"

#include <stddef.h>
#include <stdint.h>

struct h1_limits {
    uint32_t max_line_bytes;   /* of a line without its CRLF; bounds one endless line */
    uint32_t max_header_bytes; /* of a whole head; bounds what a peer makes us keep before we can
                                  judge */
    uint32_t
        max_headers; /* fields; bounds what a head costs beyond its bytes; at most H1_MAX_HEADERS */
};

#define H1_MAX_HEADERS                                                                             \
    1024 /* what configuration may ask for; scratch arrays need not be larger                      \
          */

enum h1_step { H1_NEED_MORE = 0, H1_DONE, H1_ERROR };

struct h1_result {
    enum h1_step step;
    enum reason reason; /* when H1_ERROR: bad_request or header_too_large; of a response always
                           protocol_error */
    const char *detail; /* when H1_ERROR: what is wrong, for a person; static */
};

struct h1_scan {
    enum message_kind kind;
    uint32_t start;       /* of the start line, behind skipped empty lines */
    uint32_t line;        /* start of the line that we are in */
    uint32_t at;          /* the first byte not looked at */
    uint32_t lines;       /* complete lines of the head */
    uint32_t blank_lines; /* skipped before the start line */
};

void h1_scan_init(struct h1_scan *scan, enum message_kind kind);

struct h1_result h1_scan_head(struct h1_scan *scan, const char *bytes, size_t len,
                              const struct h1_limits *limits);
/* H1_DONE: the head is complete and `scan->at` is its end: what follows is body, or the next
 * message. Before a request line a few empty lines are skipped (RFC 9112 section 2.2). `len` must
 * not shrink between calls. */

static inline struct span h1_scan_span(const struct h1_scan *scan, const char *bytes)
{
    return span_make(bytes + scan->start, scan->at - scan->start);
}
/* The head, after H1_DONE: what the parser wants. */

#endif
