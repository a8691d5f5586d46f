/* h1_head.c - start line, then fields, then what the fields together mean: options of the
 * connection, framing, Host.
 *
 * The scan has already refused controls, bare CR and LF, folded lines and everything beyond the
 * limits, so a CR here is the end of a line. Functions return what is wrong, or NULL; nothing is
 * decided by two of them. */
#include "codec/h1_head.h"

#include "codec/h1_target.h"
#include "http/bytes.h"
#include "http/hop.h"

#define CRLF_LEN 2
#define STATUS_SWITCHING_PROTOCOLS 101
#define STATUS_NO_CONTENT 204
#define STATUS_NOT_MODIFIED 304

/* What the fields say, gathered while they are read. */
struct facts {
    unsigned hosts;
    unsigned encodings;
    unsigned upgrades;
    bool has_length;
    uint64_t length;
};

static const char too_many_fields[] = "too many header fields";

static const char *read_fields(struct span lines, uint32_t max_headers, struct message *msg,
                               struct facts *facts);
static const char *blame_name(char byte);
static const char *note_field(const struct header *header, struct facts *facts);
static const char *note_length(struct span value, struct facts *facts);
static const char *read_status_line(struct span line, struct message *msg);
static const char *read_head(struct span head, uint32_t max_headers, struct header *scratch,
                             struct message *msg, struct facts *facts);
static const char *judge_options(struct message *msg, const struct facts *facts);
static const char *judge_request(struct message *msg, const struct facts *facts);
static const char *judge_host(struct message *msg, const struct facts *facts);
static const char *judge_response(struct message *msg, const struct facts *facts,
                                  enum method method, bool has_asked_upgrade);
static bool is_upgrade_wanted(const struct message *msg);
static struct h1_result verdict(enum message_kind kind, const char *fault);

static bool is_without_body(const struct message *msg)
{
    return msg->framing == BODY_NONE || (msg->framing == BODY_LENGTH && msg->content_length == 0);
}

struct h1_result h1_parse_request(struct span head, const struct h1_limits *limits,
                                  struct header *scratch, struct message *msg)
{
    struct facts facts = {.hosts = 0};
    *msg = (struct message){.kind = MESSAGE_REQUEST};
    const char *fault = read_head(head, limits->max_headers, scratch, msg, &facts);
    if (!fault)
        fault = judge_options(msg, &facts);
    if (!fault)
        fault = judge_request(msg, &facts);
    if (!fault)
        fault = judge_host(msg, &facts);
    msg->is_whole = is_without_body(msg);
    return verdict(MESSAGE_REQUEST, fault);
}

struct h1_result h1_parse_response(struct span head, const struct h1_limits *limits,
                                   enum method method, bool has_asked_upgrade,
                                   struct header *scratch, struct message *msg)
{
    struct facts facts = {.hosts = 0};
    *msg = (struct message){.kind = MESSAGE_RESPONSE};
    const char *fault = read_head(head, limits->max_headers, scratch, msg, &facts);
    if (!fault)
        fault = judge_options(msg, &facts);
    if (!fault)
        fault = judge_response(msg, &facts, method, has_asked_upgrade);
    msg->is_whole = is_without_body(msg);
    return verdict(MESSAGE_RESPONSE, fault);
}

struct h1_result h1_parse_fields(struct span lines, uint32_t max_headers, struct header *scratch,
                                 uint32_t *count)
{
    struct message msg = {.headers = scratch};
    struct facts facts = {.hosts = 0};
    const char *fault = read_fields(lines, max_headers, &msg, &facts);
    if (!fault)
        *count = msg.header_count;
    return verdict(MESSAGE_REQUEST, fault);
}

static const char *read_head(struct span head, uint32_t max_headers, struct header *scratch,
                             struct message *msg, struct facts *facts)
{
    const char *end = memchr(head.data, '\r', head.len);
    size_t line_len = (size_t)(end - head.data);
    struct span line = span_make(head.data, line_len);
    msg->raw = head;
    msg->headers = scratch;
    const char *fault = msg->kind == MESSAGE_REQUEST ? h1_read_request_line(line, msg)
                                                     : read_status_line(line, msg);
    if (fault)
        return fault;
    size_t fields_at = line_len + CRLF_LEN;
    return read_fields(span_make(head.data + fields_at, head.len - fields_at - CRLF_LEN),
                       max_headers, msg, facts);
}

/* RFC 9112 section 4. The space behind the code is often forgotten when there is no phrase; nothing
 * else can be meant. */
static const char *read_status_line(struct span line, struct message *msg)
{
    const size_t code_at = sizeof("HTTP/1.1 ") - 1;
    const size_t phrase_at = code_at + 4;
    uint64_t status = 0;
    if (line.len < code_at + 3 || memcmp(line.data, "HTTP/1.", 7) != 0 || line.data[8] != ' ')
        return "the status line does not start with HTTP/1.x and a space";
    if (line.data[7] != '0' && line.data[7] != '1')
        return "the version is neither HTTP/1.0 nor HTTP/1.1";
    if (!bytes_decimal(span_make(line.data + code_at, 3), &status) || status < 100 || status > 599)
        return "the status is not a number from 100 to 599";
    if (line.len >= phrase_at && line.data[phrase_at - 1] != ' ')
        return "the status is not followed by a space";
    msg->version_minor = (uint8_t)(line.data[7] - '0');
    msg->status = (int)status;
    msg->status_text =
        line.len >= phrase_at ? span_make(line.data + phrase_at, line.len - phrase_at) : SPAN("");
    return NULL;
}

/* RFC 9112 section 5: name ":" OWS value OWS CRLF. */
static const char *read_fields(struct span lines, uint32_t max_headers, struct message *msg,
                               struct facts *facts)
{
    const char *at = lines.data;
    const char *end = lines.data + lines.len;
    while (at < end) {
        size_t left = (size_t)(end - at);
        const char *cr = memchr(at, '\r', left);
        if (!cr)
            return "a field line without CRLF";
        size_t name_len = bytes_span(at, (size_t)(cr - at), BYTE_TOKEN);
        if (at[name_len] != ':')
            return blame_name(at[name_len]);
        if (name_len == 0)
            return "a field without a name";
        if (msg->header_count == max_headers)
            return too_many_fields;
        struct header *header = &msg->headers[msg->header_count++];
        const char *value = at + name_len + 1;
        header->name = span_make(at, name_len);
        header->value = bytes_trim(span_make(value, (size_t)(cr - value)));
        header->id = (uint8_t)header_id_from(at, name_len);
        header->is_nominated = false;
        header->is_sensitive = false;
        if (header->id != HEADER_OTHER) {
            const char *fault = note_field(header, facts);
            if (fault)
                return fault;
            msg->present |= UINT64_C(1) << header->id;
        }
        at = cr + CRLF_LEN;
    }
    return NULL;
}

/* `byte` stands where the colon should. */
static const char *blame_name(char byte)
{
    if (byte == ' ' || byte == '\t')
        return "white space before the colon of a field";
    return byte == '\r' ? "a field line without a colon"
                        : "a field name has a character that no name may have";
}

static const char *note_field(const struct header *header, struct facts *facts)
{
    switch (header->id) {
    case HEADER_CONTENT_LENGTH: return note_length(header->value, facts);
    case HEADER_TRANSFER_ENCODING:
        if (++facts->encodings > 1)
            return "two Transfer-Encoding fields";
        return span_is_nocase(header->value, SPAN("chunked"))
                   ? NULL
                   : "a Transfer-Encoding that is not exactly chunked";
    case HEADER_HOST: return ++facts->hosts > 1 ? "two Host fields" : NULL;
    case HEADER_UPGRADE: facts->upgrades++; return NULL;
    default: return NULL;
    }
}

/* RFC 9112 section 6.3, rule 5. Lists ("5, 5") are refused though RFC 9110 section 8.6 would allow
 * them: no sender makes them, only intermediaries that joined two fields. */
static const char *note_length(struct span value, struct facts *facts)
{
    uint64_t length = 0;
    if (!bytes_decimal(value, &length) || length > INT64_MAX)
        return "Content-Length is not a number";
    if (facts->has_length && facts->length != length)
        return "two Content-Length fields that differ";
    facts->has_length = true;
    facts->length = length;
    return NULL;
}

static const char *judge_options(struct message *msg, const struct facts *facts)
{
    struct hop_options options;
    const char *fault = hop_read_connection(msg, &options);
    if (fault)
        return fault;
    if (facts->encodings > 0 && facts->has_length)
        return "both Content-Length and Transfer-Encoding";
    if (facts->encodings > 0 && msg->version_minor == 0)
        return "Transfer-Encoding in HTTP/1.0";
    msg->has_content_length = facts->has_length;
    msg->content_length = facts->length;
    msg->is_keep_alive = !options.is_close && (msg->version_minor > 0 || options.is_keep_alive);
    msg->accepts_trailers = hop_accepts_trailers(msg);
    msg->upgrade = message_value(msg, HEADER_UPGRADE);
    msg->is_upgrade = msg->version_minor > 0 && options.is_upgrade && facts->upgrades == 1 &&
                      is_upgrade_wanted(msg);
    return NULL;
}

/* h2c is never passed: behind an upgraded connection requests would go by that no policy has seen.
 */
static bool is_upgrade_wanted(const struct message *msg)
{
    struct span rest = msg->upgrade;
    struct span protocol;
    unsigned count = 0;
    while (bytes_next_item(&rest, &protocol)) {
        if (protocol.len >= 2 && strncasecmp(protocol.data, "h2", 2) == 0)
            return false;
        count++;
    }
    return count > 0;
}

static const char *judge_request(struct message *msg, const struct facts *facts)
{
    if (msg->is_connect && (facts->encodings > 0 || facts->length > 0))
        return "CONNECT with a body";
    if (msg->is_connect)
        return NULL;
    if (facts->encodings > 0)
        msg->framing = BODY_CHUNKED;
    else if (facts->has_length)
        msg->framing = BODY_LENGTH;
    bool has_body = msg->framing == BODY_CHUNKED || msg->content_length > 0;
    msg->expects_continue = has_body && msg->version_minor > 0 &&
                            span_is_nocase(message_value(msg, HEADER_EXPECT), SPAN("100-continue"));
    return NULL;
}

/* RFC 9112 section 3.2. An authority in the target wins, but Host must be valid all the same. */
static const char *judge_host(struct message *msg, const struct facts *facts)
{
    msg->has_host = facts->hosts > 0;
    if (!msg->has_host)
        return msg->version_minor == 0 ? NULL : "no Host field";
    struct message host = {.kind = MESSAGE_REQUEST};
    const char *fault = h1_read_authority(message_value(msg, HEADER_HOST), &host);
    if (fault || msg->authority.data)
        return fault;
    msg->authority = host.authority;
    msg->host = host.host;
    msg->port = host.port;
    msg->is_ipv6_host = host.is_ipv6_host;
    return NULL;
}

/* RFC 9112 section 6.3. */
static const char *judge_response(struct message *msg, const struct facts *facts,
                                  enum method method, bool has_asked_upgrade)
{
    bool is_interim = msg->status < 200;
    bool is_tunnel = method == METHOD_CONNECT && msg->status >= 200 && msg->status < 300;
    if (msg->status == STATUS_SWITCHING_PROTOCOLS && (!has_asked_upgrade || !msg->is_upgrade))
        return "a 101 that was not asked for, or without its Upgrade";
    if (is_interim || msg->status == STATUS_NO_CONTENT) {
        if (facts->encodings > 0 || facts->length > 0)
            return "a body where the status allows none";
        msg->has_content_length = false;
        return NULL;
    }
    if (is_tunnel || method == METHOD_HEAD || msg->status == STATUS_NOT_MODIFIED)
        return NULL;
    if (facts->encodings > 0) {
        msg->framing = BODY_CHUNKED;
    } else if (facts->has_length) {
        msg->framing = BODY_LENGTH;
    } else {
        msg->framing = BODY_UNTIL_CLOSE;
        msg->is_keep_alive = false;
    }
    return NULL;
}

static struct h1_result verdict(enum message_kind kind, const char *fault)
{
    if (!fault)
        return (struct h1_result){.step = H1_DONE};
    enum reason reason = kind == MESSAGE_RESPONSE   ? REASON_PROTOCOL_ERROR
                         : fault == too_many_fields ? REASON_HEADER_TOO_LARGE
                                                    : REASON_BAD_REQUEST;
    return (struct h1_result){.step = H1_ERROR, .reason = reason, .detail = fault};
}
