/* text.h - a growing piece of text: replies of the admin server and what /metrics says.
 *
 * It grows by doubling up to `limit` bytes; past that, or without memory, it is marked broken,
 * takes nothing more, and the one check is at the end.
 * Example: text_init(&t, 1 << 20); text_put(&t, "{\"target\":"); text_json(&t, name);
 *          text_put(&t, "}"); if (t.is_broken) ...; text_fini(&t).
 * Single-threaded; may be handed from thread to thread. */
#ifndef OUTRIGGER_TELEMETRY_TEXT_H
#define OUTRIGGER_TELEMETRY_TEXT_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *data; /* not NUL-terminated; NULL while empty */
    size_t len;
    size_t size;
    size_t limit;
    bool is_broken;
};

void text_init(struct text *text, size_t limit);
/* Empty; takes no memory until the first byte. */

void text_fini(struct text *text);
/* Frees the bytes; the text is empty and may be used again. */

struct span text_span(const struct text *text);

void text_add(struct text *text, const char *bytes, size_t len);
void text_put(struct text *text, const char *string);
void text_char(struct text *text, char c);
void text_uint(struct text *text, uint64_t number);
void text_int(struct text *text, int64_t number);

void text_fixed(struct text *text, uint64_t number, unsigned decimals);
/* `number` / 10^decimals, exactly: text_fixed(t, 1500, 3) is "1.5". */

void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

void text_json(struct text *text, const char *string);
void text_json_span(struct text *text, struct span string);
/* A JSON string with its quotes; NULL is null. Bytes that are not UTF-8 become U+FFFD (RFC 8259
 * section 8.1). */

#endif
