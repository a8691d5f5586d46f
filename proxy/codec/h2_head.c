/* h2_head.c - see h2_head.h. The pseudo-headers come first (nghttp2 has seen to that); their values
 * lie before the lines, which are copied in runs. */
#include "codec/h2_head.h"

#include "codec/h1_target.h"
#include "http/authority.h"
#include "http/bytes.h"
#include "http/hop.h"

#include <stdlib.h>

#define COOKIE_LINES 1     /* the crumbs of a cookie are written once more, as one line */
#define LINE_EXTRA_BYTES 4 /* ": " and CRLF: less than a field's overhead */
#define STATUS_NO_CONTENT 204
#define STATUS_NOT_MODIFIED 304

static const char too_large[] = "the header list is larger than limits.maxHeaderBytes, or has more "
                                "fields than limits.maxHeaders";

static const char malformed[] = "a field whose name or value is not allowed in HTTP/2";

struct h2_head *h2_head_new(const struct h1_limits *limits)
{
    const size_t capacity = 2 * (size_t)limits->max_header_bytes + LINE_EXTRA_BYTES;
    const size_t headers = (limits->max_headers + COOKIE_LINES) * sizeof(struct header);
    struct h2_head *head = malloc(sizeof *head + capacity);
    struct header *list = malloc(headers);
    if (head == NULL || list == NULL) {
        free(head);
        free(list);
        return NULL;
    }
    head->limits = limits;
    head->capacity = capacity;
    head->headers = list;
    return head;
}

void h2_head_free(struct h2_head **taken)
{
    struct h2_head *head = *taken;
    *taken = NULL;
    if (head == NULL)
        return;
    free(head->headers);
    free(head);
}

void h2_head_begin(struct h2_head *head, enum message_kind kind)
{
    head->kind = kind;
    head->length = head->counted = 0;
    head->fields = head->cookies = 0;
    head->is_too_large = head->is_malformed = false;
    head->fault = NULL;
    head->method = head->scheme = head->authority = head->path = SPAN_NONE;
    head->status = 0;
    head->header_count = 0;
}

/* ---- fields ---- */

static struct span put(struct h2_head *head, struct span text)
{
    char *at = head->bytes + head->length;
    memcpy(at, text.data, text.len);
    head->length += text.len;
    return span_make(at, text.len);
}

static void add_pseudo(struct h2_head *head, struct span name, struct span value)
{
    if (head->header_count > 0) { /* its value would lie between two lines */
        head->fault = "a pseudo-header behind a field";
        return;
    }
    const struct span kept = put(head, value);
    uint64_t status;
    if (span_is(name, SPAN(":method")))
        head->method = kept;
    else if (span_is(name, SPAN(":path")))
        head->path = kept;
    else if (span_is(name, SPAN(":authority")))
        head->authority = kept;
    else if (span_is(name, SPAN(":scheme")))
        head->scheme = kept;
    else if (span_is(name, SPAN(":status")) && bytes_decimal(kept, &status) && status <= 599)
        head->status = (int)status;
    else
        head->fault = "a pseudo-header that is not defined";
}

static void add_line(struct h2_head *head, struct span name, struct span value, bool is_sensitive)
{
    struct header *header = &head->headers[head->header_count++];
    header->name = put(head, name);
    put(head, SPAN(": "));
    header->value = put(head, value);
    put(head, SPAN("\r\n"));
    header->id = (uint8_t)header_id_from(header->name.data, header->name.len);
    header->is_nominated = false;
    header->is_sensitive = is_sensitive;
    if (header->id == HEADER_COOKIE)
        head->cookies++;
}

/* RFC 9113 section 8.2.1: lower case, and nothing that ends a line or a name. */
static const char *judge_field(struct span name, struct span value)
{
    if (name.len == 0 || bytes_span(name.data, name.len, BYTE_TOKEN) != name.len)
        return "a field name has a character that no name may have";
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] >= 'A' && name.data[i] <= 'Z')
            return "a field name is not in lower case";
    if (bytes_span(value.data, value.len, BYTE_VALUE) != value.len)
        return "a field value has a control character";
    if (value.len > 0 && (byte_is_blank(value.data[0]) || byte_is_blank(value.data[value.len - 1])))
        return "a field value starts or ends with white space";
    return NULL;
}

void h2_head_add(struct h2_head *head, struct span name, struct span value, bool is_sensitive)
{
    head->counted += name.len + value.len + H2_FIELD_OVERHEAD;
    const bool is_pseudo = name.len > 0 && name.data[0] == ':';
    if (!is_pseudo)
        head->fields++;
    if (head->counted > head->limits->max_header_bytes || head->fields > head->limits->max_headers)
        head->is_too_large = true;
    if (head->is_too_large || head->is_malformed || head->fault != NULL)
        return;
    if (is_pseudo) {
        add_pseudo(head, name, value);
        return;
    }
    head->fault = judge_field(name, value);
    if (head->fault == NULL)
        add_line(head, name, value, is_sensitive);
}

/* ---- the whole ---- */

/* RFC 9113 section 8.2.3: towards HTTP/1.1 the crumbs of a cookie are one field. */
static void join_cookies(struct h2_head *head)
{
    struct header *joined = &head->headers[head->header_count];
    joined->name = put(head, SPAN("cookie"));
    put(head, SPAN(": "));
    char *start = head->bytes + head->length;
    bool is_sensitive = false;
    for (size_t i = 0; i < head->header_count; i++) {
        struct header *header = &head->headers[i];
        if (header->id != HEADER_COOKIE)
            continue;
        if (head->bytes + head->length > start)
            put(head, SPAN("; "));
        put(head, header->value);
        header->is_nominated = true;
        is_sensitive = is_sensitive || header->is_sensitive;
    }
    joined->value = span_make(start, (size_t)(head->bytes + head->length - start));
    put(head, SPAN("\r\n"));
    joined->id = HEADER_COOKIE;
    joined->is_nominated = false;
    joined->is_sensitive = is_sensitive;
    head->header_count++;
}

struct facts {
    unsigned hosts;
    bool has_length;
    uint64_t length;
};

static const char *note_length(struct span value, struct facts *facts)
{
    uint64_t length;
    if (!bytes_decimal(value, &length) || length > INT64_MAX)
        return "content-length is not a number";
    if (facts->has_length && facts->length != length)
        return "two content-length fields that differ";
    facts->has_length = true;
    facts->length = length;
    return NULL;
}

/* RFC 9113 section 8.2.2. */
static const char *note_field(const struct header *header, struct facts *facts)
{
    switch (header->id) {
    case HEADER_CONNECTION:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE: return "a field that belongs to a connection of HTTP/1.1";
    case HEADER_TE:
        return span_is_nocase(header->value, SPAN("trailers")) ? NULL : "te other than trailers";
    case HEADER_CONTENT_LENGTH: return note_length(header->value, facts);
    case HEADER_HOST: return ++facts->hosts > 1 ? "two host fields" : NULL;
    default: return NULL;
    }
}

static const char *read_fields(struct h2_head *head, struct message *msg, struct facts *facts)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const struct header *header = &head->headers[i];
        if (header->id == HEADER_OTHER)
            continue;
        const char *fault = note_field(header, facts);
        if (fault)
            return fault;
        msg->present |= UINT64_C(1) << header->id;
    }
    if (head->cookies > 1)
        join_cookies(head);
    put(head, SPAN("\r\n"));
    msg->version_major = 2;
    msg->version_minor = 1;
    msg->headers = head->headers;
    msg->header_count = head->header_count;
    msg->raw = span_make(head->bytes, head->length);
    msg->has_content_length = facts->has_length;
    msg->content_length = facts->length;
    msg->is_keep_alive = true;
    msg->accepts_trailers = message_has(msg, HEADER_TE);
    return NULL;
}

static const char *read_target(const struct h2_head *head, struct message *msg)
{
    if (head->method.len == 0 ||
        bytes_span(head->method.data, head->method.len, BYTE_TOKEN) != head->method.len)
        return ":method is not a token";
    msg->method_name = head->method;
    msg->method = method_from(head->method.data, head->method.len);
    msg->is_connect = msg->method == METHOD_CONNECT;
    if (msg->is_connect) {
        msg->target = head->authority;
        return NULL;
    }
    if (bytes_span(head->path.data, head->path.len, BYTE_TARGET) != head->path.len)
        return ":path has a byte that must be percent-encoded";
    msg->target = head->path;
    if (span_is(head->path, SPAN("*"))) {
        msg->path = head->path;
        return msg->method == METHOD_OPTIONS ? NULL : "the path '*' is for OPTIONS alone";
    }
    if (head->path.len == 0 || head->path.data[0] != '/')
        return ":path does not start with a slash";
    if (!span_is_nocase(head->scheme, SPAN("http")) && !span_is_nocase(head->scheme, SPAN("https")))
        return ":scheme is neither http nor https";
    h1_split_path(head->path, msg);
    return NULL;
}

/* RFC 9113 section 8.3.1: :authority is what Host is in HTTP/1.1; both must say the same. */
static const char *read_authority(const struct h2_head *head, struct message *msg)
{
    const struct span host = message_value(msg, HEADER_HOST);
    const struct span text = head->authority.data ? head->authority : host;
    if (head->authority.data && host.data && !span_is_nocase(head->authority, host))
        return ":authority and host differ";
    msg->has_host = host.data != NULL;
    if (msg->is_connect && !head->authority.data)
        return "CONNECT without :authority";
    if (text.data == NULL)
        return NULL;
    const char *fault = h1_read_authority(text, msg);
    if (fault)
        return fault;
    msg->is_absolute_form = head->authority.data != NULL && !msg->is_connect;
    return msg->is_connect && msg->port == 0 ? "the target of CONNECT has no port" : NULL;
}

static enum body_framing framing_of(const struct message *msg, bool is_end)
{
    if (is_end || msg->is_connect)
        return BODY_NONE;
    return msg->has_content_length ? BODY_LENGTH : BODY_CHUNKED;
}

/* A body that HTTP/1.1 must be told of though there is none: Content-Length: 0. */
static bool is_empty_body_said(enum method method)
{
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH;
}

static const char *judge_request(struct h2_head *head, bool is_end, struct message *msg)
{
    struct facts facts = {.hosts = 0};
    const char *fault = head->fault;
    if (!fault && head->is_malformed)
        fault = malformed;
    if (!fault)
        fault = read_target(head, msg);
    if (!fault)
        fault = read_fields(head, msg, &facts);
    if (!fault)
        fault = read_authority(head, msg);
    if (!fault && is_end && facts.length > 0)
        fault = "a content-length, and no body";
    if (fault)
        return fault;
    msg->is_whole = is_end;
    msg->framing = framing_of(msg, is_end);
    if (is_end && (msg->has_content_length || is_empty_body_said(msg->method)))
        msg->framing = BODY_LENGTH;
    msg->expects_continue =
        !is_end && span_is_nocase(message_value(msg, HEADER_EXPECT), SPAN("100-continue"));
    return NULL;
}

static struct h1_result refused(enum reason reason, const char *detail)
{
    return (struct h1_result){.step = H1_ERROR, .reason = reason, .detail = detail};
}

struct h1_result h2_head_request(struct h2_head *head, bool is_end, struct message *msg)
{
    *msg = (struct message){.kind = MESSAGE_REQUEST};
    if (head->is_too_large)
        return refused(REASON_HEADER_TOO_LARGE, too_large);
    const char *fault = judge_request(head, is_end, msg);
    if (fault)
        return refused(REASON_BAD_REQUEST, fault);
    return (struct h1_result){.step = H1_DONE};
}

static const char *judge_response(struct h2_head *head, bool is_end, enum method method,
                                  struct message *msg)
{
    struct facts facts = {.hosts = 0};
    const char *fault = head->fault;
    if (!fault && head->is_malformed)
        fault = malformed;
    if (!fault && head->status < 100)
        fault = ":status is not a number from 100 to 599";
    if (!fault && head->status == 101)
        fault = "a 101, which HTTP/2 does not have";
    if (!fault)
        fault = read_fields(head, msg, &facts);
    if (fault)
        return fault;
    msg->status = head->status;
    msg->status_text = SPAN("");
    const bool is_bodiless = method == METHOD_HEAD || head->status == STATUS_NOT_MODIFIED ||
                             head->status == STATUS_NO_CONTENT || head->status < 200;
    if (is_end && !is_bodiless && facts.length > 0)
        return "a content-length, and no body";
    if (head->status == STATUS_NO_CONTENT || head->status < 200)
        msg->has_content_length = false;
    msg->is_whole = is_end;
    msg->framing = framing_of(msg, is_end || is_bodiless);
    if (is_end && !is_bodiless)
        msg->framing = BODY_LENGTH;
    return NULL;
}

struct h1_result h2_head_response(struct h2_head *head, bool is_end, enum method method,
                                  struct message *msg)
{
    *msg = (struct message){.kind = MESSAGE_RESPONSE};
    if (head->is_too_large)
        return refused(REASON_PROTOCOL_ERROR, too_large);
    const char *fault = judge_response(head, is_end, method, msg);
    if (fault)
        return refused(REASON_PROTOCOL_ERROR, fault);
    return (struct h1_result){.step = H1_DONE};
}

/* ---- trailers ---- */

static bool is_trailer(const struct header *header)
{
    return (header_rules(header->id) & (HEADER_NO_TRAILER | HEADER_HOP | HEADER_LOCAL)) == 0;
}

struct h1_result h2_head_trailers(struct h2_head *head, struct span *lines)
{
    size_t length = 0;
    if (head->is_too_large)
        return refused(REASON_HEADER_TOO_LARGE, too_large);
    if (head->fault || head->is_malformed)
        return refused(REASON_BAD_REQUEST, head->fault ? head->fault : malformed);
    for (size_t i = 0; i < head->header_count; i++) {
        const struct header *header = &head->headers[i];
        const char *end = header->value.data + header->value.len + 2;
        const size_t len = (size_t)(end - header->name.data);
        if (!is_trailer(header))
            continue;
        memmove(head->bytes + length, header->name.data, len);
        length += len;
    }
    *lines = span_make(head->bytes, length);
    return (struct h1_result){.step = H1_DONE};
}
