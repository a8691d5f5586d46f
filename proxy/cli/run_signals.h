/* run_signals.h - the signals that `outrigger run` waits for instead of being interrupted by them.
 *
 * Example: run_signals_take(&signals); ... sigtimedwait(&signals.waited, &info, &limit); ...
 *          in a child: run_signals_give_back(&signals); execvp(...);
 * From `take` on they are pending until somebody asks: none can come between a look and a wait. */
#ifndef OUTRIGGER_CLI_RUN_SIGNALS_H
#define OUTRIGGER_CLI_RUN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct run_signals {
    sigset_t waited; /* those that are forwarded, and SIGCHLD */
    sigset_t before; /* the mask that we were started with */
};

void run_signals_take(struct run_signals *signals);
void run_signals_give_back(const struct run_signals *signals);

bool run_signal_ends(int number);
/* One that asks a program to end. */

int run_signal_wait(const struct run_signals *signals, siginfo_t *info, int limit_ms);
/* The next of them, 0 when none came within the limit (below 0: none). */

#endif
