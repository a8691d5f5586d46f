/* ports.c - see ports.h. */
#include "base/ports.h"

#include "base/number.h"

#define HIGHEST_PORT 65535

const char *port_range_parse(struct span text, struct port_range *out)
{
    const char *dash = text.len > 0 ? memchr(text.data, '-', text.len) : NULL;
    const size_t first_len = dash ? (size_t)(dash - text.data) : text.len;
    uint32_t first, last;
    if (!number_parse(span_make(text.data, first_len), 1, HIGHEST_PORT, &first))
        return "is no port: ports are 1 to 65535, ranges are written 9000-9010";
    last = first;
    if (dash &&
        !number_parse(span_make(dash + 1, text.len - first_len - 1), 1, HIGHEST_PORT, &last))
        return "is no range of ports: both ends are 1 to 65535, as in 9000-9010";
    if (last < first)
        return "is a range that ends before it begins: the lower port comes first";
    *out = (struct port_range){(uint16_t)first, (uint16_t)last};
    return NULL;
}

bool port_set_add(struct port_set *set, struct port_range range)
{
    struct port_range *ranges = set->ranges;
    size_t from = 0, to;
    while (from < set->count && ranges[from].last + 1 < range.first)
        from++;
    for (to = from; to < set->count && ranges[to].first <= range.last + 1; to++) {
        if (ranges[to].first < range.first)
            range.first = ranges[to].first;
        if (ranges[to].last > range.last)
            range.last = ranges[to].last;
    }
    /* ranges[from..to) become the one that is added. */
    if (from == to && set->count == PORT_SET_MAX)
        return false;
    memmove(ranges + from + 1, ranges + to, (set->count - to) * sizeof *ranges);
    ranges[from] = range;
    set->count = set->count + 1 - (to - from);
    return true;
}
