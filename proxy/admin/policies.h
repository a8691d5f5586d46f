/* policies.h - what is loaded, as JSON: every document and rule with its effective values, and the
 * ProxyConfig's.
 *
 * Written a few chunks at a time (a chunk is a document's or a rule's own), so that the loop that
 * does it is never away for long. Example: struct policies_walk walk = {.set = set};
 * while (!policies_write(&walk, &reply, 16)) come_back_next_turn(); The set must stay referenced
 * until the end. A rule's `fields` are those of the blocks that it has itself: all else is as its
 * document's. */
#ifndef OUTRIGGER_ADMIN_POLICIES_H
#define OUTRIGGER_ADMIN_POLICIES_H

#include "config/policy_set.h"
#include "telemetry/text.h"

#include <stdbool.h>
#include <stddef.h>

struct policies_walk {
    const struct policy_set *set;
    size_t document;
    size_t rule; /* 0: the document itself comes next; else rule - 1 */
    bool has_begun;
};

bool policies_write(struct policies_walk *walk, struct text *out, unsigned chunks);
/* True when all is written. */

#endif
