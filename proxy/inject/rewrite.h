/* rewrite.h - a whole file of manifests, with Outrigger in its pods, or taken out again: the
 * offline half of an injection.
 *
 * Everything that is not put in stays byte for byte, and what comes out is read again and compared
 * with what was meant before it is handed out: a document that cannot be changed rightly is left
 * as it is, and told as refused.
 * Example: e = rewrite_text(text, &options, &out, &counts, &problem);
 * Single-threaded. */
#ifndef OUTRIGGER_INJECT_REWRITE_H
#define OUTRIGGER_INJECT_REWRITE_H

#include "base/err.h"
#include "inject/manifest.h"
#include "inject/settings.h"
#include "telemetry/text.h"

#include <stdbool.h>
#include <stdint.h>

struct rewrite_options {
    const struct inject_settings *settings;
    bool is_removal;
    void (*tell)(void *context, uint32_t line, uint32_t column, const char *title,
                 const char *what);
    /* Once or more for each object: "injected", "refused: ...", "warning: ...". Column 0 is none.
     */
    void *context;
};

struct rewrite_counts {
    size_t changed, skipped, refused; /* objects */
};

#define REWRITE_MAX_BYTES ((size_t)512 << 20) /* of what comes out */

enum err rewrite_text(struct span text, const struct rewrite_options *options, struct text *out,
                      struct rewrite_counts *counts, struct manifest_problem *problem) MUST_CHECK;
/* Adds to `out`. ERR_INVALID, ERR_TOO_LARGE: it cannot be read, `problem` says why. */

#endif
