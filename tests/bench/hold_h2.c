/* hold_h2.c - opens streams and holds them: what do they cost who stands between?
 *
 * usage: hold_h2 PORT CONNECTIONS STREAMS PATH, STREAMS on each connection. A stream is the HEADERS
 * of a gRPC call whose caller goes on to say nothing. When the other side has taken all of them (a
 * PING behind them is answered) and nothing has come for two seconds, prints "open N heads N":
 * the streams, and how many of them have a response head. Then it holds until its stdin is closed,
 * and prints "lost N": how many ended meanwhile. Exit code 1 when any did. */
#include "h2/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define STREAMS_MAX 10000
#define EVENTS_MAX 256
#define QUIET (2 * NS_PER_S) /* a SYN that found a full backlog comes again after one */
#define PATIENCE (60 * NS_PER_S)

struct connection {
    struct peer *peer; /* NULL: lost */
    bool is_pinged;
};

static struct connection connections[CONNECTIONS_MAX];
static unsigned open_streams, heads, lost, answered_pings;
static int64_t last_progress;

static ssize_t read_nothing(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)bytes, (void)len, (void)flags, (void)source, (void)user;
    return NGHTTP2_ERR_DEFERRED;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session, (void)user;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_RESPONSE)
        heads++;
    else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        answered_pings++;
    else
        return 0;
    last_progress = clock_ns();
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session, (void)id, (void)code, (void)user;
    open_streams--;
    lost++;
    return 0;
}

static void open_streams_on(struct connection *connection, const char *path, unsigned count)
{
    static const nghttp2_data_provider silence = {.read_callback = read_nothing};
    for (unsigned i = 0; i < count; i++)
        peer_submit(connection->peer, &(struct request){.path = path, .body = &silence});
    open_streams += count;
}

/* A PING is urgent to nghttp2, so it is asked for when all HEADERS have left: those that the peer's
 * SETTINGS hold back wait. */
static void on_event(struct connection *connection, uint32_t events, unsigned streams)
{
    if (!peer_turn(connection->peer, events)) {
        peer_free(connection->peer); /* takes its streams along without a word */
        connection->peer = NULL;
        open_streams -= streams;
        lost += streams;
        return;
    }
    nghttp2_session *session = connection->peer->session;
    if (!connection->is_pinged && nghttp2_session_get_outbound_queue_size(session) == 0) {
        connection->is_pinged = true;
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL);
        peer_flush(connection->peer);
    }
}

/* One look at the sockets; false when stdin is closed. */
static bool serve(int epoll, unsigned streams)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait_ns(epoll, events, EVENTS_MAX, NS_PER_S / 10);
    bool has_stdin = true;
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        char byte;
        if (peer)
            on_event(peer->owner, events[i].events, streams);
        else
            has_stdin = read(STDIN_FILENO, &byte, 1) > 0;
    }
    return has_stdin;
}

static bool is_all_open(unsigned count)
{
    return answered_pings == count && clock_ns() > last_progress + QUIET;
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    if (argc != 5 || nghttp2_session_callbacks_new(&callbacks)) {
        fputs("usage: hold_h2 PORT CONNECTIONS STREAMS PATH\n", stderr);
        return 2;
    }
    uint16_t port = (uint16_t)number_of(argv[1], UINT16_MAX);
    unsigned count = (unsigned)number_of(argv[2], CONNECTIONS_MAX);
    unsigned streams = (unsigned)number_of(argv[3], STREAMS_MAX);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int epoll = epoll_new();
    for (unsigned i = 0; i < count; i++) {
        connections[i].peer = peer_connect(epoll, port, callbacks, &connections[i]);
        open_streams_on(&connections[i], argv[4], streams);
    }
    int64_t end = clock_ns() + PATIENCE;
    while (!is_all_open(count) && !lost && clock_ns() < end)
        serve(epoll, streams);
    if (!is_all_open(count))
        fail("hold_h2: not all streams could be opened");
    printf("open %u heads %u\n", open_streams, heads);
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event))
        die("stdin must be a pipe or a terminal");
    while (serve(epoll, streams))
        continue;
    printf("lost %u\n", lost);
    for (unsigned i = 0; i < count; i++) {
        if (connections[i].peer)
            peer_free(connections[i].peer);
    }
    nghttp2_session_callbacks_del(callbacks);
    return lost ? 1 : 0;
}
