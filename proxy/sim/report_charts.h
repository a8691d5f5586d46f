/* report_charts.h - the charts of a report, each an <svg>. */
#ifndef OUTRIGGER_SIM_REPORT_CHARTS_H
#define OUTRIGGER_SIM_REPORT_CHARTS_H

#include "sim/study.h"

#include <stdio.h>

void chart_hysteresis(const struct study *study, FILE *out);
void chart_timeline(const struct study *study, FILE *out);
void chart_recovery(const struct study *study, FILE *out);
void chart_heat(const struct study *study, FILE *out);
void chart_band(const struct study *study, FILE *out);

#endif
