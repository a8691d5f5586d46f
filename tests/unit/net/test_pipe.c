#include "net/pipe.h"
#include "net/stream.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
    int ours[2];
    int theirs[2];
    struct stream from; /* only what pipe.c looks at */
    struct stream to;
};

static void open_ends(struct ends *ends)
{
    for (int i = 0; i < 2; i++) {
        int pair[2];
        cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
        ends->ours[i] = pair[0];
        ends->theirs[i] = pair[1];
    }
    ends->from = (struct stream){.fd = ends->ours[0]};
    ends->to = (struct stream){.fd = ends->ours[1]};
}

static void close_ends(struct ends *ends)
{
    for (int i = 0; i < 2; i++) {
        close(ends->ours[i]);
        close(ends->theirs[i]);
    }
}

Test(pipe, moves_bytes_from_one_socket_to_another)
{
    struct pipe_pool pool;
    struct ends ends;
    char got[16];
    open_ends(&ends);
    pipe_pool_init(&pool);
    cr_assert(pipe_pool_has(&pool));
    struct pipe *pipe = pipe_take(&pool);
    cr_assert_eq(pipe_fill(pipe, &ends.from), STREAM_AGAIN);
    cr_assert_eq(send(ends.theirs[0], "hello", 5, 0), 5);
    cr_assert_eq(pipe_fill(pipe, &ends.from), 5);
    cr_assert_eq(pipe->held, 5);
    cr_assert_eq(pipe_drain(pipe, &ends.to), 5);
    cr_assert_eq(pipe->held, 0);
    cr_assert_eq(recv(ends.theirs[1], got, sizeof got, 0), 5);
    cr_assert_eq(memcmp(got, "hello", 5), 0);
    shutdown(ends.theirs[0], SHUT_WR);
    cr_assert_eq(pipe_fill(pipe, &ends.from), 0);
    pipe_give(&pool, &pipe);
    cr_assert_null(pipe);
    pipe_pool_fini(&pool);
    close_ends(&ends);
}

Test(pipe, keeps_what_the_other_socket_does_not_take)
{
    static char bytes[65536];
    struct pipe_pool pool;
    struct ends ends;
    open_ends(&ends);
    pipe_pool_init(&pool);
    while (send(ends.ours[1], bytes, sizeof bytes, 0) > 0) {
    }
    cr_assert_eq(send(ends.theirs[0], "x", 1, 0), 1);
    cr_assert(pipe_pool_has(&pool));
    struct pipe *pipe = pipe_take(&pool);
    cr_assert_eq(pipe_fill(pipe, &ends.from), 1);
    cr_assert_eq(pipe_drain(pipe, &ends.to), STREAM_AGAIN);
    cr_assert_eq(pipe->held, 1);
    pipe_give(&pool, &pipe);
    cr_assert_eq(pool.count, 0, "it was closed, its byte is nobody else's");
    pipe_pool_fini(&pool);
    close_ends(&ends);
}

Test(pipe, pool_gives_so_many_and_no_more)
{
    struct pipe_pool pool;
    struct pipe *taken[PIPES_MAX];
    pipe_pool_init(&pool);
    for (int i = 0; i < PIPES_MAX; i++) {
        cr_assert(pipe_pool_has(&pool));
        taken[i] = pipe_take(&pool);
    }
    cr_assert_not(pipe_pool_has(&pool));
    pipe_give(&pool, &taken[0]);
    cr_assert(pipe_pool_has(&pool));
    for (int i = 1; i < PIPES_MAX; i++)
        pipe_give(&pool, &taken[i]);
    pipe_pool_fini(&pool);
    cr_assert_eq(pool.count, 0);
}
