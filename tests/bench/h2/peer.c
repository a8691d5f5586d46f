/* peer.c - an nghttp2 session on a socket. What the session says in one turn leaves in one send().
 */
#include "h2/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_MAX 65536
#define OUTBOX_MAX 65536
#define FRAME_MAX (16384 + 9 + 256) /* what one step of nghttp2 hands out at most, and a margin */
#define BACKLOG 1024
#define STREAMS_MAX 1000            /* at a time on a connection, as a server */
#define STREAM_WINDOW (1024 * 1024) /* so that big bodies wait for nobody's WINDOW_UPDATE */
#define CONNECTION_WINDOW (16 * 1024 * 1024)
#define NO_LIMIT (UINT64_C(1) << 40) /* resets that we are sent are what is measured */

void die(const char *what)
{
    perror(what);
    exit(1);
}

void fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t number_of(const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || value == 0 || value > most) {
        fprintf(stderr, "%s is no number from 1 to %llu\n", text, (unsigned long long)most);
        exit(2);
    }
    return value;
}

/* ---- sockets ----------------------------------------------------------------------------------
 */

int epoll_new(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    return epoll;
}

int epoll_wait_ns(int epoll, struct epoll_event *events, int most, int64_t ns)
{
    if (ns > 0 && ns % NS_PER_MS != 0) { /* finer than epoll_wait's milliseconds */
        struct timespec timeout = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
        struct pollfd readable = {.fd = epoll, .events = POLLIN};
        ppoll(&readable, 1, &timeout, NULL);
        ns = 0;
    }
    int count = epoll_wait(epoll, events, most, ns < 0 ? -1 : (int)(ns / NS_PER_MS));
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    return count < 0 ? 0 : count;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int listen_on(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
        die("listen");
    return fd;
}

/* ---- a peer's life ----------------------------------------------------------------------------
 */

static void begin_session(struct peer *peer, bool is_server,
                          const nghttp2_session_callbacks *callbacks)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_option *option;
    if (nghttp2_option_new(&option))
        die("nghttp2_option_new");
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, NO_LIMIT, NO_LIMIT);
    int failed = is_server ? nghttp2_session_server_new2(&peer->session, callbacks, peer, option)
                           : nghttp2_session_client_new2(&peer->session, callbacks, peer, option);
    nghttp2_option_del(option);
    if (failed || nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, settings, 3) ||
        nghttp2_session_set_local_window_size(peer->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW))
        die("nghttp2");
}

static struct peer *peer_new(int epoll, int fd, bool is_server,
                             const nghttp2_session_callbacks *callbacks)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = peer};
    int one = 1;
    if (!peer || !(peer->outbox = malloc(OUTBOX_MAX)))
        die("malloc");
    peer->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    begin_session(peer, is_server, callbacks);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
    return peer;
}

struct peer *peer_accept(int epoll, int listener, const nghttp2_session_callbacks *callbacks)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? NULL : peer_new(epoll, fd, true, callbacks);
}

struct peer *peer_connect(int epoll, uint16_t port, const nghttp2_session_callbacks *callbacks,
                          void *owner)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        fcntl(fd, F_SETFL, O_NONBLOCK))
        die("connect");
    struct peer *peer = peer_new(epoll, fd, false, callbacks);
    peer->owner = owner;
    return peer;
}

void peer_free(struct peer *peer)
{
    nghttp2_session_del(peer->session);
    close(peer->fd);
    free(peer->outbox);
    free(peer);
}

int32_t peer_submit(struct peer *peer, const struct request *request)
{
    nghttp2_nv head[] = {
        FIELD(":method", "POST"),          FIELD(":scheme", "http"),
        FIELD(":authority", "bench.test"), FIELD(":path", ""),
        FIELD("te", "trailers"),           FIELD("content-type", "application/grpc"),
    };
    head[3].value = (uint8_t *)request->path;
    head[3].valuelen = strlen(request->path);
    if (request->is_plain)
        head[5] = (nghttp2_nv)FIELD("content-type", "application/octet-stream");
    int32_t id = nghttp2_submit_request(peer->session, NULL, head, sizeof head / sizeof *head,
                                        request->body, request->stream);
    if (id < 0)
        fail(nghttp2_strerror(id));
    return id;
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

bool peer_gather(struct peer *peer)
{
    while (peer->outbox_len + FRAME_MAX <= OUTBOX_MAX) {
        const uint8_t *bytes;
        ssize_t len = nghttp2_session_mem_send(peer->session, &bytes);
        if (len < 0)
            fail(nghttp2_strerror((int)len));
        if (len == 0)
            return true;
        if (len > FRAME_MAX)
            fail("nghttp2 hands out more than a frame");
        memcpy(peer->outbox + peer->outbox_len, bytes, (size_t)len);
        peer->outbox_len += (size_t)len;
    }
    return false;
}

bool peer_is_behind(const struct peer *peer)
{
    return peer->outbox_len - peer->outbox_sent > OUTBOX_MAX / 2;
}

bool peer_flush(struct peer *peer)
{
    for (bool is_dry = false; !is_dry;) {
        is_dry = peer_gather(peer);
        if (peer->outbox_len == 0)
            return true;
        size_t len = peer->outbox_len - peer->outbox_sent;
        ssize_t sent = send(peer->fd, peer->outbox + peer->outbox_sent, len, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        peer->outbox_sent += (size_t)sent;
        if ((size_t)sent < len)
            return true; /* EPOLLOUT goes on */
        peer->outbox_len = peer->outbox_sent = 0;
    }
    return true;
}

bool peer_turn(struct peer *peer, uint32_t events)
{
    static uint8_t bytes[READ_MAX];
    bool is_ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR); /* told once: read up to it */
    ssize_t len = READ_MAX;
    while (len == READ_MAX || (is_ending && len > 0)) {
        len = recv(peer->fd, bytes, READ_MAX, 0);
        if (len == 0 || (len < 0 && errno != EAGAIN))
            return false;
        if (len > 0 && nghttp2_session_mem_recv(peer->session, bytes, (size_t)len) != len)
            return false;
        if (!peer_flush(peer))
            return false;
    }
    return nghttp2_session_want_read(peer->session) || nghttp2_session_want_write(peer->session);
}
