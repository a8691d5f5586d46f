/* plan.h - what a reload of a running proxy would change: values, documents, rules, and which live
 * circuits, bulkheads and buckets keep their state.
 *
 * Both sides are the JSON of GET /policies; the live state is that of GET /instances. The result is
 * one object, {"running": HASH, "files": HASH, "documents": [...], "rules": [...], "changes":
 * [...], "instances": [...]}, from which both the text and --format json come (policies/README.md
 * has its shape). What keeps and what starts empty is what instance_configure (call/instance.h)
 * does. */
#ifndef OUTRIGGER_CLI_PLAN_H
#define OUTRIGGER_CLI_PLAN_H

#include "config/policy_set.h"

#include <jansson.h>
#include <stdio.h>

json_t *plan_new(const json_t *running, const json_t *instances, const struct policy_set *wanted);
/* NULL when there is no memory. */

void plan_print(const json_t *plan, const char *url, FILE *out);

/* What the parts of a plan are made with. */

json_t *plan_document(const json_t *policies, const char *label);
/* The document "shop/payments" of a GET /policies; NULL where there is none. Borrowed. */

json_t *plan_rule(const json_t *document, const char *name);

const json_t *plan_field(const json_t *document, const json_t *rule, const char *path);
/* The effective value: the rule's own (`rule` may be NULL), else the document's; NULL: none. */

void plan_label(const json_t *document, char *out, size_t size);
/* "shop/payments", or "payments" without a namespace: as the proxy tells policies apart. */

json_t *plan_instances(const json_t *running, const json_t *wanted, const json_t *instances,
                       const struct policy_set *set);
/* plan_state.c: what becomes of each live instance. */

#endif
