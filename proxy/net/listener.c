/* listener.c - see listener.h. Invariant: epoll looks for callers == is_accepting and `resume` is
 * not set. */
#include "net/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTENER_MAGIC 0x4c495354U
#define PAUSE (100 * NS_PER_MS)   /* without descriptors or memory: how long before the next try */
#define LOG_EVERY (10 * NS_PER_S) /* a shortage lasts; one line a pause would be a flood */

/* ---- binding ---- */

static enum err explain(const struct address *at, int error, char why[LISTENER_TEXT_BYTES])
{
    char text[ADDRESS_TEXT_BYTES];
    const char *advice = strerror(error);
    enum err result = ERR_SYSTEM;
    bool is_unix = at->any.sa_family == AF_UNIX;
    address_text(at, text);
    switch (error) {
    case EADDRINUSE:
        result = ERR_ADDRESS_IN_USE;
        advice = "the address is already in use; stop the process that listens there (`ss -ltnxp` "
                 "names it) or choose "
                 "another address in `listen`";
        break;
    case EACCES:
    case EPERM:
        result = ERR_ACCESS;
        advice = is_unix
                     ? "permission denied; this user must be allowed to create files in that folder"
                     : "permission denied; choose a port from 1024 up, or give the process "
                       "CAP_NET_BIND_SERVICE";
        break;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        result = ERR_NOT_FOUND;
        advice = "this host has no such address; `ip address` lists those that it has";
        break;
    case ENOENT:
    case ENOTDIR:
        result = ERR_NOT_FOUND;
        advice = "the folder does not exist; create it first";
        break;
    case EMFILE:
    case ENFILE:
        result = ERR_NO_FD;
        advice = "no file descriptor is left; raise the limit (`ulimit -n`)";
        break;
    default: break;
    }
    snprintf(why, LISTENER_TEXT_BYTES, "cannot listen on %s: %s", text, advice);
    return result;
}

/* True when a socket file is there that nobody listens on, as a killed process leaves it. */
static bool is_stale_file(const struct address *at)
{
    struct stat file;
    if (lstat(at->un.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return false;
    }
    int probe = tcp_socket(AF_UNIX);
    if (probe < 0) {
        return false;
    }
    bool is_refused = connect(probe, &at->any, at->len) != 0 && errno == ECONNREFUSED;
    close(probe);
    return is_refused;
}

static int bind_unix(struct listener *listener, int fd, const struct address *at)
{
    mode_t mode =
        listener->options.unix_mode != 0 ? listener->options.unix_mode : LISTENER_UNIX_MODE;
    struct stat file;
    if (fchmod(fd, mode) !=
        0) { /* Linux makes the file with it: never wider than asked for, not even for a moment */
        return errno;
    }
    int error = bind(fd, &at->any, at->len) == 0 ? 0 : errno;
    if (error == EADDRINUSE && is_stale_file(at)) {
        error = unlink(at->un.sun_path) == 0 && bind(fd, &at->any, at->len) == 0 ? 0 : errno;
    }
    if (error != 0) {
        return error;
    }
    if (lstat(at->un.sun_path, &file) != 0) {
        return errno;
    }
    listener->has_file = true;
    listener->file_dev = file.st_dev;
    listener->file_ino = file.st_ino;
    if (chmod(at->un.sun_path, mode) != 0) { /* past the umask */
        return errno;
    }
    return 0;
}

static int bind_tcp(int fd, const struct address *at)
{
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        return errno;
    }
    if (at->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
        return errno;
    }
    return bind(fd, &at->any, at->len) == 0 ? 0 : errno;
}

static int read_bound(struct listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) != 0) {
        return errno;
    }
    return address_from_sockaddr((const struct sockaddr *)&bound, len, &listener->bound) == OK
               ? 0
               : EAFNOSUPPORT;
}

static void on_readable(struct interest *interest, uint32_t events);

static int watch_socket(struct listener *listener)
{
    const int error = read_bound(listener);
    if (error != 0) {
        return error;
    }
    return interest_open(&listener->interest, listener->loop, listener->fd, EPOLLIN, on_readable) ==
                   OK
               ? 0
               : errno;
}

static int open_socket(struct listener *listener, const struct address *at)
{
    int error;
    listener->fd = tcp_socket(at->any.sa_family); /* accepted sockets inherit its TCP_NODELAY */
    if (listener->fd < 0) {
        return errno;
    }
    error = at->any.sa_family == AF_UNIX ? bind_unix(listener, listener->fd, at)
                                         : bind_tcp(listener->fd, at);
    if (error == 0 && listen(listener->fd, LISTENER_BACKLOG) != 0) {
        error = errno;
    }
    return error == 0 ? watch_socket(listener) : error;
}

/* Who starts us leaves none open that an exec would have closed: such a one is our own (EBUSY). */
static int adopt_socket(struct listener *listener, int fd)
{
    const int on = 1;
    int is_listening = 0;
    socklen_t len = sizeof(is_listening);
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0) {
        return errno;
    }
    if ((flags & FD_CLOEXEC) != 0) {
        return EBUSY;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0) {
        return errno;
    }
    if (!is_listening) {
        return ENOTSOCK;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
        return errno;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* as tcp_socket does */
    listener->fd = fd;
    return watch_socket(listener);
}

/* ---- accepting ---- */

static void open_spare(struct listener *listener)
{
    if (listener->spare_fd < 0) {
        listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static void resume(struct listener *listener)
{
    open_spare(listener);
    interest_change(&listener->interest, EPOLLIN);
}

static void on_resume(struct timer *timer, mono_ns now)
{
    (void)now;
    resume(CONTAINER_OF(timer, struct listener, resume));
}

static void pause_accepting(struct listener *listener, int error)
{
    struct loop *loop = listener->loop;
    char text[ADDRESS_TEXT_BYTES];
    listener->counts.pauses++;
    interest_change(&listener->interest, 0);
    wheel_set(loop->wheel, &listener->resume, mono_add(loop->now, PAUSE));
    if (loop->now < listener->log_again_at) {
        return;
    }
    listener->log_again_at = mono_add(loop->now, LOG_EVERY);
    address_text(&listener->bound, text);
    log_event(LOG_ERROR, "accept_failed",
              LOG_TEXT("accepting pauses for 100 ms; if descriptors ran out, raise the limit "
                       "(ulimit -n) or lower "
                       "limits.maxConnections"),
              LOG_STR("listen", text), LOG_STR("error", strerror(error)),
              LOG_UINT("refused", listener->counts.refused_by_fds));
}

/* Gives up the spare descriptor to accept and close what waits: the callers see an end rather than
 * silence. */
static void refuse_without_fds(struct listener *listener)
{
    for (int left = LISTENER_BATCH; left > 0 && listener->spare_fd >= 0; left--) {
        close(listener->spare_fd);
        listener->spare_fd = -1;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            listener->counts.refused_by_fds++;
        }
        open_spare(listener);
        if (fd < 0) {
            return;
        }
    }
}

/* Errors of the one connection that was to be accepted (accept(2), "Error handling"): the next may
 * be fine. */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
           error == EHOSTUNREACH || error == EOPNOTSUPP || error == ENETUNREACH;
}

static void take(struct listener *listener, int fd, const struct sockaddr_storage *from,
                 socklen_t len)
{
    struct address peer = {.len = 0};
    if (listener->options.may_accept != NULL && !listener->options.may_accept(listener)) {
        listener->counts.refused_by_limit++;
        if (listener->options.on_refuse != NULL) {
            listener->options.on_refuse(listener, fd);
        } else {
            close(fd);
        }
        return;
    }
    if (address_from_sockaddr((const struct sockaddr *)from, len, &peer) != OK) {
        peer.len = 0;
    }
    listener->counts.accepted++;
    listener->options.on_accept(listener, fd, &peer);
}

/* False when this turn's accepting is over. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take(listener, fd, &from, len);
        return true;
    }
    int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return false;
    }
    if (is_passing(error)) {
        return true;
    }
    if (error == EMFILE || error == ENFILE) {
        refuse_without_fds(listener);
    }
    pause_accepting(listener,
                    error); /* for an error that we do not know too: it must not become a spin */
    return false;
}

static void on_readable(struct interest *interest, uint32_t events)
{
    struct listener *listener = CONTAINER_OF(interest, struct listener, interest);
    (void)events;
    for (int left = LISTENER_BATCH; left > 0 && listener->is_accepting; left--) {
        if (!accept_one(listener)) {
            return;
        }
    }
}

/* ---- life ---- */

static void release(struct listener *listener)
{
    if (listener->has_file) {
        struct stat file;
        const char *path = listener->bound.un.sun_path;
        if (lstat(path, &file) == 0 && file.st_dev == listener->file_dev &&
            file.st_ino == listener->file_ino) {
            (void)unlink(path);
        }
        listener->has_file = false;
    }
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    if (listener->spare_fd >= 0) {
        close(listener->spare_fd);
        listener->spare_fd = -1;
    }
}

static void on_close_task(struct loop_task *task)
{
    struct listener *listener = CONTAINER_OF(task, struct listener, close_task);
    listener->magic = 0;
    if (listener->on_closed != NULL) {
        listener->on_closed(listener);
    }
}

static void prepare(struct listener *listener, struct loop *loop,
                    const struct listener_options *options)
{
    *listener = (struct listener){
        .magic = LISTENER_MAGIC, .fd = -1, .spare_fd = -1, .loop = loop, .options = *options};
    listener->interest.fd = -1;
    timer_init(&listener->resume, on_resume);
    loop_task_init(&listener->close_task, on_close_task);
    INVARIANT(options->on_accept != NULL);
}

enum err listener_open(struct listener *listener, struct loop *loop, const struct address *at,
                       const struct listener_options *options, char why[LISTENER_TEXT_BYTES])
{
    prepare(listener, loop, options);
    listener->bound = *at;
    int error = open_socket(listener, at);
    if (error != 0) {
        release(listener);
        listener->magic = 0;
        return explain(at, error, why);
    }
    listener->is_accepting = true;
    resume(listener);
    return OK;
}

enum err listener_adopt(struct listener *listener, struct loop *loop, int fd,
                        const struct listener_options *options, char why[LISTENER_TEXT_BYTES])
{
    prepare(listener, loop, options);
    const int error = adopt_socket(listener, fd);
    if (error != 0) {
        listener->fd = -1; /* it stays the caller's */
        listener->magic = 0;
        const bool is_missing = error == EBADF;
        snprintf(why, LISTENER_TEXT_BYTES,
                 "cannot listen on fd:%d: %s; whoever starts this process must leave a listening "
                 "socket open as descriptor %d",
                 fd,
                 is_missing          ? "there is no such descriptor"
                 : error == ENOTSOCK ? "it is no listening socket"
                 : error == EBUSY ? "this process has opened that one itself, or it is listed twice"
                                  : strerror(error),
                 fd);
        return is_missing ? ERR_NOT_FOUND : ERR_INVALID;
    }
    listener->is_accepting = true;
    resume(listener);
    return OK;
}

const struct address *listener_address(const struct listener *listener)
{
    CHECK_OBJ(listener, LISTENER_MAGIC);
    return &listener->bound;
}

void listener_stop_accepting(struct listener *listener)
{
    CHECK_OBJ(listener, LISTENER_MAGIC);
    listener->is_accepting = false;
    wheel_clear(listener->loop->wheel, &listener->resume);
    interest_change(&listener->interest, 0);
}

void listener_close(struct listener *listener, void (*on_closed)(struct listener *listener))
{
    listener_stop_accepting(listener);
    INVARIANT(!listener->has_closed);
    listener->has_closed = true;
    listener->on_closed = on_closed;
    loop_defer_last(listener->loop, &listener->close_task);
    interest_withdraw(&listener->interest); /* another process may hold the socket, too */
    release(listener);
}
