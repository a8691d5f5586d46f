/* grpc.c - see PROTOCOL-HTTP2.md of grpc for the grammar. */
#include "http/grpc.h"

#include "http/bytes.h"

#include <inttypes.h>
#include <stdio.h>

#define GRPC_STATUS_MAX 16
#define TIMEOUT_MAX_DIGITS 8
#define TIMEOUT_MAX_VALUE 99999999

struct unit {
    char letter;
    dur_ns length;
};

/* From the finest to the coarsest: grpc_timeout_write takes the first that fits into eight digits.
 */
static const struct unit units[] = {
    {'n', 1},        {'u', NS_PER_US},     {'m', NS_PER_MS},
    {'S', NS_PER_S}, {'M', 60 * NS_PER_S}, {'H', 3600 * NS_PER_S},
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

bool grpc_is_content_type(struct span value)
{
    const struct span type = SPAN("application/grpc");
    if (value.len < type.len || strncasecmp(value.data, type.data, type.len) != 0)
        return false;
    return value.len == type.len || value.data[type.len] == '+' || value.data[type.len] == ';';
}

int grpc_status_from(struct span value)
{
    uint64_t status = 0;
    if (!value.data)
        return -1;
    if (!bytes_decimal(value, &status) || status > GRPC_STATUS_MAX)
        return GRPC_UNKNOWN;
    return (int)status;
}

int grpc_status_in(struct span lines)
{
    struct span name;
    struct span value;
    while (bytes_next_line(&lines, &name, &value))
        if (span_is_nocase(name, SPAN("grpc-status")))
            return grpc_status_from(value);
    return GRPC_UNKNOWN;
}

int grpc_status_from_http(int status)
{
    switch (status) {
    case 400: return 13; /* INTERNAL */
    case 401: return 16; /* UNAUTHENTICATED */
    case 403: return 7;  /* PERMISSION_DENIED */
    case 404: return 12; /* UNIMPLEMENTED */
    case 429:
    case 502:
    case 503:
    case 504: return 14; /* UNAVAILABLE */
    default: return GRPC_UNKNOWN;
    }
}

dur_ns grpc_timeout_from(struct span value)
{
    uint64_t count = 0;
    if (value.len < 2 || value.len > TIMEOUT_MAX_DIGITS + 1 ||
        !bytes_decimal(span_make(value.data, value.len - 1), &count))
        return DUR_FOREVER;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (units[i].letter == value.data[value.len - 1])
            return dur_mul(units[i].length, (int64_t)count);
    }
    return DUR_FOREVER;
}

size_t grpc_timeout_write(dur_ns timeout, char buf[GRPC_TIMEOUT_MAX])
{
    size_t i = 0;
    while (i < UNIT_COUNT - 1 && timeout / units[i].length > TIMEOUT_MAX_VALUE)
        i++;
    dur_ns count = dur_min(timeout / units[i].length, TIMEOUT_MAX_VALUE);
    return (size_t)snprintf(buf, GRPC_TIMEOUT_MAX, "%" PRIu32 "%c", (uint32_t)count,
                            units[i].letter);
}

dur_ns grpc_pushback_from(struct span value)
{
    uint64_t wait_ms = 0;
    if (!value.data)
        return 0;
    if (!bytes_decimal(value, &wait_ms) || wait_ms > INT32_MAX)
        return DUR_FOREVER;
    return wait_ms > 0 ? (dur_ns)wait_ms * NS_PER_MS : 1;
}
