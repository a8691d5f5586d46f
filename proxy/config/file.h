/* file.h - files that config files are, or name. Any thread. */
#ifndef OUTRIGGER_CONFIG_FILE_H
#define OUTRIGGER_CONFIG_FILE_H

#include "base/err.h"

#include <stddef.h>

enum err file_read(const char *path, size_t max, char **bytes, size_t *len, int *code) MUST_CHECK;
/* All of it, for the caller to free. ERR_TOO_LARGE: more than `max` bytes; ERR_NO_MEMORY; else an
 * error of the system, and `code` is its errno. */

char *file_beside(const char *file, const char *path);
/* `path`, which stands in `file`: a relative one is meant from that file's folder. For the caller
 * to free; NULL without memory. */

#endif
