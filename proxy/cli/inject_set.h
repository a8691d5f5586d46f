/* inject_set.h - `--set KEY=VALUE` of the commands that inject. */
#ifndef OUTRIGGER_CLI_INJECT_SET_H
#define OUTRIGGER_CLI_INJECT_SET_H

#include "inject/settings.h"

#include <stdbool.h>

bool inject_set(const char *command, struct inject_settings *settings, const char *argument);
/* False: said on stderr, in the name of `command`, with what is allowed. */

#endif
