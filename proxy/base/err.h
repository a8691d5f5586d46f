/* err.h - what the environment can do to us. Peers' faults are reasons (reason.h), our own bugs are
 * INVARIANTs. Functions that return enum err must be checked; OK is 0; out-parameters are untouched
 * on error. Example: enum err e = socket_open(&fd); if (e != OK) fail(err_text(e)). Constant data,
 * any thread. */
#ifndef OUTRIGGER_BASE_ERR_H
#define OUTRIGGER_BASE_ERR_H

#define ERR_LIST(X)                                                                                \
    X(ERR_NO_MEMORY, "out of memory")                                                              \
    X(ERR_NO_FD,                                                                                   \
      "no file descriptor left: raise the limit (ulimit -n) or lower limits.maxConnections")       \
    X(ERR_ADDRESS_IN_USE,                                                                          \
      "the address is already in use: another process listens there; choose another port")         \
    X(ERR_ACCESS, "permission denied")                                                             \
    X(ERR_NOT_FOUND, "not found")                                                                  \
    X(ERR_INVALID, "invalid value")                                                                \
    X(ERR_TOO_LARGE, "too large")                                                                  \
    X(ERR_FULL, "a bounded table or queue is full")                                                \
    X(ERR_SYSTEM, "the operating system refused")

enum err {
    OK = 0,
#define X(name, text) name,
    ERR_LIST(X)
#undef X
};

#define MUST_CHECK __attribute__((warn_unused_result))

const char *err_text(enum err e);
/* What `e` means, for a person; static. */

enum err err_from_errno(int code);
/* The nearest enum err for an errno value. */

#endif
