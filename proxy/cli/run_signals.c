/* run_signals.c - see run_signals.h. */
#include "cli/run_signals.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static const int forwarded[] = {SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

void run_signals_take(struct run_signals *signals)
{
    sigemptyset(&signals->waited);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        sigaddset(&signals->waited, forwarded[i]);
    sigaddset(&signals->waited, SIGCHLD);
    signal(SIGCHLD, SIG_DFL); /* who starts us may ignore it: nobody could be waited for */
    sigprocmask(SIG_BLOCK, &signals->waited, &signals->before);
}

void run_signals_give_back(const struct run_signals *signals)
{
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

bool run_signal_ends(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

int run_signal_wait(const struct run_signals *signals, siginfo_t *info, int limit_ms)
{
    const struct timespec limit = {.tv_sec = limit_ms / 1000,
                                   .tv_nsec = (limit_ms % 1000) * 1000000L};
    for (;;) {
        const int number = limit_ms < 0 ? sigwaitinfo(&signals->waited, info)
                                        : sigtimedwait(&signals->waited, info, &limit);
        if (number > 0)
            return number;
        if (errno != EINTR)
            return 0;
    }
}
