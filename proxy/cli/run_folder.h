/* run_folder.h - a temporary folder with generated files, which `outrigger run` needs for a proxy
 * of its own.
 *
 * Example: struct run_folder folder; if (run_folder_init(&folder, "demo") != OK) ...;
 *          run_folder_write(&folder, "proxy.yaml", text, ""); ... run_folder_remove(&folder);
 * Ownership: the folder is ours and goes with the files that are in it. */
#ifndef OUTRIGGER_CLI_RUN_FOLDER_H
#define OUTRIGGER_CLI_RUN_FOLDER_H

#include "base/err.h"

#define RUN_FOLDER_MAX 256
#define RUN_PATH_MAX (RUN_FOLDER_MAX + 16)

struct run_folder {
    char path[RUN_FOLDER_MAX]; /* "" when there is none */
};

enum err run_folder_init(struct run_folder *folder, const char *what) MUST_CHECK;
/* $TMPDIR/outrigger-WHAT-XXXXXX. */

void run_folder_path(const struct run_folder *folder, const char *name, char out[RUN_PATH_MAX]);

enum err run_folder_write(const struct run_folder *folder, const char *name, const char *text,
                          const char *more) MUST_CHECK;

void run_folder_remove(struct run_folder *folder);
/* With the files in it (no folders). Harmless when there is none. */

void run_log_show(const char *path);
/* The last lines of a log, to stderr: for when the proxy ended by itself. */

#endif
