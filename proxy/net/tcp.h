/* tcp.h - the class of streams without a filter: TCP and Unix sockets, one system call a call. Used
 * through stream.h; filters (TLS) call these to reach the socket below them. */
#ifndef OUTRIGGER_NET_TCP_H
#define OUTRIGGER_NET_TCP_H

#include "base/err.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define STREAM_AGAIN ((ssize_t)-1)  /* nothing now; the event will come */
#define STREAM_FAILED ((ssize_t)-2) /* the connection is gone; stream->error has the errno */

struct stream;
struct stream_class;

extern const struct stream_class tcp_class;

ssize_t tcp_recv(struct stream *stream, void *buffer, size_t len);
ssize_t tcp_sendv(struct stream *stream, const struct iovec *parts, int count);

enum reason tcp_connect_reason(int error);
/* What a failed connect means: REASON_CONNECT_REFUSED, _CONNECT_TIMEOUT or _OVERLOADED; REASON_NONE
 * for 0. */

void tcp_reset(int fd);
/* Closes it with a reset instead of a FIN. */

int tcp_socket(int family);
/* A non-blocking, close-on-exec stream socket, with TCP_NODELAY where that means something; -1 with
 * errno. */

#endif
