/* run_child.c - see run_child.h. */
#include "cli/run_child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TWICE_MS 2000 /* two Ctrl-C within that time are meant */
#define MERCY_MS 1000 /* what is left to the command then */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- start ---- */

static int cannot_run(const char *command, int code)
{
    const bool is_missing = code == ENOENT;
    const char *why = strerror(code);
    if (is_missing)
        why = strchr(command, '/') ? "no such file, or the interpreter that it names is missing"
                                   : "command not found";
    fprintf(stderr, "outrigger run: %s: %s\n", command, why);
    return is_missing ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

int run_child_start(struct run_child *child, const struct run_signals *signals, char **command,
                    int (*prepare)(const void *context), const void *context)
{
    const pid_t parent = getpid();
    fflush(NULL);
    *child = (struct run_child){.signals = signals, .pid = fork()};
    if (child->pid < 0)
        return errno;
    if (child->pid > 0)
        return 0;
    const int code = prepare(context);
    if (code != 0)
        _exit(code);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* other credentials would have undone it */
    if (getppid() != parent)
        _exit(EXIT_CANNOT_RUN); /* it died before the line above */
    run_signals_give_back(signals);
    execvp(command[0], command);
    _exit(cannot_run(command[0], errno));
}

/* ---- signals ---- */

/* As the command did, for a shell with job control, which continues both; where there is none, the
 * group is an orphaned one, in which SIGTSTP stops nobody. */
static void stop_too(void)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here we stop */
    sigprocmask(SIG_BLOCK, &stop, NULL);
}

static void reap(struct run_child *child, void (*on_other)(void *context, pid_t pid, int status),
                 void *context)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
        if (WIFSTOPPED(status)) {
            if (pid == child->pid)
                stop_too();
        } else if (pid == child->pid) {
            child->has_ended = true;
            child->status = status;
        } else {
            on_other(context, pid, status);
        }
    }
}

static void note_interrupt(struct run_child *child)
{
    const int64_t now = now_ms();
    const bool is_second = child->interrupted_ms && now - child->interrupted_ms <= TWICE_MS;
    child->interrupted_ms = now;
    if (is_second && child->kill_at_ms == 0)
        child->kill_at_ms = now + MERCY_MS;
}

static void forward(struct run_child *child, const siginfo_t *info)
{
    /* The kernel sends to the whole group of a terminal. */
    if (info->si_code != SI_KERNEL)
        kill(child->pid, info->si_signo);
    if (info->si_signo == SIGINT)
        note_interrupt(child);
}

static int wait_limit(struct run_child *child)
{
    if (child->kill_at_ms == 0)
        return -1;
    const int64_t left = child->kill_at_ms - now_ms();
    if (left > 0)
        return (int)left;
    kill(child->pid, SIGKILL);
    child->kill_at_ms = 0;
    return -1;
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int run_child_give_up(struct run_child *child)
{
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        continue;
    child->has_ended = true;
    return exit_code(child->status);
}

int run_child_wait(struct run_child *child, void (*on_other)(void *context, pid_t pid, int status),
                   void *context)
{
    while (!child->has_ended) {
        siginfo_t info;
        const int number = run_signal_wait(child->signals, &info, wait_limit(child));
        if (number == SIGCHLD)
            reap(child, on_other, context);
        else if (number > 0)
            forward(child, &info);
    }
    return exit_code(child->status);
}
