/* utf8.h - is this text UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF),
 * without NUL? */
#ifndef OUTRIGGER_CONFIG_UTF8_H
#define OUTRIGGER_CONFIG_UTF8_H

#include "base/span.h"
#include "config/diagnostics.h"

#include <stdbool.h>
#include <stddef.h>

bool utf8_is_valid(struct span text, size_t *bad);
/* False at a NUL or at a byte that does not belong: its offset is in `*bad`. */

size_t utf8_cut(struct span text, size_t max);
/* The length of the longest beginning of at most `max` bytes that ends with a whole character. */

struct place utf8_place(const char *file, struct span text, size_t offset);
/* Line and column, in characters, of a byte. */

#endif
