/* manifest.h - a file of Kubernetes objects: what its documents say, and where each value stands.
 *
 * Unlike policy files (config/yaml_tree.h) these are other people's: several documents, anchors,
 * aliases, merge keys, tags, every style, JSON and CRLF are read (the caller takes off a byte order
 * mark). What is
 * written there is not changed (splice.h does that), so every value has its bytes.
 * Example: e = manifest_parse(text, &manifest, &problem); for (doc = manifest->documents; doc;
 *          doc = doc->next) look_at(doc->json, doc->root); manifest_free(&manifest);
 * Limits: MANIFEST_MAX_BYTES, _DEPTH (libyaml is quadratic in the depth of nested flow), _VALUES,
 * in which what an alias stands for counts each time, and _ANCHORS a document. Duplicate keys are
 * refused: programs do not agree on which of them counts. `text` must outlive the manifest.
 * Single-threaded. */
#ifndef OUTRIGGER_INJECT_MANIFEST_H
#define OUTRIGGER_INJECT_MANIFEST_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_MAX_BYTES ((size_t)64 << 20)
#define MANIFEST_MAX_DEPTH 64
#define MANIFEST_MAX_VALUES ((size_t)4000000)
#define MANIFEST_MAX_ANCHORS 256
#define MANIFEST_WHY_MAX 256

enum manifest_kind { MANIFEST_SCALAR = 0, MANIFEST_LIST, MANIFEST_MAP, MANIFEST_ALIAS };

struct manifest_mark {
    size_t offset;   /* bytes, into the text */
    uint32_t line;   /* from 1 */
    uint32_t column; /* characters, from 0 */
};

struct manifest_node {
    enum manifest_kind kind;
    uint16_t depth;
    bool is_flow;               /* [...] or {...} */
    bool is_shared;             /* an alias stands for it somewhere else */
    bool is_merge;              /* a key: << */
    bool has_whole_lines;       /* it ends where a line begins: a block scalar, or one at its end */
    bool is_cut;                /* splice.c */
    struct manifest_mark start; /* with its anchor and tag */
    struct manifest_mark open;  /* of a collection: its first '-' or key, or behind its bracket */
    size_t end;                 /* behind its last byte */
    struct manifest_node *first, *last, *next; /* of a map: its values */
    struct manifest_node *parent;
    struct manifest_node *key; /* of a value in a map */
    struct span text;          /* of a key */
    json_t *json;              /* the document owns it; NULL for a key */
    size_t weight;             /* values in it, aliases expanded */
};

struct manifest_document {
    struct manifest_document *next;
    size_t start, end; /* of its text; documents follow one another without a gap */
    struct manifest_node *root;
    json_t *json;            /* what it says, merge keys done */
    int map_step, list_step; /* how far things stand in, where it is seen first; -1: nowhere */
};

struct manifest {
    struct arena arena;
    struct span text;
    struct manifest_document *documents, *last;
    json_t *merged; /* values of merge keys, which no document holds */
};

struct manifest_problem {
    uint32_t line, column; /* from 1 */
    char why[MANIFEST_WHY_MAX];
};

enum err manifest_parse(struct span text, struct manifest **out,
                        struct manifest_problem *problem) MUST_CHECK;
/* ERR_INVALID, ERR_TOO_LARGE: `problem` says what is wrong where. ERR_NO_MEMORY. */

void manifest_free(struct manifest **manifest);

struct manifest_node *manifest_child(const struct manifest_node *node, const char *token);
/* The value of a key, or the item of an index, that is written in this very node; NULL when there
 * is none. */

#endif
