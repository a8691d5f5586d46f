/* terminal.h - what commands must know of a terminal that they write to. */
#ifndef OUTRIGGER_CLI_TERMINAL_H
#define OUTRIGGER_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

bool terminal_has_colour(FILE *out);
/* A terminal, without NO_COLOR (no-color.org) and not TERM=dumb. */

void terminal_clean(char *text);
/* Makes text of others fit to be shown: every control character but the line feed becomes '?', so
 * that nothing of it drives the terminal. */

#endif
