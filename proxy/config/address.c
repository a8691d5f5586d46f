/* address.c - see address.h. */
#include "config/address.h"

#include "config/ip.h"

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, less the root's dot */
#define LABEL_MAX 63
#define FIRST_FD 3        /* below are stdin, stdout, stderr */
#define UNIX_PATH_MAX 107 /* sizeof sun_path less the NUL (unix(7)) */

static const char *port_parse(struct span text, uint16_t *port)
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 5)
        return "the port must be a number from 0 to 65535";
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return "the port must be a number from 0 to 65535";
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    if (value > UINT16_MAX)
        return "the port must be a number from 0 to 65535";
    *port = (uint16_t)value;
    return NULL;
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool host_name_is_valid(struct span host)
{
    size_t label = 0;
    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_host_byte(host.data[i]) || ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

enum address_kind host_kind(struct span host)
{
    uint8_t ip[16];
    if (ipv4_parse(host, ip))
        return ADDRESS_IPV4;
    return ipv6_parse(host, ip) ? ADDRESS_IPV6 : ADDRESS_NAME;
}

static const char *split(struct span text, struct span *host, struct span *port, bool *is_bracketed)
{
    *is_bracketed = text.len > 0 && text.data[0] == '[';
    const char *end = text.data + text.len;
    const char *colon;
    if (*is_bracketed) {
        const char *bracket = memchr(text.data, ']', text.len);
        if (bracket == NULL)
            return "the ] of the IPv6 address is missing";
        *host = span_make(text.data + 1, (size_t)(bracket - text.data) - 1);
        colon = bracket + 1;
    } else {
        colon = memchr(text.data, ':', text.len);
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon) - 1))
            return "an IPv6 address needs brackets: [::1]:8080";
        *host = span_make(text.data, colon ? (size_t)(colon - text.data) : text.len);
    }
    if (colon == NULL || colon == end || *colon != ':')
        return "the port is missing";
    *port = span_make(colon + 1, (size_t)(end - colon) - 1);
    return NULL;
}

static const char *unix_parse(struct span path, struct address_parts *parts)
{
    if (path.len == 0 || path.data[0] != '/')
        return "a Unix socket needs an absolute path: unix:/run/outrigger/x.sock";
    if (path.len > UNIX_PATH_MAX)
        return "the path of a Unix socket may have 107 bytes at most";
    *parts = (struct address_parts){ADDRESS_UNIX, path, 0};
    return NULL;
}

static const char *host_port_parse(struct span text, struct address_parts *parts)
{
    struct span host, port;
    bool is_bracketed;
    uint16_t number;
    const char *problem = split(text, &host, &port, &is_bracketed);
    if (problem == NULL)
        problem = port_parse(port, &number);
    if (problem)
        return problem;
    enum address_kind kind = host_kind(host);
    if (is_bracketed != (kind == ADDRESS_IPV6))
        return "only an IPv6 address stands in brackets";
    *parts = (struct address_parts){host.len == 0 ? ADDRESS_ANY : kind, host, number};
    return NULL;
}

static const char *fd_parse(struct span number, struct address_parts *parts)
{
    uint16_t fd;
    if (port_parse(number, &fd) || fd < FIRST_FD)
        return "an inherited socket is fd:N, a descriptor from 3 up";
    *parts = (struct address_parts){ADDRESS_FD, SPAN(""), fd};
    return NULL;
}

const char *address_parse_listen(struct span text, struct address_parts *parts)
{
    if (span_starts_with(text, SPAN("fd:")))
        return fd_parse(span_make(text.data + 3, text.len - 3), parts);
    if (span_starts_with(text, SPAN("unix:")))
        return unix_parse(span_make(text.data + 5, text.len - 5), parts);
    struct address_parts parsed;
    const char *problem = host_port_parse(text, &parsed);
    if (problem)
        return problem;
    if (parsed.kind == ADDRESS_NAME)
        return "listening needs an IP address, not a name";
    *parts = parsed;
    return NULL;
}

const char *address_parse_upstream(struct span text, struct address_parts *parts)
{
    if (memmem(text.data, text.len, "://", 3))
        return "write host:port alone, without a scheme";
    if (span_starts_with(text, SPAN("unix:")))
        return "an upstream is a host with a port, not a Unix socket";
    struct address_parts parsed;
    const char *problem = host_port_parse(text, &parsed);
    if (problem)
        return problem;
    struct span name = parsed.host;
    if (span_ends_with(name, SPAN("."))) /* kept: it tells DNS that the name is complete */
        name.len--;
    if (parsed.kind == ADDRESS_ANY || (parsed.kind == ADDRESS_NAME && !host_name_is_valid(name)))
        return "this is not a host name or an IP address";
    if (parsed.port == 0)
        return "the port must be a number from 1 to 65535";
    *parts = parsed;
    return NULL;
}

const char *address_parse_endpoint(struct span text, struct address_parts *parts)
{
    if (span_starts_with(text, SPAN("unix:")))
        return unix_parse(span_make(text.data + 5, text.len - 5), parts);
    return address_parse_upstream(text, parts);
}

bool address_config_is_loopback(const struct address_config *address)
{
    uint8_t ip[16];
    struct span host = span_of(address->host);
    static const uint8_t loopback[16] = {[15] = 1};
    switch (address->kind) {
    case ADDRESS_UNIX: return true;
    case ADDRESS_IPV4: return ipv4_parse(host, ip) && ip[0] == 127;
    case ADDRESS_IPV6: return ipv6_parse(host, ip) && memcmp(ip, loopback, sizeof loopback) == 0;
    default: return false;
    }
}
