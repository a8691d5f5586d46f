/* check.c - see check.h. Nothing here may allocate or lock: the heap may be what is broken. */
#include "base/check.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void invariant_failed(const char *what, const char *file, int line)
{
    dprintf(STDERR_FILENO, "outrigger: invariant failed: %s (%s:%d)\n", what, file, line);
    abort();
}

void invariant_check(int holds, const char *what, const char *file, int line)
{
    if (!holds)
        invariant_failed(what, file, line);
}

void invariant_check_obj(const void *object, unsigned wanted, const char *file, int line)
{
    uint32_t magic = ~wanted;
    if (object != NULL)
        memcpy(&magic, object, sizeof magic); /* every object starts with it */
    invariant_check(magic == wanted, "the object is alive", file, line);
}
