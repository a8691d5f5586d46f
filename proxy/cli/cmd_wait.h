/* cmd_wait.h - `outrigger wait`: until the proxy beside it takes calls. For a postStart hook, and
 * for scripts. */
#ifndef OUTRIGGER_CLI_CMD_WAIT_H
#define OUTRIGGER_CLI_CMD_WAIT_H

int cmd_wait(int argc, char **argv);
/* argv[0] is "wait". 0: it is ready; 1: not in time, said; 2: bad usage. */

#endif
