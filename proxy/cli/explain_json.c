/* explain_json.c - what a call would get, as one JSON object (policies/README.md has its shape);
 * see explain_call.h. */
#include "admin/policy_json.h"
#include "cli/explain_call.h"
#include "config/effective.h"

#include <string.h>

#define JSON_MAX ((size_t)16 << 20)

struct sheet {
    struct text *out;
    const struct explained *explained;
};

static void put_member(struct text *out, const char *key, struct span value)
{
    text_printf(out, "\"%s\":", key);
    text_json_span(out, value);
}

static void put_why(struct text *out, struct text *why)
{
    text_put(out, ",\"why\":");
    text_json_span(out, text_span(why));
    text_fini(why);
}

static void put_call(const struct call_line *call, struct text *out)
{
    text_put(out, "\"call\":{");
    put_member(out, "method", call->method);
    text_char(out, ',');
    put_member(out, "host", call->host);
    text_printf(out, ",\"port\":%u,", call->port);
    put_member(out, "path", call->path);
    text_char(out, ',');
    put_member(out, "query", call->query);
    text_printf(out, ",\"grpc\":%s}", call->is_grpc ? "true" : "false");
}

static void put_document(const struct explained *explained, struct text *out)
{
    const struct document *document = explained->document;
    struct text why;
    text_put(out, ",\"document\":");
    if (document == NULL) {
        text_put(out, "null");
        return;
    }
    text_init(&why, JSON_MAX);
    text_char(out, '{');
    put_member(out, "name", span_of(document->name));
    text_char(out, ',');
    put_member(out, "namespace", span_of(document->namespace));
    text_char(out, ',');
    put_member(out, "at", span_of(document->at));
    explain_document(explained, &why);
    put_why(out, &why);
    text_char(out, '}');
}

static void put_rule(const struct explained *explained, const struct rule *rule, struct text *out)
{
    struct text why;
    text_init(&why, JSON_MAX);
    text_char(out, '{');
    put_member(out, "name", span_of(rule->name));
    text_char(out, ',');
    put_member(out, "at", span_of(rule->at));
    explain_match(explained, rule, &why);
    put_why(out, &why);
    text_char(out, '}');
}

static void put_rules(const struct explained *explained, struct text *out)
{
    const struct document *document = explained->document;
    text_put(out, ",\"rule\":");
    if (explained->rule)
        put_rule(explained, explained->rule, out);
    else
        text_put(out, "null");
    text_put(out, ",\"notMatched\":[");
    size_t count = document ? document->rule_count : 0;
    count = explained->rule ? explained->rule->index : count;
    for (size_t i = 0; i < count; i++) {
        text_put(out, i > 0 ? "," : "");
        put_rule(explained, &document->rules[i], out);
    }
    text_char(out, ']');
}

static void put_field(const struct effective_field *field, void *context)
{
    static const char *const words[] = {[ORIGIN_RULE] = "rule",
                                        [ORIGIN_DOCUMENT] = "document",
                                        [ORIGIN_DEFAULT] = "default",
                                        [ORIGIN_ABSENT] = "absent"};
    const struct sheet *sheet = context;
    struct text *out = sheet->out;
    const struct explained *explained = sheet->explained;
    struct origin origin = origin_find(explained->spec_node, explained->rule_node, field->path);
    text_put(out, out->data[out->len - 1] == '{' ? "\n" : ",\n");
    text_json(out, field->path);
    text_put(out, ":{\"value\":");
    policy_json_value(out, field);
    text_printf(out, ",\"from\":\"%s\",\"at\":", words[origin.kind]);
    if (origin.line > 0) {
        struct text at;
        text_init(&at, JSON_MAX);
        text_printf(&at, "%s:%u", explained->document->file, origin.line);
        text_json_span(out, text_span(&at));
        text_fini(&at);
    } else {
        text_put(out, "null");
    }
    text_char(out, '}');
}

static void put_ms(struct text *out, const char *key, dur_ns value)
{
    text_printf(out, "\"%s\":", key);
    if (value == DUR_FOREVER)
        text_put(out, "null");
    else
        text_fixed(out, (uint64_t)(value / 1000), 3);
}

static void put_circuit(const struct explained *explained, struct text *out)
{
    const struct worst_case *worst = &explained->worst;
    text_put(out, ",\"circuit\":");
    if (explained->policy->breaker.mode == POLICY_OFF) {
        text_put(out, "null");
        return;
    }
    text_char(out, '{');
    put_ms(out, "firstOpenLeastMs", worst->first_open[0]);
    text_char(out, ',');
    put_ms(out, "firstOpenMostMs", worst->first_open[1]);
    text_char(out, ',');
    put_ms(out, "longestOpenMs", worst->longest_open);
    text_char(out, ',');
    put_ms(out, "probeMs", worst->probe);
    text_char(out, '}');
}

static void put_worst(const struct explained *explained, struct text *out)
{
    const struct worst_case *worst = &explained->worst;
    text_printf(out, ",\n\"worst\":{\"tries\":%u,\"noRetryBecause\":", worst->tries);
    text_json(out, explained->may_retry ? NULL : explained->no_retry);
    const struct {
        const char *key;
        dur_ns value;
    } times[] = {{"attemptMs", worst->attempt},
                 {"backoffMs", worst->backoffs},
                 {"retryAfterMs", worst->retry_afters},
                 {"tokenWaitMs", worst->token_wait},
                 {"slotWaitMs", worst->slot_wait},
                 {"callerLimitMs", explained->caller_limit},
                 {"totalMs", worst->total}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        text_char(out, ',');
        put_ms(out, times[i].key, times[i].value);
    }
    text_printf(out, ",\"load\":%u,\"loadInTheLongRun\":", worst->tries);
    text_fixed(out, worst->long_run_permille, 3);
    put_circuit(explained, out);
    text_char(out, '}');
}

static void put_instances(const struct explained *explained, struct text *out)
{
    text_put(out, "},\n\"instances\":{");
    for (int family = POLICY_FAMILY_CIRCUIT_BREAKER; family < POLICY_FAMILY_COUNT; family++) {
        const bool is_own = explained->rule && (explained->rule->policy.own >> family & 1);
        text_printf(out, "%s\"%s\":\"%s%s\"", family > POLICY_FAMILY_CIRCUIT_BREAKER ? "," : "",
                    policy_family_word((enum policy_family)family), is_own ? "rule:" : "target",
                    is_own ? explained->rule->name : "");
    }
    text_char(out, '}');
}

void explain_call_json(const struct explained *explained, FILE *out)
{
    struct text text;
    struct sheet sheet = {&text, explained};
    text_init(&text, JSON_MAX);
    text_put(&text, "{\"version\":1,");
    put_call(explained->call, &text);
    put_document(explained, &text);
    put_rules(explained, &text);
    text_put(&text, ",\n\"fields\":{");
    for (int family = 0; family < POLICY_FAMILY_COUNT; family++)
        effective_family(explained->policy, (enum policy_family)family, put_field, &sheet);
    for (size_t i = 0; i < EFFECTIVE_UPSTREAM_BLOCKS; i++)
        if (effective_upstream_name(explained->document, i) != NULL)
            effective_upstream(explained->document, explained->policy, i, put_field, &sheet);
    put_instances(explained, &text);
    put_worst(explained, &text);
    text_put(&text, "}\n");
    if (text.is_broken)
        fputs("outrigger explain: out of memory\n", stderr);
    else
        fwrite(text.data, 1, text.len, out);
    text_fini(&text);
}
