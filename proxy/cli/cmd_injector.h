/* cmd_injector.h - `outrigger injector`: the admission webhook that adds the sidecar to pods. */
#ifndef OUTRIGGER_CLI_CMD_INJECTOR_H
#define OUTRIGGER_CLI_CMD_INJECTOR_H

int cmd_injector(int argc, char **argv);
/* argv[0] is "injector". Runs until SIGTERM. 0; 2 bad usage, or it cannot start. */

#endif
