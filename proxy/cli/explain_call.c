/* explain_call.c - what holds for a call, and why; see explain_call.h. How it is written:
 * explain_text.c, explain_json.c. */
#include "cli/explain_call.h"

#include "admin/policy_json.h"
#include "base/codes.h"
#include "config/match.h"
#include "config/yaml_tree.h"
#include "http/headers.h"

#include <string.h>

#define TREE_MAX_BYTES (64u * 1024 * 1024)

/* ---- what holds ---- */

static const struct node *item_at(const struct node *list, uint32_t index)
{
    const struct node *item = list ? list->first : NULL;
    for (; item && index > 0; index--)
        item = item->next;
    return item;
}

/* The document's own nodes once more: a policy set keeps values, not where each was written. */
static void find_nodes(struct explained *explained, struct sources *sources)
{
    const struct document *document = explained->document;
    struct diagnostics ignored; /* said when the set was loaded */
    struct node *root = NULL;
    struct span text = document ? source_text(sources, document->file) : SPAN_NONE;
    if (text.data == NULL)
        return;
    diagnostics_init(&ignored);
    if (yaml_tree_parse(&explained->tree, document->file, text, &root, &ignored) != OK)
        root = NULL;
    diagnostics_fini(&ignored);
    while (root && root->line != document->line)
        root = root->next;
    explained->spec_node = node_get(root, "spec");
    if (explained->rule)
        explained->rule_node =
            item_at(node_get(explained->spec_node, "rules"), explained->rule->index);
}

static bool is_method_listed(const struct retry_config *retry, struct span method)
{
    enum method known = method_from(method.data, method.len);
    if (known != METHOD_OTHER)
        return retry->methods & method_bit(known);
    for (const char *const *other = retry->other_methods; other && *other; other++)
        if (span_is(method, span_of(*other)))
            return true;
    return false;
}

static const char *why_no_retry(const struct explained *explained)
{
    const struct call_line *call = explained->call;
    const struct retry_config *retry = &explained->policy->retry;
    const bool has_key = call_line_header(call, SPAN("idempotency-key")).data != NULL;
    if (retry->mode == POLICY_OFF)
        return "there is no retry block, or it is off";
    if (retry->mode == POLICY_SHADOW)
        return "retry is in shadow: it only counts";
    if (retry->attempts == 0)
        return "attempts is 0";
    if (span_is(call->method, SPAN("CONNECT")))
        return "a tunnel is never repeated";
    if (call->is_grpc || is_method_listed(retry, call->method))
        return "";
    if (!retry->honours_idempotency_key)
        return "its method is not in retry.methods";
    return has_key ? ""
                   : "its method is not in retry.methods; an Idempotency-Key header would admit it";
}

void explained_init(struct explained *explained, const struct policy_set *set,
                    const struct call_line *call, struct sources *sources)
{
    *explained = (struct explained){.set = set, .call = call, .policy = &set->no_policy};
    arena_init(&explained->tree, NULL, TREE_MAX_BYTES);
    explained->document = policy_set_choose(set, call->host, call->port, &explained->target);
    if (explained->document) {
        struct match_input input = call_line_input(call);
        explained->rule = document_match(explained->document, &input);
        explained->policy =
            explained->rule ? &explained->rule->policy : &explained->document->policy;
    }
    find_nodes(explained, sources);
    explained->no_retry = why_no_retry(explained);
    explained->may_retry = *explained->no_retry == '\0';
    explained->caller_limit = call_line_limit(call, &explained->policy->timeouts);
    explained->worst =
        worst_case_of(explained->policy, explained->may_retry, explained->caller_limit);
}

void explained_fini(struct explained *explained)
{
    arena_fini(&explained->tree);
}

/* ---- why ---- */

void explain_document(const struct explained *explained, struct text *out)
{
    const struct document_target *target = explained->target;
    const char *kind = "exact host";
    if (strcmp(target->host, "*") == 0)
        kind = "every host";
    else if (target->host[0] == '*')
        kind = "wildcard";
    text_printf(out, "%s \"%s\"", kind, target->host);
    if (kind[0] == 'e' && kind[1] == 'x' &&
        !span_is_nocase(span_of(target->host), explained->call->host))
        text_printf(out, " (in namespace %s also %.*s)", explained->document->namespace,
                    SPAN_ARGS(explained->call->host));
    if (target->ports.count > 0)
        text_printf(out, ", port %u listed", explained->call->port);
    else
        text_put(out, ", any port");
}

static void put_missing_header(const struct explained *explained, const struct name_value *wanted,
                               struct text *out)
{
    struct span value = call_line_header(explained->call, span_of(wanted->name));
    text_printf(out, "header %s is ", wanted->name);
    if (value.data == NULL)
        text_put(out, "absent");
    else
        text_printf(out, "\"%.*s\", not \"%.*s\"", SPAN_ARGS(value), SPAN_ARGS(wanted->value));
}

static void put_mismatch(const struct explained *explained, const struct match *match,
                         enum match_part part, size_t index, struct text *out)
{
    const struct call_line *call = explained->call;
    switch (part) {
    case MATCH_PATH:
        text_printf(out, "path %.*s is not %s%.*s", SPAN_ARGS(call->path),
                    match->path_type == PATH_MATCH_EXACT ? "" : "under ", SPAN_ARGS(match->path));
        break;
    case MATCH_METHOD:
        text_printf(out, "method %.*s is not %.*s", SPAN_ARGS(call->method),
                    SPAN_ARGS(match->method));
        break;
    case MATCH_GRPC:
        text_put(out, call->is_grpc ? "the gRPC method is not " : "it is no gRPC call, for ");
        policy_put_grpc(out, match);
        break;
    case MATCH_HEADER: put_missing_header(explained, &match->headers[index], out); break;
    default: /* MATCH_QUERY */
        text_printf(out, "query parameter %s is not \"%.*s\"", match->query_params[index].name,
                    SPAN_ARGS(match->query_params[index].value));
        break;
    }
}

void explain_match(const struct explained *explained, const struct rule *rule, struct text *out)
{
    struct match_input input = call_line_input(explained->call);
    const size_t start = out->len;
    size_t index;
    if (rule->match_count == 0)
        text_put(out, "every call: it has no `matches`");
    for (size_t i = 0; i < rule->match_count; i++)
        if (match_mismatch(&rule->matches[i], &input, &index) == MATCH_ALL) {
            policy_put_match(out, &rule->matches[i]);
            return;
        }
    for (size_t i = 0; i < rule->match_count; i++) {
        enum match_part part = match_mismatch(&rule->matches[i], &input, &index);
        text_put(out, out->len > start ? "; " : "");
        put_mismatch(explained, &rule->matches[i], part, index, out);
    }
}
