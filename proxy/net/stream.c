/* stream.c - see stream.h. What is delivered is masked by `wanted`, which is always exact, whatever
 * epoll still looks for (net/interest). When it reports a failure (a RST) we say that everything
 * wanted is possible, so that the owner's recv or send meets it. */
#include "net/stream.h"

#include "base/check.h"

#include <errno.h>
#include <unistd.h>

#define STREAM_MAGIC 0x5354524dU

/* EPOLLRDHUP is level-triggered: once seen, it would never end. */
static uint32_t desired_events(const struct stream *stream)
{
    const unsigned flags = stream->wanted | stream->demanded;
    const uint32_t events = (flags & STREAM_READABLE ? (uint32_t)EPOLLIN : 0) |
                            (flags & STREAM_WRITABLE ? (uint32_t)EPOLLOUT : 0);
    switch (stream->state) {
    case STREAM_CONNECTING: return EPOLLOUT;
    case STREAM_GREETING: return events;
    case STREAM_OPEN: return events | (stream->has_hung_up ? 0 : (uint32_t)EPOLLRDHUP);
    default: return 0;
    }
}

static void update_interest(struct stream *stream)
{
    interest_change(&stream->interest, desired_events(stream));
}

static void start(struct stream *stream, struct loop *loop, int fd,
                  stream_closed_callback on_closed)
{
    *stream = (struct stream){
        .magic = STREAM_MAGIC, .fd = fd, .class = &tcp_class, .loop = loop, .on_closed = on_closed};
    stream->interest.fd = -1;
    loop_task_init(&stream->task, NULL);
}

/* ---- events ---- */

void stream_greeted(struct stream *stream, enum reason reason)
{
    stream->state = reason == REASON_NONE ? STREAM_OPEN : STREAM_BROKEN;
    update_interest(stream);
    if (stream->class->on_want != NULL) {
        stream->class->on_want(stream);
    }
    stream->on_connected(stream, reason);
}

static void finish_connect(struct stream *stream, int error)
{
    stream->error = error;
    if (error == 0 && stream->class->greet != NULL) {
        stream->state = STREAM_GREETING;
        update_interest(stream);
        stream->class->greet(stream, 0);
        return;
    }
    stream_greeted(stream, tcp_connect_reason(error));
}

static void on_connect_decided(struct loop_task *task)
{
    struct stream *stream = CONTAINER_OF(task, struct stream, task);
    finish_connect(stream, stream->error);
}

static int connect_error(const struct stream *stream)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return errno;
    }
    return error;
}

static void on_ready_before_open(struct stream *stream, unsigned flags, bool has_failed)
{
    if (stream->state == STREAM_CONNECTING) {
        finish_connect(stream, has_failed ? connect_error(stream) : 0);
    } else if (stream->state == STREAM_GREETING && (flags & stream->demanded) != 0) {
        stream->class->greet(stream, flags);
    }
}

static void on_ready(struct interest *interest, uint32_t events)
{
    struct stream *stream = CONTAINER_OF(interest, struct stream, interest);
    const bool has_failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
    unsigned flags = 0;
    if (__builtin_expect(has_failed, 0)) {
        events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    }
    flags |= events & EPOLLIN ? STREAM_READABLE : 0;
    flags |= events & EPOLLOUT ? STREAM_WRITABLE : 0;
    if (__builtin_expect(stream->state != STREAM_OPEN, 0)) {
        on_ready_before_open(stream, flags, has_failed);
        return;
    }
    if (__builtin_expect(stream->demanded != 0, 0)) {
        flags = stream->class->on_poll(stream, flags);
    }
    flags &= stream->wanted;
    if (__builtin_expect((events & EPOLLRDHUP) != 0 && !stream->has_hung_up, 0)) {
        stream->has_hung_up = true;
        flags |= STREAM_HANGUP;
        update_interest(stream);
    }
    if (flags != 0) {
        stream->on_event(stream, flags);
    }
}

/* ---- opening ---- */

/* Most owners want to read next: then epoll need not be told again. */
enum err stream_open(struct stream *stream, struct loop *loop, int fd, stream_callback on_event,
                     stream_closed_callback on_closed)
{
    start(stream, loop, fd, on_closed);
    const enum err result =
        interest_open(&stream->interest, loop, fd, EPOLLIN | EPOLLRDHUP, on_ready);
    if (result != OK) {
        stream->fd = -1;
        return result;
    }
    stream->state = STREAM_OPEN;
    stream->on_event = on_event;
    update_interest(stream);
    return OK;
}

static int start_connect(struct stream *stream, const struct sockaddr *to, socklen_t len)
{
    stream->fd = tcp_socket(to->sa_family);
    if (stream->fd < 0) {
        return errno;
    }
    if (connect(stream->fd, to, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        return errno;
    }
    return interest_open(&stream->interest, stream->loop, stream->fd, EPOLLOUT, on_ready) == OK
               ? 0
               : errno;
}

void stream_connect(struct stream *stream, struct loop *loop, const struct sockaddr *to,
                    socklen_t len, stream_connect_callback on_connected,
                    stream_closed_callback on_closed)
{
    start(stream, loop, -1, on_closed);
    stream->on_connected = on_connected;
    stream->state = STREAM_CONNECTING;
    stream->error = start_connect(stream, to, len);
    if (stream->error != 0) {
        stream->task.run = on_connect_decided;
        loop_defer(loop, &stream->task);
    }
}

void stream_refuse(struct stream *stream, struct loop *loop, int error,
                   stream_connect_callback on_connected, stream_closed_callback on_closed)
{
    start(stream, loop, -1, on_closed);
    stream->on_connected = on_connected;
    stream->state = STREAM_CONNECTING;
    stream->error = error;
    stream->task.run = on_connect_decided;
    loop_defer(loop, &stream->task);
}

void stream_set_callback(struct stream *stream, stream_callback on_event)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    stream->on_event = on_event;
}

/* ---- closing ---- */

static void on_close_task(struct loop_task *task)
{
    struct stream *stream = CONTAINER_OF(task, struct stream, task);
    stream->magic = 0;
    stream->on_closed(stream);
}

static void let_go(struct stream *stream)
{
    stream->state = STREAM_CLOSED;
    loop_task_cancel(&stream->task);
    stream->task.run = on_close_task;
    loop_defer_last(stream->loop, &stream->task);
}

static void close_with(struct stream *stream, enum stream_ending ending)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    if (stream->state == STREAM_CLOSED) {
        return;
    }
    let_go(stream);
    interest_close(&stream->interest);
    stream->class->close(stream, ending);
    stream->fd = -1;
}

int stream_take_fd(struct stream *stream)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    INVARIANT(stream->state == STREAM_OPEN);
    INVARIANT(stream->tls == NULL); /* its bytes mean nothing without the keys: stream_adopt */
    const int fd = stream->fd;
    let_go(stream);
    interest_withdraw(&stream->interest);
    stream->fd = -1;
    return fd;
}

void stream_adopt(struct stream *stream, struct stream *from, stream_callback on_event,
                  stream_closed_callback on_closed)
{
    CHECK_OBJ(from, STREAM_MAGIC);
    INVARIANT(from->state == STREAM_OPEN);
    start(stream, from->loop, from->fd, on_closed);
    interest_move(&stream->interest, &from->interest);
    stream->state = STREAM_OPEN;
    stream->on_event = on_event;
    stream->class = from->class;
    stream->tls = from->tls;
    stream->demanded = from->demanded;
    from->class = &tcp_class;
    from->tls = NULL;
    from->fd = -1;
    let_go(from);
    update_interest(stream);
}

void stream_close(struct stream *stream)
{
    close_with(stream, STREAM_END_ORDERLY);
}

void stream_reset(struct stream *stream)
{
    close_with(stream, STREAM_END_RESET);
}

/* ---- interest ---- */

void stream_want_apply(struct stream *stream)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    if (stream->state != STREAM_CLOSED) {
        update_interest(stream);
        if (stream->class->on_want != NULL) {
            stream->class->on_want(stream);
        }
    }
}

void stream_demand(struct stream *stream, unsigned flags)
{
    if (stream->demanded != flags && stream->state != STREAM_CLOSED) {
        stream->demanded = (uint8_t)flags;
        update_interest(stream);
    }
}

/* ---- the rare calls ---- */

enum err stream_shutdown_write(struct stream *stream)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    INVARIANT(stream->state == STREAM_OPEN);
    return stream->class->shutdown_write(stream);
}

bool stream_has_ended(struct stream *stream)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    return stream->state != STREAM_OPEN || stream->class->has_ended(stream);
}

bool stream_peek_dead(struct stream *stream)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    return stream->state != STREAM_OPEN || stream->class->is_dead(stream);
}
