/* fuzz_h2_back.c - any frames of an upstream, to three requests that wait for it. Whatever it
 * sends, each of them hears of a head at most once, of an end or a failure exactly once, and
 * nothing after that. */
#include "h2_frames_harness.h"

#include "codec/h1_head.h"
#include "codec/h2_back.h"

#define CALLS 3

struct call {
    struct back *back;
    int heads, ends;
    bool is_slow; /* stops the upstream at its head, and reads on a piece later */
};

static struct call calls[CALLS];
static bool is_gone;

static void over(struct call *call)
{
    require(++call->ends == 1);
    back_close(&call->back);
}

static struct call *call_of(struct back *back)
{
    struct call *call = back->user;
    require(call->back == back && call->ends == 0);
    return call;
}

static void on_interim(struct back *back, struct message *msg)
{
    require(call_of(back)->heads == 0 && msg->status < 200);
}

static void on_head(struct back *back, struct message *msg)
{
    struct call *call = call_of(back);
    require(++call->heads == 1 && msg->status >= 200 && msg->status <= 599);
    if (call->is_slow)
        back_pause(back);
}

static void on_body(struct back *back, struct span bytes)
{
    struct call *call = call_of(back);
    require(call->heads == 1 && bytes.len > 0);
    if (bytes.len % 5 == 0)
        over(call); /* the caller leaves */
}

static void on_end(struct back *back, struct span trailers)
{
    struct call *call = call_of(back);
    require(call->heads == 1);
    require(trailers.len == 0 || trailers.data[trailers.len - 1] == '\n');
    over(call);
}

static void on_failed(struct back *back, enum reason reason, const char *detail)
{
    (void)detail;
    require(reason != REASON_NONE);
    over(call_of(back));
}

static void on_writable(struct back *back)
{
    (void)call_of(back);
}

static const struct back_handler handler = {.on_interim = on_interim,
                                            .on_head = on_head,
                                            .on_body = on_body,
                                            .on_end = on_end,
                                            .on_failed = on_failed,
                                            .on_writable = on_writable};

static void on_idle(struct h2_back *back)
{
    require(back->session.stream_count == 0);
}

static void on_lost(struct h2_back *back)
{
    require(h2_back_room(back) == 0);
}

static void on_gone(struct h2_back *back)
{
    require(back->session.stream_count == 0);
    is_gone = true;
}

static void send_calls(struct h2_back *back, unsigned will)
{
    static const char text[] = "POST /shop.Quotes/Get HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                               "Connection: te\r\nTransfer-Encoding: chunked\r\n\r\n";
    static struct header headers[16];
    const struct request_edit edit = {.via = SPAN("outrigger-1f2e"), .attempt = 1};
    struct message msg;
    require(h1_parse_request(span_of(text), &harness.codec.request_limits, headers, &msg).step ==
            H1_DONE);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct call){.is_slow = i == 1};
        calls[i].back = h2_back_begin(back, &handler, &calls[i]);
        require(calls[i].back != NULL);
        back_send_request(calls[i].back, &msg, &edit);
        back_send_body(calls[i].back, SPAN("0123456789"));
        if (will >> (3 + i) & 1)
            back_send_end(calls[i].back, SPAN("x-checksum: 1\r\n"));
    }
}

static void resume_all(void)
{
    for (int i = 0; i < CALLS; i++)
        if (calls[i].back != NULL)
            back_resume(calls[i].back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct h2_back_options options = {
        .on_idle = on_idle, .on_lost = on_lost, .on_gone = on_gone};
    const struct span settings = SPAN("\0\0\0\4\0\0\0\0\0");
    struct h2_back *back;
    if (len < 3 || len > HARNESS_MAX_INPUT)
        return 0;
    is_gone = false;
    const int fd = harness_open(data[0]);
    require(h2_back_adopt(&harness.codec, fd, &options, &back) == OK);
    h2_session_feed(&back->session, settings);
    harness_turn();
    require(h2_back_room(back) >= CALLS);
    send_calls(back, data[0]);
    harness_turn();
    const size_t half = len / 2;
    harness_feed(&is_gone, &back->session, span_make((const char *)data + 1, half));
    resume_all();
    harness_feed(&is_gone, &back->session,
                 span_make((const char *)data + 1 + half, len - 1 - half));
    if (data[0] & HARNESS_SWEEPS) /* else what waits for its reader outlives the connection */
        resume_all();
    harness_lose(&is_gone, &back->session);
    resume_all();
    harness_close(&is_gone);
    for (int i = 0; i < CALLS; i++)
        require(calls[i].ends == 1 && calls[i].back == NULL);
    return 0;
}
