/* proxy_overlay.h - a ProxyConfig that adds to the one of the files, for `outrigger run`: it needs
 * listeners of its own beside whatever the user's files say, also when they are read again.
 *
 * A document is one when its annotation outrigger.dev/overlay is "true"; there may be one of them
 * beside the ProxyConfig. Its outbound, listeners and admin addresses are added to those that the
 * files name (not to the defaults), its drain replaces theirs, its log holds where there is no
 * other ProxyConfig; of all else the files' values hold. */
#ifndef OUTRIGGER_CONFIG_PROXY_OVERLAY_H
#define OUTRIGGER_CONFIG_PROXY_OVERLAY_H

#include "base/arena.h"
#include "base/err.h"
#include "config/proxy_config.h"
#include "config/yaml_tree.h"

#include <stdbool.h>

#define OVERLAY_ANNOTATION "outrigger.dev/overlay"

bool proxy_document_is_overlay(const struct node *root);

enum err proxy_config_overlay(struct proxy_config *proxy, const struct proxy_config *overlay,
                              struct arena *arena) MUST_CHECK;
/* Lays `overlay` over `proxy`; both, and the lists that are made, live in `arena`. */

#endif
