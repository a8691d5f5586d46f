/* worst_case.h - what a policy does to one call at worst, in numbers: how long its caller may wait,
 * how often the upstream may get it, how long a circuit refuses.
 *
 * All times run to the head of the final response: after it only idle and maxDuration hold.
 * DUR_FOREVER is "without end". Upper bounds, not averages; what stands still (POLICY section 3:
 * while the caller's own body is awaited) is not counted. Pure. */
#ifndef OUTRIGGER_CONFIG_WORST_CASE_H
#define OUTRIGGER_CONFIG_WORST_CASE_H

#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

struct worst_case {
    uint32_t tries;      /* that the upstream may see of one call */
    dur_ns attempt;      /* the longest that one of them takes */
    dur_ns backoffs;     /* all waits between them, by backoff */
    dur_ns retry_afters; /* the same where the upstream asks for the longest wait each time */
    dur_ns token_wait;   /* for the rate limit */
    dur_ns slot_wait;    /* for the bulkhead */
    dur_ns unbounded;    /* all of that together, as if there were no limit on the whole */
    dur_ns total;        /* what the caller waits: the same, cut by `request` or its own deadline */
    uint32_t long_run_permille; /* calls of the upstream per thousand calls of the app, in the long
                                   run at much traffic */
    dur_ns first_open[2];       /* least and most of the first open time */
    dur_ns longest_open;        /* of any, jitter included */
    dur_ns probe;               /* the longest that a probe takes */
};

struct worst_case worst_case_of(const struct policy *policy, bool may_retry, dur_ns caller_limit);
/* `may_retry`: does the policy repeat this call at all (its method, its codes)? `caller_limit`: its
 * own deadline (grpc-timeout, deadlineHeader), DUR_FOREVER if it has none. */

#endif
