/* run_environment.h - the variables by which a command finds the proxy of `outrigger run`.
 *
 * Those of config/proxy_variables.h, and the one of each target. NO_PROXY is the user's: where it
 * is not set it becomes our own address, and nothing else: calls to our ports must not go through
 * the proxy (that would be a loop), while those to a target on localhost must. */
#ifndef OUTRIGGER_CLI_RUN_ENVIRONMENT_H
#define OUTRIGGER_CLI_RUN_ENVIRONMENT_H

#include "cli/run_proxy.h"
#include "cli/run_targets.h"

void run_environment_set(const struct run_proxy *proxy, const struct run_targets *targets);
/* In this process: call it in the child. */

#endif
