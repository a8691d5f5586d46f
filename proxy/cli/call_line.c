/* call_line.c - see call_line.h. */
#include "cli/call_line.h"

#include "config/scalar.h"
#include "http/authority.h"
#include "http/grpc.h"

#include <stdio.h>
#include <string.h>

#define HTTP_PORT 80
#define DEADLINE_DIGITS_MAX 12 /* as the proxy reads it */

static bool refuse(char why[CALL_LINE_WHY_MAX], const char *what, const char *text,
                   const char *instead)
{
    snprintf(why, CALL_LINE_WHY_MAX, "%s: %.100s\n%s", what, text, instead);
    return false;
}

static bool host_parse(struct call_line *call, struct span text, const char *url,
                       char why[CALL_LINE_WHY_MAX])
{
    struct authority authority;
    const char *problem = authority_parse(text, &authority);
    if (problem)
        return refuse(why, problem, url, "Write it as http://payments:8080/v1/charge");
    call->host = authority.host;
    call->is_ipv6 = authority.is_ipv6;
    call->port = authority.port ? authority.port : HTTP_PORT;
    return true;
}

static bool url_parse(struct call_line *call, const char *url, char why[CALL_LINE_WHY_MAX])
{
    struct span text = span_of(url);
    if (span_is(call->method, SPAN("CONNECT"))) {
        call->path = SPAN("");
        return host_parse(call, text, url, why);
    }
    if (text.len >= 8 && strncasecmp(url, "https://", 8) == 0)
        return refuse(why, "the path of an https call is not seen, only its host and port", url,
                      "Write CONNECT payments:443, or http:// where the app speaks clear text");
    if (text.len < 7 || strncasecmp(url, "http://", 7) != 0)
        return refuse(why, "this is no URL", url, "Write it as http://payments:8080/v1/charge");
    struct span rest = span_make(url + 7, text.len - 7);
    size_t host_len = strcspn(rest.data, "/?#");
    if (!host_parse(call, span_make(rest.data, host_len), url, why))
        return false;
    const char *path = rest.data + host_len;
    size_t path_len = strcspn(path, "?#");
    call->path = path_len > 0 ? span_make(path, path_len) : SPAN("/");
    if (path[path_len] == '?')
        call->query = span_make(path + path_len + 1, strcspn(path + path_len + 1, "#"));
    return true;
}

bool call_line_parse(struct call_line *call, const char *method, const char *url,
                     char why[CALL_LINE_WHY_MAX])
{
    call->method = span_of(method);
    call->query = SPAN_NONE;
    if (!token_is_valid(call->method))
        return refuse(why, "this is no method", method, "Write it as GET or POST, before the URL");
    for (const char *at = url; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7F)
            return refuse(why, "a URL has no spaces or control characters", url,
                          "Write them percent-encoded: %20");
    struct span type = call_line_header(call, SPAN("content-type"));
    call->is_grpc = type.data && grpc_is_content_type(type);
    return url_parse(call, url, why);
}

bool call_line_add_header(struct call_line *call, const char *text, char why[CALL_LINE_WHY_MAX])
{
    const char *colon = strchr(text, ':');
    struct span name = span_make(text, colon ? (size_t)(colon - text) : 0);
    if (!token_is_valid(name))
        return refuse(why, "this is no header", text, "Write it as -H 'x-tenant: a'");
    if (call->header_count == CALL_LINE_HEADERS_MAX)
        return refuse(why, "too many headers, from", text, "64 are enough to tell calls apart");
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    call->headers[call->header_count++] = (struct call_header){name, span_make(value, len)};
    return true;
}

struct span call_line_header(const struct call_line *call, struct span name)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (span_is_nocase(call->headers[i].name, name))
            return call->headers[i].value;
    return SPAN_NONE;
}

static struct span header_of(const void *context, struct span name)
{
    return call_line_header(context, name);
}

struct match_input call_line_input(const struct call_line *call)
{
    return (struct match_input){.method = call->method,
                                .path = call->path,
                                .query = call->query,
                                .is_grpc = call->is_grpc,
                                .header = header_of,
                                .context = call};
}

dur_ns call_line_limit(const struct call_line *call, const struct timeouts_config *timeouts)
{
    dur_ns limit = DUR_FOREVER;
    uint64_t ms;
    if (call->is_grpc)
        limit = grpc_timeout_from(call_line_header(call, SPAN("grpc-timeout")));
    if (timeouts->deadline_header == NULL)
        return limit;
    struct span value = call_line_header(call, span_of(timeouts->deadline_header));
    if (value.data && value.len <= DEADLINE_DIGITS_MAX && count_parse(value, &ms))
        limit = dur_min(limit, dur_mul(NS_PER_MS, (int64_t)ms));
    return limit;
}
