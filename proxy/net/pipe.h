/* pipe.h - pipes of the kernel, by which bytes go from one socket to another without being copied
 * into this process (splice(2)).
 *
 * A pool holds at most PIPES_MAX; who gets none reads and writes instead. A pipe is taken for one
 * move and given back when it is empty, so only streams whose reader is slow keep one: that bounds
 * what the kernel holds for all of them together at PIPES_MAX * PIPE_BYTES.
 *
 * Example: if (pipe_pool_has(pool)) {
 *              struct pipe *pipe = pipe_take(pool);
 *              ssize_t got = pipe_fill(pipe, from);       // as stream_recv
 *              ssize_t sent = pipe_drain(pipe, to);       // as stream_send; pipe->held is the rest
 *              pipe_give(pool, &pipe);
 *          }
 * Streams without TLS only. SIGPIPE must be ignored: splice(2) cannot be told MSG_NOSIGNAL.
 * Loop thread only. */
#ifndef OUTRIGGER_NET_PIPE_H
#define OUTRIGGER_NET_PIPE_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PIPES_MAX 16
#define PIPE_BYTES (1024 * 1024) /* what the kernel gives without asking, fs.pipe-max-size */

struct stream;

struct pipe {
    struct list link; /* in pool->idle */
    int from;         /* what is read from it */
    int into;
    size_t held;
};

struct pipe_pool {
    struct list idle;
    unsigned count; /* idle or taken */
};

void pipe_pool_init(struct pipe_pool *pool);
void pipe_pool_fini(struct pipe_pool *pool);
/* Those that were taken must be back. */

bool pipe_pool_has(struct pipe_pool *pool);
/* True when pipe_take will give one; makes it. */

struct pipe *pipe_take(struct pipe_pool *pool);
void pipe_give(struct pipe_pool *pool, struct pipe **taken);
/* One with bytes left in it is closed: they belong to nobody else. NULL inside is harmless. */

ssize_t pipe_fill(struct pipe *pipe, struct stream *from);
/* Into an empty pipe. Returns as stream_recv. */

ssize_t pipe_drain(struct pipe *pipe, struct stream *to);
/* Returns as stream_send. */

#endif
