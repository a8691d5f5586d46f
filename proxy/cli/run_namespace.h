/* run_namespace.h - a network namespace for this process, as root or as anybody whom the kernel
 * allows one. Example: int fds[2]; int code = run_namespace_make(fds); Single-threaded processes
 * only. */
#ifndef OUTRIGGER_CLI_RUN_NAMESPACE_H
#define OUTRIGGER_CLI_RUN_NAMESPACE_H

#include <stdbool.h>

int run_namespace_make(int fds[2]);
/* This process is in a new one from here on, with CAP_NET_ADMIN there. fds[0] is the network
 * namespace, fds[1] the user namespace that owns it, -1 where that is the old one: the caller's to
 * close. 0, or the exit code 2: said, with the reason and what to do about it. */

bool run_namespace_join(int network, int user);
/* Enters one that run_namespace_make has made; user -1: it has no user namespace of its own. False
 * with errno. */

#endif
