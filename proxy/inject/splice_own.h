/* splice_own.h - what splice.c (operations, putting in) and splice_cut.c (taking out) share. */
#ifndef OUTRIGGER_INJECT_SPLICE_OWN_H
#define OUTRIGGER_INJECT_SPLICE_OWN_H

#include "inject/splice.h"

struct splice_edit {
    size_t at, cut; /* bytes */
    uint16_t depth; /* of what it stands in: at one place the inner comes first */
    size_t order;
    struct text put;
};

struct text *splice_edit_at(struct splice *splice, size_t at, size_t cut, uint16_t depth);
/* A new edit: what to put there, still empty. NULL without memory. */

enum err splice_refuse(struct splice *splice, const struct manifest_node *node, const char *why);
/* ERR_INVALID, said with the place of the node. */

enum err splice_lines_end(struct splice *splice, const struct manifest_node *node, size_t *out);
/* The end of the line on which a block's value ends, comment included: where a line break, or the
 * end of the text, is. */

enum err splice_cut_child(struct splice *splice, struct manifest_node *child);
/* Takes it out; those of its siblings that go, too, have `is_cut`. */

enum err splice_empty(struct splice *splice, struct manifest_node *node, const json_t *value);
/* A collection becomes null, [] or {}. */

#endif
