/* run_folder.c - see run_folder.h. */
#include "cli/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_BYTES 4096 /* of a log */

enum err run_folder_init(struct run_folder *folder, const char *what)
{
    const char *base = getenv("TMPDIR");
    const int len = snprintf(folder->path, sizeof folder->path, "%s/outrigger-%s-XXXXXX",
                             base && *base ? base : "/tmp", what);
    const bool is_made = len < RUN_FOLDER_MAX && mkdtemp(folder->path) != NULL;
    if (is_made)
        return OK;
    folder->path[0] = '\0';
    return len < RUN_FOLDER_MAX ? err_from_errno(errno) : ERR_TOO_LARGE;
}

void run_folder_path(const struct run_folder *folder, const char *name, char out[RUN_PATH_MAX])
{
    snprintf(out, RUN_PATH_MAX, "%s/%s", folder->path, name);
}

enum err run_folder_write(const struct run_folder *folder, const char *name, const char *text,
                          const char *more)
{
    char path[RUN_PATH_MAX];
    run_folder_path(folder, name, path);
    FILE *file = fopen(path, "we");
    if (!file)
        return err_from_errno(errno);
    bool is_written = fputs(text, file) >= 0 && fputs(more, file) >= 0;
    return fclose(file) == 0 && is_written ? OK : ERR_SYSTEM;
}

void run_folder_remove(struct run_folder *folder)
{
    if (folder->path[0] == '\0')
        return;
    DIR *listing = opendir(folder->path);
    for (struct dirent *entry = NULL; listing && (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
    rmdir(folder->path);
    folder->path[0] = '\0';
}

void run_log_show(const char *path)
{
    char text[SHOWN_BYTES + 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    const bool is_cut = fseek(file, -SHOWN_BYTES, SEEK_END) == 0;
    const size_t len = fread(text, 1, SHOWN_BYTES, file);
    fclose(file);
    text[len] = '\0';
    const char *line_end = is_cut ? strchr(text, '\n') : NULL; /* not from the middle of a line */
    fputs(line_end ? line_end + 1 : text, stderr);
}
