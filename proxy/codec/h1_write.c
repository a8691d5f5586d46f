/* h1_write.c - one pass over the fields. Neighbours that pass are copied as one run: they are
 * contiguous in the raw head, from the name of the first to the name of the field behind the last.
 */
#include "codec/h1_write.h"

#include "base/check.h"
#include "http/hop.h"
#include "http/pen.h"

#define CRLF_LEN 2

/* What decides whether a field of the message passes. */
struct filter {
    uint64_t cut_ids; /* bit per enum header_id, beside hop_is_cut */
    const struct header_line *lines;
    size_t line_count;
};

static void put_via(struct pen *pen, const struct message *msg, struct span pseudonym);
static void put_target(struct pen *pen, const struct message *msg);
static void put_framing(struct pen *pen, enum body_framing framing, uint64_t length);
static void put_request_connection(struct pen *pen, const struct message *msg,
                                   const struct request_edit *edit);
static void put_response_connection(struct pen *pen, const struct message *msg,
                                    const struct response_edit *edit);
static void put_kept_fields(struct pen *pen, const struct message *msg,
                            const struct filter *filter);
static void put_lines(struct pen *pen, const struct header_line *lines, size_t count);
static enum err finish(struct pen *pen, size_t *len);

static uint64_t bit(enum header_id id)
{
    return UINT64_C(1) << id;
}

enum err h1_write_request(const struct message *msg, const struct request_edit *edit, char *buf,
                          size_t cap, size_t *len)
{
    struct pen pen = {.buf = buf, .cap = cap};
    struct filter filter = {.lines = edit->lines, .line_count = edit->line_count};
    INVARIANT(msg->kind == MESSAGE_REQUEST && msg->raw.len > 0);
    pen_put(&pen, msg->method_name);
    pen_put(&pen, SPAN(" "));
    put_target(&pen, msg);
    pen_put(&pen, SPAN(" HTTP/1.1\r\n"));
    if (msg->is_absolute_form) {
        pen_field(&pen, SPAN("host"), msg->authority);
        filter.cut_ids |= bit(HEADER_HOST);
    } else if (!msg->has_host && edit->host.data) {
        pen_field(&pen, SPAN("host"), edit->host);
    }
    if (msg->version_minor == 0)
        filter.cut_ids |= bit(HEADER_EXPECT); /* RFC 9110 section 10.1.1 */
    if (msg->framing != BODY_CHUNKED)
        filter.cut_ids |= bit(HEADER_TRAILER);
    put_kept_fields(&pen, msg, &filter);
    if (msg->framing != BODY_NONE)
        put_framing(&pen, msg->framing, msg->content_length);
    put_request_connection(&pen, msg, edit);
    put_via(&pen, msg, edit->via);
    if (edit->request_id.data && !message_has(msg, HEADER_X_REQUEST_ID))
        pen_field(&pen, SPAN("x-request-id"), edit->request_id);
    if (edit->attempt > 0) {
        pen_put(&pen, SPAN("x-outrigger-attempt: "));
        pen_number(&pen, edit->attempt);
        pen_put(&pen, SPAN("\r\n"));
    }
    put_lines(&pen, edit->lines, edit->line_count);
    return finish(&pen, len);
}

enum err h1_write_response(const struct message *msg, const struct response_edit *edit, char *buf,
                           size_t cap, size_t *len)
{
    struct pen pen = {.buf = buf, .cap = cap};
    struct filter filter = {.lines = edit->lines, .line_count = edit->line_count};
    INVARIANT(msg->kind == MESSAGE_RESPONSE && msg->raw.len > 0);
    pen_put(&pen, SPAN("HTTP/1.1 "));
    pen_number(&pen, (uint64_t)msg->status);
    pen_put(&pen, SPAN(" "));
    pen_put(&pen, msg->status_text);
    pen_put(&pen, SPAN("\r\n"));
    if (edit->retries != RETRIES_PASS)
        filter.cut_ids |= bit(HEADER_X_OUTRIGGER_RETRIES);
    if (edit->framing != BODY_CHUNKED)
        filter.cut_ids |= bit(HEADER_TRAILER);
    put_kept_fields(&pen, msg, &filter);
    if (edit->framing == BODY_CHUNKED)
        put_framing(&pen, BODY_CHUNKED, 0);
    else if (edit->framing == BODY_LENGTH ||
             (edit->framing == BODY_NONE && msg->has_content_length))
        put_framing(&pen, BODY_LENGTH, msg->content_length);
    put_response_connection(&pen, msg, edit);
    put_via(&pen, msg, edit->via);
    if (edit->retries == RETRIES_EXHAUSTED)
        pen_field(&pen, SPAN("x-outrigger-retries"), SPAN("exhausted"));
    put_lines(&pen, edit->lines, edit->line_count);
    return finish(&pen, len);
}

enum body_framing h1_response_framing(const struct message *msg, uint8_t client_minor)
{
    if (msg->framing == BODY_NONE || msg->framing == BODY_LENGTH)
        return msg->framing;
    return client_minor > 0 ? BODY_CHUNKED : BODY_UNTIL_CLOSE;
}

size_t h1_write_chunk_head(char *buf, uint64_t size)
{
    size_t digits = 1 + (63u - (unsigned)__builtin_clzll(size | 1)) / 4;
    for (size_t i = digits; i > 0; i--) {
        buf[i - 1] = "0123456789abcdef"[size & 15];
        size >>= 4;
    }
    buf[digits] = '\r';
    buf[digits + 1] = '\n';
    return digits + CRLF_LEN;
}

static void put_target(struct pen *pen, const struct message *msg)
{
    if (!msg->is_absolute_form) {
        pen_put(pen, msg->target);
        return;
    }
    pen_put(pen, msg->path);
    pen_put(pen, msg->query);
}

static void put_framing(struct pen *pen, enum body_framing framing, uint64_t length)
{
    if (framing == BODY_CHUNKED) {
        pen_put(pen, SPAN("transfer-encoding: chunked\r\n"));
        return;
    }
    pen_put(pen, SPAN("content-length: "));
    pen_number(pen, length);
    pen_put(pen, SPAN("\r\n"));
}

/* RFC 9110 sections 7.6.1, 7.8, 10.1.4: what we say for this hop is named in Connection. */
static void put_request_connection(struct pen *pen, const struct message *msg,
                                   const struct request_edit *edit)
{
    bool is_upgrade = edit->is_upgrade_passed && msg->is_upgrade;
    if (is_upgrade)
        pen_field(pen, SPAN("upgrade"), msg->upgrade);
    if (msg->accepts_trailers)
        pen_put(pen, SPAN("te: trailers\r\n"));
    if (!is_upgrade && !msg->accepts_trailers && !edit->is_last)
        return;
    struct span first = is_upgrade              ? SPAN("upgrade")
                        : msg->accepts_trailers ? SPAN("te")
                                                : SPAN("close");
    pen_put(pen, SPAN("connection: "));
    pen_put(pen, first);
    if (is_upgrade && msg->accepts_trailers)
        pen_put(pen, SPAN(", te"));
    if (edit->is_last && (is_upgrade || msg->accepts_trailers))
        pen_put(pen, SPAN(", close"));
    pen_put(pen, SPAN("\r\n"));
}

static void put_response_connection(struct pen *pen, const struct message *msg,
                                    const struct response_edit *edit)
{
    if (edit->is_upgrade_passed && msg->upgrade.len > 0) {
        pen_field(pen, SPAN("upgrade"), msg->upgrade);
        pen_put(pen, edit->connection == H1_CONNECTION_CLOSE
                         ? SPAN("connection: upgrade, close\r\n")
                         : SPAN("connection: upgrade\r\n"));
        return;
    }
    if (edit->connection == H1_CONNECTION_CLOSE)
        pen_put(pen, SPAN("connection: close\r\n"));
    else if (edit->connection == H1_CONNECTION_KEEP_ALIVE)
        pen_put(pen, SPAN("connection: keep-alive\r\n"));
}

/* RFC 9110 section 7.6.3: the version that the message came in, and who took it. */
static void put_via(struct pen *pen, const struct message *msg, struct span pseudonym)
{
    if (!pseudonym.data)
        return;
    pen_put(pen, SPAN("via: "));
    pen_put(pen, message_version(msg));
    pen_put(pen, SPAN(" "));
    pen_put(pen, pseudonym);
    pen_put(pen, SPAN("\r\n"));
}

static bool is_replaced(const struct header *header, const struct filter *filter)
{
    for (size_t i = 0; i < filter->line_count; i++) {
        if (filter->lines[i].replaces && span_is_nocase(filter->lines[i].name, header->name))
            return true;
    }
    return false;
}

static bool is_kept(const struct header *header, const struct filter *filter)
{
    return !hop_is_cut(header) && !(filter->cut_ids >> header->id & 1) &&
           (filter->line_count == 0 || !is_replaced(header, filter));
}

static void put_kept_fields(struct pen *pen, const struct message *msg, const struct filter *filter)
{
    const char *end = msg->raw.data + msg->raw.len - CRLF_LEN;
    const char *run = NULL; /* the first kept field that is not copied yet */
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct header *header = &msg->headers[i];
        if (is_kept(header, filter)) {
            run = run ? run : header->name.data;
        } else if (run) {
            pen_put(pen, span_make(run, (size_t)(header->name.data - run)));
            run = NULL;
        }
    }
    if (run)
        pen_put(pen, span_make(run, (size_t)(end - run)));
}

static void put_lines(struct pen *pen, const struct header_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pen_field(pen, lines[i].name, lines[i].value);
}

/* The empty line that ends every head. */
static enum err finish(struct pen *pen, size_t *len)
{
    pen_put(pen, SPAN("\r\n"));
    if (pen->is_full)
        return ERR_TOO_LARGE;
    *len = pen->len;
    return OK;
}
