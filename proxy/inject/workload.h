/* workload.h - the objects of a document that have pods: where their pod is, and what they are
 * called. A List, or one of a kind, is the objects in it. Everything points into the document.
 * Pure. */
#ifndef OUTRIGGER_INJECT_WORKLOAD_H
#define OUTRIGGER_INJECT_WORKLOAD_H

#include "base/err.h"
#include "inject/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKLOAD_TITLE_MAX 600
#define WORKLOAD_PREFIX_MAX 80

struct workload {
    uint32_t line;
    bool has_pods;                    /* of a kind that has a pod, or a template of one */
    char title[WORKLOAD_TITLE_MAX];   /* "Deployment shop/payments" */
    char prefix[WORKLOAD_PREFIX_MAX]; /* pointer to what has `metadata` and `spec` of the pod */
    const json_t *object;
    const json_t *meta, *spec; /* of the pod; NULL where they are left out */
};

struct workloads {
    struct workload *items;
    size_t count;
};

enum err workloads_find(const struct manifest_document *document, struct workloads *out) MUST_CHECK;
/* Also objects without pods, for the report; none where the document is no object.
 * ERR_NO_MEMORY. */

void workloads_fini(struct workloads *workloads);

#endif
