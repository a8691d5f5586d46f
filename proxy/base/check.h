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
void invariant_check_obj(const void *object, unsigned wanted, const char *file, int line);
/* What the macros below call in coverage builds (OUTRIGGER_COVERAGE): abort unless it holds, out of
 * line so that no branch is seen in the caller. Write two conditions as two INVARIANTs: && and ||
 * are branches of the caller still. */

#ifdef OUTRIGGER_COVERAGE
#define INVARIANT(condition) invariant_check(!!(condition), #condition, __FILE__, __LINE__)
#define CHECK_OBJ(pointer, wanted) invariant_check_obj((pointer), (wanted), __FILE__, __LINE__)
#else
#define INVARIANT(condition)                                                                       \
    (__builtin_expect(!!(condition), 1) ? (void)0                                                  \
                                        : invariant_failed(#condition, __FILE__, __LINE__))
#define CHECK_OBJ(pointer, wanted) INVARIANT((pointer) != NULL && (pointer)->magic == (wanted))
#endif

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
