/* pen.h - writing text into a buffer of fixed size. A pen that runs out of room writes nothing more
 * of what did not fit and remembers it: the writer checks once, at the end. Example: struct pen pen
 * = {.buf = buf, .cap = cap}; pen_put(&pen, SPAN("HTTP/1.1 ")); pen_number(&pen, 200); if
 * (pen.is_full) return ERR_TOO_LARGE; use(pen.buf, pen.len); Owns nothing. Pure. */
#ifndef OUTRIGGER_HTTP_PEN_H
#define OUTRIGGER_HTTP_PEN_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pen {
    char *buf;
    size_t cap;
    size_t len;
    bool is_full; /* something did not fit */
};

static inline void pen_put(struct pen *pen, struct span text)
{
    if (text.len > pen->cap - pen->len) {
        pen->is_full = true;
        return;
    }
    if (text.len > 0)
        memcpy(pen->buf + pen->len, text.data, text.len);
    pen->len += text.len;
}

void pen_number(struct pen *pen, uint64_t number);
/* In decimal. */

void pen_field(struct pen *pen, struct span name, struct span value);
/* "name: value" and CRLF. */

#endif
