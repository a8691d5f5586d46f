/* settings.h - `--set FIELD=VALUE` of the command line: fields of the ProxyConfig's spec that hold
 * over what the files say, also when they are read again.
 *
 * Example: "log.level=debug", "opaquePorts=[25, 3306]", "metrics.listen=[::]:15021". A value in
 * brackets or braces is YAML, anything else is text as it stands. */
#ifndef OUTRIGGER_CONFIG_SETTINGS_H
#define OUTRIGGER_CONFIG_SETTINGS_H

#include "base/arena.h"
#include "base/err.h"
#include "config/diagnostics.h"
#include "config/yaml_tree.h"

#include <stddef.h>

#define SETTINGS_SOURCE "--set" /* stands for a file's name in messages */

enum err settings_parse(struct arena *arena, const char *const *settings, size_t count,
                        struct node **document, struct diagnostics *diag) MUST_CHECK;
/* A ProxyConfig of nothing but these fields; NULL when there are none. What is no FIELD=VALUE is
 * said in `diag`; whether there is such a field is the decoder's to say. ERR_NO_MEMORY. */

#endif
