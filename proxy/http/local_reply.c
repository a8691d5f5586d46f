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

#define GRPC_NO_PUSHBACK (-1)

static void put_format(struct pen *pen, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_json(struct pen *pen, const char *key, struct span text);
static void put_escaped(struct pen *pen, struct span text);
static void put_quoted(struct pen *pen, struct span text);
static void put_body(struct pen *pen, const struct local_reply *reply);
static void put_head(struct pen *pen, const struct local_reply *reply, size_t body_len);
static bool is_wait_known(const struct local_reply *reply);

enum err local_reply_write(const struct local_reply *reply, char *buf, size_t cap, size_t *len)
{
    char body_buf[LOCAL_REPLY_MAX];
    struct pen body = {.buf = body_buf, .cap = sizeof(body_buf)};
    struct pen pen = {.buf = buf, .cap = cap};
    put_body(&body, reply);
    put_head(&pen, reply, body.len);
    if (!reply->is_head)
        pen_put(&pen, span_make(body.buf, body.len));
    if (pen.is_full || body.is_full)
        return ERR_TOO_LARGE;
    *len = pen.len;
    return OK;
}

struct local_reply_grpc local_reply_grpc(const struct local_reply *reply)
{
    int64_t pushback_ms = GRPC_NO_PUSHBACK;
    if (is_wait_known(reply))
        pushback_ms = reply->retry_after / NS_PER_MS + (reply->retry_after % NS_PER_MS > 0);
    return (struct local_reply_grpc){.status = reason_grpc_status(reply->reason),
                                     .message = reason_word(reply->reason),
                                     .pushback_ms = pushback_ms};
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

static void put_head(struct pen *pen, const struct local_reply *reply, size_t body_len)
{
    int status = reason_http_status(reply->reason);
    char date[HTTP_DATE_LEN];
    char field[RATE_FIELD_MAX];
    http_date_write(reply->wall_s, date);
    put_format(pen, "HTTP/1.1 %d %s\r\ndate: ", status, status_phrase(status));
    pen_put(pen, span_make(date, sizeof(date)));
    put_format(pen, "\r\nx-outrigger-reason: %s\r\nproxy-status: ", reason_word(reply->reason));
    pen_put(pen, reply->proxy.data ? reply->proxy : SPAN("outrigger"));
    put_format(pen, "; error=%s; details=", reason_proxy_status(reply->reason));
    put_quoted(pen, span_of(reply->detail ? reply->detail : reason_text(reply->reason)));
    if (is_wait_known(reply))
        put_format(pen, "\r\nretry-after: %" PRId64,
                   reply->retry_after / NS_PER_S + (reply->retry_after % NS_PER_S > 0));
    if (reply->rate) {
        pen_put(pen, SPAN("\r\nratelimit: "));
        pen_put(pen, span_make(field, rate_fields_limit(reply->rate, field)));
        pen_put(pen, SPAN("\r\nratelimit-policy: "));
        pen_put(pen, span_make(field, rate_fields_policy(reply->rate, field)));
    }
    if (reply->is_retries_exhausted)
        pen_put(pen, SPAN("\r\nx-outrigger-retries: exhausted"));
    if (reply->is_last)
        pen_put(pen, SPAN("\r\nconnection: close"));
    else if (reply->is_keep_alive_said)
        pen_put(pen, SPAN("\r\nconnection: keep-alive"));
    put_format(pen, "\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", body_len);
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
