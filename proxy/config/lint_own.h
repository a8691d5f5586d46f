/* lint_own.h - what the files of the warnings share: a document, or one of its rules, under the
 * lamp. Each check looks at the effective numbers in `policy`, and points at the field that a user
 * would change. */
#ifndef OUTRIGGER_CONFIG_LINT_OWN_H
#define OUTRIGGER_CONFIG_LINT_OWN_H

#include "config/policy_set.h"
#include "config/schema.h"

struct subject { /* a document, or one of its rules */
    struct decoder *decoder;
    const struct policy *policy;
    const struct node *spec; /* of the document */
    const struct node *rule; /* NULL for the document itself */
    const char *rule_path;   /* "spec.rules[0]" */
    const char *rule_name;
};

void lint_warn(const struct subject *subject, enum diagnostic_code code, const char *path,
               const char *help, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* At the field where the rule names it, else where the document does, else at the block. */

bool lint_is_named(const struct subject *subject, const char *path);
/* Does the rule, or the document below it, say anything about that field? */

bool lint_may_retry(const struct policy *policy);

void lint_retry(const struct subject *subject);   /* lint_retry.c */
void lint_breaker(const struct subject *subject); /* lint_breaker.c */
void lint_limits(const struct subject *subject);  /* lint_limits.c: timeouts, bulkhead, rateLimit */

#endif
