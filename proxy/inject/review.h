/* review.h - an AdmissionReview of Kubernetes (admission.k8s.io/v1): its JSON in, the answer's JSON
 * out. The answer always allows the pod: a sidecar that cannot be had must not stop a deployment.
 * What is wrong with the pod is told in `warnings`, which kubectl shows to whoever made it.
 * Example: e = inject_review(body, &settings, &reply, &len, &note, why);
 *          if (e == ERR_INVALID) answer(400, why); ... free(reply).
 * Pure but for memory; any thread. */
#ifndef OUTRIGGER_INJECT_REVIEW_H
#define OUTRIGGER_INJECT_REVIEW_H

#include "base/err.h"
#include "base/span.h"
#include "inject/settings.h"

#include <stddef.h>

#define REVIEW_NAME_MAX 254 /* with its NUL */
#define REVIEW_WHY_MAX 256

/* REVIEW_RESULT(NAME, word in metric and log) */
#define REVIEW_RESULT_LIST(X)                                                                      \
    X(PATCHED, "patched")                                                                          \
    X(SKIPPED, "skipped")                                                                          \
    X(REFUSED, "refused")                                                                          \
    X(MALFORMED, "malformed")

enum inject_review_result {
#define X(name, word) REVIEW_##name,
    REVIEW_RESULT_LIST(X)
#undef X
};

struct inject_review_note {
    enum inject_review_result result;
    char namespace[REVIEW_NAME_MAX]; /* "" where it is not known */
    char name[REVIEW_NAME_MAX];      /* of the pod, or its generateName */
};

const char *inject_review_word(enum inject_review_result result);

enum err inject_review(struct span body, const struct inject_settings *settings, char **reply,
                       size_t *reply_len, struct inject_review_note *note,
                       char why[REVIEW_WHY_MAX]) MUST_CHECK;
/* `*reply` is for the caller to free. ERR_INVALID: it is no review, `why` says what is missing, and
 * only `note` is set. ERR_NO_MEMORY. */

#endif
