/* h1_target.c - single spaces between the three parts, nothing before and nothing behind them. */
#include "codec/h1_target.h"

#include "http/authority.h"
#include "http/bytes.h"

#define VERSION_LEN 8 /* "HTTP/1.1" */

static const char *read_version(struct span text, struct message *msg);
static const char *read_target(struct message *msg);
static const char *read_absolute(struct message *msg);

const char *h1_read_request_line(struct span line, struct message *msg)
{
    size_t method_len = bytes_span(line.data, line.len, BYTE_TOKEN);
    if (method_len == 0 || method_len == line.len || line.data[method_len] != ' ')
        return "the request line does not start with a method and a space";
    msg->method_name = span_make(line.data, method_len);
    msg->method = method_from(line.data, method_len);
    struct span rest = span_make(line.data + method_len + 1, line.len - method_len - 1);
    size_t target_len = bytes_span(rest.data, rest.len, BYTE_TARGET);
    if (target_len == 0)
        return "the request line has no target where it should be";
    if (target_len == rest.len)
        return "the request line has no version";
    if (rest.data[target_len] == '#')
        return "the target has a fragment";
    if (rest.data[target_len] != ' ')
        return "the target has a byte that must be percent-encoded";
    msg->target = span_make(rest.data, target_len);
    const char *fault =
        read_version(span_make(rest.data + target_len + 1, rest.len - target_len - 1), msg);
    return fault ? fault : read_target(msg);
}

const char *h1_read_authority(struct span text, struct message *msg)
{
    struct authority authority;
    const char *fault = authority_parse(text, &authority);
    if (fault)
        return fault;
    msg->authority = text;
    msg->host = authority.host;
    msg->port = authority.port;
    msg->is_ipv6_host = authority.is_ipv6;
    return NULL;
}

/* Case-sensitive (RFC 9112 section 2.3). */
static const char *read_version(struct span text, struct message *msg)
{
    if (text.len != VERSION_LEN || memcmp(text.data, "HTTP/1.", VERSION_LEN - 1) != 0 ||
        (text.data[VERSION_LEN - 1] != '0' && text.data[VERSION_LEN - 1] != '1'))
        return "the version is neither HTTP/1.0 nor HTTP/1.1";
    msg->version_minor = (uint8_t)(text.data[VERSION_LEN - 1] - '0');
    return NULL;
}

static const char *read_target(struct message *msg)
{
    if (msg->method == METHOD_CONNECT) {
        const char *fault = h1_read_authority(msg->target, msg);
        msg->is_connect = true;
        if (fault)
            return fault;
        return msg->port > 0 ? NULL : "the target of CONNECT has no port";
    }
    if (msg->target.data[0] == '/') {
        h1_split_path(msg->target, msg);
        return NULL;
    }
    if (msg->target.len == 1 && msg->target.data[0] == '*') {
        msg->path = msg->target;
        return msg->method == METHOD_OPTIONS ? NULL : "the target '*' is for OPTIONS alone";
    }
    return read_absolute(msg);
}

/* RFC 9112 section 3.2.2. An absolute https target would ask us to encrypt what came in the clear.
 */
static const char *read_absolute(struct message *msg)
{
    const struct span scheme = SPAN("http://");
    if (msg->target.len < scheme.len || strncasecmp(msg->target.data, scheme.data, scheme.len) != 0)
        return "the target is neither a path nor http://";
    struct span rest = span_make(msg->target.data + scheme.len, msg->target.len - scheme.len);
    size_t len = 0;
    while (len < rest.len && rest.data[len] != '/' && rest.data[len] != '?')
        len++;
    const char *fault = h1_read_authority(span_make(rest.data, len), msg);
    if (fault)
        return fault;
    msg->is_absolute_form = true;
    h1_split_path(span_make(rest.data + len, rest.len - len), msg);
    if (msg->path.len == 0)
        msg->path = msg->method == METHOD_OPTIONS && !msg->query.data ? SPAN("*") : SPAN("/");
    return NULL;
}

void h1_split_path(struct span text, struct message *msg)
{
    const char *mark = text.len > 0 ? memchr(text.data, '?', text.len) : NULL;
    msg->path = text;
    if (!mark)
        return;
    msg->path.len = (size_t)(mark - text.data);
    msg->query = span_make(mark, text.len - msg->path.len);
}
