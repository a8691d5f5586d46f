/* explain_code.h - a code of `outrigger check`, explained to a person. */
#ifndef OUTRIGGER_CLI_EXPLAIN_CODE_H
#define OUTRIGGER_CLI_EXPLAIN_CODE_H

#include <stdbool.h>
#include <stdio.h>

bool explain_code(const char *word, FILE *out);
/* False, and nothing written, for a word that is no code. */

void explain_suggest(const char *word, FILE *out);
/* The codes that are nearest to an unknown one, or how to list all. */

void explain_list(FILE *out);
/* All codes, one a line: code, severity, title. */

#endif
