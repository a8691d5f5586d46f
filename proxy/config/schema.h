/* schema.h - what may stand in a config file, as tables: one row per field, with its type, place in
 * a C struct, bounds, default and one sentence. The decoder, the error messages, the reference and
 * the JSON Schema all come from the rows.
 *
 * Example: {.name = "openFor", .type = FIELD_DURATION, .offset = offsetof(struct breaker_config,
 * open_for), ...} A default is text, read by the same code that reads a user's: what the reference
 * shows is what happens. `preset` holds in a block that is present, `absent` in one that is not
 * (NULL: the same). Single-threaded, no global state. */
#ifndef OUTRIGGER_CONFIG_SCHEMA_H
#define OUTRIGGER_CONFIG_SCHEMA_H

#include "base/arena.h"
#include "base/err.h"
#include "config/diagnostics.h"
#include "config/yaml_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_TEXT_MAX 256

/* FIELD_TYPE(NAME, word in the reference, what an error says was expected, C type of the member) */
#define FIELD_TYPE_LIST(X)                                                                         \
    X(DURATION, "duration", "a duration such as 250ms")        /* dur_ns */                        \
    X(SIZE, "size", "a size such as 64KiB")                    /* uint32_t or uint64_t */          \
    X(PERCENT, "percent", "a percentage such as 20")           /* uint32_t, permille */            \
    X(COUNT, "count", "a whole number")                        /* uint32_t or uint64_t */          \
    X(BOOL, "bool", "true or false")                           /* bool */                          \
    X(STRING, "string", "text")                                /* const char * */                  \
    X(TEXT, "string", "text")                                  /* struct span */                   \
    X(NAME, "name", "a name such as payments")                 /* const char * */                  \
    X(HEADER_NAME, "header name", "the name of a header")      /* const char *, lower case */      \
    X(METHOD_NAME, "method", "a method such as GET")           /* struct span */                   \
    X(ENUM, "enum", "one word")                                /* int: an enum */                  \
    X(KEY, "key", "none, header:NAME, path, method or client") /* struct key_config */             \
    X(ACCESS, "access", "off, refusals, sampled: 1% or all")   /* struct log_config */             \
    X(HTTP_CODES, "list of HTTP statuses",                                                         \
      "a list such as [502, 503]") /* struct code_set, http */                                     \
    X(GRPC_CODES, "list of gRPC codes",                                                            \
      "a list such as [UNAVAILABLE]")                           /* struct code_set, grpc */        \
    X(FLAGS, "list of words", "a list of words")                /* uint32_t: a mask */             \
    X(METHODS, "list of methods", "a list such as [GET, HEAD]") /* uint32_t; aux: other_methods */ \
    X(TEXTS, "list of texts",                                                                      \
      "a list of texts") /* const char *const *, ends with NULL; absent: NULL */                   \
    X(PORTS, "list of ports", "a list such as [8080]") /* struct port_list */                      \
    X(HOST, "host",                                                                                \
      "a host such as payments, \"*.example.com\" or \"*\"") /* const char *, normalised */        \
    X(ADDRESSES, "address or list",                                                                \
      "an address such as \"127.0.0.1:15001\", or a list") /* struct address_list */               \
    X(UPSTREAM, "host:port", "host:port")                  /* struct address_config */             \
    X(ENDPOINTS, "list of host:port",                                                              \
      "a list such as [\"10.0.0.1:8080\"]")         /* struct address_list */                      \
    X(LABELS, "map of strings", "a block of texts") /* nothing is kept */                          \
    X(BLOCK, "block", "a block")                    /* the members of its own fields */            \
    X(BLOCKS, "list of blocks", "a list of blocks") /* pointer; aux: size_t count */               \
    X(LATER, "not in this version", "nothing")      /* known, refused */

enum field_type {
#define X(name, word, expects) FIELD_##name,
    FIELD_TYPE_LIST(X)
#undef X
        FIELD_TYPE_COUNT
};

#define WORD_LATER (-2) /* a word that is known, but not available in this version */

struct word {
    const char *name; /* NULL ends a table */
    int value;
};

struct field {
    const char *name;
    enum field_type type;
    bool is_required;
    bool is_reloadable; /* of a ProxyConfig: applied without a restart */
    bool is_manual;     /* known and documented here, read by the block's owner */
    uint8_t size;       /* of an integer member, bytes */
    uint16_t offset;
    uint16_t aux; /* offset of a second member, where the type has one */
    uint64_t min; /* durations in ns, percentages in permille, texts in bytes, lists in items */
    uint64_t max;
    const char *preset;       /* NULL: none */
    const char *absent;       /* NULL: as preset */
    const struct word *words; /* of an enum or of flags; of a count: the one word for "no limit" */
    const struct block *block;
    const char *unit; /* in the reference; "" or NULL: the type says it */
    const char *doc;
};

struct decoder;

struct block {
    const char *name;
    const struct field *fields;
    size_t field_count;
    size_t item_size; /* of the struct, where it stands in a list */
    void (*finish)(struct decoder *decoder, const struct node *node, void *out, bool is_good);
    /* After all fields of a block that is present: what no single row can say. May be NULL. */
    const char *doc;
};

struct decoder {
    struct arena *arena;   /* what is decoded lives here */
    struct arena *scratch; /* nodes that nobody needs afterwards */
    struct diagnostics *diag;
    const char *file;
    char path[PATH_TEXT_MAX];
    size_t path_len;
    bool is_partial; /* required fields may be missing: they may stand in a lower layer */
    enum err err;    /* ERR_NO_MEMORY stops everything */
};

void decoder_init(struct decoder *decoder, struct arena *arena, struct arena *scratch,
                  struct diagnostics *diag, const char *file);
/* `file` must live as long as `arena`: what is decoded refers to it. */

bool block_decode(struct decoder *decoder, const struct block *block, const struct node *node,
                  bool is_present, void *out);
/* Fills the members of `out` from `node` and the defaults. `node` may be NULL: `is_present` then
 * says which defaults. False when something was wrong (said) or memory ran out (decoder->err);
 * `out` is then filled as far as it goes. */

size_t path_push(struct decoder *decoder, const char *name);
size_t path_push_index(struct decoder *decoder, size_t index);
void path_pop(struct decoder *decoder, size_t mark);
/* The path that errors show: ".name", "[3]"; push returns what pop wants. */

void decode_error(struct decoder *decoder, enum diagnostic_code code, const struct node *node,
                  const char *help, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* At the value of `node`; the path is the decoder's. */

void decode_refuse(struct decoder *decoder, enum diagnostic_code code, const struct node *block,
                   const char *name, const char *help, const char *message);
/* At the field `name` of `block`, or at the block where it is left out. */

bool decode_expected(struct decoder *decoder, const struct node *node, const char *expects,
                     const char *help);
/* "expected ..., found ..."; always false. */

const char *decode_keep(struct decoder *decoder, struct span text);
const char *decode_keep_lower(struct decoder *decoder, struct span text);
/* A copy in the arena; NULL and decoder->err when there is no memory. */

const char *decode_at(struct decoder *decoder, uint32_t line);
/* "file:line" in the arena; "" and decoder->err when there is no memory. */

const char *field_type_word(enum field_type type);
const char *node_describe(const struct node *node, char *out, size_t size);
/* "a list", "nothing", "\"ten\"": for "expected ..., found ...". */

bool value_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                  void *out);
/* One value that is no block: into the member of `out` that the row names. schema_values.c */

bool list_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                 void *out);
/* The same for lists of plain values. schema_lists.c */

bool place_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                  void *out);
/* The same for hosts and addresses, and for labels. schema_places.c */

bool method_check(struct decoder *decoder, const struct node *node);
/* Is it a method? Says so when it is not: GET is, get is a slip. */

void decode_unknown_word(struct decoder *decoder, const struct node *node,
                         const struct word *words);
/* "unknown value ...", with what is allowed and the nearest. */

bool node_default(struct decoder *decoder, const char *text, struct node *out);
/* The text of a default, "5s" or "[502, 503]", as a node without a place. False when there is no
 * memory. */

/* Row makers. `owner` is the struct that `out` points to. */
#define FIELD_AT(owner, member)                                                                    \
    .offset = offsetof(owner, member), .size = sizeof(((owner *)0)->member)
#define MAX_DURATION ((uint64_t)(24 * 3600) * NS_PER_S)
#define BLOCK_FIELDS(array) .fields = array, .field_count = sizeof(array) / sizeof *(array)

#endif
