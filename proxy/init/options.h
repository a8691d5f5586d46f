/* options.h - what the command line asks for. Example: struct options options; char
 * why[OPTIONS_WHY_MAX]; switch (options_read(argc, argv, &options, why)) { case OPTIONS_BAD:
 * fputs(why, stderr); ... }. Plain values that point nowhere. Any thread. */
#ifndef OUTRIGGER_INIT_OPTIONS_H
#define OUTRIGGER_INIT_OPTIONS_H

#include "base/cidrs.h"
#include "base/ports.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_WHY_MAX 256
#define OPTIONS_DEFAULT_PORT 15001 /* `outbound` of a ProxyConfig */
#define OPTIONS_DEFAULT_UID 2102   /* who runs the proxy in our image */

struct options {
    uint16_t port; /* where the proxy takes what is redirected */
    uint32_t uid;  /* the proxy's: what it dials is not redirected */
    uint32_t mark; /* the same for sockets with this SO_MARK; 0: no mark */
    struct port_set skipped_ports;
    struct port_set included_ports; /* empty: all */
    struct cidr_set skipped_ipv4, skipped_ipv6;
    struct port_set
        own_ports;     /* of an enclosure: calls to them on loopback are never the proxy's */
    bool is_enclosure; /* a namespace without a way out (enclosure.h) */
    bool is_ipv4_only; /* of an enclosure: IPv6 leads nowhere */
    bool is_dry_run;
    bool is_removal;
};

enum options_verdict { OPTIONS_GOOD = 0, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_BAD };

enum options_verdict options_read(int argc, char **argv, struct options *out,
                                  char why[OPTIONS_WHY_MAX]);
/* Values follow their option, or a `=`. OPTIONS_BAD: `why` names the argument and what is allowed,
 * `out` is not to be used. Options that are lists add up when they are given again. */

#endif
