/* stream_h2.c - long bodies over one HTTP/2 connection, up, down or both at once, each byte
 * checked.
 *
 * usage: stream_h2 PORT up|down|both BYTES, with respond_h2 at the far end. Prints JSON: up and
 * down (bytes that arrived as they were), seconds. Exit code 1, with a word, when a byte was wrong,
 * a stream was reset, or nothing moved for 20 s. */
#include "h2/pattern.h"
#include "h2/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BYTES_MAX (UINT64_C(1) << 50)
#define PATIENCE (20 * NS_PER_S)
#define TEXT_MAX 32

struct stream {
    const char *name; /* NULL: not asked for */
    uint64_t sent, received;
    bool is_200, is_wrong, has_ended;
    char text[TEXT_MAX]; /* of the answer to an upload */
    uint32_t code;
};

static struct stream up, down;
static uint64_t size;
static int64_t last_progress;

static ssize_t read_pattern(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)source, (void)user;
    size_t part = size - up.sent < len ? (size_t)(size - up.sent) : len;
    pattern_fill(up.sent, bytes, part);
    up.sent += part;
    if (up.sent == size)
        *flags = NGHTTP2_DATA_FLAG_EOF;
    last_progress = clock_ns();
    return (ssize_t)part;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user;
    if (stream && name_len == 7 && memcmp(name, ":status", 7) == 0)
        stream->is_200 = value_len == 3 && memcmp(value, "200", 3) == 0;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)user;
    if (stream == &down)
        down.is_wrong = down.is_wrong || !pattern_matches(down.received, bytes, len);
    else if (stream == &up && up.received + len < TEXT_MAX)
        memcpy(up.text + up.received, bytes, len);
    if (stream)
        stream->received += len;
    last_progress = clock_ns();
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)user;
    if (stream) {
        stream->has_ended = true;
        stream->code = code;
    }
    return 0;
}

static void check(const struct stream *stream)
{
    bool is_whole = stream == &up ? strtoull(up.text, NULL, 10) == size : down.received == size;
    if (!stream->name || (stream->has_ended && stream->code == NGHTTP2_NO_ERROR && stream->is_200 &&
                          !stream->is_wrong && is_whole))
        return;
    fprintf(stderr, "stream_h2: %s: %s, %s, error code %u, sent %llu, received %llu, said '%s'\n",
            stream->name, stream->has_ended ? "ended" : "did not end",
            !stream->is_200    ? "no 200"
            : stream->is_wrong ? "a wrong byte"
                               : "right so far",
            stream->code, (unsigned long long)stream->sent, (unsigned long long)stream->received,
            stream->text);
    exit(1);
}

static void run(int epoll, struct peer *peer)
{
    while ((up.name && !up.has_ended) || (down.name && !down.has_ended)) {
        struct epoll_event event;
        if (epoll_wait_ns(epoll, &event, 1, NS_PER_S) && !peer_turn(peer, event.events))
            break;
        if (clock_ns() > last_progress + PATIENCE)
            break;
    }
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    bool is_both = argc == 4 && strcmp(argv[2], "both") == 0;
    if (argc == 4 && (is_both || strcmp(argv[2], "up") == 0))
        up.name = "up";
    if (argc == 4 && (is_both || strcmp(argv[2], "down") == 0))
        down.name = "down";
    if ((!up.name && !down.name) || nghttp2_session_callbacks_new(&callbacks)) {
        fputs("usage: stream_h2 PORT up|down|both BYTES\n", stderr);
        return 2;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    pattern_init();
    size = number_of(argv[3], BYTES_MAX);
    int epoll = epoll_new();
    struct peer *peer =
        peer_connect(epoll, (uint16_t)number_of(argv[1], UINT16_MAX), callbacks, NULL);
    int64_t start = last_progress = clock_ns();
    char path[64];
    snprintf(path, sizeof path, "/body/download/%llu", (unsigned long long)size);
    nghttp2_data_provider body = {.read_callback = read_pattern};
    struct request upload = {"/body/upload", .is_plain = true, .body = &body, .stream = &up};
    struct request download = {path, .is_plain = true, .stream = &down};
    if (up.name)
        peer_submit(peer, &upload);
    if (down.name)
        peer_submit(peer, &download);
    run(epoll, peer);
    check(&up);
    check(&down);
    printf("{\"up\": %llu, \"down\": %llu, \"seconds\": %.3f}\n", (unsigned long long)up.sent,
           (unsigned long long)down.received, (double)(clock_ns() - start) / (double)NS_PER_S);
    peer_free(peer);
    nghttp2_session_callbacks_del(callbacks);
    return 0;
}
