/* policy_set.h - all that the policy files said, ready to be asked. Immutable once loaded.
 *
 * Example: doc = policy_set_find(set, host, 8080); rule = doc ? document_match(doc, &input) : NULL;
 *          policy = rule ? &rule->policy : doc ? &doc->policy : &set->no_policy;
 * Ownership: one arena holds everything, strings included; pointers live as long as a reference is
 * held. References are counted without atomics: a set is built on any thread, then handed over, and
 * only the loop refs and unrefs. Lookups allocate nothing: exact hosts and wildcard suffixes share
 * one hash table. */
#ifndef OUTRIGGER_CONFIG_POLICY_SET_H
#define OUTRIGGER_CONFIG_POLICY_SET_H

#include "base/arena.h"
#include "base/span.h"
#include "config/connection_pool_config.h"
#include "config/discovery_config.h"
#include "config/protocol.h"
#include "config/proxy_config.h"
#include "config/selector_config.h"
#include "config/tls_config.h"
#include "policy/health_check.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct document_target {
    const char
        *host; /* lower case, no trailing dot, no brackets: "payments", "*.example.com", "*" */
    struct port_list ports; /* empty = any */
    uint32_t line;          /* of the host */
    uint32_t column;
    uint32_t length;
};

enum path_match { PATH_MATCH_NONE = 0, PATH_MATCH_EXACT, PATH_MATCH_PREFIX };

struct name_value {
    const char *name; /* of a header: lower case */
    struct span value;
};

struct match { /* all that is named must hold */
    enum path_match path_type;
    struct span path;   /* PREFIX: without trailing slash, so "/" is "" */
    struct span method; /* SPAN_NONE = any */
    const struct name_value *headers;
    size_t header_count;
    const struct name_value *query_params;
    size_t query_param_count;
    bool is_grpc;             /* has a grpc block */
    struct span grpc_service; /* SPAN_NONE = any */
    struct span grpc_method;
};

struct rule {
    const char *name;
    const char *at;              /* "file:line" of the rule; of its blocks: policy.at[] */
    uint32_t index;              /* position in the document */
    const struct match *matches; /* any of them; none at all matches every call */
    size_t match_count;
    struct policy policy; /* the document's, with the rule's fields laid over; the budget is always
                             the document's */
};

enum document_rank { /* of two documents for one host and port the higher one wins; a tie of one
                         rank is an error */
                     DOCUMENT_DEFAULT = 0, /* of `--defaults` */
                     DOCUMENT_PLAIN,
                     DOCUMENT_SELECTED, /* its selector names this pod */
};

struct document {
    const char *name;
    const char *namespace; /* "" = none */
    const char *file;
    const char *at; /* "file:line" */
    uint32_t line;
    uint32_t index; /* position in the set */
    enum document_rank rank;
    struct selector_config selector;
    enum protocol protocol;
    struct discovery_config discovery;
    struct connection_pool_config connection_pool;
    struct health_check_config health_check;
    const char *health_check_at; /* "file:line" of the block; "" = none */
    struct tls_config tls;
    uint32_t tls_line; /* of the block's key; 0: there is none */
    uint32_t tls_column;
    uint32_t tls_length;
    const struct document_target *targets;
    size_t target_count;
    struct policy
        policy; /* an absent block: mode POLICY_OFF, the other fields hold their defaults */
    const struct rule *rules;
    size_t rule_count;
};

struct host_slot; /* policy_index.c */

struct host_table {
    struct host_slot *slots;
    size_t mask;
    size_t wildcard_labels; /* of the longest wildcard, so that a host of 127 labels costs no more
                               than a short one */
};

struct policy_set {
    uint32_t magic;
    uint32_t refs;
    struct arena arena;
    const struct document *documents;
    size_t document_count;
    struct proxy_config proxy;
    struct policy
        no_policy; /* for a host that no document names: connect 5s, idle 1h, nothing else */
    const char *const *files; /* that were read, in order */
    size_t file_count;
    const char *const
        *side_files; /* that the policies name: whoever changes one wants it read again */
    size_t side_file_count;
    char hash[17];     /* of the bytes of all files, in hex: the label of outrigger_config_info */
    size_t rule_count; /* of all documents */
    struct host_table hosts;
};

struct policy_set *policy_set_new(size_t limit_bytes);
/* Empty, with one reference; for load.c, which fills it before anybody else sees it. NULL when
 * there is no memory. */

struct policy_set *policy_set_ref(struct policy_set *set);
void policy_set_unref(struct policy_set **set);
/* Frees with the last reference. Harmless on NULL. */

const struct document *policy_set_find(const struct policy_set *set, struct span host,
                                       uint16_t port);
/* The most specific document: exact host, then the longest wildcard, then "*"; a listed port before
 * none. Case and one trailing dot do not matter, nor do the brackets of an IPv6 literal. NULL when
 * none applies. */

const struct document *policy_set_choose(const struct policy_set *set, struct span host,
                                         uint16_t port, const struct document_target **target);
/* The same, and which of its targets it was; `target` is untouched when none applies. */

struct match_input {
    struct span method;
    struct span path;  /* without the query, as received */
    struct span query; /* without '?'; SPAN_NONE if there is none */
    bool is_grpc;      /* content-type application/grpc */
    struct span (*header)(const void *context, struct span name);
    /* The value of the field called `name` (given in lower case), several joined by ", " or the
     * first of them; SPAN_NONE if there is none. */
    const void *context;
};

const struct rule *document_match(const struct document *document, const struct match_input *input);
/* The first rule that matches, NULL if none does (the document's own policy then holds). */

#endif
