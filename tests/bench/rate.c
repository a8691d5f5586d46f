/* rate.c - calls at a fixed rate over keep-alive connections, with honest latencies.
 *
 * usage: rate PORT CALLS_PER_SECOND SECONDS CONNECTIONS. The schedule is fixed in advance (open
 * loop): a call's latency counts from when it was due, not from when its connection was free, so a
 * stall is paid by all calls that it delayed
 * ("coordinated omission"). Prints JSON: requests, errors, and the histogram as [microseconds,
 * count] pairs, for pooling over runs; buckets are 1/64 of a power of two wide, under 1.6 %. */
#include "loopback.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define READ_MAX 65536
#define EVENTS_MAX 256
#define NS_PER_S INT64_C(1000000000)
#define STEPS 64  /* buckets to a power of two */
#define POWERS 30 /* up to 2^30 us */
#define GRACE_S 2 /* how long late answers are waited for at the end */

static const char request[] = "GET /bench HTTP/1.1\r\nHost: bench.test\r\n\r\n";

struct connection {
    int fd;
    int64_t due; /* of the call in flight, or of the next one */
    bool is_busy;
    size_t used;
    size_t expected; /* bytes of the whole answer; 0 while its head is not complete */
    char head[4096];
};

static struct connection connections[CONNECTIONS_MAX];
static uint64_t histogram[POWERS * STEPS];
static uint64_t done, errors;

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static unsigned bucket_of(uint64_t us)
{
    if (us < STEPS)
        return (unsigned)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us);
    unsigned shift = power - 6;
    unsigned bucket = shift * STEPS + (unsigned)(us >> shift);
    return bucket < POWERS * STEPS ? bucket : POWERS * STEPS - 1;
}

static uint64_t bucket_us(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    unsigned shift = bucket / STEPS - 1;
    return (uint64_t)(bucket % STEPS + STEPS) << shift;
}

static void open_connection(struct connection *connection, const struct sockaddr_in *address,
                            int epoll, uint32_t index)
{
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)address, sizeof *address))
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event))
        die("epoll_ctl");
}

static void send_call(struct connection *connection)
{
    connection->is_busy = true;
    connection->used = connection->expected = 0;
    if (send(connection->fd, request, sizeof request - 1, MSG_NOSIGNAL) !=
        (ssize_t)sizeof request - 1)
        die("send");
}

static void read_head(struct connection *connection, const char *bytes, size_t len)
{
    size_t room = sizeof connection->head - 1 - connection->used;
    size_t taken = len < room ? len : room;
    memcpy(connection->head + connection->used, bytes, taken);
    connection->head[connection->used + taken] = '\0';
    const char *end = strstr(connection->head, "\r\n\r\n");
    const char *length = strcasestr(connection->head, "\r\ncontent-length:");
    if (!end)
        return;
    if (!length || length > end) {
        fputs("rate: an answer without Content-Length\n", stderr);
        exit(1);
    }
    connection->expected = (size_t)(end - connection->head) + 4 + strtoul(length + 17, NULL, 10);
    if (strncmp(connection->head, "HTTP/1.1 200", 12) != 0)
        errors++;
}

/* Reads an answer; true when it is complete. */
static bool read_answer(struct connection *connection)
{
    static char bytes[READ_MAX];
    ssize_t len = recv(connection->fd, bytes, sizeof bytes, 0);
    if (len <= 0) {
        fputs("rate: the connection was closed\n", stderr);
        exit(1);
    }
    if (!connection->expected)
        read_head(connection, bytes, (size_t)len);
    connection->used += (size_t)len;
    return connection->expected && connection->used >= connection->expected;
}

/* Sends what is due; returns when the next call is. */
static int64_t send_due(unsigned count, int64_t now, int64_t until)
{
    int64_t next = until;
    for (unsigned i = 0; i < count; i++) {
        struct connection *connection = &connections[i];
        if (connection->is_busy || connection->due >= until)
            continue;
        if (connection->due <= now)
            send_call(connection);
        else if (connection->due < next)
            next = connection->due;
    }
    return next;
}

static void wait_until(int epoll, int64_t at)
{
    int64_t left = at - clock_ns();
    left = left < 0 ? 0 : left;
    struct timespec timeout = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    struct pollfd readable = {.fd = epoll, .events = POLLIN};
    ppoll(&readable, 1, &timeout, NULL);
}

static void take_answers(int epoll, int64_t interval)
{
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < ready; i++) {
        struct connection *connection = &connections[events[i].data.u32];
        if (!connection->is_busy || !read_answer(connection))
            continue;
        histogram[bucket_of((uint64_t)(clock_ns() - connection->due) / 1000)]++;
        done++;
        connection->is_busy = false;
        connection->due += interval;
    }
}

static bool is_any_busy(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (connections[i].is_busy)
            return true;
    }
    return false;
}

static void print_result(void)
{
    const char *comma = "";
    printf("{\"requests\": %llu, \"errors\": %llu, \"histogram\": [", (unsigned long long)done,
           (unsigned long long)errors);
    for (unsigned i = 0; i < POWERS * STEPS; i++) {
        if (!histogram[i])
            continue;
        printf("%s[%llu, %llu]", comma, (unsigned long long)bucket_us(i),
               (unsigned long long)histogram[i]);
        comma = ", ";
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: rate PORT CALLS_PER_SECOND SECONDS CONNECTIONS\n", stderr);
        return 2;
    }
    const struct sockaddr_in address = loopback(argv[1]);
    int64_t rate = strtol(argv[2], NULL, 10), seconds = strtol(argv[3], NULL, 10);
    unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
    if (rate <= 0 || seconds <= 0 || count == 0 || count > CONNECTIONS_MAX) {
        fputs("rate: PORT, a rate, seconds, and 1 to 1024 connections, please\n", stderr);
        return 2;
    }
    int epoll = epoll_create1(0);
    for (unsigned i = 0; i < count; i++)
        open_connection(&connections[i], &address, epoll, i);
    int64_t interval = NS_PER_S * count / rate; /* between two calls of one connection */
    int64_t start = clock_ns() + NS_PER_S / 100, until = start + seconds * NS_PER_S;
    for (unsigned i = 0; i < count; i++)
        connections[i].due = start + interval * i / count;
    while (clock_ns() < until || (is_any_busy(count) && clock_ns() < until + GRACE_S * NS_PER_S)) {
        int64_t next = send_due(count, clock_ns(), until);
        wait_until(epoll, next < until || !is_any_busy(count) ? next : until + GRACE_S * NS_PER_S);
        take_answers(epoll, interval);
    }
    print_result();
    return 0;
}
