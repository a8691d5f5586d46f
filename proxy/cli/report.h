/* report.h - findings for people (pretty, as rustc shows them) and for machines (json, GitHub's
 * workflow commands, SARIF 2.1.0).
 *
 * The findings are the same in each; what holds for all is that nothing of a file can drive the
 * reader's terminal or break the format. Single-threaded. */
#ifndef OUTRIGGER_CLI_REPORT_H
#define OUTRIGGER_CLI_REPORT_H

#include "cli/source.h"
#include "config/diagnostics.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum report_format { REPORT_PRETTY = 0, REPORT_JSON, REPORT_GITHUB, REPORT_SARIF };

struct report {
    const struct diagnostics *diag;
    struct sources *sources;
    size_t policies; /* that were loaded */
    size_t rules;
    bool has_colour;
    const json_t *plan; /* of a reload; NULL: none was asked for */
};

bool report_format_from(const char *word, enum report_format *format);

void report_pretty(const struct report *report, FILE *out);
/* Each finding with its excerpt, and which codes `outrigger explain` tells more about. */

void report_json(const struct report *report, FILE *out);
void report_github(const struct report *report, FILE *out);
void report_sarif(const struct report *report, FILE *out);

uint32_t report_end_column(const struct report *report, const struct place *place);
/* The column after the last that a place covers in its line; 0 when there is nothing to show. */

struct place report_place(const struct diagnostic *item);

#endif
