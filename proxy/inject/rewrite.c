/* rewrite.c - see rewrite.h. Documents are changed one by one: each is read again by itself. */
#include "inject/rewrite.h"

#include "inject/inject.h"
#include "inject/patch.h"
#include "inject/splice.h"
#include "inject/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHAT_MAX 800

enum pass { PASS_REMOVE, PASS_RENEW, PASS_INJECT }; /* renew: take out what is outdated */

/* What becomes of one object. */
struct fate {
    uint32_t line, column; /* column 0: the line says it all */
    struct inject_result result;
    bool is_spliced;        /* its patch is in the text */
    char refusal[WHAT_MAX]; /* "" where the result says it all */
};

struct run {
    const struct rewrite_options *options;
    struct span text; /* of the whole file, or of a document that was renewed */
    struct manifest_document *document;
    enum pass pass;
    struct workloads workloads;
    struct fate *fates; /* of each workload */
};

static void run_fini(struct run *run)
{
    for (size_t i = 0; run->fates && i < run->workloads.count; i++)
        inject_result_fini(&run->fates[i].result);
    free(run->fates);
    run->fates = NULL;
    workloads_fini(&run->workloads);
}

static enum err judge(const struct run *run, const struct workload *workload,
                      struct inject_result *out)
{
    struct inject_result fresh;
    if (run->pass == PASS_REMOVE)
        return inject_undo(workload->meta, workload->spec, workload->prefix, out);
    const enum err e = inject_pod(workload->meta, workload->spec, workload->prefix,
                                  run->options->settings, &fresh);
    if (e != OK || run->pass == PASS_INJECT) {
        if (e == OK)
            *out = fresh;
        return e;
    }
    const bool is_outdated = fresh.is_outdated;
    inject_result_fini(&fresh);
    if (is_outdated)
        return inject_undo(workload->meta, workload->spec, workload->prefix, out);
    *out = (struct inject_result){.kind = INJECT_SKIPPED, .why = "not outdated"};
    return OK;
}

static enum err judge_all(struct run *run, struct splice *splice)
{
    for (size_t i = 0; i < run->workloads.count; i++) {
        const struct workload *workload = &run->workloads.items[i];
        struct fate *fate = &run->fates[i];
        struct manifest_problem problem;
        fate->line = workload->line;
        if (!workload->has_pods) {
            fate->result = (struct inject_result){.kind = INJECT_SKIPPED, .why = "it has no pods"};
            continue;
        }
        enum err e = judge(run, workload, &fate->result);
        if (e == OK && fate->result.kind == INJECT_PATCHED) {
            e = splice_add(splice, fate->result.patch, &problem);
            fate->is_spliced = e == OK;
        }
        if (e == ERR_INVALID) {
            fate->line = problem.line;
            fate->column = problem.column;
            snprintf(fate->refusal, sizeof fate->refusal, "%s", problem.why);
        }
        if (e != OK && e != ERR_INVALID)
            return e;
    }
    return OK;
}

/* Is `text` what the document says, with the patches done, and nothing else? */
static enum err check(const struct run *run, struct span text, bool *is_right)
{
    struct manifest *again = NULL;
    struct manifest_problem problem;
    json_t *wanted = json_deep_copy(run->document->json);
    enum err e = wanted ? OK : ERR_NO_MEMORY;
    *is_right = false;
    for (size_t i = 0; i < run->workloads.count && e == OK; i++)
        if (run->fates[i].is_spliced)
            e = patch_apply(&wanted, run->fates[i].result.patch);
    if (e == OK)
        e = manifest_parse(text, &again, &problem);
    if (e == OK)
        *is_right = again->documents && again->documents->next == NULL &&
                    json_equal(wanted, again->documents->json);
    manifest_free(&again);
    json_decref(wanted);
    return e == ERR_NO_MEMORY ? e : OK;
}

/* Nothing is done to a document of which the text would not say what was meant. */
static void refuse_all(struct run *run)
{
    for (size_t i = 0; i < run->workloads.count; i++) {
        struct fate *fate = &run->fates[i];
        if (!fate->is_spliced)
            continue;
        fate->is_spliced = false;
        snprintf(fate->refusal, sizeof fate->refusal,
                 "the way in which this is written cannot be changed without changing something "
                 "else: write it in plain block style, without anchors and `?` keys");
    }
}

static enum err write_document(struct run *run, struct splice *splice, struct text *out)
{
    const struct manifest_document *document = run->document;
    struct text changed;
    bool is_right = true;
    text_init(&changed, REWRITE_MAX_BYTES);
    enum err e = splice_write(splice, &changed);
    if (e == ERR_INVALID)
        is_right = false;
    else if (e == OK && splice->count > 0)
        e = check(run, text_span(&changed), &is_right);
    if (!is_right) {
        e = e == ERR_INVALID ? OK : e;
        refuse_all(run);
        text_add(out, run->text.data + document->start, document->end - document->start);
    } else if (e == OK) {
        text_add(out, changed.data, changed.len);
    }
    text_fini(&changed);
    return e == OK && out->is_broken ? ERR_TOO_LARGE : e;
}

/* The document into `out`; `run->fates` say how it went. */
static enum err run_pass(struct run *run, struct text *out)
{
    struct splice splice;
    splice_init(&splice, run->text, run->document);
    enum err e = workloads_find(run->document, &run->workloads);
    if (e == OK) {
        run->fates = calloc(run->workloads.count + 1, sizeof *run->fates);
        e = run->fates ? judge_all(run, &splice) : ERR_NO_MEMORY;
    }
    if (e == OK)
        e = write_document(run, &splice, out);
    splice_fini(&splice);
    return e;
}

/* ---- the report -------------------------------------------------------------------------------
 */

static void tell(const struct run *run, const struct fate *fate, const char *title,
                 const char *word, const char *what)
{
    char text[WHAT_MAX];
    snprintf(text, sizeof text, "%s%s%s", word, what[0] ? ": " : "", what);
    run->options->tell(run->options->context, fate->line, fate->column, title, text);
}

static void tell_fate(const struct run *run, size_t i, struct rewrite_counts *counts)
{
    const struct fate *fate = &run->fates[i];
    const struct inject_warnings *warnings = &fate->result.warnings;
    const char *title = run->workloads.items[i].title;
    size_t told = 0;
    if (fate->is_spliced) {
        counts->changed++;
        tell(run, fate, title, run->options->is_removal ? "removed" : "injected", "");
    } else if (fate->refusal[0]) {
        counts->refused++;
        tell(run, fate, title, "refused", fate->refusal);
    } else if (fate->result.kind == INJECT_REFUSED) {
        counts->refused++;
        tell(run, fate, title, "refused", warnings->count > 0 ? warnings->texts[told++] : "");
    } else {
        counts->skipped++;
        tell(run, fate, title, "skipped", fate->result.why);
    }
    for (; told < warnings->count; told++)
        tell(run, fate, title, "warning", warnings->texts[told]);
}

/* ---- the whole file ---------------------------------------------------------------------------
 */

static bool has_changed(const struct run *run)
{
    for (size_t i = 0; i < run->workloads.count; i++)
        if (run->fates[i].is_spliced)
            return true;
    return false;
}

static enum err rewrite_once(const struct rewrite_options *options, struct span text,
                             struct manifest_document *document, enum pass pass, struct run *run,
                             struct text *out)
{
    *run = (struct run){.options = options, .text = text, .document = document, .pass = pass};
    return run_pass(run, out);
}

/* What was injected otherwise is taken out first; lines are those of the file as it was. */
static enum err inject_again(const struct run *renewed, struct span text, struct run *run,
                             struct manifest **manifest, struct text *out)
{
    struct manifest_problem problem;
    enum err e = manifest_parse(text, manifest, &problem);
    if (e == OK)
        e = rewrite_once(renewed->options, text, (*manifest)->documents, PASS_INJECT, run, out);
    for (size_t i = 0; e == OK && i < run->workloads.count; i++)
        run->fates[i].line = renewed->fates[i].line;
    return e;
}

static enum err rewrite_document(struct span text, struct manifest_document *document,
                                 const struct rewrite_options *options, struct text *out,
                                 struct rewrite_counts *counts)
{
    struct run first, second = {.options = options};
    struct run *told = &first;
    struct manifest *manifest = NULL;
    struct text renewed;
    text_init(&renewed, REWRITE_MAX_BYTES);
    enum err e = rewrite_once(options, text, document,
                              options->is_removal ? PASS_REMOVE : PASS_RENEW, &first, &renewed);
    if (e == OK && (options->is_removal || !has_changed(&first))) {
        if (options->is_removal) {
            text_add(out, renewed.data, renewed.len);
        } else {
            run_fini(&first);
            e = rewrite_once(options, text, document, PASS_INJECT, &first, out);
        }
    } else if (e == OK) {
        e = inject_again(&first, text_span(&renewed), &second, &manifest, out);
        told = &second;
    }
    for (size_t i = 0; e == OK && i < told->workloads.count; i++)
        tell_fate(told, i, counts);
    run_fini(&second);
    run_fini(&first);
    manifest_free(&manifest);
    text_fini(&renewed);
    return e;
}

enum err rewrite_text(struct span text, const struct rewrite_options *options, struct text *out,
                      struct rewrite_counts *counts, struct manifest_problem *problem)
{
    static const struct span byte_order_mark = {"\xEF\xBB\xBF", 3};
    struct manifest *manifest = NULL;
    *counts = (struct rewrite_counts){.changed = 0};
    if (span_starts_with(text, byte_order_mark)) {
        text_add(out, text.data, byte_order_mark.len);
        text = span_make(text.data + byte_order_mark.len, text.len - byte_order_mark.len);
    }
    enum err e = manifest_parse(text, &manifest, problem);
    if (e != OK)
        return e;
    if (manifest->documents == NULL)
        text_add(out, text.data, text.len);
    for (struct manifest_document *document = manifest->documents; document && e == OK;
         document = document->next)
        e = rewrite_document(text, document, options, out, counts);
    manifest_free(&manifest);
    if (e == OK && out->is_broken)
        e = ERR_TOO_LARGE;
    return e;
}
