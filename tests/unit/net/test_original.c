#include "net/original.h"

#include <criterion/criterion.h>
#include <unistd.h>

/* Redirections of the kernel are tests/e2e/test_interception.py's and test_run_transparent.py's. */

static int accepted(struct address *here)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int door = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(door, (struct sockaddr *)&at, len) == 0 && listen(door, 1) == 0);
    cr_assert(getsockname(door, (struct sockaddr *)&at, &len) == 0);
    cr_assert(connect(caller, (struct sockaddr *)&at, len) == 0);
    const int fd = accept(door, NULL, NULL);
    cr_assert(fd >= 0);
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&at, len, here), OK);
    close(door);
    close(caller);
    return fd;
}

Test(original, is_none_where_somebody_meant_us)
{
    struct address here, every, original;
    const int fd = accepted(&here);
    every = here;
    every.in.sin_addr.s_addr = htonl(INADDR_ANY);
    cr_expect_eq(original_destination(fd, &here, &original), ORIGINAL_NONE);
    cr_expect_eq(original_destination(fd, &every, &original), ORIGINAL_NONE,
                 "any address of ours is us");
    close(fd);
}

Test(original, is_our_side_where_that_is_not_the_door)
{
    struct address here, door, original;
    const int fd = accepted(&here);
    door = here;
    door.in.sin_port ^= 1;
    cr_expect_eq(original_destination(fd, &door, &original), ORIGINAL_TPROXY);
    cr_expect(address_equal(&original, &here));
    door.in.sin_addr.s_addr = htonl(INADDR_ANY);
    cr_expect_eq(original_destination(fd, &door, &original), ORIGINAL_TPROXY,
                 "another port than its door's");
    door = here;
    door.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    cr_expect_eq(original_destination(fd, &door, &original), ORIGINAL_TPROXY,
                 "another address than its door's");
    close(fd);
}

Test(original, is_none_of_a_unix_socket)
{
    int pair[2];
    struct address door = {.len = 0}, original;
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    cr_expect_eq(original_destination(pair[0], &door, &original), ORIGINAL_NONE);
    close(pair[0]);
    close(pair[1]);
}
