/* ports.h - a set of TCP ports as ascending ranges that neither overlap nor touch, which is how an
 * interval set of nf_tables takes them. Example: struct port_range range; if
 * (port_range_parse(SPAN("9000-9010"), &range) == NULL) port_set_add(&set, range). All zeros is the
 * empty set. Plain values, any thread. */
#ifndef OUTRIGGER_BASE_PORTS_H
#define OUTRIGGER_BASE_PORTS_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_SET_MAX 256 /* ranges; an argument is not meant to hold more */

struct port_range {
    uint16_t first, last; /* both included, 1 to 65535 */
};

struct port_set {
    struct port_range ranges[PORT_SET_MAX];
    size_t count;
};

const char *port_range_parse(struct span text, struct port_range *out);
/* "22" or "9000-9010". NULL when good; else what is wrong with it, static, `out` untouched. */

bool port_set_add(struct port_set *set, struct port_range range);
/* Merges it with what it overlaps or touches. False when there is no room, `set` untouched. */

#endif
