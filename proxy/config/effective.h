/* effective.h - every field's value as it holds after defaults and layers, as a user would write
 * it, and where it comes from: for `explain`, for the plan of a reload, and for the admin API.
 *
 * Nothing here knows single fields: the tables that decode a file are walked the other way.
 * Example: effective_family(&rule->policy, POLICY_FAMILY_RETRY, print, out) calls print() with
 * {"retry.attempts", EFFECTIVE_NUMBER, "2"}, {"retry.budget.percent", ...}, ... A block that is off
 * is its `mode` alone. Allocation-free; texts live until the visitor returns. Any thread. */
#ifndef OUTRIGGER_CONFIG_EFFECTIVE_H
#define OUTRIGGER_CONFIG_EFFECTIVE_H

#include "config/policy_set.h"
#include "config/yaml_tree.h"

#define EFFECTIVE_TEXT_MAX 8192 /* 1024 ports; what is longer is cut */
#define EFFECTIVE_PATH_MAX 128

enum effective_kind {
    EFFECTIVE_NONE = 0, /* not named, and without a default: text is "" */
    EFFECTIVE_WORD,     /* durations, sizes, enums, keys, texts */
    EFFECTIVE_NUMBER,
    EFFECTIVE_BOOL,
    EFFECTIVE_LIST, /* "[502, 503]" */
};

struct effective_field {
    const char *path; /* "retry.budget.percent" */
    enum effective_kind kind;
    const char *text;
};

typedef void (*effective_visitor)(const struct effective_field *field, void *context);

void effective_family(const struct policy *policy, enum policy_family family,
                      effective_visitor visit, void *context);
/* The fields of one of the six blocks, in the order of its table. */

#define EFFECTIVE_UPSTREAM_BLOCKS 5

const char *effective_upstream_name(const struct document *document, size_t index);
/* Of the blocks that a document has and its rules have not: loadBalancer, discovery, healthCheck,
 * connectionPool, tls. NULL: without a document (NULL) there is no such block. */

void effective_upstream(const struct document *document, const struct policy *policy, size_t index,
                        effective_visitor visit, void *context);
/* The fields of one that has a name; `policy` is the call's. */

void effective_document(const struct document *document, effective_visitor visit, void *context);
/* "protocol", and then the blocks. */

void effective_proxy(const struct proxy_config *proxy, effective_visitor visit, void *context);
/* The fields of a ProxyConfig's spec: "limits.maxConnections", "listeners[0].upstream". */

enum origin_kind {
    ORIGIN_RULE = 0, /* the rule names it */
    ORIGIN_DOCUMENT, /* the document does */
    ORIGIN_DEFAULT,  /* the block is there, the field is not: the default of the table */
    ORIGIN_ABSENT,   /* the block is not there, or off: what holds without it */
};

struct origin {
    enum origin_kind kind;
    uint32_t line; /* of RULE and DOCUMENT, in the document's file */
};

struct origin origin_find(const struct node *spec, const struct node *rule, const char *path);
/* Who says it: the rule's node, then the document's. `rule` may be NULL. */

#endif
