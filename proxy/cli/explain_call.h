/* explain_call.h - what one call would get: which document and rule, each field's value and where
 * it comes from, and the worst case in numbers. Text for people, or one JSON object. */
#ifndef OUTRIGGER_CLI_EXPLAIN_CALL_H
#define OUTRIGGER_CLI_EXPLAIN_CALL_H

#include "cli/call_line.h"
#include "cli/source.h"
#include "config/worst_case.h"
#include "telemetry/text.h"

#include <stdio.h>

struct explained {
    const struct policy_set *set;
    const struct call_line *call;
    const struct document *document;      /* NULL: none applies */
    const struct document_target *target; /* by which it was chosen */
    const struct rule *rule;              /* NULL: none matches */
    const struct policy *policy;          /* that holds */
    struct arena tree;
    const struct node *spec_node; /* NULL where the file cannot be read any more */
    const struct node *rule_node;
    bool may_retry;
    const char *no_retry; /* why not; "" if it may */
    dur_ns caller_limit;
    struct worst_case worst;
};

void explained_init(struct explained *explained, const struct policy_set *set,
                    const struct call_line *call, struct sources *sources);
/* `sources` lends the files' texts, for the places of fields. */

void explained_fini(struct explained *explained);

void explain_document(const struct explained *explained, struct text *out);
/* Why this document: `exact host "payments", port 8080 listed`. */

void explain_match(const struct explained *explained, const struct rule *rule, struct text *out);
/* Why the rule matches, or on what it fails. */

void explain_call_text(const struct explained *explained, FILE *out);
void explain_call_json(const struct explained *explained, FILE *out);

#endif
