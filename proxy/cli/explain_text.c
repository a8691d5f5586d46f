/* explain_text.c - what a call would get, for people; see explain_call.h. */
#include "cli/explain_call.h"
#include "config/effective.h"
#include "config/scalar.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 20)

struct sheet {
    FILE *out;
    const struct explained *explained;
    size_t block_len; /* of the path's first word, which stands above its fields */
};

/* What a file or a caller says must not drive the terminal. */
static void put_clean(FILE *out, const struct text *text)
{
    for (size_t i = 0; i < text->len; i++) {
        unsigned char byte = (unsigned char)text->data[i];
        fputc(byte < ' ' || byte == 0x7F ? '?' : byte, out);
    }
}

static void line(FILE *out, const char *label, struct text *text)
{
    fprintf(out, "%-10s ", label);
    put_clean(out, text);
    fputc('\n', out);
    text_fini(text);
}

static void put_choice(const struct explained *explained, FILE *out)
{
    const struct document *document = explained->document;
    struct text text;
    text_init(&text, TEXT_MAX);
    if (document == NULL) {
        fprintf(out,
                "%-10s none applies to %.*s port %u: connect and idle limits hold, nothing else\n",
                "document", SPAN_ARGS(explained->call->host), explained->call->port);
        return;
    }
    text_printf(&text, "%s%s%s at %s", document->namespace, *document->namespace ? "/" : "",
                document->name, document->at);
    line(out, "document", &text);
    explain_document(explained, &text);
    text_printf(&text, " (%s:%u)", document->file, explained->target->line);
    line(out, "", &text);
    size_t tried = explained->rule ? explained->rule->index : document->rule_count;
    if (explained->rule) {
        text_printf(&text, "%s at %s: ", explained->rule->name, explained->rule->at);
        explain_match(explained, explained->rule, &text);
    } else {
        text_put(&text, document->rule_count ? "none matches: the document's own numbers hold"
                                             : "the document has none");
    }
    line(out, "rule", &text);
    for (size_t i = 0; i < tried; i++) {
        text_printf(&text, "not %s: ", document->rules[i].name);
        explain_match(explained, &document->rules[i], &text);
        line(out, "", &text);
    }
}

/* ---- fields ---- */

static void put_origin(const struct sheet *sheet, const char *path)
{
    struct origin origin =
        origin_find(sheet->explained->spec_node, sheet->explained->rule_node, path);
    static const char *const words[] = {[ORIGIN_RULE] = "rule",
                                        [ORIGIN_DOCUMENT] = "document",
                                        [ORIGIN_DEFAULT] = "default",
                                        [ORIGIN_ABSENT] = "absent block"};
    fputs(words[origin.kind], sheet->out);
    if (origin.line > 0)
        fprintf(sheet->out, " %s:%u", sheet->explained->document->file, origin.line);
    fputc('\n', sheet->out);
}

static void put_field(const struct effective_field *field, void *context)
{
    const struct sheet *sheet = context;
    const char *text = field->kind == EFFECTIVE_NONE ? "-" : field->text;
    fprintf(sheet->out, "  %-28s %-20s ", field->path + sheet->block_len + 1, text);
    put_origin(sheet, field->path);
}

static const char *instance_of(const struct explained *explained, enum policy_family family)
{
    const bool is_own = explained->rule && (explained->rule->policy.own >> family & 1);
    return is_own ? "the rule's own" : "the target's";
}

/* What is absent is off, and a page long. */
static void put_upstream(const struct explained *explained, FILE *out)
{
    for (size_t i = 0; i < EFFECTIVE_UPSTREAM_BLOCKS; i++) {
        const char *name = effective_upstream_name(explained->document, i);
        if (name == NULL || (i > 0 && node_get(explained->spec_node, name) == NULL))
            continue;
        struct sheet sheet = {out, explained, strlen(name)};
        fprintf(out, "\n%s\n", name);
        effective_upstream(explained->document, explained->policy, i, put_field, &sheet);
    }
}

static void put_fields(const struct explained *explained, FILE *out)
{
    static const char *const nouns[] = {[POLICY_FAMILY_CIRCUIT_BREAKER] = "circuit",
                                        [POLICY_FAMILY_BULKHEAD] = "bulkhead",
                                        [POLICY_FAMILY_RATE_LIMIT] = "bucket",
                                        [POLICY_FAMILY_OUTLIER] = "ejections"};
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++) {
        enum policy_family family = (enum policy_family)i;
        struct sheet sheet = {out, explained, strlen(policy_family_word(family))};
        fprintf(out, "\n%s", policy_family_word(family));
        if (family >= POLICY_FAMILY_CIRCUIT_BREAKER && explained->document)
            fprintf(out, " (%s: %s)", nouns[family], instance_of(explained, family));
        fputc('\n', out);
        effective_family(explained->policy, family, put_field, &sheet);
    }
    put_upstream(explained, out);
}

/* ---- the worst case ---- */

static const char *duration(dur_ns value, char out[64])
{
    duration_format(value, out, 64);
    return value == DUR_FOREVER ? "no limit" : out;
}

static void put_times(const struct explained *explained, FILE *out)
{
    const struct worst_case *worst = &explained->worst;
    char a[64], b[64];
    fprintf(out, "  %-16s %u", "tries", worst->tries);
    if (explained->may_retry)
        fprintf(out, ": the first, and %u retries\n", worst->tries - 1);
    else
        fprintf(out, ": %s\n", explained->no_retry);
    fprintf(out, "  %-16s %s\n", "each try", duration(worst->attempt, a));
    if (worst->tries > 1)
        fprintf(out, "  %-16s %s together; %s where the upstream sends Retry-After\n", "back-off",
                duration(worst->backoffs, a), duration(worst->retry_afters, b));
    if (worst->token_wait > 0)
        fprintf(out, "  %-16s %s for a token of the rate limit\n", "wait",
                duration(worst->token_wait, a));
    if (worst->slot_wait > 0)
        fprintf(out, "  %-16s %s for a slot of the bulkhead\n", "wait",
                duration(worst->slot_wait, a));
    if (explained->caller_limit != DUR_FOREVER)
        fprintf(out, "  %-16s %s\n", "caller's limit", duration(explained->caller_limit, a));
    fprintf(out, "  %-16s %s", "caller waits", duration(worst->total, a));
    if (worst->total == DUR_FOREVER)
        fputs(": an upstream that hangs is waited for without end\n", out);
    else
        fprintf(out, " for the response to begin%s\n",
                worst->total < worst->unbounded ? ", then request_timeout" : "");
}

static void put_load(const struct explained *explained, FILE *out)
{
    const struct worst_case *worst = &explained->worst;
    const struct retry_budget_config *budget = &explained->policy->retry.budget;
    fprintf(out, "  %-16s %ux at most", "load", worst->tries);
    if (worst->tries == 1)
        fputc('\n', out);
    else if (budget->mode == POLICY_ENFORCE)
        fprintf(out, "; %gx in the long run, by the budget of %g percent\n",
                worst->long_run_permille / 1000.0, budget->permille / 10.0);
    else
        fputs(" and in the long run: there is no budget\n", out);
}

static void put_trips(const struct breaker_config *breaker, FILE *out)
{
    const char *separator = "";
    char a[64];
    if (breaker->consecutive_failures > 0) {
        fprintf(out, "%u failures in a row", breaker->consecutive_failures);
        separator = ", or ";
    }
    if (breaker->failure_permille > 0) {
        fprintf(out, "%s%g %% failures", separator, breaker->failure_permille / 10.0);
        separator = ", or ";
    }
    if (breaker->slow_permille > 0 && breaker->slow_longer_than > 0) {
        fprintf(out, "%s%g %% slower than %s", separator, breaker->slow_permille / 10.0,
                duration(breaker->slow_longer_than, a));
        separator = ", or ";
    }
    if (*separator == '\0')
        fputs("nothing: every trip is off", out);
    if (breaker->failure_permille == 0 && breaker->slow_permille == 0)
        return;
    fprintf(out, " of at least %u calls in ", breaker->min_requests);
    if (breaker->window_calls > 0)
        fprintf(out, "the last %u", breaker->window_calls);
    else
        fputs(duration(breaker->window, a), out);
}

static void put_circuit(const struct explained *explained, FILE *out)
{
    const struct worst_case *worst = &explained->worst;
    const struct breaker_config *breaker = &explained->policy->breaker;
    char a[64], b[64], c[64];
    if (breaker->mode == POLICY_OFF)
        return;
    fprintf(out, "  %-16s ", "circuit");
    if (breaker->mode == POLICY_FORCE_OPEN) {
        fputs("forced open: every call is refused\n", out);
        return;
    }
    fputs(breaker->mode == POLICY_SHADOW ? "in shadow, only counts: opens on " : "opens on ", out);
    put_trips(breaker, out);
    fprintf(out, "\n  %-16s refuses for %s to %s, after failed probes for %s at most\n", "",
            duration(worst->first_open[0], a), duration(worst->first_open[1], b),
            duration(worst->longest_open, c));
    fprintf(out, "  %-16s closes when %u probes succeed, each within %s\n", "",
            breaker->half_open_requests ? breaker->half_open_requests : 1,
            duration(worst->probe, a));
}

void explain_call_text(const struct explained *explained, FILE *out)
{
    const struct call_line *call = explained->call;
    struct text text;
    text_init(&text, TEXT_MAX);
    text_printf(&text, "%.*s %s%.*s%s:%u%.*s%s%.*s%s", SPAN_ARGS(call->method),
                call->is_ipv6 ? "[" : "", SPAN_ARGS(call->host), call->is_ipv6 ? "]" : "",
                call->port, SPAN_ARGS(call->path), call->query.data ? "?" : "",
                (int)call->query.len, call->query.data ? call->query.data : "",
                call->is_grpc ? " (gRPC)" : "");
    line(out, "call", &text);
    put_choice(explained, out);
    put_fields(explained, out);
    fputs("\nat worst\n", out);
    put_times(explained, out);
    put_load(explained, out);
    put_circuit(explained, out);
}
