/* respond.c - the cheapest upstream that still speaks HTTP/1.1: the same answer to every request,
 * keep-alive.
 *
 * usage: respond PORT BODY_BYTES. One thread, epoll; requests have no body; a head of more than 16
 * KiB is a close. */
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

#define DESCRIPTORS_MAX 8192
#define READ_MAX 16384
#define EVENTS_MAX 256

static char *answer;
static size_t answer_len;
static unsigned char
    ends[DESCRIPTORS_MAX]; /* per descriptor: how many bytes of CRLFCRLF the last read ended with */

static void make_answer(size_t body_len)
{
    char head[256];
    int head_len = snprintf(
        head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", body_len);
    answer_len = (size_t)head_len + body_len;
    answer = malloc(answer_len);
    if (!answer)
        die("malloc");
    memcpy(answer, head, (size_t)head_len);
    memset(answer + head_len, 'x', body_len);
}

/* Counts heads that end within these bytes, across reads. */
static unsigned count_heads(int fd, const char *bytes, size_t len)
{
    static const char wanted[] = "\r\n\r\n";
    unsigned heads = 0, matched = ends[fd];
    for (size_t i = 0; i < len; i++) {
        matched = bytes[i] == wanted[matched] ? matched + 1 : bytes[i] == '\r' ? 1 : 0;
        if (matched == 4) {
            heads++;
            matched = 0;
        }
    }
    ends[fd] = (unsigned char)matched;
    return heads;
}

static void serve(int fd)
{
    static char bytes[READ_MAX];
    ssize_t len = recv(fd, bytes, sizeof bytes, 0);
    if (len < 0 && errno == EAGAIN)
        return;
    bool is_alive = len > 0;
    for (unsigned heads = is_alive ? count_heads(fd, bytes, (size_t)len) : 0; heads && is_alive;
         heads--)
        is_alive = send(fd, answer, answer_len, MSG_NOSIGNAL) == (ssize_t)answer_len;
    if (!is_alive)
        close(fd);
}

static void accept_all(int epoll, int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= DESCRIPTORS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
            close(fd);
            continue;
        }
        ends[fd] = 0;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: respond PORT BODY_BYTES\n", stderr);
        return 2;
    }
    make_answer(strtoul(argv[2], NULL, 10));
    int listener = listen_on(argv[1]), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_MAX];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        die("epoll");
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
