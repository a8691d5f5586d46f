/* cmd_inject.h - `outrigger inject -f FILE|- [--remove] [--set KEY=VALUE]...`: puts the proxy into
 * the pods of Kubernetes manifests, without a cluster. */
#ifndef OUTRIGGER_CLI_CMD_INJECT_H
#define OUTRIGGER_CLI_CMD_INJECT_H

int cmd_inject(int argc, char **argv);
/* argv[0] is "inject". 0: done; 1: an object was refused, or the YAML is bad (then nothing is
 * written); 2: bad usage, or a file that cannot be read. */

#endif
