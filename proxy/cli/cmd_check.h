/* cmd_check.h - `outrigger check FILE|DIR... [--strict]`: are these policies right, and will they
 * work? */
#ifndef OUTRIGGER_CLI_CMD_CHECK_H
#define OUTRIGGER_CLI_CMD_CHECK_H

int cmd_check(int argc, char **argv);
/* argv[0] is "check". 0: no errors; 1: errors, or warnings with --strict; 2: bad usage, or a path
 * that cannot be read. */

#endif
