/* bytes.h - classes of bytes, and the small grammar that all fields share. Constant data, any
 * thread. */
#ifndef OUTRIGGER_HTTP_BYTES_H
#define OUTRIGGER_HTTP_BYTES_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum byte_class {
    BYTE_TOKEN = 1 << 0, /* tchar (RFC 9110 section 5.6.2) */
    BYTE_TARGET =
        1 << 1,          /* of a request-target: visible ASCII without '#' (RFC 9112 section 3.2) */
    BYTE_VALUE = 1 << 2, /* of a field value: visible, SP, HTAB, obs-text (RFC 9110 section 5.5) */
    BYTE_NAME = 1 << 3,  /* of a registered name as we accept it: letters, digits, - . _ ~ */
    BYTE_DIGIT = 1 << 4,
    BYTE_HEX = 1 << 5,
};

extern const uint8_t byte_classes[256];

static inline bool byte_is(char byte, enum byte_class wanted)
{
    return (byte_classes[(unsigned char)byte] & wanted) != 0;
}

static inline size_t bytes_span(const char *bytes, size_t len, enum byte_class wanted)
{
    size_t at = 0;
    while (at < len && byte_is(bytes[at], wanted))
        at++;
    return at;
}
/* How many bytes from the start are of that class. */

static inline bool byte_is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static inline struct span bytes_trim(struct span text)
{
    while (text.len > 0 && byte_is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && byte_is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}
/* Without SP and HTAB at both ends (OWS). */

bool bytes_next_item(struct span *rest, struct span *item);
/* Takes the next member of a comma-separated list (RFC 9110 section 5.6.1), trimmed, empty ones
 * skipped; false at the end. Quoted strings are not looked into: for lists of tokens. */

bool bytes_next_line(struct span *rest, struct span *name, struct span *value);
/* Takes the next of "name: value CRLF" lines, trimmed; false at the end, and at what is no such
 * line. */

bool bytes_decimal(struct span digits, uint64_t *value);
/* One or more digits and nothing else, without overflow? Then `*value` is the number. */

#endif
