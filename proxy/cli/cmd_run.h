/* cmd_run.h - `outrigger run --demo`: watch a circuit breaker open, refuse, probe and close,
 * without typing anything. */
#ifndef OUTRIGGER_CLI_CMD_RUN_H
#define OUTRIGGER_CLI_CMD_RUN_H

int cmd_run(int argc, char **argv);
/* argv[0] is "run". 0: the story was told, or ended with Ctrl-C; 1: it did not come about; 2: bad
 * usage, or the proxy did not start. */

#endif
