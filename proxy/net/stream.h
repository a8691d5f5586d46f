/* stream.h - one connected, non-blocking socket in the loop, embedded in the connection that owns
 * it.
 *
 * Events are level-triggered flags; the owner moves the bytes itself with stream_recv and
 * stream_sendv. HANGUP comes once, when the peer has sent FIN or RST, whether or not the owner
 * wants to read: a caller that leaves is seen at once. Bytes that came before a FIN can still be
 * read.
 *
 * Example: stream_open(&conn->stream, loop, fd, conn_on_event, conn_on_closed);
 *          stream_want(&conn->stream, true, false);
 *          in conn_on_event:  n = stream_recv(s, loop->read_buffer, LOOP_READ_BYTES);
 *                             ... stream_close(s);
 *          in conn_on_closed: the memory may go.
 *
 * A callback may close the stream that it runs in. After stream_close no event comes, and the
 * descriptor is gone; the memory stays the stream's until on_closed. No function here calls back
 * from inside itself.
 * A class (stream_class) is how bytes reach the socket: plain TCP and Unix sockets are tcp.c and
 * are called directly; TLS is tls.h. */
#ifndef OUTRIGGER_NET_STREAM_H
#define OUTRIGGER_NET_STREAM_H

#include "base/err.h"
#include "base/reason.h"
#include "net/interest.h"
#include "net/loop.h"
#include "net/tcp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

enum stream_flag {
    STREAM_READABLE = 1 << 0, /* stream_recv has something to say: bytes, EOF or a failure */
    STREAM_WRITABLE = 1 << 1,
    STREAM_HANGUP = 1 << 2, /* once: the peer has sent FIN or RST */
};

enum stream_state {
    STREAM_CLOSED = 0, /* no descriptor; before open, and from stream_close on */
    STREAM_CONNECTING, /* stream_connect has been called, its callback has not */
    STREAM_GREETING,   /* the socket is connected; the class talks with the peer (TLS) */
    STREAM_BROKEN,     /* the connect failed; only stream_close is left */
    STREAM_OPEN,       /* events flow */
};

enum stream_ending {
    STREAM_END_ORDERLY, /* close(2): what was written is still delivered */
    STREAM_END_RESET, /* RST: what was not delivered is dropped, and the peer sees an error, not an
                         end */
};

struct stream;
struct tls;
typedef void (*stream_callback)(struct stream *stream, unsigned flags);
typedef void (*stream_connect_callback)(struct stream *stream, enum reason reason);
typedef void (*stream_closed_callback)(struct stream *stream);

struct stream_class {
    const char *name;
    ssize_t (*recv)(struct stream *stream, void *buffer, size_t len);
    ssize_t (*sendv)(struct stream *stream, const struct iovec *parts, int count);
    enum err (*shutdown_write)(struct stream *stream);
    bool (*is_dead)(struct stream *stream);
    bool (*has_ended)(struct stream *stream);
    void (*close)(struct stream *stream, enum stream_ending ending);
    /* fd may be -1, when there never was one. The following are NULL for classes without a filter.
     */
    void (*greet)(struct stream *stream, unsigned flags);
    /* STREAM_GREETING has begun (no flags), or something that is demanded has come; ends with
     * stream_greeted */
    unsigned (*on_poll)(struct stream *stream, unsigned flags);
    /* sees what has come while something is demanded; returns what the owner may see of it */
    void (*on_want)(struct stream *stream);
    /* the owner wants something else than before */
};

struct stream {
    uint32_t magic;
    int fd;
    int error;        /* errno of the last STREAM_FAILED or failed connect; 0 */
    uint8_t state;    /* enum stream_state */
    uint8_t wanted;   /* READABLE, WRITABLE: what the owner wants */
    uint8_t demanded; /* READABLE, WRITABLE: what the class itself needs to hear of */
    bool has_hung_up; /* HANGUP has been seen */
    const struct stream_class *class;
    struct loop *loop;
    stream_callback on_event;
    stream_connect_callback on_connected;
    stream_closed_callback on_closed;
    struct interest interest;
    struct loop_task task; /* a connect that is already decided; on_closed */
    struct tls *tls;       /* NULL for streams without; owned */
};

enum err MUST_CHECK stream_open(struct stream *stream, struct loop *loop, int fd,
                                stream_callback on_event, stream_closed_callback on_closed);
/* Takes a connected socket; nothing but HANGUP is wanted yet. On an error (ERR_NO_MEMORY,
 * ERR_SYSTEM) the descriptor stays the caller's, on_closed will not come. */

void stream_connect(struct stream *stream, struct loop *loop, const struct sockaddr *to,
                    socklen_t len, stream_connect_callback on_connected,
                    stream_closed_callback on_closed);
/* Starts connecting to a TCP or Unix address. on_connected comes later, always (unless the stream
 * is closed first): REASON_NONE, CONNECT_REFUSED (refused or unreachable), CONNECT_TIMEOUT, or
 * OVERLOADED (no descriptor, port or memory of ours). On success call stream_set_callback; after a
 * failure stream->error says more and stream_close is still the owner's to call. There is no timer
 * in here: whoever has a deadline closes the stream when it has passed. */

void stream_set_callback(struct stream *stream, stream_callback on_event);
/* Whom events go to from now on, for example when a connection moves between pool and codec. */

void stream_close(struct stream *stream);
/* Closes the descriptor now; on_closed follows at the end of the turn. Closing twice is closing
 * once. */

void stream_reset(struct stream *stream);
/* stream_close with RST: for a message that was cut short, so that the peer cannot take it for
 * whole. */

int stream_take_fd(struct stream *stream);
/* Of an open stream without TLS: as stream_close, but the descriptor stays open and is the
 * caller's, who may open another stream with it at once. */

void stream_adopt(struct stream *stream, struct stream *from, stream_callback on_event,
                  stream_closed_callback on_closed);
/* Moves an open connection, TLS and all, from one owner's stream to another's: as stream_close on
 * `from`, whose on_closed still comes, and as stream_open on `stream`. */

void stream_want_apply(struct stream *stream);
/* Slow half of stream_want. */

void stream_refuse(struct stream *stream, struct loop *loop, int error,
                   stream_connect_callback on_connected, stream_closed_callback on_closed);
/* A stream_connect that fails with `error` (errno) before there is a socket. */

void stream_demand(struct stream *stream, unsigned flags);
void stream_greeted(struct stream *stream, enum reason reason);
/* For classes: what on_poll needs to hear of; the end of STREAM_GREETING, which calls on_connected
 * and so may close the stream. */

static inline void stream_want(struct stream *stream, bool readable, bool writable)
{
    uint8_t wanted = (uint8_t)((readable ? STREAM_READABLE : 0) | (writable ? STREAM_WRITABLE : 0));
    if (__builtin_expect(wanted != stream->wanted, 0)) {
        stream->wanted = wanted;
        stream_want_apply(stream);
    }
}
/* Which events the owner wants. Takes effect at once for what is delivered, and in epoll at the end
 * of the turn: to change one's mind within a turn costs nothing. On a closed stream it does
 * nothing. */

static inline bool stream_is_open(const struct stream *stream)
{
    return stream->state == STREAM_OPEN;
}

static inline ssize_t stream_recv(struct stream *stream, void *buffer, size_t len)
{
    return __builtin_expect(stream->class == &tcp_class, 1)
               ? tcp_recv(stream, buffer, len)
               : stream->class->recv(stream, buffer, len);
}
/* Bytes read (fewer than len: the socket is drained for now), 0 at the peer's end, STREAM_AGAIN, or
 * STREAM_FAILED with stream->error set. len must not be 0. */

static inline ssize_t stream_sendv(struct stream *stream, const struct iovec *parts, int count)
{
    return __builtin_expect(stream->class == &tcp_class, 1)
               ? tcp_sendv(stream, parts, count)
               : stream->class->sendv(stream, parts, count);
}
/* Bytes taken (maybe fewer than offered; then want writable), STREAM_AGAIN or STREAM_FAILED. Never
 * raises SIGPIPE. At most 1024 parts (IOV_MAX). */

static inline ssize_t stream_send(struct stream *stream, const void *bytes, size_t len)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return stream_sendv(stream, &part, 1);
}

enum err MUST_CHECK stream_shutdown_write(struct stream *stream);
/* Half-close: the peer reads our end, we still read. ERR_SYSTEM when the peer has already gone. */

bool stream_has_ended(struct stream *stream);
/* Of an idle connection on which the peer may speak at any time: has it sent FIN or RST? Bytes that
 * wait to be read are none of these. One recv(MSG_PEEK). */

bool stream_peek_dead(struct stream *stream);
/* Of an idle connection: has the peer sent FIN, RST, or bytes that nobody asked for? One
 * recv(MSG_PEEK). */

#endif
