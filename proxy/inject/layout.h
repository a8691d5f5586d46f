/* layout.h - values as YAML, laid out like what stands around them.
 *
 * In blocks each line begins with its line break, so that text can be put in behind any line, and
 * taken out again. Texts that are not plain words are quoted. Pure. */
#ifndef OUTRIGGER_INJECT_LAYOUT_H
#define OUTRIGGER_INJECT_LAYOUT_H

#include "telemetry/text.h"

#include <jansson.h>

struct layout {
    const char *line_break; /* "\n" or "\r\n" */
    unsigned map_step;      /* how far a block stands in under its key; at least 1 */
    unsigned list_step;     /* the same of a list; may be 0 */
};

void layout_key(const struct layout *layout, unsigned column, const char *key, const json_t *value,
                struct text *out);
/* A line break, and "key: value" at that column, over as many lines as it takes. */

void layout_item(const struct layout *layout, unsigned column, const json_t *value,
                 struct text *out);
/* The same with "- value". */

void layout_flow(const json_t *value, struct text *out);
/* In one line, as JSON. Without memory `out` is broken. */

void layout_flow_key(const char *key, struct text *out);
/* "key": with its quotes and colon. */

#endif
