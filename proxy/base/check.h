/* check.h - our own bugs end the process, always, with the place named; a wrong answer would be
 * worse. Objects with a life start with `uint32_t magic`; CHECK_OBJ at public entry points catches
 * stale pointers. Example: INVARIANT(pool->idle > 0); CHECK_OBJ(breaker, BREAKER_MAGIC). The
 * condition is evaluated once, always. Any thread; allocates nothing. */
#ifndef OUTRIGGER_BASE_CHECK_H
#define OUTRIGGER_BASE_CHECK_H

#include <stddef.h>

_Noreturn void invariant_failed(const char *what, const char *file, int line);
/* Prints `what` with its place to stderr and aborts. */

void invariant_check(int holds, const char *what, const char *file, int line);
/* Aborts unless `holds`; out of line so that coverage builds (OUTRIGGER_COVERAGE) see no branch in
 * the caller. */

#ifdef OUTRIGGER_COVERAGE
#define INVARIANT(condition) invariant_check(!!(condition), #condition, __FILE__, __LINE__)
#else
#define INVARIANT(condition)                                                                       \
    (__builtin_expect(!!(condition), 1) ? (void)0                                                  \
                                        : invariant_failed(#condition, __FILE__, __LINE__))
#endif

#define CHECK_OBJ(pointer, wanted) INVARIANT((pointer) != NULL && (pointer)->magic == (wanted))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
