/* fuzz_h2_front.c - any frames of a caller. What it opens is answered, echoed, held or cut, by the
 * length of its path; whatever happens, every request that was told is ended once, and the
 * connection goes with all that it held. */
#include "h2_frames_harness.h"

#include "codec/h2_front.h"
#include "http/local_reply.h"

static int open_requests;
static bool is_gone;
static int a_request; /* its address is what front->user needs to be */

static void end(struct front *front)
{
    front->user = NULL;
    open_requests--;
}

static void reply(struct front *front, enum reason reason)
{
    struct local_reply answer = {.reason = reason, .target = SPAN("payments:8080")};
    front_send_reply(front, &answer);
}

static void on_request(struct front *front, struct message *msg)
{
    require(msg->version_major == 2 && msg->raw.len > 0 && front->user == NULL);
    front->user = &a_request;
    open_requests++;
    switch (msg->path.len % 4) {
    case 0:
        reply(front, REASON_CIRCUIT_OPEN);
        end(front);
        front_finish(front, false);
        break;
    case 1:
        end(front);
        front_close(front, STREAM_END_RESET);
        break;
    case 2: front_read_body(front, true); break;
    default: break; /* held: its body waits with us */
    }
}

static void on_bad_request(struct front *front, enum reason reason, const char *detail)
{
    require(detail != NULL && front->user == NULL);
    reply(front, reason);
    front_finish(front, true);
}

static void on_body(struct front *front, struct span bytes)
{
    require(front->user != NULL && bytes.len > 0);
    front_read_body(front, bytes.len % 7 != 0);
}

static void on_body_end(struct front *front, struct span trailers)
{
    require(front->user != NULL);
    require(trailers.len == 0 || trailers.data[trailers.len - 1] == '\n');
    reply(front, REASON_RATE_LIMITED);
    end(front);
    front_finish(front, false);
}

static void on_bad_body(struct front *front, enum reason reason, const char *detail)
{
    require(detail != NULL);
    reply(front, reason);
    end(front);
    front_finish(front, true);
}

static void on_writable(struct front *front)
{
    require(front->user != NULL);
}

static void on_hangup(struct front *front)
{
    require(front->user != NULL);
    end(front);
    front_close(front, STREAM_END_ORDERLY);
}

static const struct front_handler handler = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_bad_body = on_bad_body,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
};

static void on_gone(struct h2_front *front)
{
    require(front->session.stream_count == 0);
    is_gone = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct h2_front_options options = {.handler = &handler, .on_gone = on_gone};
    const struct span preface = SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    if (len < 2 || len > HARNESS_MAX_INPUT)
        return 0;
    is_gone = false;
    open_requests = 0;
    const int fd = harness_open(data[0]);
    struct h2_front *front = h2_front_open(&harness.codec, fd, preface, &options);
    require(front != NULL);
    harness_feed(&is_gone, &front->session, span_make((const char *)data + 1, len - 1));
    harness_lose(&is_gone, &front->session);
    harness_close(&is_gone);
    require(open_requests == 0);
    return 0;
}
