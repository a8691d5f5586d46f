/* warnings.h - what a person is told about an injection, in the order in which it was found. Each
 * text names the annotation or field that it is about. Owns its texts. Single-threaded. */
#ifndef OUTRIGGER_INJECT_WARNINGS_H
#define OUTRIGGER_INJECT_WARNINGS_H

#include <stdbool.h>
#include <stddef.h>

#define WARNINGS_MAX 16 /* further ones are not kept: nobody reads them */
#define WARNING_BYTES_MAX 512

struct inject_warnings {
    char *texts[WARNINGS_MAX];
    size_t count;
    bool is_broken; /* without memory; the texts that there are hold */
};

void inject_warn(struct inject_warnings *warnings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Cut to WARNING_BYTES_MAX. */

void inject_warnings_fini(struct inject_warnings *warnings);
/* Empty again. */

#endif
