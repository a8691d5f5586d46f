/* retry_after.c */
#include "http/retry_after.h"

#include "http/bytes.h"
#include "http/http_date.h"

dur_ns retry_after_from(struct span value, int64_t wall_s)
{
    uint64_t seconds = 0;
    int64_t date_s = 0;
    if (bytes_span(value.data, value.len, BYTE_DIGIT) == value.len && value.len > 0)
        return bytes_decimal(value, &seconds) && seconds <= INT64_MAX
                   ? dur_mul(NS_PER_S, (int64_t)seconds)
                   : DUR_FOREVER;
    if (!http_date_is_valid(value, wall_s, &date_s) || date_s <= wall_s)
        return 0;
    return dur_mul(NS_PER_S, date_s - wall_s);
}
