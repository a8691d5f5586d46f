/* policy.h - what one call gets: a document's blocks with its rule's fields laid over them.
 * Immutable; owned by the policy set (config) of which the call holds a reference. */
#ifndef OUTRIGGER_POLICY_POLICY_H
#define OUTRIGGER_POLICY_POLICY_H

#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/deadline.h"
#include "policy/load_balancer.h"
#include "policy/outlier.h"
#include "policy/retry.h"
#include "policy/token_bucket.h"

struct policy {
    struct timeouts_config timeouts;
    struct retry_config retry;
    struct breaker_config breaker;
    struct bulkhead_config bulkhead;
    struct rate_limit_config rate_limit;
    struct outlier_config outlier;
    struct load_balancer_config load_balancer; /* always the document's */
    uint32_t own; /* in a rule: mask of 1 << enum policy_family of the blocks it has itself */
    const char *at[POLICY_FAMILY_COUNT]; /* "file:line" of each block, "" where absent */
};

#endif
