/* support.h - policies from text, for tests. */
#ifndef OUTRIGGER_TESTS_CONFIG_SUPPORT_H
#define OUTRIGGER_TESTS_CONFIG_SUPPORT_H

#include "config/load.h"
#include "config/policy_set.h"

struct policy_set *loaded(const char *text);
/* Fails the test, with what was found, unless `text` loads. */

struct policy_set *loaded_spec(const char *spec);
/* A policy called "p" for every host; `spec` is the rest of its spec, in flow style: "retry:
 * {attempts: 1}". */

const char *findings(const char *text);
/* What is printed for `text`, under the name "t.yaml"; "" when there is nothing to say. Static
 * memory. */

const char *spec_findings(const char *spec);
/* The same for a spec as in loaded_spec: all of it stands in line 1. */

const char *policy_text(const char *spec);

char *file_text(const char *path);
/* The whole text, to be freed; fails the test when it cannot be read. */

const char *source_path(const char *relative);
/* A path below the project's root. Static memory. */

#endif
