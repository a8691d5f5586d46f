/* explain.h - what a code means, for whoever meets it at night: texts and examples of explain.def,
 * one for each row of diagnostics.def. Constant data, any thread. */
#ifndef OUTRIGGER_CONFIG_EXPLAIN_H
#define OUTRIGGER_CONFIG_EXPLAIN_H

#include "base/span.h"
#include "config/diagnostics.h"

struct explanation {
    const char *means;
    const char *why;   /* what it does to you: one sentence, may have a line break in it */
    const char *wrong; /* an example that earns the code */
    const char *right; /* the same, mended */
};

const struct explanation *diagnostic_explanation(enum diagnostic_code code);

bool diagnostic_code_from(struct span id, enum diagnostic_code *out);
/* "OUT0203", "out0203" or "203". False, and nothing set, for what is no code. */

void explanation_example(const char *example, FILE *out);
/* One of its examples as it is shown: lines below `spec:` get that line before them. */

#endif
