/* exposition.h - /metrics as text: Prometheus 0.0.4, or OpenMetrics 1.0 for those that accept it.
 * Example: metrics_read_begin(m); exposition_write(&page, m, format, &facts); metrics_read_end(m);
 * By the reading thread. All series of a family stand together, families in the order of
 * metrics.def. */
#ifndef OUTRIGGER_TELEMETRY_EXPOSITION_H
#define OUTRIGGER_TELEMETRY_EXPOSITION_H

#include "base/span.h"
#include "telemetry/metrics.h"
#include "telemetry/text.h"

#include <stdint.h>

enum exposition_format { EXPOSITION_PROMETHEUS = 0, EXPOSITION_OPENMETRICS };

struct exposition_facts { /* what is not in the cells */
    uint64_t log_dropped;
    uint64_t events_dropped;
};

enum exposition_format exposition_format_from(struct span accept);
/* By the Accept field: OpenMetrics where application/openmetrics-text is wanted at least as much as
 * text/plain. */

const char *exposition_content_type(enum exposition_format format);

void exposition_write(struct text *out, const struct metrics *metrics,
                      enum exposition_format format, const struct exposition_facts *facts);
/* Appends the whole page. Between metrics_read_begin and metrics_read_end. */

#endif
