/* match.h - does a call match, and does one match cover all calls of another? Allocation-free. */
#ifndef OUTRIGGER_CONFIG_MATCH_H
#define OUTRIGGER_CONFIG_MATCH_H

#include "config/policy_set.h"

bool match_holds(const struct match *match, const struct match_input *input);
/* All that is named holds. Paths by whole elements (Gateway API, HTTPPathMatch); the first query
 * parameter of a name counts. */

const struct rule *rule_that_shadows(const struct document *document, size_t index);
/* An earlier rule that takes every call which rule `index` would match; NULL if some may reach it.
 */

#endif
