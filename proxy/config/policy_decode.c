/* policy_decode.c - a tree -> a document with its rules: each rule's blocks are merged over the
 * document's as text, and then read by the same tables, so that "field by field" holds for nested
 * fields and defaults alike. */
#include "config/lint.h"
#include "config/policy_checks.h"
#include "config/policy_schema.h"

#include <string.h>

/* Each call is compared with them one by one, and lint compares them with each other. */
#define MAX_MATCHES_OF_DOCUMENT 1024

void policy_defaults(struct decoder *decoder, struct policy *policy)
{
    *policy = (struct policy){0};
    for (size_t i = 0; i < POLICY_FAMILY_COUNT; i++) {
        policy->at[i] = "";
        block_decode(decoder, policy_families[i].block, NULL, false,
                     (char *)policy + policy_families[i].offset);
    }
    block_decode(decoder, &load_balancer_block, NULL, false, &policy->load_balancer);
}

static void note_family(struct decoder *decoder, size_t i, const struct node *node,
                        struct policy *policy)
{
    policy->own |= UINT32_C(1) << i;
    policy->at[i] = decode_at(decoder, node->key_line);
}

static void check_window(struct decoder *decoder, size_t family, const struct node *layer,
                         const struct policy *policy)
{
    if (family == POLICY_FAMILY_CIRCUIT_BREAKER)
        breaker_window_check(decoder, layer, &policy->breaker);
    if (family == POLICY_FAMILY_OUTLIER)
        breaker_window_check(decoder, layer, &policy->outlier.breaker);
}

static void note_families(struct decoder *decoder, const struct node *spec, struct policy *policy)
{
    size_t mark = path_push(decoder, "spec");
    for (size_t i = 0; i < POLICY_FAMILY_COUNT; i++) {
        const struct node *node = node_get(spec, policy_families[i].block->name);
        policy->at[i] = "";
        if (node == NULL)
            continue;
        note_family(decoder, i, node, policy);
        size_t inner = path_push(decoder, policy_families[i].block->name);
        check_window(decoder, i, node, policy);
        path_pop(decoder, inner);
    }
    path_pop(decoder, mark);
}

static void refuse_budget(struct decoder *decoder, const struct node *retry)
{
    const struct node *budget = node_get(retry, "budget");
    if (budget == NULL)
        return;
    size_t mark = path_push(decoder, "budget");
    struct place place = node_key_place(decoder->file, budget);
    diagnostics_add(decoder->diag, DIAG_BUDGET_IN_RULE, place, decoder->path,
                    "move it to spec.retry.budget",
                    "the budget is the target's, a rule cannot have its own");
    path_pop(decoder, mark);
}

static bool overlay_decode(struct decoder *decoder, size_t i, const struct node *below,
                           const struct node *above, struct policy *policy)
{
    const struct family *family = &policy_families[i];
    struct node *merged = node_merge(decoder->scratch, below, above);
    if (merged == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    if (i == POLICY_FAMILY_RETRY)
        refuse_budget(decoder, above);
    bool is_good =
        block_decode(decoder, family->block, merged, true, (char *)policy + family->offset);
    if (is_good)
        check_window(decoder, i, above, policy);
    return is_good;
}

static bool rule_decode(struct decoder *decoder, const struct node *spec, const struct node *node,
                        const struct document *document, struct rule *rule)
{
    bool is_good = true;
    rule->policy = document->policy;
    rule->policy.own = 0;
    for (size_t i = 0; i < POLICY_FAMILY_COUNT && decoder->err == OK; i++) {
        const char *name = policy_families[i].block->name;
        const struct node *above = node_get(node, name);
        if (above == NULL)
            continue;
        size_t mark = path_push(decoder, name);
        const struct node *below = decoder->is_partial ? NULL : node_get(spec, name);
        is_good &= overlay_decode(decoder, i, below, above, &rule->policy);
        note_family(decoder, i, above, &rule->policy);
        path_pop(decoder, mark);
    }
    rule->policy.retry.budget = document->policy.retry.budget;
    return is_good;
}

static void refuse_repeated_name(struct decoder *decoder, const struct node *list,
                                 const struct node *node, const struct rule *rules, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (rules[i].name == NULL || strcmp(rules[i].name, rules[index].name) != 0)
            continue;
        size_t mark = path_push(decoder, "name");
        decode_error(decoder, DIAG_DUPLICATE_NAME, node_get(node, "name"),
                     "metrics tell rules apart by name",
                     "\"%s\" is the name of the rule at %s already", rules[i].name, rules[i].at);
        const struct node *first = list->first;
        for (size_t k = 0; k < i; k++)
            first = first->next;
        diagnostics_relate(decoder->diag, node_place(decoder->file, node_get(first, "name")),
                           "the first one is here");
        path_pop(decoder, mark);
        return;
    }
}

static void count_matches(struct decoder *decoder, const struct node *list,
                          const struct document *document)
{
    size_t matches = 0;
    for (size_t i = 0; i < document->rule_count; i++)
        matches += document->rules[i].match_count;
    if (matches > MAX_MATCHES_OF_DOCUMENT)
        decode_error(decoder, DIAG_OUT_OF_RANGE, list, "1024 at most, of all rules together",
                     "%zu entries of `matches`", matches);
}

static bool rules_decode(struct decoder *decoder, const struct node *spec,
                         struct document *document)
{
    const struct node *list = node_get(spec, "rules");
    struct rule *rules = (struct rule *)document->rules;
    bool is_good = true;
    size_t i = 0;
    if (rules == NULL)
        return true;
    size_t mark = path_push(decoder, "spec.rules");
    count_matches(decoder, list, document);
    for (const struct node *node = list->first; node && decoder->err == OK;
         node = node->next, i++) {
        size_t inner = path_push_index(decoder, i);
        rules[i].index = (uint32_t)i;
        if (rules[i].name)
            refuse_repeated_name(decoder, list, node, rules, i);
        is_good &= rule_decode(decoder, spec, node, document, &rules[i]);
        path_pop(decoder, inner);
    }
    path_pop(decoder, mark);
    return is_good;
}

/* Whose bytes are passed as they are does its TLS itself. */
static void refuse_tls_of_tcp(struct decoder *decoder, const struct node *spec)
{
    const size_t mark = path_push(decoder, "spec");
    decode_refuse(decoder, DIAG_NOT_AVAILABLE, spec, "tls", "leave it to the app",
                  "with protocol: tcp no TLS is added");
    path_pop(decoder, mark);
}

/* `protocol` and what ALPN may choose. */
static void check_protocol(struct decoder *decoder, const struct node *spec,
                           const struct document *document)
{
    const uint32_t alpn = document->tls.alpn;
    const bool is_http2 =
        document->protocol == PROTOCOL_HTTP2 || document->protocol == PROTOCOL_GRPC;
    const bool is_http1 = document->protocol == PROTOCOL_HTTP1;
    const bool is_wrong =
        (is_http2 && !(alpn & TLS_PROTOCOL_HTTP2)) || (is_http1 && !(alpn & TLS_PROTOCOL_HTTP1));
    if (document->tls.mode != TLS_MODE_OFF && document->protocol == PROTOCOL_TCP)
        refuse_tls_of_tcp(decoder, spec);
    if (document->tls.mode == TLS_MODE_OFF || !is_wrong)
        return;
    const size_t mark = path_push(decoder, "spec.tls");
    decode_refuse(decoder, DIAG_CONTRADICTION, node_get(spec, tls_block.name), "alpn",
                  "leave it out: protocol says what is spoken",
                  "what spec.protocol speaks is not among them");
    path_pop(decoder, mark);
}

static void note_health_check(struct decoder *decoder, const struct node *spec,
                              struct document *document)
{
    const struct node *node = node_get(spec, health_check_block.name);
    document->health_check_at = node ? decode_at(decoder, node->key_line) : "";
}

static void note_tls(struct decoder *decoder, const struct node *spec, struct document *document)
{
    const struct node *tls = node_get(spec, tls_block.name);
    if (tls == NULL)
        return;
    const struct place place = node_key_place(decoder->file, tls);
    document->tls_line = place.line;
    document->tls_column = place.column;
    document->tls_length = place.length;
}

bool policy_document_decode(struct decoder *decoder, const struct node *root,
                            struct document *document)
{
    const struct node *spec = node_get(root, "spec");
    size_t errors = decoder->diag->errors;
    *document = (struct document){.file = decoder->file, .line = root->line};
    document->at = decode_at(decoder, root->line);
    bool is_good = block_decode(decoder, &policy_document_block, root, true, document);
    if (decoder->err)
        return false;
    document->namespace = document->namespace ? document->namespace : "";
    note_families(decoder, spec, &document->policy);
    note_tls(decoder, spec, document);
    note_health_check(decoder, spec, document);
    if (is_good)
        check_protocol(decoder, spec, document);
    decoder->is_partial = !is_good;
    is_good &= rules_decode(decoder, spec, document);
    decoder->is_partial = false;
    if (decoder->err || !is_good || decoder->diag->errors > errors)
        return false;
    lint_document(decoder, document, spec);
    return decoder->err == OK;
}
