/* call_h2.c - unary gRPC calls on one connection, each looked at: status, message, trailers.
 *
 * usage: call_h2 PORT CALLS STREAMS [PATH [INTERVAL_MS]]. At most STREAMS at a time. With an
 * interval the schedule is fixed in advance: a call's latency counts from when it was due, so a
 * stall is paid by all calls that it delayed. Prints JSON: calls (ended), good (200, a message, no
 * grpc-status but 0), trailers (answers whose grpc-status came after the message), data_bytes of
 * all answers, p50_us, worst_us, and the text of the last message. A lost connection or 20 s
 * without an answer end it, with exit code 1. A path below /plain knows nothing of gRPC. */
#include "h2/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define CALLS_MAX 10000000
#define STREAMS_MAX 1000
#define PATIENCE (20 * NS_PER_S)
#define REQUEST_LEN 105 /* with the five bytes in front that gRPC wants */
#define PREFIX_LEN 5
#define TEXT_MAX 24

struct call {
    struct call *next_free;
    int64_t due;
    size_t data_len;
    bool is_200, is_ok, has_trailers;
};

static struct call calls[STREAMS_MAX], *idle;
static uint8_t message[REQUEST_LEN] = {0, 0, 0, 0, REQUEST_LEN - PREFIX_LEN};
static char text[TEXT_MAX];
static uint32_t *latencies_us; /* of those that ended */
static unsigned ended, good, with_trailers;
static size_t data_bytes;
static int64_t last_end;

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)source, (void)user;
    if (len < REQUEST_LEN)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(bytes, message, REQUEST_LEN);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return REQUEST_LEN;
}

static bool is_field(const char *wanted, const uint8_t *bytes, size_t len)
{
    return len == strlen(wanted) && memcmp(bytes, wanted, len) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user;
    if (!call)
        return 0;
    if (is_field(":status", name, name_len))
        call->is_200 = is_field("200", value, value_len);
    if (is_field("grpc-status", name, name_len)) {
        call->is_ok = is_field("0", value, value_len);
        call->has_trailers = frame->headers.cat == NGHTTP2_HCAT_HEADERS && call->data_len > 0;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)user;
    data_bytes += len;
    if (!call)
        return 0;
    if (call->data_len == 0 && len > PREFIX_LEN)
        snprintf(text, sizeof text, "%.*s", (int)(len - PREFIX_LEN), bytes + PREFIX_LEN);
    call->data_len += len;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);
    (void)user;
    if (!call)
        return 0;
    last_end = clock_ns();
    latencies_us[ended++] = (uint32_t)((last_end - call->due) / 1000);
    with_trailers += call->has_trailers;
    good += code == NGHTTP2_NO_ERROR && call->is_200 && call->is_ok && call->data_len > 0;
    call->next_free = idle;
    idle = call;
    return 0;
}

static void open_call(struct peer *peer, const char *path, int64_t due)
{
    static const nghttp2_data_provider body = {.read_callback = read_message};
    struct call *call = idle;
    idle = call->next_free;
    *call = (struct call){.due = due, .is_ok = true};
    bool is_plain = strncmp(path, "/plain", strlen("/plain")) == 0;
    peer_submit(peer, &(struct request){path, is_plain, .body = &body, .stream = call});
}

/* Opens what is due, closed loop or by the schedule; false when the connection is lost. */
static bool run(int epoll, struct peer *peer, const char *path, unsigned count, int64_t interval)
{
    int64_t start = last_end = clock_ns();
    for (unsigned opened = 0; ended < count;) {
        struct epoll_event event;
        int64_t now = clock_ns(), next = now + PATIENCE / 20;
        for (; idle && opened < count && start + interval * opened <= now; opened++)
            open_call(peer, path, interval ? start + interval * opened : now);
        if (idle && opened < count)
            next = start + interval * opened;
        if (!peer_flush(peer) || now > last_end + interval + PATIENCE)
            return false;
        if (epoll_wait_ns(epoll, &event, 1, next > now ? next - now : 0) &&
            !peer_turn(peer, event.events))
            return false;
    }
    return true;
}

static int by_size(const void *left, const void *right)
{
    const uint32_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void print_result(void)
{
    qsort(latencies_us, ended, sizeof *latencies_us, by_size);
    text[strcspn(text, " \"\\")] = '\0';
    printf("{\"calls\": %u, \"good\": %u, \"trailers\": %u, \"data_bytes\": %zu, "
           "\"p50_us\": %u, \"worst_us\": %u, \"text\": \"%s\"}\n",
           ended, good, with_trailers, data_bytes, ended ? latencies_us[ended / 2] : 0,
           ended ? latencies_us[ended - 1] : 0, text);
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    if (argc < 4 || argc > 6 || nghttp2_session_callbacks_new(&callbacks)) {
        fputs("usage: call_h2 PORT CALLS STREAMS [PATH [INTERVAL_MS]]\n", stderr);
        return 2;
    }
    uint16_t port = (uint16_t)number_of(argv[1], UINT16_MAX);
    unsigned count = (unsigned)number_of(argv[2], CALLS_MAX);
    unsigned streams = (unsigned)number_of(argv[3], STREAMS_MAX);
    int64_t interval = argc > 5 ? (int64_t)number_of(argv[5], 60000) * NS_PER_MS : 0;
    for (unsigned i = 0; i < streams; i++) {
        calls[i].next_free = idle;
        idle = &calls[i];
    }
    if (!(latencies_us = calloc(count, sizeof *latencies_us)))
        die("calloc");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int epoll = epoll_new();
    struct peer *peer = peer_connect(epoll, port, callbacks, NULL);
    bool is_whole = run(epoll, peer, argc > 4 ? argv[4] : "/shop.Quotes/Get", count, interval);
    print_result();
    peer_free(peer);
    nghttp2_session_callbacks_del(callbacks);
    free(latencies_us);
    return is_whole ? 0 : 1;
}
