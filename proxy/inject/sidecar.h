/* sidecar.h - the containers and volumes that are ours, as Kubernetes wants them.
 *
 * With `interception: none` all of them pass the Pod Security Standard `restricted`; outrigger-init
 * needs NET_ADMIN, and nothing else of root. Every function returns a new value, NULL without
 * memory. Pure; any thread. */
#ifndef OUTRIGGER_INJECT_SIDECAR_H
#define OUTRIGGER_INJECT_SIDECAR_H

#include "inject/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SIDECAR_NAME "outrigger"
#define SIDECAR_INIT_NAME "outrigger-init"
#define SIDECAR_POD_VOLUME "outrigger-pod"
#define SIDECAR_POLICY_VOLUMES "outrigger-policies-" /* and a number */
#define SIDECAR_UID 2102
#define SIDECAR_OUTBOUND_PORT 15001
#define SIDECAR_ADMIN_PORT 15020
#define SIDECAR_METRICS_PORT 15021

json_t *sidecar_container(const struct inject_settings *settings);
json_t *sidecar_init_container(const struct inject_settings *settings);
json_t *sidecar_volumes(const struct inject_settings *settings);

json_t *sidecar_variable(size_t index);
/* One of proxy_variables, as an item of `env`. */

bool sidecar_owns_volume(const char *name);

#endif
