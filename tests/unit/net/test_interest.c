#include "base/check.h"
#include "loop_driver.h"
#include "net/interest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct watcher {
    struct interest interest;
    int runs;
    uint32_t events;
    struct interest *closes; /* at the next event */
    int close_fd;
};

static void on_ready(struct interest *interest, uint32_t events)
{
    struct watcher *watcher = CONTAINER_OF(interest, struct watcher, interest);
    watcher->runs++;
    watcher->events |= events;
    if (watcher->closes != NULL) {
        interest_close(watcher->closes);
        close(watcher->close_fd);
        watcher->closes = NULL;
    }
}

struct pair {
    int ours;
    int theirs;
};

static struct pair make_pair(void)
{
    int fds[2];
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    return (struct pair){fds[0], fds[1]};
}

static void watch(struct watcher *watcher, struct loop *loop, int fd, uint32_t events)
{
    memset(watcher, 0, sizeof *watcher);
    cr_assert_eq(interest_open(&watcher->interest, loop, fd, events, on_ready), OK);
}

Test(interest, is_told_while_it_is_asked_and_no_longer)
{
    struct loop *loop = driver_loop();
    const struct pair pair = make_pair();
    struct watcher watcher;
    watch(&watcher, loop, pair.ours, EPOLLIN);
    cr_assert(write(pair.theirs, "x", 1) == 1);
    loop_turn(loop, true);
    loop_turn(loop, true);
    cr_assert_eq(watcher.runs, 2, "level-triggered");
    cr_assert_eq(watcher.events, EPOLLIN);
    interest_change(&watcher.interest, 0);
    driver_settle(loop);
    cr_assert_eq(watcher.runs, 2);
    interest_change(&watcher.interest, EPOLLOUT);
    loop_turn(loop, true);
    cr_assert_eq(watcher.events, EPOLLIN | EPOLLOUT);
    interest_close(&watcher.interest);
    interest_close(&watcher.interest);
    interest_change(&watcher.interest, EPOLLIN);
    close(pair.ours);
    close(pair.theirs);
    loop_free(&loop);
}

Test(interest, tells_a_failure_that_nobody_asks_for_once)
{
    struct loop *loop = driver_loop();
    const struct pair pair = make_pair();
    struct watcher watcher;
    watch(&watcher, loop, pair.ours, EPOLLIN);
    interest_change(&watcher.interest, 0);
    loop_turn(loop, false);
    close(pair.theirs);
    driver_settle(loop);
    cr_assert_eq(watcher.runs, 1);
    cr_assert(watcher.events & EPOLLHUP);
    interest_close(&watcher.interest);
    close(pair.ours);
    loop_free(&loop);
}

Test(interest, finds_nobody_where_the_owner_went_within_the_batch)
{
    struct loop *loop = driver_loop();
    const struct pair pairs[2] = {make_pair(), make_pair()};
    struct watcher watchers[2];
    for (int i = 0; i < 2; i++)
        watch(&watchers[i], loop, pairs[i].ours, EPOLLIN);
    for (int i = 0; i < 2; i++) {
        watchers[i].closes = &watchers[1 - i].interest; /* who comes first closes the other */
        watchers[i].close_fd = pairs[1 - i].ours;
        cr_assert(write(pairs[i].theirs, "x", 1) == 1);
    }
    loop_turn(loop, true);
    cr_assert_eq(watchers[0].runs + watchers[1].runs, 1);
    driver_settle(loop);
    cr_assert(watchers[0].runs == 0 || watchers[1].runs == 0);
    const int left = watchers[0].runs > 0 ? 0 : 1;
    interest_close(&watchers[left].interest);
    close(pairs[left].ours);
    close(pairs[0].theirs);
    close(pairs[1].theirs);
    loop_free(&loop);
}

/* As between fork and exec of a child: closed by us, the socket lives on, and epoll with it. */
Test(interest, knows_its_own_events_from_those_of_a_socket_that_somebody_else_holds)
{
    struct loop *loop = driver_loop();
    const struct pair old = make_pair();
    const struct pair new = make_pair();
    struct watcher gone;
    struct watcher watcher;
    watch(&gone, loop, old.ours, EPOLLIN);
    const int held = dup(old.ours);
    interest_close(&gone.interest);
    close(old.ours);
    cr_assert_eq(dup2(new.ours, old.ours), old.ours, "the number is used again");
    watch(&watcher, loop, old.ours, EPOLLIN);
    cr_assert(write(old.theirs, "x", 1) == 1);
    driver_settle(loop);
    cr_assert_eq(gone.runs + watcher.runs, 0);
    cr_assert(write(new.theirs, "x", 1) == 1);
    loop_turn(loop, true);
    cr_assert_eq(watcher.runs, 1);
    interest_close(&watcher.interest);
    close(held);
    close(old.ours);
    close(old.theirs);
    close(new.ours);
    close(new.theirs);
    loop_free(&loop);
}

Test(interest, is_withdrawn_from_a_socket_that_lives_on)
{
    struct loop *loop = driver_loop();
    const struct pair pair = make_pair();
    struct watcher first;
    struct watcher second;
    watch(&first, loop, pair.ours, EPOLLIN);
    interest_withdraw(&first.interest);
    interest_withdraw(&first.interest);
    watch(&second, loop, pair.ours, EPOLLIN);
    cr_assert(write(pair.theirs, "x", 1) == 1);
    loop_turn(loop, true);
    cr_assert_eq(first.runs, 0);
    cr_assert_eq(second.runs, 1);
    interest_close(&second.interest);
    close(pair.ours);
    close(pair.theirs);
    loop_free(&loop);
}

Test(interest, moves_with_what_epoll_has_not_been_told_yet)
{
    struct loop *loop = driver_loop();
    const struct pair pair = make_pair();
    struct watcher first;
    struct watcher second = {.runs = 0};
    watch(&first, loop, pair.ours, EPOLLIN);
    interest_change(&first.interest, EPOLLOUT);
    interest_move(&second.interest, &first.interest);
    loop_turn(loop, true);
    cr_assert_eq(first.runs, 0);
    cr_assert_eq(second.runs, 1);
    cr_assert_eq(second.events, EPOLLOUT);
    interest_close(&second.interest);
    close(pair.ours);
    close(pair.theirs);
    loop_free(&loop);
}

Test(interest, serves_more_than_one_batch_and_says_when_it_has_not_seen_all)
{
    enum { MANY = INTEREST_BATCH + 40 };
    static struct watcher watchers[MANY];
    static struct pair pairs[MANY];
    struct loop *loop = driver_loop();
    for (int i = 0; i < MANY; i++) {
        pairs[i] = make_pair();
        watch(&watchers[i], loop, pairs[i].ours, EPOLLIN);
        cr_assert(write(pairs[i].theirs, "x", 1) == 1);
    }
    loop_turn(loop, true);
    cr_assert(!loop->interests.is_whole);
    loop_turn(loop, true);
    int served = 0;
    for (int i = 0; i < MANY; i++) {
        served += watchers[i].runs > 0;
        interest_close(&watchers[i].interest);
        close(pairs[i].ours);
        close(pairs[i].theirs);
    }
    cr_assert_eq(served, MANY, "epoll goes round");
    loop_turn(loop, false);
    cr_assert(loop->interests.is_whole);
    loop_free(&loop);
}

Test(interest, does_not_take_what_cannot_be_watched)
{
    struct loop *loop = driver_loop();
    struct watcher watcher;
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(interest_open(&watcher.interest, loop, file, EPOLLIN, on_ready), ERR_SYSTEM);
    cr_assert_eq(errno, EPERM);
    interest_close(&watcher.interest);
    close(file);
    loop_free(&loop);
}
