/* watch.h - says when files or folders have changed, however that was done: written in place,
 * renamed over by an editor, or swapped by the `..data` symlink by which Kubernetes updates a
 * ConfigMap.
 *
 * inotify on the folders is only a hint to look; what decides is a signature (device, inode, size,
 * times) of what the paths resolve to. Every 5 s the signature is compared anyway, so a full
 * inotify queue, a limit on inotify instances or a network file system delays a change but cannot
 * lose it. Bursts are one callback, 100 ms after their last event.
 *
 * Example: watch_open(&watch, loop, paths, count, on_change);
 *          in on_change(struct watch *watch): reload
 *
 * Ownership: embedded in its owner; the paths are copied. */
#ifndef OUTRIGGER_NET_WATCH_H
#define OUTRIGGER_NET_WATCH_H

#include "base/err.h"
#include "base/wheel.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define WATCH_DEBOUNCE (100 * NS_PER_MS)
#define WATCH_MARKS                                                                                \
    3 /* the folder itself, the folder of the path, the folder of what the path resolves to */
#define WATCH_POLL (5 * NS_PER_S)
#define WATCH_DEBOUNCE_MAX                                                                         \
    (1 * NS_PER_S) /* a file that is written without pause is looked at this often */

struct watch {
    uint32_t magic;
    int fd;          /* inotify; -1: polling only */
    bool has_handle; /* `poll` has been initialised */
    struct loop *loop;
    void (*on_change)(struct watch *watch);
    void (*on_closed)(struct watch *watch);
    char **paths;
    size_t path_count;
    int *marks; /* inotify watch descriptors, WATCH_MARKS a path; -1: none */
    uint64_t signature;
    mono_ns hinted_at; /* the first event of the burst; MONO_NEVER when there is none */
    struct timer debounce;
    struct timer fallback;
    struct loop_task close_task;
    uv_poll_t poll;
};

enum err MUST_CHECK watch_open(struct watch *watch, struct loop *loop, const char *const *paths,
                               size_t count, void (*on_change)(struct watch *watch));
/* Paths need not exist (yet); of a folder, the entries whose names do not begin with a dot count.
 * Changes from this call on are seen, so open the watch before reading the files. ERR_NO_MEMORY; no
 * inotify is not an error. */

void watch_close(struct watch *watch, void (*on_closed)(struct watch *watch));
/* No callback after this but on_closed (may be NULL). */

#endif
