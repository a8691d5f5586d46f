/* load.h - files and folders -> a policy set. No global state: may run on a worker thread at
 * reload.
 *
 * Example: struct policy_set *set = NULL; struct diagnostics diag; diagnostics_init(&diag);
 *          const struct load_sources sources = {.paths = paths, .path_count = n};
 *          if (policy_set_load(&sources, &set, &diag) != OK) diagnostics_print(&diag, stderr);
 * A folder means every *.yaml in it, sorted by name; names that begin with a dot are skipped (a
 * ConfigMap's `..data`), symlinks are followed. No path at all: the defaults. */
#ifndef OUTRIGGER_CONFIG_LOAD_H
#define OUTRIGGER_CONFIG_LOAD_H

#include "base/err.h"
#include "config/diagnostics.h"
#include "config/policy_set.h"

#include <stddef.h>

#define LOAD_MAX_FILES 4096                    /* of one load; a folder of that many is a mistake */
#define LOAD_MAX_FILE_BYTES (1024 * 1024)      /* libyaml takes quadratic time on some inputs */
#define LOAD_MAX_SET_BYTES (64u * 1024 * 1024) /* all policies of a load, decoded */

struct load_sources { /* borrowed: must outlive the call */
    const char *const *paths;
    size_t path_count;
    const char *defaults;   /* a file whose policies give way to those of `paths`; NULL: none */
    const char *pod_labels; /* a file of the downward API (pod_labels.h); NULL: labels are unknown,
                               and a policy with a selector is left out */
    const char *const *settings; /* FIELD=VALUE of the ProxyConfig's spec (settings.h) */
    size_t setting_count;
};

enum err policy_set_load(const struct load_sources *sources, struct policy_set **out,
                         struct diagnostics *diag) MUST_CHECK;
/* `*out` holds one reference on OK; warnings may be in `diag` all the same. ERR_INVALID: the files
 * are wrong, `diag` says where; ERR_NOT_FOUND, ERR_ACCESS, ERR_SYSTEM: a path cannot be read (said
 * in `diag` too); ERR_NO_MEMORY. */

enum err policy_set_load_text(const char *name, const char *text, size_t len,
                              struct policy_set **out, struct diagnostics *diag) MUST_CHECK;
/* The same for one file that is in memory already; `name` stands for it in messages. */

#endif
