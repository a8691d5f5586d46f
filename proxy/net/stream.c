/* stream.c - see stream.h.
 *
 * What epoll watches (`armed`) trails behind what it should watch (desired): a stream whose two
 * differ is in loop->interests, and the loop brings it up to date right before it waits. So
 * interest that goes off and on within a turn costs no system call; what is delivered is masked by
 * `wanted`, which is always exact. libuv stops a poll handle by itself when epoll reports an error
 * (a RST); we then say that everything wanted is possible, so that the owner's recv or send meets
 * the error. */
#include "net/stream.h"

#include "base/check.h"

#include <errno.h>
#include <unistd.h>

#define STREAM_MAGIC 0x5354524dU

static uint8_t desired_events(const struct stream *stream)
{
    const unsigned flags = stream->wanted | stream->demanded;
    const unsigned events =
        (flags & STREAM_READABLE ? UV_READABLE : 0) | (flags & STREAM_WRITABLE ? UV_WRITABLE : 0);
    if (stream->state == STREAM_CONNECTING) {
        return stream->has_handle ? UV_WRITABLE : 0;
    }
    if (stream->state == STREAM_GREETING) {
        return (uint8_t)events;
    }
    if (stream->state != STREAM_OPEN) {
        return 0;
    }
    return (uint8_t)(events |
                     (stream->has_hung_up
                          ? 0
                          : UV_DISCONNECT)); /* level-triggered: once seen, it would never end */
}

static void update_interest(struct stream *stream)
{
    if (desired_events(stream) == stream->armed) {
        list_remove(&stream->interest);
    } else if (!list_is_linked(&stream->interest)) {
        list_append(&stream->loop->interests, &stream->interest);
    }
}

static void start(struct stream *stream, struct loop *loop, int fd,
                  stream_closed_callback on_closed)
{
    *stream = (struct stream){
        .magic = STREAM_MAGIC, .fd = fd, .class = &tcp_class, .loop = loop, .on_closed = on_closed};
    list_init(&stream->interest);
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

static void on_poll_before_open(struct stream *stream, unsigned flags)
{
    if (stream->state == STREAM_CONNECTING) {
        finish_connect(stream, connect_error(stream));
    } else if (stream->state == STREAM_GREETING) {
        update_interest(stream);
        if ((flags & stream->demanded) != 0) {
            stream->class->greet(stream, flags);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = CONTAINER_OF(poll, struct stream, poll);
    unsigned flags = 0;
    loop_enter(stream->loop);
    if (__builtin_expect(status < 0, 0)) {
        stream->armed = 0;
        events = UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
    }
    flags |= events & UV_READABLE ? STREAM_READABLE : 0;
    flags |= events & UV_WRITABLE ? STREAM_WRITABLE : 0;
    if (__builtin_expect(stream->state != STREAM_OPEN, 0)) {
        on_poll_before_open(stream, flags);
        return;
    }
    if (__builtin_expect(stream->demanded != 0, 0)) {
        flags = stream->class->on_poll(stream, flags);
    }
    flags &= stream->wanted;
    if (__builtin_expect((events & UV_DISCONNECT) != 0 && !stream->has_hung_up, 0)) {
        stream->has_hung_up = true;
        flags |= STREAM_HANGUP;
    }
    if (__builtin_expect(desired_events(stream) != stream->armed, 0)) {
        update_interest(stream);
    }
    if (flags != 0) {
        stream->on_event(stream, flags);
    }
}

/* ---- opening ---- */

static enum err init_poll(struct stream *stream)
{
    int status = uv_poll_init(&stream->loop->uv, &stream->poll, stream->fd);
    if (status != 0) {
        return status == UV_ENOMEM ? ERR_NO_MEMORY : ERR_SYSTEM;
    }
    stream->has_handle = true;
    return OK;
}

enum err stream_open(struct stream *stream, struct loop *loop, int fd, stream_callback on_event,
                     stream_closed_callback on_closed)
{
    enum err result;
    start(stream, loop, fd, on_closed);
    result = init_poll(stream);
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
    return init_poll(stream) == OK ? 0 : ENOMEM;
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
    update_interest(stream);
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

static void finish_close(struct stream *stream)
{
    loop_enter(stream->loop);
    stream->magic = 0;
    stream->on_closed(stream);
}

static void on_handle_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF(handle, struct stream, poll));
}

static void on_close_task(struct loop_task *task)
{
    finish_close(CONTAINER_OF(task, struct stream, task));
}

static void let_go(struct stream *stream)
{
    stream->state = STREAM_CLOSED;
    list_remove(&stream->interest);
    loop_task_cancel(&stream->task);
    if (stream->has_handle) { /* before close(2): libuv takes the descriptor out of epoll */
        uv_close((uv_handle_t *)&stream->poll, on_handle_closed);
    } else {
        stream->task.run = on_close_task;
        loop_defer(stream->loop, &stream->task);
    }
}

static void close_with(struct stream *stream, enum stream_ending ending)
{
    CHECK_OBJ(stream, STREAM_MAGIC);
    if (stream->state == STREAM_CLOSED) {
        return;
    }
    let_go(stream);
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
    stream->fd = -1;
    return fd;
}

enum err stream_adopt(struct stream *stream, struct stream *from, stream_callback on_event,
                      stream_closed_callback on_closed)
{
    struct tls *tls = from->tls;
    const struct stream_class *class = from->class;
    const uint8_t demanded = from->demanded;
    enum err result;
    from->tls = NULL;
    from->class = &tcp_class;
    const int fd = stream_take_fd(from);
    result = stream_open(stream, from->loop, fd, on_event, on_closed);
    stream->class = class;
    stream->tls = tls;
    stream->demanded = demanded;
    if (result != OK) {
        stream->fd = fd;
        class->close(stream, STREAM_END_RESET);
        stream->fd = -1;
        return result;
    }
    update_interest(stream);
    return OK;
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

void stream_interest_flush(struct list *interests)
{
    while (!list_is_empty(interests)) {
        struct stream *stream = CONTAINER_OF(list_first(interests), struct stream, interest);
        uint8_t events = desired_events(stream);
        list_remove(&stream->interest);
        int status = events == 0 ? uv_poll_stop(&stream->poll)
                                 : uv_poll_start(&stream->poll, events, on_poll);
        INVARIANT(status == 0);
        stream->armed = events;
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
