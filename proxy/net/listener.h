/* listener.h - accepts connections on a TCP or Unix address, and keeps its manners when descriptors
 * run out.
 *
 * A turn accepts at most LISTENER_BATCH connections. Without a free descriptor (EMFILE, ENFILE) a
 * spare one is given up to accept and close what waits - a caller sees an end, not silence -, then
 * accepting pauses for 100 ms: never a spin.
 *
 * Example: char why[LISTENER_TEXT_BYTES];
 *          if (listener_open(&l, loop, &at, &options, why) != OK)
 *              -> print `why`: it says what to do
 *
 * Ownership: embedded in its owner, which may free it in on_closed. */
#ifndef OUTRIGGER_NET_LISTENER_H
#define OUTRIGGER_NET_LISTENER_H

#include "base/err.h"
#include "base/wheel.h"
#include "net/address.h"
#include "net/interest.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTENER_BACKLOG 1024
#define LISTENER_BATCH                                                                             \
    64 /* connections per turn: a connect flood must not starve those that are served */
#define LISTENER_TEXT_BYTES 320
#define LISTENER_UNIX_MODE 0660

struct listener;

struct listener_options {
    void *context; /* for the callbacks, as listener->options.context */
    void (*on_accept)(struct listener *listener, int fd, const struct address *peer);
    /* takes the descriptor: non-blocking, close-on-exec, TCP_NODELAY */
    bool (*may_accept)(struct listener *listener);
    /* asked before every accept; false: at limits.maxConnections. NULL: no limit */
    void (*on_refuse)(struct listener *listener, int fd);
    /* takes the descriptor of a connection that may_accept refused. NULL: it is closed */
    mode_t unix_mode; /* of the socket file; 0: LISTENER_UNIX_MODE */
};

struct listener_counts {
    uint64_t accepted;
    uint64_t refused_by_limit; /* may_accept said no */
    uint64_t refused_by_fds;   /* no descriptor left: accepted and closed at once */
    uint64_t pauses;           /* times that accepting stopped for want of descriptors or memory */
};

struct listener {
    uint32_t magic;
    int fd;
    int spare_fd; /* given up when no other descriptor is left; -1 while there is none */
    bool is_accepting;
    bool has_file; /* `bound` names a socket file that we made */
    bool has_closed;
    struct loop *loop;
    struct listener_options options;
    struct address bound;
    struct listener_counts counts;
    dev_t file_dev; /* of the socket file that we made: another process may have put its own there
                       since */
    ino_t file_ino;
    mono_ns log_again_at; /* one log line per 10 s about lack of descriptors */
    struct timer resume;
    void (*on_closed)(struct listener *listener);
    struct interest interest;
    struct loop_task close_task;
};

enum err MUST_CHECK listener_open(struct listener *listener, struct loop *loop,
                                  const struct address *at, const struct listener_options *options,
                                  char why[LISTENER_TEXT_BYTES]);
/* Binds and starts to accept. On an error `why` is one sentence with the address and what to do
 * about it (other out-parameters untouched): ERR_ADDRESS_IN_USE, ERR_ACCESS, ERR_NO_FD,
 * ERR_NOT_FOUND (no such address or folder), ERR_SYSTEM. IPv6 sockets are IPv6 only. A stale socket
 * file is removed if nobody listens on it. */

enum err MUST_CHECK listener_adopt(struct listener *listener, struct loop *loop, int fd,
                                   const struct listener_options *options,
                                   char why[LISTENER_TEXT_BYTES]);
/* The same on a socket that somebody else has made to listen and left open for us; taken on success
 * only. ERR_NOT_FOUND: there is no such descriptor; ERR_INVALID: it is no listening socket of a
 * family that we speak. */

const struct address *listener_address(const struct listener *listener);
/* What is really bound: the port is known even if 0 was asked for. */

void listener_stop_accepting(struct listener *listener);
/* For good: a drain begins. The socket stays bound, callers queue in the kernel until
 * listener_close. */

void listener_close(struct listener *listener, void (*on_closed)(struct listener *listener));
/* Closes the socket now and removes its file; on_closed (may be NULL) follows at the end of the
 * turn. */

#endif
