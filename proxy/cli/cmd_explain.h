/* cmd_explain.h - `outrigger explain OUT0203`: what a code of `outrigger check` means; and
 * `outrigger explain -c FILE METHOD URL`: what a call would get, from where, and at worst. */
#ifndef OUTRIGGER_CLI_CMD_EXPLAIN_H
#define OUTRIGGER_CLI_CMD_EXPLAIN_H

int cmd_explain(int argc, char **argv);
/* argv[0] is "explain". 0: explained; 2: bad usage, an unknown code, or files that do not load. */

#endif
