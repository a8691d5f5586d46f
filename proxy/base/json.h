/* json.h - how a character of somebody else's text is written inside a JSON string (RFC 8259
 * section 7). What is not UTF-8 becomes U+FFFD; controls, DEL and the C1 controls are escaped, so
 * that a log line with a peer's bytes can neither be split nor drive a terminal. Pure. */
#ifndef OUTRIGGER_BASE_JSON_H
#define OUTRIGGER_BASE_JSON_H

#include <stddef.h>

#define JSON_ESCAPE_MAX 8 /* bytes that one character can become */

size_t json_escape(const char *at, size_t left, char out[JSON_ESCAPE_MAX], size_t *out_len);
/* Takes one character from the `left` > 0 bytes at `at`; returns how many bytes it took. `out` is
 * not terminated. */

#endif
