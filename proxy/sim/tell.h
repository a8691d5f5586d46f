/* tell.h - a study in words and numbers: a table for a terminal, JSON for a program. Both say the
 * same. The same study gives the same bytes. */
#ifndef OUTRIGGER_SIM_TELL_H
#define OUTRIGGER_SIM_TELL_H

#include "sim/study.h"

#include <stdio.h>

void tell_table(const struct study *study, FILE *out);
/* The numbers of each contender side by side, then what broke, then what was expected. */

void tell_transitions(const struct result *result, size_t most, FILE *out);
/* The moves of breakers, a line each, at most so many. */

void tell_json(const struct study *study, FILE *out);
/* One object: scenario, contenders with totals, buckets, transitions, expectations. */

size_t tell_unmet(const struct study *study);
/* Expectations that the user's policy does not meet with the first seed. */

#endif
