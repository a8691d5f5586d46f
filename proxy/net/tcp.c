/* tcp.c - one system call a call. recv and send rather than read and write: 8 to 11 % of a relay's
 * CPU, measured. */
#include "net/tcp.h"

#include "net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static ssize_t failed(struct stream *stream, int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return STREAM_AGAIN;
    }
    stream->error = error;
    return STREAM_FAILED;
}

ssize_t tcp_recv(struct stream *stream, void *buffer, size_t len)
{
    ssize_t got;
    do {
        got = recv(stream->fd, buffer, len, 0);
    } while (__builtin_expect(got < 0 && errno == EINTR, 0));
    return __builtin_expect(got >= 0, 1) ? got : failed(stream, errno);
}

ssize_t tcp_sendv(struct stream *stream, const struct iovec *parts, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                   .msg_iovlen = (size_t)count};
    ssize_t sent;
    do {
        sent = count == 1 ? send(stream->fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                          : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } while (__builtin_expect(sent < 0 && errno == EINTR, 0));
    return __builtin_expect(sent >= 0, 1) ? sent : failed(stream, errno);
}

static enum err tcp_shutdown_write(struct stream *stream)
{
    if (shutdown(stream->fd, SHUT_WR) != 0) {
        stream->error = errno;
        return ERR_SYSTEM;
    }
    return OK;
}

static ssize_t peek(const struct stream *stream)
{
    char byte;
    ssize_t got;
    do {
        got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got;
}

static bool is_gone(ssize_t got)
{
    return got < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
}

static bool tcp_is_dead(struct stream *stream)
{
    const ssize_t got = peek(stream);
    return got >= 0 || is_gone(got);
}

static bool tcp_has_ended(struct stream *stream)
{
    const ssize_t got = peek(stream);
    return got == 0 || is_gone(got);
}

void tcp_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)); /* or it ends orderly */
    close(fd);
}

static void tcp_close(struct stream *stream, enum stream_ending ending)
{
    if (stream->fd < 0) {
        return;
    }
    if (ending == STREAM_END_RESET) {
        tcp_reset(stream->fd);
    } else {
        close(stream->fd);
    }
}

const struct stream_class tcp_class = {.name = "tcp",
                                       .recv = tcp_recv,
                                       .sendv = tcp_sendv,
                                       .shutdown_write = tcp_shutdown_write,
                                       .is_dead = tcp_is_dead,
                                       .has_ended = tcp_has_ended,
                                       .close = tcp_close};

enum reason tcp_connect_reason(int error)
{
    switch (error) {
    case 0: return REASON_NONE;
    case ETIMEDOUT: return REASON_CONNECT_TIMEOUT;
    case EMFILE:
    case ENFILE:
    case EADDRNOTAVAIL: /* no local port is left for this destination */
    case ENOSPC:        /* as many as fs.epoll.max_user_watches lets us watch */
    case ENOMEM:
    case ENOBUFS: return REASON_OVERLOADED;
    default: /* refused, unreachable, reset in the handshake, no such socket file, a full backlog of
                a Unix socket */
        return REASON_CONNECT_REFUSED;
    }
}

int tcp_socket(int family)
{
    const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                         sizeof(on)); /* only costs latency if it fails */
    }
    return fd;
}
