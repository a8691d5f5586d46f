/* cmd_simulate.h - `outrigger simulate`. */
#ifndef OUTRIGGER_CLI_CMD_SIMULATE_H
#define OUTRIGGER_CLI_CMD_SIMULATE_H

int cmd_simulate(int argc, char **argv);
/* Exit code: 0 all expectations met, 1 one is not, 2 bad usage, files or an output that cannot be
 * written. */

#endif
