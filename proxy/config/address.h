/* address.h - addresses as config files write them: "127.0.0.1:15001", "[::1]:15001", ":15001",
 * "unix:/run/x.sock", "fd:3", and for upstreams also a name: "payments:8080". Text only: nothing is
 * resolved or opened here. */
#ifndef OUTRIGGER_CONFIG_ADDRESS_H
#define OUTRIGGER_CONFIG_ADDRESS_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_kind {
    ADDRESS_IPV4 = 0,
    ADDRESS_IPV6,
    ADDRESS_NAME,
    ADDRESS_UNIX,
    ADDRESS_ANY,
    ADDRESS_FD /* a listening socket that the process was started with */
};

struct address_config {
    enum address_kind kind;
    const char *text; /* as written */
    const char *host; /* without brackets, names in lower case; "" for ADDRESS_ANY (":15001": every
                         interface) */
    const char *path; /* ADDRESS_UNIX only, else "" */
    uint16_t port; /* the descriptor of ADDRESS_FD; 0 for ADDRESS_UNIX; 0 in a listen address lets
                      the system choose */
};

struct address_list {
    const struct address_config *items;
    size_t count; /* 0 = off */
};

#define ADDRESS_TEXT_MAX 512

struct address_parts {
    enum address_kind kind;
    struct span host; /* or the path, for ADDRESS_UNIX */
    uint16_t port;
};

const char *address_parse_listen(struct span text, struct address_parts *parts);
/* An IP literal with a port, ":PORT", unix:/PATH, or fd:N. NULL when good; else what is wrong,
 * `parts` untouched. */

const char *address_parse_upstream(struct span text, struct address_parts *parts);
/* HOST:PORT where HOST is a name or an IP literal (IPv6 in brackets). NULL when good; else what is
 * wrong. */

const char *address_parse_endpoint(struct span text, struct address_parts *parts);
/* The same, or unix:/PATH. */

bool address_config_is_loopback(const struct address_config *address);
/* Reachable from this machine only: 127.0.0.0/8, ::1, or a Unix socket. */

bool host_name_is_valid(struct span host);
/* Letters, digits, '-', '_' and single dots; at most 253 bytes, labels at most 63 (RFC 1123; '_' as
 * in SRV names). */

enum address_kind host_kind(struct span host);
/* ADDRESS_IPV4, ADDRESS_IPV6 (without brackets) or ADDRESS_NAME. */

#endif
