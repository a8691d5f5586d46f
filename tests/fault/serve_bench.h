/* serve_bench.h - a proxy in the test's own thread between an upstream (upstream.h) and callers on
 * socket pairs, and the run that each test of memory makes: calls are served while the n-th
 * allocation fails, for every n.
 *
 * There are no timeouts in the policy: whatever is not answered or ended hangs, and fails the
 * test. */
#ifndef OUTRIGGER_TESTS_FAULT_SERVE_BENCH_H
#define OUTRIGGER_TESTS_FAULT_SERVE_BENCH_H

#include "request/proxy.h"

#include <stdbool.h>

#define BENCH_PATIENCE 3000 /* turns, of a millisecond at most */

struct bench {
    struct loop *loop;
    struct metrics *metrics;
    struct events *events;
    struct proxy *proxy;
    struct entrance entrance;
};

extern struct bench bench;

struct service {
    unsigned whose; /* allocations fail: enum faults_of */
    bool is_http2;  /* what the upstream speaks */
    bool (*serve)(void);
    /* The calls of one run. True when all was well, as it must be where no allocation failed. */
    bool (*serve_again)(void);
    /* Behind it, with memory: must be well. NULL: the proxy takes no calls any more. */
};

int bench_caller(void);
/* The socket of a caller whose connection the proxy has just accepted. */

void bench_turn(bool may_wait);
/* Of the upstream, and of the loop; it waits a millisecond at most. */

void serve_with_each_failure(const struct service *service, bool and_all_after);

#endif
