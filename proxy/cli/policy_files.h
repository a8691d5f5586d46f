/* policy_files.h - policy files as `outrigger check` looks at them: policies, and the certificates
 * that they name.
 *
 * Example: enum err e = policy_files_load(paths, count, &set, &diagnostics);
 * Nothing is kept of the certificates; starts and ends threads on the way. */
#ifndef OUTRIGGER_CLI_POLICY_FILES_H
#define OUTRIGGER_CLI_POLICY_FILES_H

#include "base/err.h"
#include "config/diagnostics.h"
#include "config/policy_set.h"

#include <stddef.h>

enum err policy_files_load(const char *const *paths, size_t count, struct policy_set **out,
                           struct diagnostics *diag) MUST_CHECK;
/* As policy_set_load; when the set is good but a certificate is not, `*out` holds it all the same.
 */

#endif
