/* h1_caller.h - who calls in HTTP/1.1, and takes what comes for text. */
#ifndef OUTRIGGER_TESTS_FAULT_H1_CALLER_H
#define OUTRIGGER_TESTS_FAULT_H1_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h1_caller {
    int fd;
    char got[4096]; /* what came first */
    size_t got_len;
    uint64_t got_bytes;
    bool has_ended;
};

void h1_caller_open(struct h1_caller *caller);
void h1_caller_close(struct h1_caller *caller);

void h1_caller_sends(struct h1_caller *caller, const char *text);
/* Or as much of it as is taken before the connection ends. */

bool h1_caller_waits(struct h1_caller *caller, const char *text, uint64_t bytes);
/* True when `text` came and so many bytes in all, false when a failure or the end did; a caller
 * that gets neither hangs, and fails the test. */

#endif
