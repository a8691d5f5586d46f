/* respond_tcp.c - the upstream of trade.c: takes so many bytes, gives so many, no HTTP.
 *
 * usage: respond_tcp PORT. One thread, edge-triggered epoll. A trade is a head of two uint64_t in
 * the order of this machine (bytes behind it, bytes of the answer), the bytes, and then the answer.
 * Who asks waits for the answer before it asks again. Bytes are thrown away unread (MSG_TRUNC), so
 * that the load costs as little as it can. */
#include "loopback.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 8192
#define PIECE_BYTES 262144
#define EVENTS_MAX 256
#define HEAD_BYTES 16

struct line {
    uint64_t head[2]; /* what is to come, what is to go */
    size_t head_len;
};

static struct line lines[DESCRIPTORS_MAX]; /* by descriptor */
static char piece[PIECE_BYTES];

static size_t at_most(uint64_t len)
{
    return len < PIECE_BYTES ? (size_t)len : PIECE_BYTES;
}

/* The head, and what came with it: all of it belongs to this trade. */
static void take_head(struct line *line, const char *bytes, size_t len)
{
    const size_t missing = HEAD_BYTES - line->head_len, used = len < missing ? len : missing;
    memcpy((char *)line->head + line->head_len, bytes, used);
    line->head_len += used;
    if (line->head_len == HEAD_BYTES)
        line->head[0] -= len - used;
}

/* One system call. False when nothing more can be done until the next event, or when it is closed.
 */
static bool step(int fd, struct line *line)
{
    ssize_t len;
    if (line->head_len < HEAD_BYTES) {
        len = recv(fd, piece, sizeof piece, 0);
        if (len > 0)
            take_head(line, piece, (size_t)len);
    } else if (line->head[0] > 0) {
        len = recv(fd, piece, at_most(line->head[0]), MSG_TRUNC);
        line->head[0] -= len > 0 ? (uint64_t)len : 0;
    } else {
        len = send(fd, piece, at_most(line->head[1]), MSG_NOSIGNAL);
        line->head[1] -= len > 0 ? (uint64_t)len : 0;
        if (line->head[1] == 0)
            line->head_len = 0;
    }
    if (len == 0 || (len < 0 && errno != EAGAIN))
        close(fd);
    return len > 0;
}

static void accept_all(int epoll, int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= DESCRIPTORS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
            close(fd);
            continue;
        }
        lines[fd] = (struct line){.head_len = 0};
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: respond_tcp PORT\n", stderr);
        return 2;
    }
    int listener = listen_on(argv[1]), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_MAX];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        die("epoll");
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            const int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(epoll, listener);
            else
                while (step(fd, &lines[fd])) {
                }
        }
    }
}
