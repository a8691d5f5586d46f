/* lint.h - warnings: policies that load, but cannot work or will hurt (codes OUT04xx).
 *
 * Each check looks at the effective numbers of a document and of each of its rules, and points at
 * the field that a user would change: the rule's own, else the document's, else the block. */
#ifndef OUTRIGGER_CONFIG_LINT_H
#define OUTRIGGER_CONFIG_LINT_H

#include "config/policy_set.h"
#include "config/schema.h"

void lint_document(struct decoder *decoder, const struct document *document,
                   const struct node *spec);
/* Only for a document without errors; `spec` is the block that it was read from. */

void lint_set(const struct policy_set *set, struct diagnostics *diag);
/* What only shows when all files are seen together; for a set without errors, indexed. */

#endif
