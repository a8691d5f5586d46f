/* scenario.c - reads a scenario, and refuses what the tables cannot see: names that lead nowhere,
 * services that call each other in a circle, sentences of `expect` that say nothing. */
#include "sim/scenario.h"

#include "config/load.h"
#include "config/policy_schema.h"
#include "sim/scenario_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX_BYTES (16u * 1024 * 1024)
#define TREE_MAX_BYTES (64u * 1024 * 1024)
#define LOGNORMAL_RATIO_MAX 14.0 /* p99/mean of a lognormal has a greatest value, exp(z*z/2) */
#define WHY_BYTES 256

static const char *const fault_words[] = {
#define X(name, word, text) #word,
    FAULT_KIND_LIST(X)
#undef X
};

const char *fault_kind_word(enum fault_kind kind)
{
    return fault_words[kind];
}

uint32_t scenario_upstream_index(const struct scenario *scenario, const char *name)
{
    if (name == NULL)
        return scenario->upstream_count == 1 ? 0 : UINT32_MAX;
    for (size_t i = 0; i < scenario->upstream_count; i++)
        if (strcmp(scenario->upstreams[i].name, name) == 0)
            return (uint32_t)i;
    return UINT32_MAX;
}

double scenario_rate(const struct scenario_caller *caller, dur_ns at)
{
    const struct load_point *points = caller->load;
    if (caller->load_count == 0)
        return caller->rate;
    if (at <= points[0].at)
        return points[0].rate;
    for (size_t i = 1; i < caller->load_count; i++) {
        if (at >= points[i].at)
            continue;
        const double share =
            (double)(at - points[i - 1].at) / (double)(points[i].at - points[i - 1].at);
        return points[i - 1].rate + share * ((double)points[i].rate - points[i - 1].rate);
    }
    return points[caller->load_count - 1].rate;
}

/* ---- what the tables cannot see ----------------------------------------------------------- */

static const struct node *item_of(const struct node *spec, const char *list, size_t index)
{
    const struct node *item = node_get(spec, list);
    item = item != NULL ? item->first : NULL;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item != NULL ? item : spec;
}

/* The value of a field of that item, or the item where it does not have one. */
static const struct node *value_of(const struct node *item, const char *field)
{
    const struct node *value = node_get(item, field);
    return value != NULL ? value : item;
}

static void check_upstream_name(struct decoder *decoder, const struct scenario *scenario,
                                const char *name, const struct node *at)
{
    char help[WHY_BYTES] = "allowed: ";
    if (scenario_upstream_index(scenario, name) != UINT32_MAX)
        return;
    for (size_t i = 0; i < scenario->upstream_count; i++) {
        const size_t used = strlen(help);
        snprintf(help + used, sizeof help - used, "%s%s", i > 0 ? ", " : "",
                 scenario->upstreams[i].name);
    }
    if (name == NULL)
        decode_error(decoder, DIAG_MISSING, at, help,
                     "\"upstream\" is required where a scenario has several");
    else
        decode_error(decoder, DIAG_BAD_VALUE, at, help, "there is no upstream \"%s\"", name);
}

static void check_load(struct decoder *decoder, const struct scenario_caller *caller,
                       const struct node *item)
{
    const bool has_load = caller->load_count > 0;
    if (has_load == (caller->rate > 0))
        decode_error(decoder, has_load ? DIAG_CONTRADICTION : DIAG_MISSING, item, NULL,
                     "give either \"rate\" or \"load\"");
    for (size_t i = 1; i < caller->load_count; i++)
        if (caller->load[i].at <= caller->load[i - 1].at)
            decode_error(decoder, DIAG_OUT_OF_RANGE, item_of(item, "load", i), NULL,
                         "each point of `load` has to be later than the one before it");
}

static void check_callers(struct decoder *decoder, const struct scenario *scenario,
                          const struct node *spec)
{
    if (scenario->caller_count == 0)
        decode_error(decoder, DIAG_MISSING, spec, NULL, "\"callers\" is required: who calls?");
    for (size_t i = 0; i < scenario->caller_count; i++) {
        const struct scenario_caller *caller = &scenario->callers[i];
        const struct node *item = item_of(spec, "callers", i);
        check_load(decoder, caller, item);
        check_upstream_name(decoder, scenario, caller->upstream, value_of(item, "upstream"));
        for (size_t k = 0; k < caller->call_count; k++)
            if (caller->calls[k].upstream != NULL)
                check_upstream_name(decoder, scenario, caller->calls[k].upstream,
                                    item_of(item, "calls", k));
    }
}

static void check_service(struct decoder *decoder, const struct service_time *service,
                          const struct node *at)
{
    const double ratio = (double)service->p99 / (double)dur_max(service->mean, 1);
    if (service->distribution == SERVICE_LOGNORMAL && (ratio <= 1 || ratio > LOGNORMAL_RATIO_MAX))
        decode_error(decoder, DIAG_OUT_OF_RANGE, at, "between 1 and 14 times the mean",
                     "a lognormal distribution needs `p99`");
    if ((service->distribution == SERVICE_HISTOGRAM) != (service->step_count > 0))
        decode_error(decoder, DIAG_CONTRADICTION, at, NULL,
                     "`steps` and `distribution: histogram` go together");
    for (size_t i = 1; i < service->step_count; i++)
        if (service->steps[i].up_to <= service->steps[i - 1].up_to)
            decode_error(decoder, DIAG_OUT_OF_RANGE, at, NULL,
                         "each of `steps` has to be longer than the one before it");
}

/* True when `from` leads back to `goal`; `depth` bounds the walk. */
static bool leads_to(const struct scenario *scenario, size_t from, size_t goal, size_t depth)
{
    const struct scenario_upstream *upstream = &scenario->upstreams[from];
    for (size_t i = 0; i < upstream->call_count; i++) {
        const uint32_t next = scenario_upstream_index(scenario, upstream->calls[i].upstream);
        if (next == goal)
            return true;
        if (next != UINT32_MAX && depth > 0 && leads_to(scenario, next, goal, depth - 1))
            return true;
    }
    return false;
}

static void check_upstreams(struct decoder *decoder, const struct scenario *scenario,
                            const struct node *spec)
{
    if (scenario->upstream_count == 0)
        decode_error(decoder, DIAG_MISSING, spec, NULL,
                     "\"upstreams\" is required: what is called?");
    for (size_t i = 0; i < scenario->upstream_count; i++) {
        const struct scenario_upstream *upstream = &scenario->upstreams[i];
        const struct node *item = item_of(spec, "upstreams", i);
        check_service(decoder, &upstream->service, value_of(item, "serviceTime"));
        if (scenario_upstream_index(scenario, upstream->name) != i)
            decode_error(decoder, DIAG_DUPLICATE_NAME, item, NULL,
                         "two upstreams are called \"%s\"", upstream->name);
        for (size_t k = 0; k < upstream->call_count; k++)
            check_upstream_name(decoder, scenario, upstream->calls[k].upstream,
                                item_of(item, "calls", k));
        if (leads_to(scenario, i, i, scenario->upstream_count))
            decode_error(decoder, DIAG_CONTRADICTION, item,
                         "services may call in a line, or a tree",
                         "\"%s\" calls itself, through others or directly", upstream->name);
    }
}

static void check_faults(struct decoder *decoder, struct scenario *scenario,
                         const struct node *spec)
{
    for (size_t i = 0; i < scenario->fault_count; i++) {
        struct scenario_fault *fault = &scenario->faults[i];
        const struct node *item = item_of(spec, "faults", i);
        check_upstream_name(decoder, scenario, fault->upstream, value_of(item, "upstream"));
        fault->upstream_index = scenario_upstream_index(scenario, fault->upstream);
        if (fault->upstream_index == UINT32_MAX)
            continue;
        const struct scenario_upstream *upstream = &scenario->upstreams[fault->upstream_index];
        if (fault->endpoint > upstream->endpoints)
            decode_error(decoder, DIAG_OUT_OF_RANGE, value_of(item, "endpoint"), NULL,
                         "\"%s\" has %u endpoints", upstream->name, upstream->endpoints);
    }
}

static void read_expectations(struct decoder *decoder, struct scenario *scenario,
                              const struct node *spec)
{
    const struct node *list = node_get(spec, "expect");
    char why[WHY_BYTES];
    if (list == NULL)
        return;
    if (list->kind != NODE_LIST) {
        decode_expected(decoder, list, "a list of sentences", NULL);
        return;
    }
    struct expectation *all = arena_zalloc(decoder->arena, (list->count + 1) * sizeof *all);
    for (const struct node *item = list->first; all != NULL && item != NULL; item = item->next) {
        if (item->kind != NODE_SCALAR || item->text.len == 0) {
            decode_expected(decoder, item, "a sentence such as \"goodput > 95%\"", NULL);
            continue;
        }
        struct expectation *expectation = &all[scenario->expectation_count++];
        expectation->text = decode_keep(decoder, item->text);
        expectation->line = item->line;
        if (!expectation_parse(item->text, expectation, why, sizeof why))
            decode_error(decoder, DIAG_BAD_VALUE, item, "such as \"goodput > 95% after 90s\"", "%s",
                         why);
    }
    scenario->expectations = all;
}

/* ---- the file ------------------------------------------------------------------------------ */

static void check_word(struct decoder *decoder, const struct node *root, const char *key,
                       const char *wanted)
{
    const struct node *node = node_get(root, key);
    const size_t mark = path_push(decoder, key);
    if (node == NULL)
        decode_error(decoder, DIAG_MISSING, root, NULL, "\"%s: %s\" is required", key, wanted);
    else if (!span_is(node->text, span_of(wanted)))
        decode_error(decoder, DIAG_BAD_VALUE, node, NULL, "expected %s here", wanted);
    path_pop(decoder, mark);
}

static void decode_document(struct decoder *decoder, struct scenario *scenario,
                            const struct node *root)
{
    check_word(decoder, root, "apiVersion", API_VERSION);
    check_word(decoder, root, "kind", KIND_SCENARIO);
    if (!block_decode(decoder, &scenario_document_block, root, true, scenario))
        return;
    const struct node *spec = node_get(root, "spec");
    const size_t mark = path_push(decoder, "spec");
    check_callers(decoder, scenario, spec);
    check_upstreams(decoder, scenario, spec);
    check_faults(decoder, scenario, spec);
    read_expectations(decoder, scenario, spec);
    path_pop(decoder, mark);
}

static enum err read_text(const char *path, struct diagnostics *diag, char **text, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *buffer = malloc(LOAD_MAX_FILE_BYTES + 1);
    enum err e = buffer == NULL ? ERR_NO_MEMORY : OK;
    if (e == OK && file != NULL)
        *len = fread(buffer, 1, LOAD_MAX_FILE_BYTES + 1, file);
    if (e == OK && (file == NULL || ferror(file))) {
        e = err_from_errno(errno);
        e = e == OK ? ERR_SYSTEM : e;
        diagnostics_add(diag, DIAG_UNREADABLE, (struct place){.file = path}, NULL, "check the path",
                        "cannot be read: %s", strerrordesc_np(errno));
    } else if (e == OK && *len > LOAD_MAX_FILE_BYTES) {
        e = ERR_INVALID;
        diagnostics_add(diag, DIAG_FILE_TOO_LARGE, (struct place){.file = path}, NULL, NULL,
                        "larger than 1 MiB");
    }
    if (file != NULL)
        fclose(file);
    if (e == OK)
        *text = buffer;
    else
        free(buffer);
    return e;
}

static enum err decode_text(struct scenario *scenario, struct span text, struct diagnostics *diag)
{
    struct arena tree;
    struct decoder decoder;
    struct node *root = NULL;
    arena_init(&tree, NULL, TREE_MAX_BYTES);
    decoder_init(&decoder, &scenario->arena, &tree, diag, scenario->file);
    enum err e = yaml_tree_parse(&tree, scenario->file, text, &root, diag);
    if (e == OK && root == NULL)
        diagnostics_add(diag, DIAG_MISSING, (struct place){.file = scenario->file}, NULL, NULL,
                        "the file holds no document");
    else if (e == OK && root->next != NULL)
        decode_error(&decoder, DIAG_CONTRADICTION, root->next, "one file each",
                     "there is a second document; a scenario is one");
    else if (e == OK)
        decode_document(&decoder, scenario, root);
    arena_fini(&tree);
    if (e == OK)
        e = decoder.err;
    return e == OK && diag->errors > 0 ? ERR_INVALID : e;
}

enum err scenario_load_text(const char *name, const char *text, size_t len, struct scenario **out,
                            struct diagnostics *diag)
{
    struct scenario *scenario = calloc(1, sizeof *scenario);
    if (scenario == NULL)
        return ERR_NO_MEMORY;
    arena_init(&scenario->arena, NULL, ARENA_MAX_BYTES);
    scenario->file = arena_copy(&scenario->arena, span_of(name)).data;
    const enum err e =
        scenario->file == NULL ? ERR_NO_MEMORY : decode_text(scenario, span_make(text, len), diag);
    diagnostics_sort(diag);
    if (e == OK)
        *out = scenario;
    else
        scenario_free(&scenario);
    return e;
}

enum err scenario_load(const char *path, struct scenario **out, struct diagnostics *diag)
{
    char *text;
    size_t len = 0;
    enum err e = read_text(path, diag, &text, &len);
    if (e != OK)
        return e;
    e = scenario_load_text(path, text, len, out, diag);
    free(text);
    return e;
}

void scenario_free(struct scenario **taken)
{
    struct scenario *scenario = *taken;
    *taken = NULL;
    if (scenario == NULL)
        return;
    arena_fini(&scenario->arena);
    free(scenario);
}
