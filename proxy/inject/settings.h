/* settings.h - what may be tuned of an injection: one table of keys.
 *
 * Each key is an annotation `outrigger.dev/KEY` of a pod (or of a pod template), and a default for
 * all pods by `--set KEY=VALUE` of `outrigger inject` and `outrigger injector`. Values are kept as
 * the text that goes into the pod, checked (values.h).
 * Example: struct inject_settings settings; inject_settings_init(&settings);
 *          e = inject_settings_set(&settings, SPAN("log-level"), SPAN("debug"), why); ...
 *          inject_settings_fini(&settings);
 * Ownership: the settings own their texts. Constant once set up: any thread may then read. */
#ifndef OUTRIGGER_INJECT_SETTINGS_H
#define OUTRIGGER_INJECT_SETTINGS_H

#include "base/err.h"
#include "base/span.h"
#include "inject/values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define INJECT_PREFIX "outrigger.dev/"

enum inject_key {
    INJECT_INJECT = 0,
    INJECT_POLICY,
    INJECT_INTERCEPTION,
    INJECT_SKIP_OUTBOUND_PORTS,
    INJECT_INCLUDE_OUTBOUND_PORTS,
    INJECT_SKIP_OUTBOUND_CIDRS,
    INJECT_OPAQUE_PORTS,
    INJECT_NATIVE_SIDECAR,
    INJECT_IMAGE,
    INJECT_IMAGE_PULL_POLICY,
    INJECT_LOG_LEVEL,
    INJECT_DRAIN,
    INJECT_CPU_REQUEST,
    INJECT_CPU_LIMIT,
    INJECT_MEMORY_REQUEST,
    INJECT_MEMORY_LIMIT,
    INJECT_KEY_COUNT
};

struct inject_settings {
    char *values[INJECT_KEY_COUNT];   /* "" = nothing: the pod then says nothing of it */
    bool is_of_pod[INJECT_KEY_COUNT]; /* by its annotation, not by default */
};

enum err inject_settings_init(struct inject_settings *settings) MUST_CHECK;
/* The defaults of the table. ERR_NO_MEMORY: nothing to free. */

enum err inject_settings_copy(const struct inject_settings *from,
                              struct inject_settings *out) MUST_CHECK;
/* For inject_settings_fini. */

void inject_settings_fini(struct inject_settings *settings);

enum err inject_settings_set(struct inject_settings *settings, struct span name, struct span value,
                             char why[VALUE_WHY_MAX]) MUST_CHECK;
/* ERR_NOT_FOUND: no such key, `why` says which is near or which there are. ERR_INVALID: `why` says
 * what is wrong with the value, and what is allowed. The former value then stays. */

bool inject_settings_are(const struct inject_settings *settings, enum inject_key key,
                         const char *word);

const char *inject_key_name(enum inject_key key);
const char *inject_key_allowed(enum inject_key key);
/* For a person: "ports and ranges, such as 22,9000-9010". */

void inject_settings_help(FILE *out);
/* The table: a line for each key. */

#endif
