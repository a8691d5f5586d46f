/* address.c - parsing, printing and comparing socket addresses. */
#include "net/address.h"

#include "base/check.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNIX_PREFIX SPAN("unix:")
#define PORT_DIGITS 5

static enum err parse_port(struct span text, uint16_t *out)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > PORT_DIGITS) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return ERR_INVALID;
        }
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    if (port > UINT16_MAX) {
        return ERR_INVALID;
    }
    *out = (uint16_t)port;
    return OK;
}

static enum err unix_address(struct span path, struct address *out)
{
    struct address address = {.un = {.sun_family = AF_UNIX}};
    if (path.len == 0 || memchr(path.data, '\0', path.len) != NULL) {
        return ERR_INVALID;
    }
    if (path.len >= sizeof(address.un.sun_path)) {
        return ERR_TOO_LARGE;
    }
    memcpy(address.un.sun_path, path.data, path.len);
    address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *out = address;
    return OK;
}

enum err address_parse(struct span text, struct address *out)
{
    uint16_t port = 0;
    size_t colon = text.len;
    if (span_starts_with(text, UNIX_PREFIX)) {
        return unix_address(span_make(text.data + UNIX_PREFIX.len, text.len - UNIX_PREFIX.len),
                            out);
    }
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || parse_port(span_make(text.data + colon, text.len - colon), &port) != OK) {
        return ERR_INVALID;
    }
    struct span ip = span_make(text.data, colon - 1);
    if (memchr(ip.data, ':', ip.len) != NULL && ip.data[0] != '[') {
        return ERR_INVALID; /* "::1:80" could be read in two ways */
    }
    return address_from_ip(ip, port, out);
}

enum err address_from_ip(struct span ip, uint16_t port, struct address *out)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool has_brackets = ip.len >= 2 && ip.data[0] == '[' && ip.data[ip.len - 1] == ']';
    if (has_brackets) {
        ip = span_make(ip.data + 1, ip.len - 2);
    }
    if (ip.len == 0 || ip.len >= sizeof(text) || memchr(ip.data, '\0', ip.len) != NULL) {
        return ERR_INVALID;
    }
    memcpy(text, ip.data, ip.len);
    text[ip.len] = '\0';
    if (!has_brackets && inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return address_from_sockaddr((const struct sockaddr *)&in, sizeof(in), out);
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        return address_from_sockaddr((const struct sockaddr *)&in6, sizeof(in6), out);
    }
    return ERR_INVALID;
}

static void set_in(struct address *address, const void *ip, in_port_t port)
{
    address->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    memcpy(&address->in.sin_addr, ip, sizeof(address->in.sin_addr));
    address->len = sizeof(address->in);
}

static void set_in6(struct address *address, const struct sockaddr_in6 *from)
{
    address->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                         .sin6_port = from->sin6_port,
                                         .sin6_addr = from->sin6_addr,
                                         .sin6_scope_id = from->sin6_scope_id};
    address->len = sizeof(address->in6);
}

enum err address_from_sockaddr(const struct sockaddr *from, socklen_t len, struct address *out)
{
    struct address address;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    memset(&address, 0, sizeof(address));
    if (len < offsetof(struct sockaddr, sa_data)) {
        return ERR_INVALID;
    }
    if (from->sa_family == AF_INET && len >= sizeof(in)) {
        memcpy(&in, from, sizeof(in));
        set_in(&address, &in.sin_addr, in.sin_port);
    } else if (from->sa_family == AF_INET6 && len >= sizeof(in6)) {
        memcpy(&in6, from, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            set_in(&address, &in6.sin6_addr.s6_addr[12], in6.sin6_port);
        } else {
            set_in6(&address, &in6);
        }
    } else if (from->sa_family == AF_UNIX && len <= sizeof(address.un)) {
        memcpy(&address.un, from, len);
        address.len = len;
    } else {
        return ERR_INVALID;
    }
    *out = address;
    return OK;
}

void address_text(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    char ip[ADDRESS_TEXT_BYTES];
    if (address->len == 0) {
        snprintf(text, ADDRESS_TEXT_BYTES, "none");
        return;
    }
    address_ip_text(address, ip);
    if (address->any.sa_family == AF_UNIX) {
        memcpy(text, ip, sizeof(ip));
    } else if (address->any.sa_family == AF_INET6) {
        snprintf(text, ADDRESS_TEXT_BYTES, "[%.*s]:%u", INET6_ADDRSTRLEN, ip,
                 (unsigned)address_port(address));
    } else {
        snprintf(text, ADDRESS_TEXT_BYTES, "%.*s:%u", INET6_ADDRSTRLEN, ip,
                 (unsigned)address_port(address));
    }
}

static void unix_text(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    size_t len = address->len - offsetof(struct sockaddr_un, sun_path);
    const char *path = address->un.sun_path;
    if (len > 0 && path[0] == '\0') { /* an abstract name, printed as `ss` does */
        snprintf(text, ADDRESS_TEXT_BYTES, "unix:@%.*s", (int)(len - 1), path + 1);
    } else {
        snprintf(text, ADDRESS_TEXT_BYTES, "unix:%.*s", (int)len, path);
    }
}

void address_ip_text(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    if (address->len == 0) {
        snprintf(text, ADDRESS_TEXT_BYTES, "none");
    } else if (address->any.sa_family == AF_UNIX) {
        unix_text(address, text);
    } else if (address->any.sa_family == AF_INET6) {
        INVARIANT(inet_ntop(AF_INET6, &address->in6.sin6_addr, text, ADDRESS_TEXT_BYTES) != NULL);
    } else {
        INVARIANT(inet_ntop(AF_INET, &address->in.sin_addr, text, ADDRESS_TEXT_BYTES) != NULL);
    }
}

bool address_without_ipv6(const struct address *address, struct address *instead)
{
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)) {
        return false;
    }
    return address_from_ip(SPAN("0.0.0.0"), address_port(address), instead) == OK;
}

uint16_t address_port(const struct address *address)
{
    if (address->len == 0 || address->any.sa_family == AF_UNIX) {
        return 0;
    }
    return ntohs(address->any.sa_family == AF_INET6 ? address->in6.sin6_port
                                                    : address->in.sin_port);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->len == b->len && memcmp(&a->any, &b->any, a->len) == 0;
}

uint64_t address_hash(const struct address *address)
{
    const unsigned char *bytes = (const unsigned char *)&address->any;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a; then the high bits are mixed, too */
    for (socklen_t i = 0; i < address->len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    hash = hash_mix(hash);
    return hash != 0 ? hash : 1;
}

bool address_is_any(const struct address *address)
{
    if (address->len == 0 || address->any.sa_family == AF_UNIX) {
        return false;
    }
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)
                                              : address->in.sin_addr.s_addr == INADDR_ANY;
}

bool address_is_loopback(const struct address *address)
{
    if (address->len == 0) {
        return false;
    }
    if (address->any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
    }
    return address->any.sa_family == AF_UNIX ||
           ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}
