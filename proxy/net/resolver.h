/* resolver.h - names to addresses, by c-ares, inside the loop: a dead name server stalls nothing
 * but its own lookups.
 *
 * A and AAAA are asked for together; after half a second without an answer A is asked for alone as
 * well, so a server that drops AAAA queries costs that and not a timeout. /etc/hosts and the search
 * list of /etc/resolv.conf count; resolv.conf is read again when it changes. Nothing is cached
 * here: upstream/endpoint.h does that.
 *
 * Example: struct resolver_lookup *lookup;
 *          if (resolver_lookup(r, SPAN("payments"), 8080, on_answer, set, &lookup) != OK)
 *              -> dns_failure
 *
 * Callbacks never come from inside resolver_lookup. The answer is valid during the callback only.
 */
#ifndef OUTRIGGER_NET_RESOLVER_H
#define OUTRIGGER_NET_RESOLVER_H

#include "base/err.h"
#include "base/mono.h"
#include "net/address.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVER_NAME_BYTES                                                                        \
    253 /* RFC 1035 section 2.3.4, as text; longer names are refused before any parser */
#define RESOLVER_MAX_ADDRESSES 256 /* of one answer: a hostile answer of 64 KiB ends here */
#define RESOLVER_MAX_LOOKUPS 1024  /* at a time: a caller that invents names ends here */

struct resolver;
struct resolver_lookup;

struct resolver_options {
    const char *servers;     /* "127.0.0.1:5353,…" instead of those of resolv.conf; NULL */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    dur_ns query_timeout;    /* of the first try at a server, doubled per round; 0: 1.5 s */
    int tries;               /* at each server; 0: 3 */
    dur_ns lookup_timeout;   /* of a whole lookup; 0: 10 s */
};

struct resolver_answer {
    const struct address *addresses; /* with the port that was asked for; IPv4 first */
    size_t count;                    /* 0: failed */
    dur_ns ttl; /* the least of the records; 0 where none is known (/etc/hosts); DUR_FOREVER for a
                   literal */
    const char *failure; /* for a person: "no such name", "the name server did not answer"; NULL */
};

typedef void (*resolver_callback)(void *context, const struct resolver_answer *answer);

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options);
/* Copies the options. Aborts when there is no memory (start of the process); an unreadable
 * resolv.conf is not an error, lookups then go to 127.0.0.1. */

void resolver_free(struct resolver **resolver);
/* Lookups in flight are dropped without a callback. Not from inside a callback of its own. */

enum err MUST_CHECK resolver_lookup(struct resolver *resolver, struct span host, uint16_t port,
                                    resolver_callback callback, void *context,
                                    struct resolver_lookup **out);
/* Starts a lookup; `callback` comes once, later, unless it is cancelled. Literals ("10.0.0.1",
 * "::1", "[::1]") need no DNS. ERR_INVALID for what cannot be a host name (empty, over 253 bytes,
 * odd bytes), ERR_FULL, ERR_NO_MEMORY. */

bool resolver_is_name(struct span host);
/* Could be a host name: letters, digits, hyphens, underscores; labels of 1 to 63 bytes, 253 in all,
 * a final dot or not. What resolver_lookup refuses with ERR_INVALID is neither this nor a literal.
 */

struct resolver_record { /* of SRV (RFC 2782); weights are not kept */
    uint16_t priority;
    uint16_t port;
    char host[RESOLVER_NAME_BYTES + 2]; /* with its final dot */
};

struct resolver_records {
    const struct resolver_record *records; /* lowest priority first */
    size_t count;                          /* 0: failed */
    dur_ns ttl;
    const char *failure; /* for a person; NULL */
};

typedef void (*resolver_records_callback)(void *context, const struct resolver_records *answer);

enum err MUST_CHECK resolver_lookup_srv(struct resolver *resolver, struct span name,
                                        resolver_records_callback callback, void *context,
                                        struct resolver_lookup **out);
/* The same for SRV records: hosts and ports, whose addresses are for the caller to ask. */

struct resolver_counts {
    uint64_t good;
    uint64_t failed;
};

struct resolver_counts resolver_counts(const struct resolver *resolver);
/* Lookups that asked DNS (or /etc/hosts) and were answered to their caller, since the start. */

void resolver_cancel(struct resolver_lookup **lookup);
/* The callback will not come. Only before it has come; sets the pointer to NULL. */

#endif
