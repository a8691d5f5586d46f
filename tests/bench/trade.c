/* trade.c - load without HTTP: bytes up and bytes down, one trade after another.
 *
 * usage: trade PORT UP_BYTES DOWN_BYTES CONNECTIONS SECONDS keep|new. respond_tcp.c says what a
 * trade is; UP_BYTES includes its head of 16. So many connections trade at the same time; with
 * `new` each one trades once and makes room for the next. When the time is over, trades that have
 * begun are finished. Prints {"trades": N, "seconds": S}. */
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
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES 262144
#define EVENTS_MAX 256
#define WAIT_MS 20000
#define HEAD_BYTES 16

struct line {
    int fd;
    uint64_t up_left;
    uint64_t down_left;
};

static struct sockaddr_in to;
static uint64_t up_bytes, down_bytes, trades;
static bool is_kept;
static int epoll;
static size_t open_lines;
static char request[HEAD_BYTES + PIECE_BYTES];
static char answer[PIECE_BYTES];
static double ends_at;

static double seconds_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static size_t at_most(uint64_t len)
{
    return len < PIECE_BYTES ? (size_t)len : PIECE_BYTES;
}

static void dial(struct line *line)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = line};
    int one = 1;
    *line = (struct line){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
                          .up_left = up_bytes,
                          .down_left = down_bytes};
    if (line->fd < 0)
        die("socket");
    setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(line->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect");
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, line->fd, &event))
        die("epoll_ctl");
    open_lines++;
}

/* False when the line has nothing to do any more. */
static bool next_trade(struct line *line)
{
    trades++;
    const bool is_over = seconds_now() >= ends_at;
    if (is_kept && !is_over) {
        line->up_left = up_bytes;
        line->down_left = down_bytes;
        return true;
    }
    close(line->fd);
    open_lines--;
    if (!is_over)
        dial(line);
    return false;
}

static void go_on(struct line *line)
{
    for (;;) {
        ssize_t len;
        if (line->up_left > 0) {
            const uint64_t sent = up_bytes - line->up_left;
            len = send(line->fd, request + (sent < HEAD_BYTES ? sent : HEAD_BYTES),
                       at_most(line->up_left), MSG_NOSIGNAL);
            line->up_left -= len > 0 ? (uint64_t)len : 0;
        } else {
            len = recv(line->fd, answer, at_most(line->down_left), MSG_TRUNC);
            line->down_left -= len > 0 ? (uint64_t)len : 0;
        }
        if (len < 0 && errno == EAGAIN)
            return;
        if (len <= 0)
            die(len < 0 ? "trade" : "trade: the connection was closed");
        if (line->down_left == 0 && !next_trade(line))
            return;
    }
}

static void run(struct line *lines, size_t count)
{
    struct epoll_event events[EVENTS_MAX];
    for (size_t i = 0; i < count; i++)
        dial(&lines[i]);
    while (open_lines > 0) {
        int ready = epoll_wait(epoll, events, EVENTS_MAX, WAIT_MS);
        if (ready == 0) {
            fputs("trade: nothing moves\n", stderr);
            exit(1);
        }
        for (int i = 0; i < ready; i++)
            go_on(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fputs("usage: trade PORT UP_BYTES DOWN_BYTES CONNECTIONS SECONDS keep|new\n", stderr);
        return 2;
    }
    to = loopback(argv[1]);
    up_bytes = strtoull(argv[2], NULL, 10);
    down_bytes = strtoull(argv[3], NULL, 10);
    is_kept = strcmp(argv[6], "keep") == 0;
    const size_t count = strtoul(argv[4], NULL, 10);
    const uint64_t head[2] = {up_bytes - HEAD_BYTES, down_bytes};
    struct line *lines = calloc(count, sizeof *lines);
    epoll = epoll_create1(0);
    if (up_bytes < HEAD_BYTES || down_bytes == 0 || lines == NULL || epoll < 0)
        die("trade");
    memcpy(request, head, sizeof head);
    const double begun = seconds_now();
    ends_at = begun + strtod(argv[5], NULL);
    run(lines, count);
    printf("{\"trades\": %llu, \"seconds\": %.6f}\n", (unsigned long long)trades,
           seconds_now() - begun);
    free(lines);
}
