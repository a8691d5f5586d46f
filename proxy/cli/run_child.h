/* run_child.h - the command of `outrigger run`: started, told of signals, waited for.
 *
 * It shares our process group, terminal and descriptors, so what a terminal sends (Ctrl-C, Ctrl-Z,
 * a resize) has reached it already; only what others send to us is passed on. When it stops, so do
 * we, and the shell has the terminal again. Should we be killed outright, it gets SIGTERM.
 *
 * Example: if (run_child_start(&child, &signals, command, prepare, context) == 0)
 *              code = run_child_wait(&child, on_other, context); */
#ifndef OUTRIGGER_CLI_RUN_CHILD_H
#define OUTRIGGER_CLI_RUN_CHILD_H

#include "cli/run_signals.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_child {
    const struct run_signals *signals;
    pid_t pid;
    bool has_ended;
    int status;             /* as waitpid has it */
    int64_t interrupted_ms; /* when the last SIGINT came; 0: none did */
    int64_t kill_at_ms;     /* 0: it may take its time */
};

int run_child_start(struct run_child *child, const struct run_signals *signals, char **command,
                    int (*prepare)(const void *context), const void *context);
/* Runs the command after the callback, in the child, has made its surroundings: 0, or the exit code
 * that the child then ends with. Returns 0, or an errno. What cannot be run ends with 127 or 126,
 * as in a shell: said. */

int run_child_give_up(struct run_child *child);
/* Kills it if it is still there; its exit code. */

int run_child_wait(struct run_child *child, void (*on_other)(void *context, pid_t pid, int status),
                   void *context);
/* Until it has ended; its exit code, 128+n for a signal. `on_other`: another child of ours did. */

#endif
