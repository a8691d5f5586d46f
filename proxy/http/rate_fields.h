/* rate_fields.h - the RateLimit and RateLimit-Policy values (draft-ietf-httpapi-ratelimit-headers).
 * Example: 200 a second, none left, next in 1 s:  RateLimit: "default";r=0;t=1   RateLimit-Policy:
 * "default";q=200;w=1 */
#ifndef OUTRIGGER_HTTP_RATE_FIELDS_H
#define OUTRIGGER_HTTP_RATE_FIELDS_H

#include "base/mono.h"

#include <stddef.h>
#include <stdint.h>

struct rate_state {
    uint64_t quota;     /* requests ... */
    dur_ns window;      /* ... in this time; shown in whole seconds, at least 1 */
    uint64_t remaining; /* calls that would pass now */
    dur_ns reset;       /* until there are more; rounded up to seconds */
};

#define RATE_FIELD_MAX 64 /* bytes that each value needs at most */

size_t rate_fields_limit(const struct rate_state *rate, char buf[RATE_FIELD_MAX]);
/* The value of RateLimit; returns its length. */

size_t rate_fields_policy(const struct rate_state *rate, char buf[RATE_FIELD_MAX]);
/* The value of RateLimit-Policy; returns its length. */

#endif
