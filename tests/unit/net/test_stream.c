#include "base/check.h"
#include "loop_driver.h"
#include "net/address.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    struct stream stream;
    unsigned flags; /* all that came */
    int events;
    int hangups;
    int connects;
    enum reason reason;
    bool has_closed;
    bool closes_itself;
    bool reads;
    char got[64];
    size_t got_len;
    ssize_t last;
};

static struct peer *peer_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct peer, stream);
}

static void on_event(struct stream *stream, unsigned flags)
{
    struct peer *peer = peer_of(stream);
    peer->events++;
    peer->flags |= flags;
    peer->hangups += flags & STREAM_HANGUP ? 1 : 0;
    if (peer->reads && (flags & STREAM_READABLE)) {
        peer->last =
            stream_recv(stream, peer->got + peer->got_len, sizeof(peer->got) - peer->got_len);
        peer->got_len += peer->last > 0 ? (size_t)peer->last : 0;
        if (peer->last == 0 || peer->last == STREAM_FAILED) {
            stream_want(stream, false, false);
        }
    }
    if (peer->closes_itself) {
        stream_close(stream);
    }
}

static void on_connected(struct stream *stream, enum reason reason)
{
    struct peer *peer = peer_of(stream);
    peer->connects++;
    peer->reason = reason;
    if (reason == REASON_NONE) {
        stream_set_callback(stream, on_event);
    }
    if (peer->closes_itself) {
        stream_close(stream);
    }
}

static void on_closed(struct stream *stream)
{
    peer_of(stream)->has_closed = true;
}

/* Our end of a socket pair in the loop, the other end as a plain descriptor. */
static int open_pair(struct peer *peer, struct loop *loop)
{
    int fds[2];
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    cr_assert(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    memset(peer, 0, sizeof(*peer));
    cr_assert_eq(stream_open(&peer->stream, loop, fds[0], on_event, on_closed), OK);
    return fds[1];
}

static int listen_on(struct address *bound)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 8) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&at, len, bound), OK);
    return fd;
}

/* The same over TCP, where RST and FIN differ. */
static int open_tcp_pair(struct peer *peer, struct loop *loop)
{
    struct address at;
    int listener = listen_on(&at);
    memset(peer, 0, sizeof(*peer));
    stream_connect(&peer->stream, loop, &at.any, at.len, on_connected, on_closed);
    TURN_UNTIL(loop, peer->connects == 1);
    cr_assert_eq(peer->reason, REASON_NONE);
    int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(other >= 0);
    close(listener);
    return other;
}

static void close_peer(struct peer *peer, struct loop *loop)
{
    stream_close(&peer->stream);
    TURN_UNTIL(loop, peer->has_closed);
}

Test(stream, delivers_only_what_is_wanted)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    cr_assert(write(other, "x", 1) == 1);
    driver_settle(loop);
    cr_assert_eq(peer.events, 0);
    peer.reads = true;
    stream_want(&peer.stream, true, false);
    TURN_UNTIL(loop, peer.got_len == 1);
    cr_assert_eq(peer.flags, STREAM_READABLE);
    stream_want(&peer.stream, true, true);
    TURN_UNTIL(loop, peer.flags & STREAM_WRITABLE);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, masks_an_event_that_is_no_longer_wanted_within_the_turn)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    stream_want(&peer.stream, true, false);
    loop_turn(loop, false); /* epoll watches now */
    cr_assert(write(other, "x", 1) == 1);
    stream_want(&peer.stream, false, false);
    peer.stream.interest.on_ready(&peer.stream.interest,
                                  EPOLLIN); /* as if it had been in the same batch */
    cr_assert_eq(peer.events, 0);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, touches_epoll_only_when_interest_has_changed_by_the_end_of_the_turn)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    stream_want(&peer.stream, true, false);
    loop_turn(loop, false);
    cr_assert(list_is_empty(&loop->interests.changed));
    stream_want(&peer.stream, false, true);
    cr_assert(!list_is_empty(&loop->interests.changed));
    stream_want(&peer.stream, true, false);
    cr_assert(list_is_empty(&loop->interests.changed), "changed its mind: nothing to tell epoll");
    stream_want(&peer.stream, true, false);
    cr_assert(list_is_empty(&loop->interests.changed));
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, tells_a_hangup_once_even_when_nothing_is_wanted)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    loop_turn(loop, false);
    cr_assert(write(other, "bye", 3) == 3);
    close(other);
    TURN_UNTIL(loop, peer.hangups == 1);
    driver_settle(loop);
    cr_assert_eq(peer.events, 1);
    peer.reads = true;
    stream_want(&peer.stream, true, false);
    TURN_UNTIL(loop,
               peer.got_len == 3 && peer.last == 0); /* what came before the end is still read */
    cr_assert_eq(peer.hangups, 1);
    close_peer(&peer, loop);
    loop_free(&loop);
}

Test(stream, goes_on_both_ways_after_the_peer_has_half_closed)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    char byte;
    int other = open_tcp_pair(&peer, loop);
    cr_assert(shutdown(other, SHUT_WR) == 0);
    TURN_UNTIL(loop, peer.hangups == 1);
    cr_assert_eq(stream_send(&peer.stream, "y", 1), 1);
    cr_assert(recv(other, &byte, 1, 0) == 1 && byte == 'y');
    cr_assert_eq(stream_shutdown_write(&peer.stream), OK);
    cr_assert(recv(other, &byte, 1, 0) == 0);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, sees_a_reset_as_hangup_and_then_fails_without_spinning)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    const struct linger at_once = {.l_onoff = 1};
    int other = open_tcp_pair(&peer, loop);
    loop_turn(loop, false);
    cr_assert(setsockopt(other, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
    close(other);
    TURN_UNTIL(loop, peer.hangups == 1);
    driver_settle(loop);
    cr_assert_eq(peer.events, 1, "the error must not be reported for ever");
    peer.reads = true;
    stream_want(&peer.stream, true, false);
    TURN_UNTIL(loop, peer.last == STREAM_FAILED);
    cr_assert_eq(peer.stream.error, ECONNRESET);
    cr_assert_eq(stream_send(&peer.stream, "x", 1), STREAM_FAILED); /* and no SIGPIPE */
    cr_assert_eq(peer.stream.error, EPIPE);
    close_peer(&peer, loop);
    loop_free(&loop);
}

Test(stream, may_be_closed_in_its_own_callback_and_says_nothing_afterwards)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    peer.closes_itself = true;
    stream_want(&peer.stream, true, true);
    cr_assert(write(other, "x", 1) == 1);
    TURN_UNTIL(loop, peer.has_closed);
    cr_assert_eq(peer.events, 1);
    cr_assert_eq(peer.stream.fd, -1);
    char byte;
    cr_assert(recv(other, &byte, 1, 0) <= 0, "the descriptor was closed");
    close(other);
    loop_free(&loop);
}

Test(stream, reuses_the_descriptor_number_in_the_turn_in_which_it_was_closed)
{
    struct loop *loop = driver_loop();
    struct peer first;
    struct peer second;
    int fds[2];
    int other = open_pair(&first, loop);
    stream_want(&first.stream, true, false);
    loop_turn(loop, false);
    int number = first.stream.fd;
    stream_close(&first.stream);
    stream_close(&first.stream);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    cr_assert_eq(fds[0], number);
    memset(&second, 0, sizeof(second));
    cr_assert_eq(stream_open(&second.stream, loop, fds[0], on_event, on_closed), OK);
    second.reads = true;
    stream_want(&second.stream, true, false);
    cr_assert(write(fds[1], "z", 1) == 1);
    TURN_UNTIL(loop, second.got_len == 1 && first.has_closed);
    cr_assert_eq(first.events, 0);
    close_peer(&second, loop);
    close(other);
    close(fds[1]);
    loop_free(&loop);
}

Test(stream, sends_parts_gathered_and_says_again_when_the_peer_is_slow)
{
    static char block[65536];
    struct loop *loop = driver_loop();
    struct peer peer;
    const struct iovec parts[] = {{.iov_base = "ab", .iov_len = 2},
                                  {.iov_base = "cd", .iov_len = 2}};
    char got[5] = "";
    int other = open_pair(&peer, loop);
    cr_assert_eq(stream_sendv(&peer.stream, parts, 2), 4);
    cr_assert(recv(other, got, 4, 0) == 4);
    cr_assert_str_eq(got, "abcd");
    ssize_t sent = 1;
    while (sent > 0) {
        sent = stream_send(&peer.stream, block, sizeof(block));
    }
    cr_assert_eq(sent, STREAM_AGAIN);
    stream_want(&peer.stream, false, true);
    driver_settle(loop);
    cr_assert_eq(peer.events, 0);
    while (recv(other, block, sizeof(block), MSG_DONTWAIT) > 0) {
    }
    TURN_UNTIL(loop, peer.flags & STREAM_WRITABLE);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, says_again_when_there_is_nothing_to_read)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_pair(&peer, loop);
    cr_assert_eq(stream_recv(&peer.stream, loop->read_buffer, LOOP_READ_BYTES), STREAM_AGAIN);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

Test(stream, finds_an_idle_connection_dead_after_fin_or_unasked_bytes)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int other = open_tcp_pair(&peer, loop);
    cr_assert(!stream_peek_dead(&peer.stream));
    cr_assert(write(other, "x", 1) == 1);
    TURN_UNTIL(loop, stream_peek_dead(&peer.stream));
    cr_assert_eq(stream_recv(&peer.stream, peer.got, 1), 1);
    cr_assert(!stream_peek_dead(&peer.stream), "peeking takes nothing");
    close(other);
    TURN_UNTIL(loop, stream_peek_dead(&peer.stream));
    close_peer(&peer, loop);
    cr_assert(peer.stream.state == STREAM_CLOSED);
    loop_free(&loop);
}

Test(stream, resets_the_peer_when_asked_to)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    char byte;
    int other = open_tcp_pair(&peer, loop);
    stream_reset(&peer.stream);
    TURN_UNTIL(loop, peer.has_closed);
    cr_assert(recv(other, &byte, 1, 0) == -1 && errno == ECONNRESET);
    close(other);
    loop_free(&loop);
}

Test(stream, ends_orderly_otherwise)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    char byte;
    int other = open_tcp_pair(&peer, loop);
    cr_assert_eq(stream_send(&peer.stream, "q", 1), 1);
    close_peer(&peer, loop);
    cr_assert(recv(other, &byte, 1, 0) == 1 && byte == 'q');
    cr_assert(recv(other, &byte, 1, 0) == 0);
    close(other);
    loop_free(&loop);
}

Test(stream, connects_over_tcp_without_nagle)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int on = 0;
    socklen_t len = sizeof(on);
    int other = open_tcp_pair(&peer, loop);
    cr_assert(stream_is_open(&peer.stream));
    cr_assert(getsockopt(peer.stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0);
    cr_assert(fcntl(peer.stream.fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(peer.stream.fd, F_GETFD) & FD_CLOEXEC);
    close_peer(&peer, loop);
    close(other);
    loop_free(&loop);
}

static void connect_to(struct peer *peer, struct loop *loop, const struct address *to)
{
    memset(peer, 0, sizeof(*peer));
    stream_connect(&peer->stream, loop, &to->any, to->len, on_connected, on_closed);
    cr_assert_eq(peer->connects, 0, "never from inside the call");
}

Test(stream, says_refused_when_nobody_listens)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    struct address at;
    close(listen_on(&at));
    connect_to(&peer, loop, &at);
    TURN_UNTIL(loop, peer.connects == 1);
    cr_assert_eq(peer.reason, REASON_CONNECT_REFUSED);
    cr_assert_eq(peer.stream.error, ECONNREFUSED);
    driver_settle(loop);
    cr_assert_eq(peer.connects, 1);
    cr_assert(!stream_is_open(&peer.stream));
    close_peer(&peer, loop);
    loop_free(&loop);
}

Test(stream, says_refused_when_a_unix_socket_is_missing_and_connects_when_it_is_there)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    struct address at;
    char text[64] = "unix:/tmp/outrigger-stream-XXXXXX";
    cr_assert_not_null(mkdtemp(text + 5));
    strcat(text, "/s");
    cr_assert_eq(address_parse(span_of(text), &at), OK);
    connect_to(&peer, loop, &at);
    TURN_UNTIL(loop, peer.connects == 1);
    cr_assert_eq(peer.reason, REASON_CONNECT_REFUSED);
    close_peer(&peer, loop);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(bind(listener, &at.any, at.len) == 0 && listen(listener, 1) == 0);
    connect_to(&peer, loop, &at);
    TURN_UNTIL(loop, peer.connects == 1);
    cr_assert_eq(peer.reason, REASON_NONE);
    cr_assert(stream_is_open(&peer.stream));
    close_peer(&peer, loop);
    close(listener);
    unlink(text + 5);
    text[strlen(text) - 2] = '\0';
    rmdir(text + 5);
    loop_free(&loop);
}

Test(stream, says_overloaded_when_no_descriptor_is_left)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    struct address at;
    struct rlimit limit;
    int listener = listen_on(&at);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
    connect_to(&peer, loop, &at);
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    TURN_UNTIL(loop, peer.connects == 1);
    cr_assert_eq(peer.reason, REASON_OVERLOADED);
    close_peer(&peer, loop);
    close(listener);
    loop_free(&loop);
}

Test(stream, may_be_closed_while_it_connects_and_in_the_connect_callback)
{
    struct loop *loop = driver_loop();
    struct peer early;
    struct peer inside;
    struct address at;
    int listener = listen_on(&at);
    connect_to(&early, loop, &at);
    connect_to(&inside, loop, &at);
    inside.closes_itself = true;
    close_peer(&early, loop);
    cr_assert_eq(early.connects, 0);
    TURN_UNTIL(loop, inside.has_closed);
    cr_assert_eq(inside.connects, 1);
    close(listener);
    loop_free(&loop);
}

Test(stream, may_be_closed_before_a_decided_connect_was_told)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    struct address at;
    cr_assert_eq(address_parse(SPAN("unix:/nonexistent/socket"), &at), OK);
    connect_to(&peer, loop, &at);
    close_peer(&peer, loop);
    cr_assert_eq(peer.connects, 0);
    loop_free(&loop);
}

Test(stream, names_the_reason_of_a_failed_connect)
{
    cr_assert_eq(tcp_connect_reason(0), REASON_NONE);
    cr_assert_eq(tcp_connect_reason(ETIMEDOUT), REASON_CONNECT_TIMEOUT);
    cr_assert_eq(tcp_connect_reason(EHOSTUNREACH), REASON_CONNECT_REFUSED);
    cr_assert_eq(tcp_connect_reason(ENETUNREACH), REASON_CONNECT_REFUSED);
    cr_assert_eq(tcp_connect_reason(EADDRNOTAVAIL), REASON_OVERLOADED);
    cr_assert_eq(tcp_connect_reason(ENFILE), REASON_OVERLOADED);
    cr_assert_eq(tcp_connect_reason(ENOSPC), REASON_OVERLOADED);
}

Test(stream, leaves_a_descriptor_that_it_cannot_take_to_the_caller)
{
    struct loop *loop = driver_loop();
    struct peer peer;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    memset(&peer, 0, sizeof(peer));
    cr_assert_eq(stream_open(&peer.stream, loop, file, on_event, on_closed), ERR_SYSTEM);
    cr_assert(close(file) == 0);
    loop_free(&loop);
}
