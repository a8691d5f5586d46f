/* pipe.c - see pipe.h. A pipe that the kernel does not let grow (fs.pipe-user-pages-soft) stays as
 * small as it is made, 64 KiB: it still saves the copies, only in smaller pieces. */
#include "net/pipe.h"

#include "base/check.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void pipe_pool_init(struct pipe_pool *pool)
{
    list_init(&pool->idle);
    pool->count = 0;
}

static void close_pipe(struct pipe_pool *pool, struct pipe *pipe)
{
    close(pipe->from);
    close(pipe->into);
    free(pipe);
    pool->count--;
}

void pipe_pool_fini(struct pipe_pool *pool)
{
    while (!list_is_empty(&pool->idle)) {
        struct pipe *pipe = CONTAINER_OF(list_first(&pool->idle), struct pipe, link);
        list_remove(&pipe->link);
        close_pipe(pool, pipe);
    }
    INVARIANT(pool->count == 0);
}

static struct pipe *make(void)
{
    int ends[2];
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL)
        return NULL;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    list_init(&pipe->link);
    pipe->from = ends[0];
    pipe->into = ends[1];
    (void)fcntl(pipe->into, F_SETPIPE_SZ, PIPE_BYTES); /* or it stays small */
    return pipe;
}

bool pipe_pool_has(struct pipe_pool *pool)
{
    if (!list_is_empty(&pool->idle))
        return true;
    struct pipe *pipe = pool->count < PIPES_MAX ? make() : NULL;
    if (pipe == NULL)
        return false;
    list_append(&pool->idle, &pipe->link);
    pool->count++;
    return true;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
    INVARIANT(!list_is_empty(&pool->idle));
    struct pipe *pipe = CONTAINER_OF(list_first(&pool->idle), struct pipe, link);
    list_remove(&pipe->link);
    return pipe;
}

void pipe_give(struct pipe_pool *pool, struct pipe **taken)
{
    struct pipe *pipe = *taken;
    *taken = NULL;
    if (pipe == NULL)
        return;
    if (pipe->held > 0)
        close_pipe(pool, pipe);
    else
        list_append(&pool->idle, &pipe->link);
}

/* `stream` is the one of the two ends that is a socket. */
static ssize_t move(struct stream *stream, int from, int to, size_t most)
{
    ssize_t got;
    do {
        got = splice(from, NULL, to, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return STREAM_AGAIN;
    stream->error = errno;
    return STREAM_FAILED;
}

ssize_t pipe_fill(struct pipe *pipe, struct stream *from)
{
    INVARIANT(pipe->held == 0);
    const ssize_t got = move(from, from->fd, pipe->into, PIPE_BYTES);
    if (got > 0)
        pipe->held = (size_t)got;
    return got;
}

ssize_t pipe_drain(struct pipe *pipe, struct stream *to)
{
    const ssize_t sent = move(to, pipe->from, to->fd, pipe->held);
    if (sent > 0)
        pipe->held -= (size_t)sent;
    return sent;
}
