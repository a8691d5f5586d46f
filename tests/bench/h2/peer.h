/* peer.h - one HTTP/2 connection of a bench program: an nghttp2 session on a non-blocking socket.
 *
 *     struct peer *peer = peer_connect(epoll, port, callbacks, owner);
 *     peer_submit(peer, &request);                  // as many as wanted
 *     peer_flush(peer);
 *     ... epoll_wait() says peer ...
 *     if (!peer_turn(peer, events))                         // reads all, answers all in one send()
 *         peer_free(peer);
 *
 * The programs that use it (respond_h2, call_h2, hold_h2, storm_h2, stream_h2) have one thread and
 * speak to 127.0.0.1 only. Whatever their own machine refuses them (memory, sockets) ends them with
 * a word; what the other side does is a false. Edge-triggered: a peer is read until it is dry. */
#ifndef OUTRIGGER_TESTS_BENCH_H2_PEER_H
#define OUTRIGGER_TESTS_BENCH_H2_PEER_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* A header field of two string literals, which nghttp2 need not copy. */
#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

struct epoll_event;

struct peer {
    int fd;
    nghttp2_session *session;
    void *owner;     /* whose connection it is; the session's user data is the peer itself */
    uint8_t *outbox; /* what the socket did not take yet */
    size_t outbox_len, outbox_sent;
};

/* A call, as it is opened: gRPC's, or one that knows nothing of gRPC. */
struct request {
    const char *path;
    bool is_plain;
    const nghttp2_data_provider *body; /* NULL: none, the head ends it */
    void *stream;                      /* the stream's user data */
};

/* Ends the program, with errno's word or without. */
_Noreturn void die(const char *what);
_Noreturn void fail(const char *text);
int64_t clock_ns(void);
/* A number from 1 to `most`, or the end. */
uint64_t number_of(const char *text, uint64_t most);

int epoll_new(void);
/* Waits for at most `ns` (-1: for ever), to the nanosecond; how many events there are. */
int epoll_wait_ns(int epoll, struct epoll_event *events, int most, int64_t ns);

int listen_on(uint16_t port);
struct peer *peer_accept(int epoll, int listener, const nghttp2_session_callbacks *callbacks);
struct peer *peer_connect(int epoll, uint16_t port, const nghttp2_session_callbacks *callbacks,
                          void *owner);
void peer_free(struct peer *peer);

/* Opens a stream; its id. */
int32_t peer_submit(struct peer *peer, const struct request *request);

/* Moves what the session has to say into the outbox; false when that is full. */
bool peer_gather(struct peer *peer);
/* Whether more than half an outbox waits for the socket. */
bool peer_is_behind(const struct peer *peer);
/* Gathers and sends; false when the connection is lost. */
bool peer_flush(struct peer *peer);
/* Reads all that is there and flushes, after these events; false when the connection has ended. */
bool peer_turn(struct peer *peer, uint32_t events);

#endif
