/* policy_index.h - the lookup table of a policy set, made once when it is loaded. */
#ifndef OUTRIGGER_CONFIG_POLICY_INDEX_H
#define OUTRIGGER_CONFIG_POLICY_INDEX_H

#include "base/err.h"
#include "config/diagnostics.h"
#include "config/policy_set.h"

#define CLUSTER_DOMAIN "cluster.local"

enum err policy_index_build(struct policy_set *set, struct diagnostics *diag) MUST_CHECK;
/* Enters every target of every document; two documents for one host and port, or of one name, are
 * said in `diag`. ERR_NO_MEMORY when the set's arena is full. */

const struct document *policy_set_find_wider(const struct policy_set *set,
                                             const struct document *document,
                                             const struct document_target *target);
/* Which document would hold for the hosts of that target if its own were not there; NULL if none.
 */

#endif
