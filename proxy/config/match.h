/* match.h - does a call match, and does one match cover all calls of another? Allocation-free. */
#ifndef OUTRIGGER_CONFIG_MATCH_H
#define OUTRIGGER_CONFIG_MATCH_H

#include "config/policy_set.h"

enum match_part {
    MATCH_PATH = 0,
    MATCH_METHOD,
    MATCH_GRPC,
    MATCH_HEADER,
    MATCH_QUERY,
    MATCH_ALL, /* nothing is missing: it holds */
};

enum match_part match_mismatch(const struct match *match, const struct match_input *input,
                               size_t *index);
/* The first part that does not hold; `index` is which header or query parameter. */

bool match_holds(const struct match *match, const struct match_input *input);
/* All that is named holds. Paths by whole elements (Gateway API, HTTPPathMatch); the first query
 * parameter of a name counts. */

const struct rule *rule_that_shadows(const struct document *document, size_t index);
/* An earlier rule that takes every call which rule `index` would match; NULL if some may reach it.
 */

#endif
