/* json_text.h - a JSON value as text, whole or not at all.
 *
 * json_dumps of jansson 2.14 does not look whether its buffer could grow where it writes a key:
 * without memory it returns a text in which one is missing. Here the length is asked first. */
#ifndef OUTRIGGER_INJECT_JSON_TEXT_H
#define OUTRIGGER_INJECT_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

char *json_text(const json_t *value, size_t flags);
/* With jansson's flags; ends with a NUL, for the caller to free. NULL without memory, or where
 * `value` is NULL. */

#endif
