/* latency.h - how long things took, to 3 %, in a fixed number of cells (the layout of HdrHistogram:
 * powers of two, each cut into 32). Holds 1 us to 36 minutes; what is beyond counts at the edge.
 * A plain value; pure. */
#ifndef OUTRIGGER_SIM_LATENCY_H
#define OUTRIGGER_SIM_LATENCY_H

#include "base/mono.h"

#include <stdint.h>

#define LATENCY_CELLS (32 * 28)

struct latency {
    uint64_t count;
    uint32_t cells[LATENCY_CELLS];
};

void latency_add(struct latency *latency, dur_ns took);

dur_ns latency_quantile(const struct latency *latency, double share);
/* 0.99: the time that 99 % did not exceed; 0 when nothing was counted. */

#endif
