/* ewma.h - how long an endpoint takes to answer, as an average that believes bad news at once and
 * good news slowly: a sample above it replaces it, one below it weighs by how long it was waited
 * for, and time alone lets it fall (Finagle's peak EWMA, decay 10 s).
 *
 * Example: ewma_observe(&e, 80 * NS_PER_MS, now); ewma_cost(&e, now + 10 * NS_PER_S); // 29 ms
 * What is older than 30 s is forgotten: cost 0 means that nothing is known. A plain value, all zero
 * at the start; integers only, so that a simulation is the same everywhere. Pure. */
#ifndef OUTRIGGER_UPSTREAM_EWMA_H
#define OUTRIGGER_UPSTREAM_EWMA_H

#include "base/mono.h"

#include <stdint.h>

#define EWMA_DECAY (10 * NS_PER_S)
#define EWMA_FORGET                                                                                \
    (3 * EWMA_DECAY)              /* fallen to a twentieth: older news would only draw a crowd     \
                                   */
#define EWMA_MOST (60 * NS_PER_S) /* of a cost; times 2^26 in flight it fits into 63 bits */

struct ewma {
    uint64_t cost_ns; /* at `at`; 0 = no sample yet */
    mono_ns at;
};

uint64_t ewma_cost(const struct ewma *ewma, mono_ns now);
/* In ns; 0: nothing is known. */

void ewma_observe(struct ewma *ewma, dur_ns took, mono_ns now);
/* It answered. */

void ewma_observe_failure(struct ewma *ewma, dur_ns took, mono_ns now);
/* It failed. That counts as an answer that took at least 1 s and twice its cost (up to 10 s): an
 * endpoint that refuses in a millisecond must not look like the quickest of all, nor one of slow
 * ones that fails. */

void ewma_observe_least(struct ewma *ewma, dur_ns took, mono_ns now);
/* The caller left after that long: more is known only where its cost was thought to be less. */

#endif
