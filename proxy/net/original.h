/* original.h - where a connection was going before the kernel redirected it to us: by nat
 * (nf_tables or iptables; SO_ORIGINAL_DST tells), or by tproxy, which leaves that as our side's
 * address. Two or three system calls; loop thread. */
#ifndef OUTRIGGER_NET_ORIGINAL_H
#define OUTRIGGER_NET_ORIGINAL_H

#include "net/address.h"

enum original {
    ORIGINAL_NONE = 0, /* nobody redirected it, it was meant for us (ENOENT, or the address that it
                          came in by; a Unix socket; a kernel without connection tracking) */
    ORIGINAL_NAT,
    ORIGINAL_TPROXY,
};

enum original original_destination(int fd, const struct address *door, struct address *out);
/* `door` is where the listener is bound that it came in by. */

#endif
