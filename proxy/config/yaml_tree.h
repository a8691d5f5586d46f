/* yaml_tree.h - the text of a file as a tree of nodes, each with its place.
 *
 * The subset of YAML that config files need: scalars, lists and blocks (mappings with text keys),
 * several documents a file. Anchors, aliases, tags and duplicate keys are refused: each is a way in
 * which a file says something else than its reader thinks. Limits: 1 MiB (load.h), YAML_MAX_DEPTH
 * (libyaml is quadratic in the depth of nested flow: asked at every event, so 20 kB of '[' end at
 * the 33rd), YAML_MAX_SCALAR_BYTES, YAML_MAX_NODES, YAML_MAX_KEYS a block (keys are compared
 * pairwise). UTF-8 without NUL only, checked before libyaml sees a byte. Nodes live in the caller's
 * arena; single-threaded, no global state. */
#ifndef OUTRIGGER_CONFIG_YAML_TREE_H
#define OUTRIGGER_CONFIG_YAML_TREE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "config/diagnostics.h"

#include <stdbool.h>
#include <stdint.h>

#define YAML_MAX_DEPTH 32
#define YAML_MAX_SCALAR_BYTES (64u * 1024)
#define YAML_MAX_NODES 50000
#define YAML_MAX_KEYS 128

enum node_kind {
    NODE_NULL = 0, /* nothing was written, or ~ or null */
    NODE_SCALAR,
    NODE_LIST,
    NODE_BLOCK,
    NODE_BROKEN, /* an error was reported here; say no more about it */
};

struct node {
    enum node_kind kind;
    uint32_t line; /* of the value, from 1 */
    uint32_t column;
    uint32_t length;   /* as of a place */
    uint32_t key_line; /* of the key, in a block */
    uint32_t key_column;
    uint32_t key_length;
    uint32_t count; /* of children */
    bool is_quoted;
    struct span key;  /* in a block */
    struct span text; /* of a scalar; a NUL follows */
    struct node *first;
    struct node *last;
    struct node *next;
};

enum err yaml_tree_parse(struct arena *arena, const char *file, struct span text,
                         struct node **documents, struct diagnostics *diag) MUST_CHECK;
/* The file's documents, linked by `next`, empty ones left out. ERR_INVALID: the file cannot be read
 * to its end, said in `diag`. OK with errors in `diag`: readable, but something in it is refused.
 * ERR_NO_MEMORY. */

void node_append(struct node *parent, struct node *child);

const struct node *node_get(const struct node *block, const char *key);
/* The child of that name; NULL where there is none, or where `block` is NULL or no block. */

const struct node *node_find(const struct node *block, const char *path);
/* The same down a path such as "retry.budget.percent"; `block` itself for "". */

struct place node_place(const char *file, const struct node *node);
struct place node_key_place(const char *file, const struct node *node);
/* Where its value, or its key, stands. */

struct node *node_merge(struct arena *arena, const struct node *below, const struct node *above);
/* A new block: the fields of `above`, then those of `below` that it does not name; blocks in both
 * are merged the same way. Either may be NULL. NULL when there is no memory. */

#endif
