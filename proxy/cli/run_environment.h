/* run_environment.h - the variables by which a command finds the proxy of `outrigger run`.
 *
 * Those of config/proxy_variables.h, and the one of each target. Our own address is added to
 * NO_PROXY, and nothing else: calls to our ports must not go through the proxy (that would be a
 * loop), while those to a target on localhost must. */
#ifndef OUTRIGGER_CLI_RUN_ENVIRONMENT_H
#define OUTRIGGER_CLI_RUN_ENVIRONMENT_H

#include "cli/run_proxy.h"
#include "cli/run_targets.h"

#include <stdbool.h>

void run_environment_set(const struct run_proxy *proxy, const struct run_targets *targets,
                         bool has_proxy);
/* In this process: call it in the child. Without `has_proxy` what names a proxy is left as it is:
 * all calls get to it anyway. */

#endif
