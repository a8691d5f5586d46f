/* rate_fields.c - structured fields (RFC 9651), which allow integers of up to 15 digits. */
#include "http/rate_fields.h"

#include <inttypes.h>
#include <stdio.h>

#define SF_INTEGER_MAX UINT64_C(999999999999999)

static uint64_t whole_seconds(dur_ns duration);
static uint64_t at_most(uint64_t value, uint64_t limit);

size_t rate_fields_limit(const struct rate_state *rate, char buf[RATE_FIELD_MAX])
{
    return (size_t)snprintf(buf, RATE_FIELD_MAX, "\"default\";r=%" PRIu64 ";t=%" PRIu64,
                            at_most(rate->remaining, SF_INTEGER_MAX), whole_seconds(rate->reset));
}

size_t rate_fields_policy(const struct rate_state *rate, char buf[RATE_FIELD_MAX])
{
    uint64_t window = whole_seconds(rate->window);
    return (size_t)snprintf(buf, RATE_FIELD_MAX, "\"default\";q=%" PRIu64 ";w=%" PRIu64,
                            at_most(rate->quota, SF_INTEGER_MAX), window > 0 ? window : 1);
}

static uint64_t whole_seconds(dur_ns duration)
{
    return (uint64_t)(duration / NS_PER_S + (duration % NS_PER_S > 0));
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}
