/* report.h - a study as one self-contained HTML page: no script from elsewhere, no font, no
 * request.
 *
 * In this order: a verdict line; load against goodput swept up and down (the hysteresis loop); a
 * time line of offered calls and attempts with the breaker as a ribbon and the tokens left; the
 * amplification as a big number; time to recover per policy (never is marked); a heat map of load
 * and retries with the user's setting ringed; same seed A/B with a band over the seeds; the table
 * and the transitions. Reads in print and in dark mode. */
#ifndef OUTRIGGER_SIM_REPORT_H
#define OUTRIGGER_SIM_REPORT_H

#include "sim/study.h"

#include <stdio.h>

void report_write(const struct study *study, FILE *out);
/* The caller looks at ferror(out). */

#endif
