/* relay.c - the floor that no proxy on TCP gets below: bytes from one socket to another, no HTTP.
 *
 * usage: relay PORT UPSTREAM_PORT. One thread, edge-triggered epoll, recv and send, one upstream
 * connection for each client connection. What a peer does not take at once waits in a buffer of its
 * direction; reading goes on when it is empty. */
#include "loopback.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX 65536
#define EVENTS_MAX 256

struct pair;

struct side {
    int fd;
    struct pair *pair;
    struct side *other;
    char *waiting; /* bytes for this side that it did not take yet */
    size_t waiting_len;
};

struct pair {
    struct side client;
    struct side upstream;
    struct pair *next_dead;
};

static int epoll;
static const char *upstream_port;
static struct pair *dead; /* freed after the batch of events that may still name them */

static void watch(struct side *side)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};
    int one = 1;
    setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, side->fd, &event))
        die("epoll_ctl");
}

static void end_pair(struct pair *pair)
{
    if (pair->client.fd < 0)
        return;
    close(pair->client.fd);
    close(pair->upstream.fd);
    pair->client.fd = pair->upstream.fd = -1;
    pair->next_dead = dead;
    dead = pair;
}

static void begin_pair(int fd)
{
    const struct sockaddr_in address = loopback(upstream_port);
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair)
        die("calloc");
    pair->client = (struct side){.fd = fd, .pair = pair, .other = &pair->upstream};
    pair->upstream = (struct side){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
                                   .pair = pair,
                                   .other = &pair->client};
    if (pair->upstream.fd < 0)
        die("socket");
    if (connect(pair->upstream.fd, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS)
        die("connect");
    watch(&pair->client);
    watch(&pair->upstream);
}

/* False when the side is gone. */
static bool flush_side(struct side *side)
{
    while (side->waiting_len) {
        ssize_t sent = send(side->fd, side->waiting, side->waiting_len, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == ENOTCONN;
        side->waiting_len -= (size_t)sent;
        memmove(side->waiting, side->waiting + sent, side->waiting_len);
    }
    return true;
}

static bool keep(struct side *side, const char *bytes, size_t len)
{
    if (!side->waiting)
        side->waiting = malloc(READ_MAX);
    if (!side->waiting)
        die("malloc");
    memcpy(side->waiting, bytes, len);
    side->waiting_len = len;
    return true;
}

static bool pump(struct side *from)
{
    static char bytes[READ_MAX];
    struct side *to = from->other;
    while (to->waiting_len == 0) {
        ssize_t len = recv(from->fd, bytes, sizeof bytes, 0);
        if (len < 0)
            return errno == EAGAIN || errno == ENOTCONN;
        if (len == 0)
            return false;
        ssize_t sent = send(to->fd, bytes, (size_t)len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
            return false;
        if (sent < len)
            return keep(to, bytes + (sent > 0 ? sent : 0), (size_t)(len - (sent > 0 ? sent : 0)));
        if ((size_t)len < sizeof bytes)
            return true; /* drained: the next edge tells */
    }
    return true;
}

static void on_event(struct side *side, uint32_t events)
{
    if (side->fd < 0)
        return;
    bool had_waiting = side->waiting_len > 0;
    bool is_alive = !(events & (EPOLLERR | EPOLLHUP)) && flush_side(side);
    if (is_alive && had_waiting && side->waiting_len == 0)
        is_alive = pump(side->other);
    if (is_alive && (events & EPOLLIN))
        is_alive = pump(side);
    if (!is_alive || (events & EPOLLRDHUP))
        end_pair(side->pair);
}

static void free_dead(void)
{
    while (dead) {
        struct pair *pair = dead;
        dead = pair->next_dead;
        free(pair->client.waiting);
        free(pair->upstream.waiting);
        free(pair);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: relay PORT UPSTREAM_PORT\n", stderr);
        return 2;
    }
    const int listener = listen_on(argv[1]);
    upstream_port = argv[2];
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_MAX];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        die("epoll");
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1), fd;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                on_event(events[i].data.ptr, events[i].events);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                begin_pair(fd);
        }
        free_dead();
    }
}
