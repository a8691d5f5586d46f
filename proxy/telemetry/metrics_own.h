/* metrics_own.h - what the files of the registry share with each other, and nobody else: caps, and
 * the end of a node. */
#ifndef OUTRIGGER_TELEMETRY_METRICS_OWN_H
#define OUTRIGGER_TELEMETRY_METRICS_OWN_H

#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct metrics_move {
    enum breaker_state from;
    enum breaker_state to;
    enum breaker_cause cause;
    bool is_shown; /* as zero from the start */
};

extern const struct metrics_move metrics_moves[BREAKER_MOVE_COUNT];

bool metrics_open_cell(struct metrics *metrics, struct metrics_node *payer, uint32_t cap,
                       metric_cell *cell);
/* Shows a lazy cell, as 0, if it is not shown yet; false, and counted, when `payer` or the whole
 * has no room. */

struct metrics_node *metrics_payer(struct metrics_instance *instance, uint32_t *cap);
/* Whose cap an instance's series count against: the endpoint's own, its rule's or its target's. */

void metrics_retire(struct metrics *metrics, struct metrics_node *node);
/* Frees a node that has been unlinked, now or when the reader has let go of it. */

#endif
