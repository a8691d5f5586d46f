/* inject.h - what is added to a pod so that its calls go through Outrigger, as a JSON Patch.
 *
 * The one function that `outrigger inject` and the admission webhook share; nothing is read or
 * asked but its arguments. A pod is patched wholly or not at all: an annotation that cannot be
 * understood is a refusal with a warning that names it.
 * Example: e = inject_pod(meta, spec, "/spec/template", &settings, &result);
 *          if (e == OK && result.kind == INJECT_PATCHED) send(result.patch);
 *          inject_result_fini(&result);
 * What was added is written into the annotation outrigger.dev/status, by which the same again
 * changes nothing, and inject_undo takes it away. Pure but for memory; any thread. */
#ifndef OUTRIGGER_INJECT_INJECT_H
#define OUTRIGGER_INJECT_INJECT_H

#include "base/err.h"
#include "inject/settings.h"
#include "inject/warnings.h"

#include <jansson.h>
#include <stdbool.h>

enum inject_kind {
    INJECT_PATCHED = 0,
    INJECT_SKIPPED, /* nothing to do, and that is fine: `why` says it */
    INJECT_REFUSED, /* the first warning is the reason */
};

struct inject_result {
    enum inject_kind kind;
    json_t *patch;    /* RFC 6902, owned; NULL unless INJECT_PATCHED */
    const char *why;  /* static; NULL unless INJECT_SKIPPED */
    bool is_outdated; /* refused because other settings or another version were injected before:
                         inject_undo, and then again */
    struct inject_warnings warnings; /* may be there with every kind */
};

enum err inject_pod(const json_t *meta, const json_t *pod_spec, const char *path_prefix,
                    const struct inject_settings *settings, struct inject_result *out) MUST_CHECK;
/* `meta` and `pod_spec` are those of a Pod (path_prefix "") or of a pod template (its pointer, as
 * "/spec/template"); either may be NULL where it is left out. ERR_NO_MEMORY: nothing to free. */

enum err inject_undo(const json_t *meta, const json_t *pod_spec, const char *path_prefix,
                     struct inject_result *out) MUST_CHECK;
/* The patch that takes away what the status annotation names. INJECT_SKIPPED: there is none;
 * INJECT_REFUSED: it is not ours. Removals from one list go from its end, so each index counts as
 * before the patch. */

void inject_result_fini(struct inject_result *result);

#endif
