/* h1_caller.c - see h1_caller.h. */
#include "h1_caller.h"

#include "alloc_faults.h"
#include "serve_bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void h1_caller_open(struct h1_caller *caller)
{
    *caller = (struct h1_caller){.fd = bench_caller()};
}

void h1_caller_close(struct h1_caller *caller)
{
    close(caller->fd);
    caller->fd = -1;
}

void h1_caller_sends(struct h1_caller *caller, const char *text)
{
    size_t left = strlen(text);
    for (int turns = 1000; left > 0 && turns > 0; turns--) {
        const ssize_t sent = send(caller->fd, text, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; /* it was cut off: the answer or the end will tell */
        if (sent > 0) {
            text += sent;
            left -= (size_t)sent;
        }
        bench_turn(true);
    }
}

static void caller_reads(struct h1_caller *caller)
{
    char buf[65536];
    const ssize_t got = recv(caller->fd, buf, sizeof buf, 0);
    caller->has_ended = caller->has_ended || got == 0 || (got < 0 && errno != EAGAIN);
    if (got <= 0)
        return;
    const size_t room = sizeof caller->got - 1 - caller->got_len;
    const size_t kept = (size_t)got < room ? (size_t)got : room;
    memcpy(caller->got + caller->got_len, buf, kept);
    caller->got_len += kept;
    caller->got_bytes += (uint64_t)got;
}

/* Without memory for a retry the caller gets the failed response; without any, a reply of ours. */
static bool is_failed(const char *got)
{
    return strstr(got, "x-outrigger-reason") != NULL || strstr(got, "HTTP/1.1 503") != NULL;
}

bool h1_caller_waits(struct h1_caller *caller, const char *text, uint64_t bytes)
{
    for (int left = BENCH_PATIENCE; left > 0; left--) {
        caller_reads(caller);
        if (strstr(caller->got, text) != NULL && caller->got_bytes >= bytes)
            return true;
        if (caller->has_ended || is_failed(caller->got))
            return false;
        bench_turn(true);
    }
    cr_assert(false, "allocation %zu fails: a caller waits for %s for ever; it got %s", faults_at(),
              text, caller->got);
    return false;
}
