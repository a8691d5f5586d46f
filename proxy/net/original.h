/* original.h - where a connection was going before the kernel redirected it to us (nf_tables nat,
 * or iptables): SO_ORIGINAL_DST. One system call a family; loop thread. */
#ifndef OUTRIGGER_NET_ORIGINAL_H
#define OUTRIGGER_NET_ORIGINAL_H

#include "net/address.h"

#include <stdbool.h>

bool original_destination(int fd, struct address *out);
/* False: nobody redirected it, it was meant for us (ENOENT, or the address that it came in by; a
 * Unix socket; a kernel without connection tracking). */

#endif
