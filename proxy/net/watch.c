/* watch.c - see watch.h. Invariant: on_change runs exactly when `signature` changes, and only from
 * the debounce timer; events and the fallback poll only arm that timer. */
#include "net/watch.h"

#include "base/check.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_MAGIC 0x57415443U
#define EVENT_BYTES 8192
#define READS_PER_TURN 16
#define FOLDER_ENTRIES                                                                             \
    4096 /* looked at in one folder: a folder with a million files must not stall the loop */
#define NO_MARK (-1)
#define MARK_EVENTS                                                                                \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* ---- signatures ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 32);
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = mix(hash, (unsigned char)*text);
    }
    return hash;
}

static uint64_t mix_state(uint64_t hash, const struct stat *state)
{
    const uint64_t values[] = {(uint64_t)state->st_dev,         (uint64_t)state->st_ino,
                               (uint64_t)state->st_size,        (uint64_t)state->st_mode,
                               (uint64_t)state->st_mtim.tv_sec, (uint64_t)state->st_mtim.tv_nsec,
                               (uint64_t)state->st_ctim.tv_sec, (uint64_t)state->st_ctim.tv_nsec};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        hash = mix(hash, values[i]);
    }
    return hash;
}

static uint64_t folder_signature(const char *path)
{
    uint64_t sum = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return (uint64_t)errno;
    }
    const struct dirent *entry = readdir(folder);
    for (int left = FOLDER_ENTRIES; left > 0 && entry != NULL; left--) {
        struct stat state;
        if (entry->d_name[0] != '.' && fstatat(dirfd(folder), entry->d_name, &state, 0) == 0) {
            sum += mix_state(mix_text(1, entry->d_name), &state); /* a sum: readdir has no order */
        }
        entry = readdir(folder);
    }
    closedir(folder);
    return sum;
}

static uint64_t path_signature(const char *path)
{
    struct stat state;
    if (stat(path, &state) != 0) {
        return (uint64_t)errno;
    }
    if (S_ISDIR(state.st_mode)) {
        return mix(mix((uint64_t)state.st_dev, (uint64_t)state.st_ino), folder_signature(path));
    }
    return mix_state(1, &state);
}

static uint64_t read_signature(const struct watch *watch)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < watch->path_count; i++) {
        hash = mix(hash, path_signature(watch->paths[i]));
    }
    return hash;
}

/* ---- inotify ---- */

static int add_mark(const struct watch *watch, const char *folder)
{
    return inotify_add_watch(watch->fd, folder,
                             MARK_EVENTS); /* NO_MARK on an error: then the fallback sees it */
}

static int mark_parent(const struct watch *watch, const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof(copy)) {
        return NO_MARK;
    }
    memcpy(copy, path, strlen(path) + 1);
    return add_mark(watch, dirname(copy));
}

static bool has_mark(const struct watch *watch, int mark)
{
    for (size_t i = 0; i < watch->path_count * WATCH_MARKS; i++) {
        if (watch->marks[i] == mark) {
            return true;
        }
    }
    return false;
}

static void set_mark(struct watch *watch, size_t at, int mark)
{
    int old = watch->marks[at];
    watch->marks[at] = mark;
    if (old != NO_MARK && !has_mark(watch, old)) {
        (void)inotify_rm_watch(watch->fd, old); /* it may be gone with its folder */
    }
}

/* Folders may have been replaced since; adding one that is watched already changes nothing. */
static void refresh_marks(struct watch *watch)
{
    char resolved[PATH_MAX];
    for (size_t i = 0; watch->fd >= 0 && i < watch->path_count; i++) {
        const char *path = watch->paths[i];
        set_mark(watch, i * WATCH_MARKS, add_mark(watch, path));
        set_mark(watch, i * WATCH_MARKS + 1, mark_parent(watch, path));
        bool is_found = realpath(path, resolved) != NULL;
        set_mark(watch, i * WATCH_MARKS + 2, is_found ? mark_parent(watch, resolved) : NO_MARK);
    }
}

static void hint(struct watch *watch)
{
    mono_ns now = watch->loop->now;
    if (watch->hinted_at == MONO_NEVER) {
        watch->hinted_at = now;
    }
    wheel_set(
        watch->loop->wheel, &watch->debounce,
        mono_min(mono_add(now, WATCH_DEBOUNCE), mono_add(watch->hinted_at, WATCH_DEBOUNCE_MAX)));
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = CONTAINER_OF(poll, struct watch, poll);
    char buffer[EVENT_BYTES];
    (void)status;
    (void)events;
    for (int left = READS_PER_TURN; left > 0 && read(watch->fd, buffer, sizeof(buffer)) > 0;
         left--) {
        hint(watch); /* what happened does not matter: the signature tells */
    }
}

static void open_inotify(struct watch *watch)
{
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd >= 0 && uv_poll_init(&watch->loop->uv, &watch->poll, watch->fd) == 0) {
        watch->has_handle = true;
        INVARIANT(uv_poll_start(&watch->poll, UV_READABLE, on_events) == 0);
        return;
    }
    log_event(LOG_WARN, "watch_degraded",
              LOG_TEXT("file changes are seen within 5 s rather than at once: no inotify instance "
                       "is left (see "
                       "fs.inotify.max_user_instances)"),
              LOG_STR("error", strerror(errno)));
    if (watch->fd >= 0) {
        close(watch->fd);
        watch->fd = -1;
    }
}

/* ---- timers ---- */

static void on_debounce(struct timer *timer, mono_ns now)
{
    struct watch *watch = CONTAINER_OF(timer, struct watch, debounce);
    (void)now;
    watch->hinted_at = MONO_NEVER;
    refresh_marks(watch); /* before the signature: what changes after it makes an event */
    uint64_t signature = read_signature(watch);
    if (signature != watch->signature) {
        watch->signature = signature;
        watch->on_change(watch);
    }
}

static void on_fallback(struct timer *timer, mono_ns now)
{
    struct watch *watch = CONTAINER_OF(timer, struct watch, fallback);
    wheel_set(watch->loop->wheel, &watch->fallback, mono_add(now, WATCH_POLL));
    if (read_signature(watch) != watch->signature) {
        hint(watch);
    }
}

/* ---- life ---- */

static void free_tables(struct watch *watch)
{
    for (size_t i = 0; i < watch->path_count; i++) {
        free(watch->paths[i]);
    }
    free(watch->paths);
    free(watch->marks);
    watch->paths = NULL;
    watch->marks = NULL;
    watch->path_count = 0;
}

static enum err copy_paths(struct watch *watch, const char *const *paths, size_t count)
{
    watch->paths = calloc(count + 1, sizeof(*watch->paths));
    watch->marks = calloc(count * WATCH_MARKS + 1, sizeof(*watch->marks));
    if (watch->paths == NULL || watch->marks == NULL) {
        free_tables(watch);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count * WATCH_MARKS; i++) {
        watch->marks[i] = NO_MARK;
    }
    for (size_t i = 0; i < count; i++) {
        watch->paths[i] = strdup(paths[i]);
        if (watch->paths[i] == NULL) {
            free_tables(watch);
            return ERR_NO_MEMORY;
        }
        watch->path_count++;
    }
    return OK;
}

enum err watch_open(struct watch *watch, struct loop *loop, const char *const *paths, size_t count,
                    void (*on_change)(struct watch *watch))
{
    *watch = (struct watch){.magic = WATCH_MAGIC,
                            .fd = -1,
                            .loop = loop,
                            .on_change = on_change,
                            .hinted_at = MONO_NEVER};
    timer_init(&watch->debounce, on_debounce);
    timer_init(&watch->fallback, on_fallback);
    if (copy_paths(watch, paths, count) != OK) {
        watch->magic = 0;
        return ERR_NO_MEMORY;
    }
    open_inotify(watch);
    refresh_marks(watch);
    watch->signature = read_signature(watch);
    wheel_set(loop->wheel, &watch->fallback, mono_add(loop->now, WATCH_POLL));
    return OK;
}

static void finish_close(struct watch *watch)
{
    watch->magic = 0;
    if (watch->on_closed != NULL) {
        watch->on_closed(watch);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF(handle, struct watch, poll));
}

static void on_close_task(struct loop_task *task)
{
    finish_close(CONTAINER_OF(task, struct watch, close_task));
}

void watch_close(struct watch *watch, void (*on_closed)(struct watch *watch))
{
    CHECK_OBJ(watch, WATCH_MAGIC);
    INVARIANT(watch->on_change != NULL);
    watch->on_change = NULL;
    watch->on_closed = on_closed;
    wheel_clear(watch->loop->wheel, &watch->debounce);
    wheel_clear(watch->loop->wheel, &watch->fallback);
    free_tables(watch);
    if (!watch->has_handle) {
        loop_task_init(&watch->close_task, on_close_task);
        loop_defer(watch->loop, &watch->close_task);
        return;
    }
    uv_close((uv_handle_t *)&watch->poll, on_handle_closed);
    close(watch->fd);
    watch->fd = -1;
}
