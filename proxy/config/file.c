/* file.c - see file.h. */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, buffer + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static enum err system_error(int *code)
{
    *code = errno;
    const enum err e = err_from_errno(errno);
    return e == OK ? ERR_SYSTEM : e;
}

enum err file_read(const char *path, size_t max, char **bytes, size_t *len, int *code)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    *code = 0;
    if (fd < 0)
        return system_error(code);
    char *buffer = malloc(max + 1); /* one more, to see that there is more */
    const ssize_t got = buffer ? read_all(fd, buffer, max + 1) : 0;
    enum err e = buffer ? OK : ERR_NO_MEMORY;
    if (got < 0)
        e = system_error(code);
    else if ((size_t)got > max)
        e = ERR_TOO_LARGE;
    close(fd);
    if (e != OK) {
        free(buffer);
        return e;
    }
    *bytes = buffer;
    *len = (size_t)got;
    return OK;
}

char *file_beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    char *made;
    if (path[0] == '/' || slash == NULL)
        return strdup(path);
    if (asprintf(&made, "%.*s/%s", (int)(slash - file), file, path) < 0)
        return NULL;
    return made;
}
