/* lint.c - documents and their rules, one after the other; see lint.h. What is said of a family of
 * blocks stands in lint_retry.c, lint_breaker.c and lint_limits.c; of all files together in
 * lint_set.c. */
#include "config/lint.h"

#include "config/lint_own.h"
#include "config/match.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool lint_is_named(const struct subject *subject, const char *path)
{
    return node_find(subject->rule, path) || node_find(subject->spec, path);
}

bool lint_may_retry(const struct policy *policy)
{
    return policy->retry.mode == POLICY_ENFORCE && policy->retry.attempts > 0;
}

void lint_warn(const struct subject *subject, enum diagnostic_code code, const char *path,
               const char *help, const char *format, ...)
{
    char message[512], full[PATH_TEXT_MAX], block[64];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(block, sizeof block, "%.*s", (int)strcspn(path, "."), path);

    const struct node *node = node_find(subject->rule, path);
    bool is_in_rule = subject->rule && (node || node_get(subject->rule, block));
    if (node == NULL)
        node = node_find(subject->spec, path);
    if (node == NULL && is_in_rule)
        node = node_get(subject->rule, block);
    if (node == NULL)
        node = node_get(subject->spec, block);
    if (node == NULL)
        node = subject->spec;
    snprintf(full, sizeof full, "%s.%s", is_in_rule ? subject->rule_path : "spec", path);
    struct place place = node_place(subject->decoder->file, node);
    if (subject->rule == NULL || is_in_rule)
        diagnostics_add(subject->decoder->diag, code, place, full, help, "%s", message);
    else if (!diagnostics_has(subject->decoder->diag, code, place,
                              message)) /* said of the document already */
        diagnostics_add(subject->decoder->diag, code, place, full, help, "in rule \"%s\": %s",
                        subject->rule_name, message);
}

static void lint_policy(const struct subject *subject)
{
    lint_retry(subject);
    lint_breaker(subject);
    lint_limits(subject);
}

/* ---- rules and targets -------------------------------------------------------------------- */

static void shadowed_rule(struct decoder *decoder, const struct document *document,
                          const struct node *list)
{
    size_t i = 0;
    for (const struct node *node = list ? list->first : NULL; node; node = node->next, i++) {
        const struct rule *first = rule_that_shadows(document, i);
        char path[PATH_TEXT_MAX];
        if (first == NULL)
            continue;
        snprintf(path, sizeof path, "spec.rules[%zu]", i);
        diagnostics_add(decoder->diag, DIAG_SHADOWED_RULE, node_place(decoder->file, node), path,
                        "put it before that one",
                        "never reached: \"%s\" at %s matches all of its calls first", first->name,
                        first->at);
        const struct node *earlier = list->first;
        for (uint32_t k = 0; k < first->index; k++)
            earlier = earlier->next;
        diagnostics_relate(decoder->diag, node_place(decoder->file, earlier),
                           "this rule comes first");
    }
}

static bool host_covers(const char *wide, const char *narrow)
{
    if (strcmp(wide, "*") == 0 || strcmp(wide, narrow) == 0)
        return true;
    return wide[0] == '*' && span_ends_with(span_of(narrow), span_of(wide + 1));
}

static bool ports_cover(const struct port_list *wide, const struct port_list *narrow)
{
    for (size_t i = 0; wide->count > 0 && i < narrow->count; i++) {
        size_t j = 0;
        while (j < wide->count && wide->items[j] != narrow->items[i])
            j++;
        if (j == wide->count)
            return false;
    }
    return wide->count == 0 || narrow->count > 0;
}

/* Of two equal ones the later is the one too many. */
static bool target_covers(const struct document *document, size_t wide, size_t narrow)
{
    const struct document_target *a = &document->targets[wide], *b = &document->targets[narrow];
    if (!host_covers(a->host, b->host) || !ports_cover(&a->ports, &b->ports))
        return false;
    bool is_same = host_covers(b->host, a->host) && ports_cover(&b->ports, &a->ports);
    return !is_same || wide < narrow;
}

static void redundant_target(struct decoder *decoder, const struct document *document, size_t i)
{
    const struct document_target *target = &document->targets[i];
    size_t wide = 0;
    while (wide < document->target_count && (wide == i || !target_covers(document, wide, i)))
        wide++;
    if (wide == document->target_count)
        return;
    const struct document_target *other = &document->targets[wide];
    char path[64];
    snprintf(path, sizeof path, "spec.targets[%zu]", i);
    struct place place = {document->file, target->line, target->column, target->length};
    diagnostics_add(decoder->diag, DIAG_REDUNDANT_TARGET, place, path,
                    "remove it, or give it a document of its own",
                    "\"%s\" takes all of its hosts and ports already", other->host);
    place = (struct place){document->file, other->line, other->column, other->length};
    diagnostics_relate(decoder->diag, place, "this target covers it");
}

static void tls_unverified(struct decoder *decoder, const struct document *document,
                           const struct node *spec)
{
    const struct node *node = node_find(spec, "tls.insecureSkipVerify");
    if (node != NULL && document->tls.mode != TLS_MODE_OFF && document->tls.skips_verification)
        diagnostics_add(decoder->diag, DIAG_TLS_UNVERIFIED, node_place(decoder->file, node),
                        "spec.tls.insecureSkipVerify", "name the authority in tls.caFile",
                        "any certificate is taken: whoever is in between reads and changes "
                        "everything");
}

void lint_document(struct decoder *decoder, const struct document *document,
                   const struct node *spec)
{
    struct subject subject = {decoder, &document->policy, spec, NULL, "", ""};
    lint_policy(&subject);
    const struct node *list = node_get(spec, "rules");
    size_t i = 0;
    for (const struct node *node = list ? list->first : NULL; node; node = node->next, i++) {
        char path[PATH_TEXT_MAX];
        snprintf(path, sizeof path, "spec.rules[%zu]", i);
        subject = (struct subject){decoder, &document->rules[i].policy, spec, node,
                                   path,    document->rules[i].name};
        if (document->rules[i].policy.own)
            lint_policy(&subject);
    }
    shadowed_rule(decoder, document, list);
    tls_unverified(decoder, document, spec);
    for (i = 0; i < document->target_count; i++)
        redundant_target(decoder, document, i);
}
