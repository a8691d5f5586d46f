/* local_reply.c - the body is written first, aside, because the head says its length. All writing
 * goes through a pen, which stops at the end of its buffer and remembers that it did. */
#include "http/local_reply.h"

#include "base/json.h"
#include "http/http_date.h"
#include "http/pen.h"
#include "http/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define GRPC_HTTP_STATUS 200

static void put_format(struct pen *pen, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_json(struct pen *pen, const char *key, struct span text);
static void put_escaped(struct pen *pen, struct span text);
static void put_quoted(struct pen *pen, struct span text);
static void put_body(struct pen *pen, const struct local_reply *reply);
static void put_fields(struct pen *pen, const struct local_reply *reply);
static void put_content(struct pen *pen, const struct local_reply *reply, size_t body_len);
static void put_cause(struct pen *pen, const struct local_reply *reply);
static void put_grpc(struct pen *pen, const struct local_reply *reply);
static bool is_wait_known(const struct local_reply *reply);

int local_reply_status(const struct local_reply *reply)
{
    return reply->is_grpc ? GRPC_HTTP_STATUS : reason_http_status(reply->reason);
}

static enum err finish(const struct pen *pen, size_t *len)
{
    if (pen->is_full)
        return ERR_TOO_LARGE;
    *len = pen->len;
    return OK;
}

enum err local_reply_body(const struct local_reply *reply, char *buf, size_t cap, size_t *len)
{
    struct pen pen = {.buf = buf, .cap = cap};
    if (!reply->is_grpc && !reply->is_head)
        put_body(&pen, reply);
    return finish(&pen, len);
}

enum err local_reply_lines(const struct local_reply *reply, char *buf, size_t cap, size_t *len)
{
    char body_buf[LOCAL_REPLY_MAX];
    struct pen body = {.buf = body_buf, .cap = sizeof(body_buf)};
    struct pen pen = {.buf = buf, .cap = cap};
    if (!reply->is_grpc)
        put_body(&body, reply);
    put_fields(&pen, reply);
    put_content(&pen, reply, body.len);
    pen.is_full = pen.is_full || body.is_full;
    return finish(&pen, len);
}

enum err local_reply_trailers(const struct local_reply *reply, char *buf, size_t cap, size_t *len)
{
    struct pen pen = {.buf = buf, .cap = cap};
    put_grpc(&pen, reply);
    put_cause(&pen, reply);
    return finish(&pen, len);
}

enum err local_reply_write(const struct local_reply *reply, char *buf, size_t cap, size_t *len)
{
    const int status = local_reply_status(reply);
    size_t fields_len = 0;
    size_t body_len = 0;
    struct pen pen = {.buf = buf, .cap = cap};
    put_format(&pen, "HTTP/1.1 %d %s\r\n", status, status_phrase(status));
    if (pen.is_full || local_reply_lines(reply, buf + pen.len, cap - pen.len, &fields_len) != OK)
        return ERR_TOO_LARGE;
    pen.len += fields_len;
    if (reply->is_grpc)
        pen_put(&pen, SPAN("content-length: 0\r\n"));
    if (reply->is_last)
        pen_put(&pen, SPAN("connection: close\r\n"));
    else if (reply->is_keep_alive_said)
        pen_put(&pen, SPAN("connection: keep-alive\r\n"));
    pen_put(&pen, SPAN("\r\n"));
    if (pen.is_full || local_reply_body(reply, buf + pen.len, cap - pen.len, &body_len) != OK)
        return ERR_TOO_LARGE;
    *len = pen.len + body_len;
    return OK;
}

static void put_body(struct pen *pen, const struct local_reply *reply)
{
    put_format(pen, "{\"error\":\"%s\"", reason_word(reply->reason));
    put_json(pen, "target", reply->target);
    put_json(pen, "policy", reply->policy);
    put_json(pen, "rule", reply->rule);
    put_json(pen, "at", reply->at);
    if (is_wait_known(reply))
        put_format(pen, ",\"retryAfterMs\":%" PRId64,
                   reply->retry_after / NS_PER_MS + (reply->retry_after % NS_PER_MS > 0));
    else
        pen_put(pen, SPAN(",\"retryAfterMs\":null"));
    put_json(pen, "requestId", reply->request_id);
    pen_put(pen, SPAN("}\n"));
}

static void put_cause(struct pen *pen, const struct local_reply *reply)
{
    put_format(pen, "x-outrigger-reason: %s\r\nproxy-status: ", reason_word(reply->reason));
    pen_put(pen, reply->proxy.data ? reply->proxy : SPAN("outrigger"));
    put_format(pen, "; error=%s; details=", reason_proxy_status(reply->reason));
    put_quoted(pen, span_of(reply->detail ? reply->detail : reason_text(reply->reason)));
    pen_put(pen, SPAN("\r\n"));
}

static void put_grpc(struct pen *pen, const struct local_reply *reply)
{
    put_format(pen, "grpc-status: %d\r\ngrpc-message: %s\r\n", reason_grpc_status(reply->reason),
               reason_word(reply->reason));
    if (is_wait_known(reply))
        put_format(pen, "grpc-retry-pushback-ms: %" PRId64 "\r\n",
                   reply->retry_after / NS_PER_MS + (reply->retry_after % NS_PER_MS > 0));
}

static void put_fields(struct pen *pen, const struct local_reply *reply)
{
    char date[HTTP_DATE_LEN];
    char field[RATE_FIELD_MAX];
    http_date_write(reply->wall_s, date);
    pen_field(pen, SPAN("date"), span_make(date, sizeof(date)));
    put_cause(pen, reply);
    if (reply->is_grpc)
        put_grpc(pen, reply);
    else if (is_wait_known(reply))
        put_format(pen, "retry-after: %" PRId64 "\r\n",
                   reply->retry_after / NS_PER_S + (reply->retry_after % NS_PER_S > 0));
    if (reply->rate) {
        pen_field(pen, SPAN("ratelimit"), span_make(field, rate_fields_limit(reply->rate, field)));
        pen_field(pen, SPAN("ratelimit-policy"),
                  span_make(field, rate_fields_policy(reply->rate, field)));
    }
    if (reply->is_retries_exhausted)
        pen_put(pen, SPAN("x-outrigger-retries: exhausted\r\n"));
}

static void put_content(struct pen *pen, const struct local_reply *reply, size_t body_len)
{
    if (reply->is_grpc)
        pen_put(pen, SPAN("content-type: application/grpc\r\n"));
    else
        put_format(pen, "content-type: application/json\r\ncontent-length: %zu\r\n", body_len);
}

static bool is_wait_known(const struct local_reply *reply)
{
    return reply->retry_after > 0 && reply->retry_after != DUR_FOREVER;
}

static void put_json(struct pen *pen, const char *key, struct span text)
{
    put_format(pen, ",\"%s\":", key);
    if (!text.data) {
        pen_put(pen, SPAN("null"));
        return;
    }
    if (text.len > LOCAL_REPLY_TEXT_MAX)
        text.len = LOCAL_REPLY_TEXT_MAX;
    pen_put(pen, SPAN("\""));
    put_escaped(pen, text);
    pen_put(pen, SPAN("\""));
}

static void put_escaped(struct pen *pen, struct span text)
{
    char escaped[JSON_ESCAPE_MAX];
    size_t len = 0;
    while (text.len > 0) {
        size_t taken = json_escape(text.data, text.len, escaped, &len);
        pen_put(pen, span_make(escaped, len));
        text.data += taken;
        text.len -= taken;
    }
}

/* A string of structured fields (RFC 9651 section 3.3.3): ASCII, what is not becomes '?'. */
static void put_quoted(struct pen *pen, struct span text)
{
    pen_put(pen, SPAN("\""));
    for (size_t i = 0; i < text.len && i < LOCAL_REPLY_TEXT_MAX; i++) {
        char byte = text.data[i];
        if (byte == '"' || byte == '\\')
            pen_put(pen, SPAN("\\"));
        pen_put(pen, byte < 0x20 || byte > 0x7e ? SPAN("?") : span_make(&byte, 1));
    }
    pen_put(pen, SPAN("\""));
}

static void put_format(struct pen *pen, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text))
        pen->is_full = true;
    else
        pen_put(pen, span_make(text, (size_t)len));
}
