/* respond_h2.c - the cheapest upstream that still speaks HTTP/2 (prior knowledge): an answer by
 * path.
 *
 * usage: respond_h2 PORT. One thread, epoll, nghttp2. The paths:
 *     /shop.Quotes/Get   (and any other) a gRPC message of 128 bytes, grpc-status: 0 in trailers
 *     /plain.Quotes/Get  the same message as nothing but a body, without trailers
 *     /hold.Count/Get    as the first, its message says HELD/ACCEPTED: streams held, connections
 *     /hold.Head/Watch   a head at once, then nothing: a stream that is held
 *     /hold.Silent/Watch nothing at all: held too
 *     /body/download/N   N bytes of the pattern
 *     /body/upload       takes a body, answers how long it was; 500 when it is not the pattern */
#include "h2/pattern.h"
#include "h2/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#define EVENTS_MAX 256
#define MESSAGE_LEN 128 /* with the five bytes in front that gRPC wants */
#define PREFIX_LEN 5
#define PATH_MAX_LEN 64
#define DOWNLOAD "/body/download/"

enum answer {
    ANSWER_PLAIN,
    ANSWER_COUNT,
    ANSWER_HEAD,
    ANSWER_NOTHING,
    ANSWER_DOWNLOAD,
    ANSWER_UPLOAD
};

/* What a stream needs to remember; those that are answered with a quote need nothing. */
struct stream {
    LIST_ENTRY(stream)
    link; /* of its connection's: nghttp2 does not tell of streams that go with it */
    enum answer answer;
    uint64_t size, offset; /* of the body that goes down, or has come up */
    bool is_wrong;         /* what came up was not the pattern */
    char text[24];
};

LIST_HEAD(streams, stream);

static const nghttp2_nv grpc_head[] = {FIELD(":status", "200"),
                                       FIELD("content-type", "application/grpc")};
static const nghttp2_nv good_head[] = {FIELD(":status", "200")};
static const nghttp2_nv wrong_head[] = {FIELD(":status", "500")};
static const nghttp2_nv trailers[] = {FIELD("grpc-status", "0")};
static uint8_t quote[MESSAGE_LEN] = {0, 0, 0, 0, MESSAGE_LEN - PREFIX_LEN};
static struct stream plain = {.answer = ANSWER_PLAIN}; /* of all that need nothing else */
static unsigned held, accepted;

static void check(int result)
{
    if (result)
        fail(nghttp2_strerror(result));
}

/* ---- bodies that go down ----------------------------------------------------------------------
 */

static ssize_t read_quote(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const struct stream *stream = source->ptr;
    (void)user;
    if (len < MESSAGE_LEN)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(bytes, quote, MESSAGE_LEN);
    if (stream == &plain) {
        *flags = NGHTTP2_DATA_FLAG_EOF;
        return MESSAGE_LEN;
    }
    if (stream)
        memcpy(bytes + PREFIX_LEN, stream->text, strlen(stream->text));
    *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    check(nghttp2_submit_trailer(session, id, trailers, 1));
    return MESSAGE_LEN;
}

static ssize_t read_nothing(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)bytes, (void)len, (void)flags, (void)source, (void)user;
    return NGHTTP2_ERR_DEFERRED;
}

static ssize_t read_pattern(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *stream = source->ptr;
    (void)session, (void)id, (void)user;
    uint64_t left = stream->size - stream->offset;
    size_t part = left < len ? (size_t)left : len;
    pattern_fill(stream->offset, bytes, part);
    stream->offset += part;
    if (stream->offset == stream->size)
        *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

static ssize_t read_text(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const struct stream *stream = source->ptr;
    (void)session, (void)id, (void)user;
    size_t text_len = strlen(stream->text);
    if (len < text_len)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(bytes, stream->text, text_len);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)text_len;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void respond(nghttp2_session *session, int32_t id, const nghttp2_nv *head, size_t count,
                    nghttp2_data_source_read_callback read, struct stream *stream)
{
    nghttp2_data_provider body = {.source.ptr = stream, .read_callback = read};
    check(nghttp2_submit_response(session, id, head, count, &body));
}

/* The request's head is here. */
static void begin_answer(nghttp2_session *session, int32_t id, struct stream *stream)
{
    if (stream && stream->answer == ANSWER_HEAD)
        respond(session, id, grpc_head, 2, read_nothing, NULL);
    else if (stream && stream->answer == ANSWER_DOWNLOAD)
        respond(session, id, good_head, 1, read_pattern, stream);
}

/* The whole request is here. */
static void end_answer(nghttp2_session *session, int32_t id, struct stream *stream)
{
    if (!stream) {
        respond(session, id, grpc_head, 2, read_quote, NULL);
    } else if (stream == &plain) {
        respond(session, id, good_head, 1, read_quote, stream);
    } else if (stream->answer == ANSWER_COUNT) {
        snprintf(stream->text, sizeof stream->text, "%u/%u", held, accepted);
        respond(session, id, grpc_head, 2, read_quote, stream);
    } else if (stream->answer == ANSWER_UPLOAD) {
        snprintf(stream->text, sizeof stream->text, "%llu", (unsigned long long)stream->offset);
        respond(session, id, stream->is_wrong ? wrong_head : good_head, 1, read_text, stream);
    }
}

static bool is_held(const struct stream *stream)
{
    return stream->answer == ANSWER_HEAD || stream->answer == ANSWER_NOTHING;
}

static struct stream *stream_for(const char *path, struct peer *peer)
{
    if (strncmp(path, "/plain", strlen("/plain")) == 0)
        return &plain;
    static const struct {
        const char *path;
        enum answer answer;
    } paths[] = {{"/hold.Count/", ANSWER_COUNT},
                 {"/hold.Head/", ANSWER_HEAD},
                 {"/hold.Silent/", ANSWER_NOTHING},
                 {DOWNLOAD, ANSWER_DOWNLOAD},
                 {"/body/upload", ANSWER_UPLOAD}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strncmp(path, paths[i].path, strlen(paths[i].path)) != 0)
            continue;
        struct stream *stream = calloc(1, sizeof *stream);
        if (!stream)
            die("calloc");
        stream->answer = paths[i].answer;
        if (stream->answer == ANSWER_DOWNLOAD)
            stream->size = strtoull(path + strlen(DOWNLOAD), NULL, 10);
        held += is_held(stream);
        LIST_INSERT_HEAD((struct streams *)peer->owner, stream, link);
        return stream;
    }
    return NULL;
}

static void end_stream(struct stream *stream)
{
    held -= is_held(stream);
    LIST_REMOVE(stream, link);
    free(stream);
}

/* ---- connections ------------------------------------------------------------------------------
 */

static bool accept_one(int epoll, int listener, const nghttp2_session_callbacks *callbacks)
{
    struct peer *peer = peer_accept(epoll, listener, callbacks);
    if (!peer)
        return false;
    if (!(peer->owner = calloc(1, sizeof(struct streams))))
        die("calloc");
    accepted++;
    return true;
}

static void end_connection(struct peer *peer)
{
    struct streams *streams = peer->owner;
    while (!LIST_EMPTY(streams))
        end_stream(LIST_FIRST(streams));
    free(streams);
    peer_free(peer);
}

/* ---- what nghttp2 tells -----------------------------------------------------------------------
 */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    char path[PATH_MAX_LEN];
    (void)flags;
    if (name_len != 5 || memcmp(name, ":path", 5) != 0 || value_len >= sizeof path ||
        (value_len > 1 && value[1] == 's')) /* "/shop...": the one that must cost nothing */
        return 0;
    memcpy(path, value, value_len);
    path[value_len] = '\0';
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream_for(path, user));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    int32_t id = frame->hd.stream_id;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        begin_answer(session, id, stream);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        end_answer(session, id, stream);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)user;
    if (!stream || stream->answer != ANSWER_UPLOAD)
        return 0;
    stream->is_wrong = stream->is_wrong || !pattern_matches(stream->offset, bytes, len);
    stream->offset += len;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)code, (void)user;
    if (stream && stream != &plain)
        end_stream(stream);
    return 0;
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    struct epoll_event events[EVENTS_MAX];
    if (argc != 2 || nghttp2_session_callbacks_new(&callbacks)) {
        fputs("usage: respond_h2 PORT\n", stderr);
        return 2;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    pattern_init();
    int listener = listen_on((uint16_t)number_of(argv[1], UINT16_MAX)), epoll = epoll_new();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        die("epoll_ctl");
    for (;;) {
        int count = epoll_wait_ns(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer && !peer_turn(peer, events[i].events))
                end_connection(peer);
            while (!peer && accept_one(epoll, listener, callbacks))
                continue;
        }
    }
}
