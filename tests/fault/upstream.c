/* upstream.c - see upstream.h. */
#include "upstream.h"

#include "h2_peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS 8
#define END_BYTES 4 /* "\r\n\r\n", of a head and of a chunked body */

struct peer {                             /* HTTP/1.1 */
    int fd;                               /* -1 when free */
    char in[UPSTREAM_FIELD_BYTES + 4096]; /* a head, or what is to be echoed */
    size_t in_len;
    char end[END_BYTES]; /* the last bytes that came */
    const char *out;     /* still to be sent */
    size_t out_len;
    bool is_tunnel;
};

static int listener;
static bool speaks_h2;
static struct peer peers[PEERS];
static struct h2_peer h2_peers[PEERS];
static enum upstream_answer wanted;
static bool was_busy;
static char large_answer[UPSTREAM_FIELD_BYTES + UPSTREAM_LARGE_BYTES + 256];
static size_t large_len;

void upstream_will(enum upstream_answer answer)
{
    wanted = answer;
    was_busy = false;
}

static enum upstream_answer next_answer(void)
{
    if (wanted == ANSWER_BUSY_FIRST && was_busy)
        return ANSWER_FINE;
    was_busy = true;
    return wanted;
}

/* ---- HTTP/1.1 ---- */

static void peer_answers(struct peer *peer)
{
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    static const char fine[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n";
    static const char tunnel[] =
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";
    const enum upstream_answer answer = next_answer();
    peer->is_tunnel = answer == ANSWER_TUNNEL;
    peer->out = answer == ANSWER_LARGE        ? large_answer
                : answer == ANSWER_TUNNEL     ? tunnel
                : answer == ANSWER_BUSY_FIRST ? busy
                                              : fine;
    peer->out_len = answer == ANSWER_LARGE ? large_len : strlen(peer->out);
    peer->in_len = 0;
    memset(peer->in, 0, sizeof peer->in);
}

/* A POST comes in chunks: it ends as its head does, with an empty line. */
static bool has_request(const struct peer *peer)
{
    const char *head_end = strstr(peer->in, "\r\n\r\n");
    if (head_end == NULL || peer->is_tunnel || peer->out_len > 0)
        return false;
    const bool has_more = head_end + END_BYTES < peer->in + peer->in_len;
    return strncmp(peer->in, "POST", 4) != 0 ||
           (has_more && memcmp(peer->end, "\r\n\r\n", END_BYTES) == 0);
}

static void peer_takes(struct peer *peer, const char *bytes, size_t len)
{
    const size_t room = sizeof peer->in - 1 - peer->in_len;
    const size_t kept = len < room ? len : room; /* bodies are not looked at */
    memcpy(peer->in + peer->in_len, bytes, kept);
    peer->in_len += kept;
    for (size_t i = len < END_BYTES ? 0 : len - END_BYTES; i < len; i++) {
        memmove(peer->end, peer->end + 1, END_BYTES - 1);
        peer->end[END_BYTES - 1] = bytes[i];
    }
}

static void peer_turn(struct peer *peer)
{
    char bytes[65536];
    const ssize_t got = recv(peer->fd, bytes, sizeof bytes, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(peer->fd);
        peer->fd = -1;
        return;
    }
    if (got > 0 && peer->is_tunnel)
        (void)!send(peer->fd, bytes, (size_t)got, MSG_NOSIGNAL);
    else if (got > 0)
        peer_takes(peer, bytes, (size_t)got);
    if (has_request(peer))
        peer_answers(peer);
    if (peer->out_len == 0)
        return;
    const ssize_t sent = send(peer->fd, peer->out, peer->out_len, MSG_NOSIGNAL);
    if (sent > 0) {
        peer->out += sent;
        peer->out_len -= (size_t)sent;
    }
}

/* ---- HTTP/2 ---- */

static void stream_answers(struct h2_peer *peer, struct h2_peer_stream *stream)
{
    struct h2_block head = {.len = 0};
    struct h2_block trailers = {.len = 0};
    const enum upstream_answer answer = next_answer();
    h2_block_status(&head, answer == ANSWER_BUSY_FIRST ? 503 : 200);
    h2_block_add(&trailers, "grpc-status", "0");
    h2_peer_head(peer, stream, &head, false);
    if (answer == ANSWER_LARGE)
        h2_peer_body(stream, UPSTREAM_LARGE_BYTES, &trailers);
    else if (answer == ANSWER_BUSY_FIRST)
        h2_peer_body(stream, strlen("busy"), NULL);
    else
        h2_peer_body(stream, strlen("ok"), &trailers);
    stream->is_answered = true;
}

static void h2_turn(struct h2_peer *peer)
{
    h2_peer_read(peer);
    for (int i = 0; i < H2_PEER_STREAMS; i++) {
        struct h2_peer_stream *stream = &peer->streams[i];
        if (stream->has_ended && !stream->is_reset && !stream->is_answered)
            stream_answers(peer, stream);
    }
    h2_peer_write(peer);
    if (peer->has_ended)
        h2_peer_close(peer);
}

/* ---- both ---- */

static bool is_free(int i)
{
    return (speaks_h2 ? h2_peers[i].fd : peers[i].fd) < 0;
}

static void take_caller(int i)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && speaks_h2)
        h2_peer_open(&h2_peers[i], fd, true);
    else if (fd >= 0)
        peers[i] = (struct peer){.fd = fd};
}

void upstream_turn(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (is_free(i))
            take_caller(i);
        if (is_free(i))
            continue;
        if (speaks_h2)
            h2_turn(&h2_peers[i]);
        else
            peer_turn(&peers[i]);
    }
}

static void make_large_answer(void)
{
    char *field =
        large_answer + snprintf(large_answer, 64, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n",
                                UPSTREAM_LARGE_BYTES);
    for (int line = 0; line < UPSTREAM_FIELD_BYTES / 10000; line++) {
        field += snprintf(field, 16, "X-%d: ", line);
        memset(field, 'v', 9900);
        field += 9900;
        field += snprintf(field, 3, "\r\n");
    }
    field += snprintf(field, 3, "\r\n");
    memset(field, 'b', UPSTREAM_LARGE_BYTES);
    large_len = (size_t)(field - large_answer) + UPSTREAM_LARGE_BYTES;
}

uint16_t upstream_open(bool is_http2)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    speaks_h2 = is_http2;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(listener, 16), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    for (int i = 0; i < PEERS; i++)
        peers[i].fd = h2_peers[i].fd = -1;
    make_large_answer();
    return ntohs(at.sin_port);
}

void upstream_close(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (peers[i].fd >= 0)
            close(peers[i].fd);
        if (h2_peers[i].fd >= 0)
            h2_peer_close(&h2_peers[i]);
    }
    close(listener);
}
