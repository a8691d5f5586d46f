/* address.h - where a socket is bound or goes to: IPv4, IPv6 or a Unix path, as one value that is
 * copied freely.
 *
 * Example: struct address at;
 *          char text[ADDRESS_TEXT_BYTES];
 *          if (address_parse(span_of("127.0.0.1:8080"), &at) == OK)
 *              address_text(&at, text); // "127.0.0.1:8080", "[::1]:80", "unix:/path"
 *
 * Addresses with equal meaning are equal bytes for address_equal and address_hash: flow label and
 * padding are zeroed, and an IPv4 address mapped into IPv6 becomes IPv4. */
#ifndef OUTRIGGER_NET_ADDRESS_H
#define OUTRIGGER_NET_ADDRESS_H

#include "base/err.h"
#include "base/span.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT_BYTES 128 /* "unix:" and 108 bytes of path is the longest text */

struct address {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

enum err MUST_CHECK address_parse(struct span text, struct address *out);
/* "1.2.3.4:80", "[::1]:80", "unix:/run/x.sock"; no names. ERR_INVALID for anything else,
 * ERR_TOO_LARGE for a Unix path that does not fit into a socket address (107 bytes). */

enum err MUST_CHECK address_from_ip(struct span ip, uint16_t port, struct address *out);
/* A literal without port: "1.2.3.4", "::1" or "[::1]"; ERR_INVALID when it is not one. */

enum err MUST_CHECK address_from_sockaddr(const struct sockaddr *from, socklen_t len,
                                          struct address *out);
/* Copies and normalizes; ERR_INVALID for a family that we do not speak. */

void address_text(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
/* NUL-terminated; "unix:" for an unnamed Unix peer, "none" for no address. */

void address_ip_text(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
/* Without port and brackets, as X-Forwarded-For and key: client want it. */

bool address_without_ipv6(const struct address *address, struct address *instead);
/* Where to listen instead of [::]:PORT on a host that has no IPv6: 0.0.0.0:PORT. False for any
 * other address. */

uint16_t address_port(const struct address *address);
/* 0 for a Unix path. */

bool address_equal(const struct address *a, const struct address *b);

uint64_t address_hash(const struct address *address);
/* Equal on every machine and never 0, so it can serve as an id. Not for tables that a peer could
 * flood. */

bool address_is_any(const struct address *address);
/* 0.0.0.0 or ::, whatever the port. */

bool address_is_loopback(const struct address *address);
/* 127.0.0.0/8, ::1, and every Unix path. */

#endif
