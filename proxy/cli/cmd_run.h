/* cmd_run.h - `outrigger run`: a command with a proxy of its own; or, with --demo, a circuit
 * breaker that opens, refuses, probes and closes without anything typed. */
#ifndef OUTRIGGER_CLI_CMD_RUN_H
#define OUTRIGGER_CLI_CMD_RUN_H

int cmd_run(int argc, char **argv);
/* argv[0] is "run". The command's exit code (128+n: signal n; 127: not found; 126: cannot be run),
 * or 2: bad usage, bad files, or the proxy did not start. Of the demo: 0: the story was told, or
 * ended with Ctrl-C; 1: it did not come about. */

#endif
