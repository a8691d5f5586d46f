/* ruleset.h - the rules as text for nft: `table inet outrigger` and nothing else; for an enclosure
 * (enclosure.h) other ones than for a pod. The text is one
 * transaction, and the same again changes nothing. Example: char *text = ruleset_text(&options);
 * ... free(text). Pure but for the memory that it returns; any thread. */
#ifndef OUTRIGGER_INIT_RULESET_H
#define OUTRIGGER_INIT_RULESET_H

#include "init/options.h"

char *ruleset_text(const struct options *options);
/* What replaces the table, or takes it away (is_removal). The caller frees it; NULL: out of memory.
 */

#endif
