/* splice.h - a JSON Patch, as changes of the text of a document: what the patch does not touch
 * stays byte for byte.
 *
 * What is put in begins with its line break (or, in flow style, with a comma), and what is taken
 * out is cut the same way, so that taking out what was put in gives the text of before.
 * Operations are read against the document as it was: those that put items in front of a list
 * count from 0, those that remove from a list come from its end (as inject_pod and inject_undo
 * write them), "-" is its end. Where a value stands in an alias, is shared with one, or comes from
 * a merge key, it is refused: the change would be one of something else, too.
 * Example: splice_init(&splice, manifest->text, document); e = splice_add(&splice, patch,
 *          &problem); ... splice_write(&splice, out); splice_fini(&splice). Single-threaded. */
#ifndef OUTRIGGER_INJECT_SPLICE_H
#define OUTRIGGER_INJECT_SPLICE_H

#include "base/err.h"
#include "inject/layout.h"
#include "inject/manifest.h"
#include "telemetry/text.h"

#include <jansson.h>

struct splice_edit;

struct splice {
    struct span text;
    struct manifest_document *document;
    struct splice_edit *edits;
    size_t count, size;
    struct manifest_problem *problem; /* during splice_add */
};

void splice_init(struct splice *splice, struct span text, struct manifest_document *document);

enum err splice_add(struct splice *splice, const json_t *patch,
                    struct manifest_problem *problem) MUST_CHECK;
/* All of the patch, or nothing. ERR_INVALID: it cannot be done here, `problem` says where and what
 * to write instead. ERR_NO_MEMORY. */

enum err splice_write(struct splice *splice, struct text *out) MUST_CHECK;
/* Adds the document's text with its changes to `out`. ERR_INVALID: changes cross one another. */

void splice_fini(struct splice *splice);

#endif
