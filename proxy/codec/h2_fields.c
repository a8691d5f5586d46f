/* h2_fields.c - see h2_fields.h. */
#include "codec/h2_fields.h"

#include "http/bytes.h"
#include "http/hop.h"

#include <stdio.h>
#include <string.h>

/* What decides whether a field of the message passes. */
struct filter {
    uint64_t cut_ids; /* bit per enum header_id, beside hop_is_cut */
    const struct header_line *lines;
    size_t line_count;
};

static uint64_t bit(enum header_id id)
{
    return UINT64_C(1) << id;
}

void h2_fields_init(struct h2_fields *fields, nghttp2_nv *list, size_t max)
{
    fields->list = list;
    fields->count = 0;
    fields->max = max;
}

static void put_flagged(struct h2_fields *fields, struct span name, struct span value,
                        uint8_t flags)
{
    if (fields->count == fields->max)
        return;
    fields->list[fields->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data, name.len,
                     value.len, flags};
}

static void put(struct h2_fields *fields, struct span name, struct span value)
{
    put_flagged(fields, name, value, NGHTTP2_NV_FLAG_NONE);
}

static struct span number(char digits[24], uint64_t value)
{
    size_t at = 24;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return span_make(digits + at, 24 - at);
}

static bool is_replaced(const struct header *header, const struct filter *filter)
{
    for (size_t i = 0; i < filter->line_count; i++)
        if (filter->lines[i].replaces && span_is_nocase(filter->lines[i].name, header->name))
            return true;
    return false;
}

/* What is new with every call is not worth a place in the table of HPACK. */
static bool is_unique(enum header_id id)
{
    return id == HEADER_X_REQUEST_ID || id == HEADER_GRPC_TIMEOUT || id == HEADER_IDEMPOTENCY_KEY;
}

static void put_kept(struct h2_fields *fields, const struct message *msg,
                     const struct filter *filter)
{
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct header *header = &msg->headers[i];
        if (hop_is_cut(header) || (filter->cut_ids >> header->id & 1) ||
            (filter->line_count > 0 && is_replaced(header, filter)))
            continue;
        put_flagged(fields, header->name, header->value,
                    header->is_sensitive || is_unique(header->id) ? NGHTTP2_NV_FLAG_NO_INDEX
                                                                  : NGHTTP2_NV_FLAG_NONE);
    }
}

static void put_via(struct h2_fields *fields, const struct message *msg, struct span pseudonym)
{
    const struct span version = message_version(msg);
    if (!pseudonym.data)
        return;
    const int len = snprintf(fields->via, sizeof fields->via, "%.*s %.*s", SPAN_ARGS(version),
                             SPAN_ARGS(pseudonym));
    put(fields, SPAN("via"), span_make(fields->via, (size_t)len));
}

static void put_lines(struct h2_fields *fields, const struct header_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_flagged(fields, lines[i].name, lines[i].value, NGHTTP2_NV_FLAG_NO_INDEX);
}

/* In the head as it came the query lies behind the path, but for "http://host?query". */
static struct span path_of(const struct message *msg)
{
    if (msg->query.len == 0)
        return msg->path;
    if (msg->path.data + msg->path.len == msg->query.data)
        return span_make(msg->path.data, msg->path.len + msg->query.len);
    return SPAN_NONE;
}

static void put_target(struct h2_fields *fields, const struct message *msg,
                       const struct request_edit *edit)
{
    static _Thread_local char joined[H2_PATH_MAX];
    put(fields, SPAN(":method"), msg->method_name);
    put(fields, SPAN(":authority"), msg->authority.data ? msg->authority : edit->host);
    if (msg->is_connect)
        return;
    struct span path = path_of(msg);
    if (path.data == NULL) {
        const int len = snprintf(joined, sizeof joined, "%.*s%.*s", SPAN_ARGS(msg->path),
                                 SPAN_ARGS(msg->query));
        path = span_make(joined, (size_t)len < sizeof joined ? (size_t)len : 0);
    }
    put(fields, SPAN(":scheme"), SPAN("http"));
    put(fields, SPAN(":path"), path);
}

void h2_fields_request(struct h2_fields *fields, const struct message *msg,
                       const struct request_edit *edit)
{
    const struct filter filter = {
        .cut_ids = bit(HEADER_HOST), .lines = edit->lines, .line_count = edit->line_count};
    put_target(fields, msg, edit);
    put_kept(fields, msg, &filter);
    if (msg->has_content_length)
        put(fields, SPAN("content-length"), number(fields->digits[0], msg->content_length));
    if (msg->accepts_trailers)
        put(fields, SPAN("te"), SPAN("trailers"));
    put_via(fields, msg, edit->via);
    if (edit->request_id.data && !message_has(msg, HEADER_X_REQUEST_ID))
        put_flagged(fields, SPAN("x-request-id"), edit->request_id, NGHTTP2_NV_FLAG_NO_INDEX);
    if (edit->attempt > 0)
        put(fields, SPAN("x-outrigger-attempt"), number(fields->digits[1], edit->attempt));
    put_lines(fields, edit->lines, edit->line_count);
}

void h2_fields_status(struct h2_fields *fields, int status)
{
    fields->status[0] = (char)('0' + status / 100 % 10);
    fields->status[1] = (char)('0' + status / 10 % 10);
    fields->status[2] = (char)('0' + status % 10);
    put(fields, SPAN(":status"), span_make(fields->status, sizeof fields->status));
}

void h2_fields_response(struct h2_fields *fields, const struct message *msg,
                        const struct response_edit *edit)
{
    const uint64_t retries = edit->retries != RETRIES_PASS ? bit(HEADER_X_OUTRIGGER_RETRIES) : 0;
    const struct filter filter = {.cut_ids = bit(HEADER_HOST) | retries,
                                  .lines = edit->lines,
                                  .line_count = edit->line_count};
    h2_fields_status(fields, msg->status);
    put_kept(fields, msg, &filter);
    if (msg->has_content_length)
        put(fields, SPAN("content-length"), number(fields->digits[0], msg->content_length));
    put_via(fields, msg, edit->via);
    if (edit->retries == RETRIES_EXHAUSTED)
        put(fields, SPAN("x-outrigger-retries"), SPAN("exhausted"));
    put_lines(fields, edit->lines, edit->line_count);
}

void h2_fields_lines(struct h2_fields *fields, struct span lines)
{
    struct span name;
    struct span value;
    while (bytes_next_line(&lines, &name, &value))
        put(fields, name, value);
}
