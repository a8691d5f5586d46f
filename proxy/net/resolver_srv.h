/* resolver_srv.h - an answer of DNS with SRV records (RFC 2782), as a list. For resolver.c only. */
#ifndef OUTRIGGER_NET_RESOLVER_SRV_H
#define OUTRIGGER_NET_RESOLVER_SRV_H

#include "net/resolver.h"

#include <stddef.h>

enum err MUST_CHECK resolver_srv_parse(const unsigned char *message, size_t len,
                                       struct resolver_record **records, size_t *count,
                                       dur_ns *ttl);
/* The records of the answer, lowest priority first, for the caller to free; `ttl` is the least of
 * them. Those that name no host ("." says that the service is not offered) are left out, and what
 * is beyond RESOLVER_MAX_ADDRESSES. ERR_INVALID: not a message; ERR_NO_MEMORY. */

#endif
