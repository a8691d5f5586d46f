/* resolver_srv.c - see resolver_srv.h. glibc parses the message; c-ares 1.18 would give the
 * records, but not how long they hold. */
#include "net/resolver_srv.h"

#include <arpa/nameser.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SRV_FIXED_BYTES 6 /* priority, weight, port (RFC 2782) */

/* False: it is none, or names no host. */
static bool take_record(const ns_msg *msg, const ns_rr *rr, struct resolver_record *record)
{
    const unsigned char *data = ns_rr_rdata(*rr);
    char host[NS_MAXDNAME];
    if (ns_rr_type(*rr) != ns_t_srv || ns_rr_rdlen(*rr) <= SRV_FIXED_BYTES)
        return false;
    if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), data + SRV_FIXED_BYTES, host,
                           sizeof host) < 0)
        return false;
    if (!resolver_is_name(span_of(host)))
        return false;
    record->priority = (uint16_t)ns_get16(data);
    record->port = (uint16_t)ns_get16(data + 4);
    const size_t len = strlen(host);
    memcpy(record->host, host, len);
    record->host[len] = '.'; /* it is complete: the search list is not for it */
    return record->port != 0;
}

static int by_priority(const void *a, const void *b)
{
    const struct resolver_record *first = a;
    const struct resolver_record *second = b;
    return (first->priority > second->priority) - (first->priority < second->priority);
}

static dur_ns least_ttl(dur_ns known, uint32_t seconds, size_t count)
{
    const dur_ns ttl = (dur_ns)seconds * NS_PER_S;
    return count == 0 || ttl < known ? ttl : known;
}

enum err resolver_srv_parse(const unsigned char *message, size_t len,
                            struct resolver_record **records, size_t *count, dur_ns *ttl)
{
    ns_msg msg;
    ns_rr rr;
    *count = 0;
    *ttl = 0;
    if (len > INT_MAX || ns_initparse(message, (int)len, &msg) != 0)
        return ERR_INVALID;
    const size_t said = ns_msg_count(msg, ns_s_an);
    const size_t most = said < RESOLVER_MAX_ADDRESSES ? said : RESOLVER_MAX_ADDRESSES;
    struct resolver_record *list = calloc(most + 1, sizeof *list);
    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < said && *count < most; i++) {
        if (ns_parserr(&msg, ns_s_an, (int)i, &rr) != 0)
            break; /* what follows cannot be found either */
        if (!take_record(&msg, &rr, &list[*count]))
            continue;
        *ttl = least_ttl(*ttl, ns_rr_ttl(rr), *count);
        (*count)++;
    }
    qsort(list, *count, sizeof *list, by_priority);
    *records = list;
    return OK;
}
