/* splice.c - see splice.h. */
#include "inject/splice_own.h"

#include "inject/patch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUT_MAX ((size_t)1 << 20) /* bytes of one insertion */

void splice_init(struct splice *splice, struct span text, struct manifest_document *document)
{
    *splice = (struct splice){.text = text, .document = document};
}

static void drop_edits(struct splice *splice, size_t kept)
{
    while (splice->count > kept)
        text_fini(&splice->edits[--splice->count].put);
}

void splice_fini(struct splice *splice)
{
    drop_edits(splice, 0);
    free(splice->edits);
    splice->edits = NULL;
}

struct text *splice_edit_at(struct splice *splice, size_t at, size_t cut, uint16_t depth)
{
    if (splice->count == splice->size) {
        const size_t size = splice->size > 0 ? splice->size * 2 : 16;
        struct splice_edit *edits = realloc(splice->edits, size * sizeof *edits);
        if (edits == NULL)
            return NULL;
        splice->edits = edits;
        splice->size = size;
    }
    struct splice_edit *edit = &splice->edits[splice->count];
    *edit = (struct splice_edit){.at = at, .cut = cut, .depth = depth, .order = splice->count};
    text_init(&edit->put, PUT_MAX);
    splice->count++;
    return &edit->put;
}

enum err splice_refuse(struct splice *splice, const struct manifest_node *node, const char *why)
{
    splice->problem->line = node->start.line;
    splice->problem->column = node->start.column + 1;
    snprintf(splice->problem->why, sizeof splice->problem->why, "%s", why);
    return ERR_INVALID;
}

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

enum err splice_lines_end(struct splice *splice, const struct manifest_node *node, size_t *out)
{
    const struct span text = splice->text;
    size_t at = node->end;
    if (node->has_whole_lines) {
        if (at == 0 || !is_break(text.data[at - 1]))
            return splice_refuse(splice, node,
                                 "the text ends within the block that begins here: end it with a "
                                 "line break");
        at--;
        *out = at > 0 && text.data[at] == '\n' && text.data[at - 1] == '\r' ? at - 1 : at;
        return OK;
    }
    while (at < text.len && !is_break(text.data[at]))
        at++;
    *out = at;
    return OK;
}

/* The line break that is used around a place. */
static const char *line_break_at(const struct splice *splice, size_t at)
{
    const struct span text = splice->text;
    while (at > 0 && (at >= text.len || !is_break(text.data[at])))
        at--;
    if (at < text.len && text.data[at] == '\n')
        return at > 0 && text.data[at - 1] == '\r' ? "\r\n" : "\n";
    if (at < text.len && text.data[at] == '\r')
        return at + 1 < text.len && text.data[at + 1] == '\n' ? "\r\n" : "\r";
    return "\n";
}

/* How things stand in, seen from a map: as its own children do, else as elsewhere in the file. */
static struct layout layout_of(const struct splice *splice, const struct manifest_node *map,
                               size_t at)
{
    int map_step = -1, list_step = -1;
    for (const struct manifest_node *child = map->first; child; child = child->next) {
        const int step = (int)child->open.column - (int)map->open.column;
        if (child->is_flow || map->is_flow)
            continue;
        if (child->kind == MANIFEST_MAP && map_step < 0)
            map_step = step;
        if (child->kind == MANIFEST_LIST && list_step < 0)
            list_step = step;
    }
    map_step = map_step > 0 ? map_step : splice->document->map_step;
    list_step = list_step >= 0 ? list_step : splice->document->list_step;
    return (struct layout){line_break_at(splice, at), map_step > 0 ? (unsigned)map_step : 2,
                           list_step >= 0 ? (unsigned)list_step : 2};
}

/* ---- putting in -------------------------------------------------------------------------------
 */

static size_t start_of(const struct manifest_node *child)
{
    return child->key ? child->key->start.offset : child->start.offset;
}

/* In front of, or behind, what is there, with the comma that belongs to it. */
static enum err put_flow(struct splice *splice, const struct manifest_node *parent, const char *key,
                         const json_t *value, bool is_in_front)
{
    const bool is_first = parent->first == NULL;
    size_t at = parent->open.offset;
    if (!is_first)
        at = is_in_front ? start_of(parent->first) : parent->last->end;
    struct text *put = splice_edit_at(splice, at, 0, parent->depth);
    if (put == NULL)
        return ERR_NO_MEMORY;
    /* What is put into an empty one next begins with a comma. */
    bool is_again = false;
    for (size_t i = 0; is_first && i + 1 < splice->count; i++)
        is_again =
            is_again || (splice->edits[i].at == at && splice->edits[i].depth == parent->depth);
    if ((!is_first && !is_in_front) || is_again)
        text_put(put, ", ");
    if (key)
        layout_flow_key(key, put);
    layout_flow(value, put);
    if (!is_first && is_in_front)
        text_put(put, ", ");
    return OK;
}

static enum err put_key(struct splice *splice, const struct manifest_node *map, const char *key,
                        const json_t *value)
{
    size_t at;
    if (map->is_flow)
        return put_flow(splice, map, key, value, false);
    const enum err e = splice_lines_end(splice, map, &at);
    if (e != OK)
        return e;
    const struct layout layout = layout_of(splice, map, at);
    struct text *put = splice_edit_at(splice, at, 0, map->depth);
    if (put == NULL)
        return ERR_NO_MEMORY;
    layout_key(&layout, map->open.column, key, value, put);
    return OK;
}

static enum err put_item(struct splice *splice, const struct manifest_node *list,
                         const json_t *value, bool is_in_front)
{
    size_t at;
    if (list->is_flow)
        return put_flow(splice, list, NULL, value, is_in_front);
    /* In front is behind the line of the key: comments above the first item stay with it. */
    const enum err e = splice_lines_end(splice, is_in_front ? list->key : list, &at);
    if (e != OK)
        return e;
    const struct layout layout = layout_of(splice, list->parent, at);
    struct text *put = splice_edit_at(splice, at, 0, list->depth);
    if (put == NULL)
        return ERR_NO_MEMORY;
    layout_item(&layout, list->open.column, value, put);
    return OK;
}

/* A key without a value gets one below it; `null` is replaced where it stands. */
static enum err put_over_null(struct splice *splice, const struct manifest_node *node,
                              const json_t *value)
{
    const struct manifest_node *map = node->parent;
    const size_t len = node->end - node->start.offset;
    const struct span written = span_make(splice->text.data + node->start.offset, len);
    struct text *put;
    size_t at, i;
    json_t *item;
    const char *key;
    if (node->kind != MANIFEST_SCALAR || (len > 0 && !span_is(written, SPAN("null"))) ||
        (len == 0 && map->is_flow))
        return splice_refuse(splice, node->key,
                             "this key has no value in a way that cannot be kept: write null, or "
                             "leave it out");
    if (len > 0) {
        put = splice_edit_at(splice, node->start.offset, len, node->depth);
        if (put)
            layout_flow(value, put);
        return put ? OK : ERR_NO_MEMORY;
    }
    const enum err e = splice_lines_end(splice, node, &at);
    if (e != OK)
        return e;
    const struct layout layout = layout_of(splice, map, at);
    put = splice_edit_at(splice, at, 0, node->depth);
    if (put == NULL)
        return ERR_NO_MEMORY;
    json_array_foreach(value, i, item)
    {
        layout_item(&layout, map->open.column + layout.list_step, item, put);
    }
    json_object_foreach((json_t *)value, key, item)
    {
        layout_key(&layout, map->open.column + layout.map_step, key, item, put);
    }
    return OK;
}

/* ---- operations -------------------------------------------------------------------------------
 */

static enum err check_alone(struct splice *splice, const struct manifest_node *node)
{
    if (node->kind == MANIFEST_ALIAS)
        return splice_refuse(splice, node,
                             "what has to be changed stands for something else here (an alias): "
                             "write it out");
    if (node->is_shared)
        return splice_refuse(splice, node,
                             "what has to be changed has an anchor here that an alias uses "
                             "elsewhere: both would change; write one of them out");
    return OK;
}

/* The node that the last token of `path` is, or shall be, a child of. */
static enum err find_parent(struct splice *splice, const char *path, char token[POINTER_TOKEN_MAX],
                            struct manifest_node **out)
{
    struct span left = span_of(path);
    struct manifest_node *node = splice->document->root;
    while (pointer_next(&left, token)) {
        const enum err e = check_alone(splice, node);
        if (e != OK)
            return e;
        if (left.len == 0) {
            *out = node;
            return OK;
        }
        struct manifest_node *child = manifest_child(node, token);
        if (child == NULL)
            return splice_refuse(splice, node,
                                 "what has to be changed comes from a merge key (<<) here: write "
                                 "it out");
        node = child;
    }
    return splice_refuse(splice, node, "there is nothing here that could be changed");
}

static enum err add(struct splice *splice, struct manifest_node *parent, const char *token,
                    const json_t *value)
{
    struct manifest_node *child = NULL;
    if (parent->kind == MANIFEST_LIST)
        return put_item(splice, parent, value, strcmp(token, "-") != 0);
    if (parent->kind == MANIFEST_MAP)
        child = manifest_child(parent, token);
    if (child)
        return put_over_null(splice, child, value);
    if (parent->kind != MANIFEST_MAP || json_object_get(parent->json, token) != NULL)
        return splice_refuse(splice, parent,
                             "what has to be changed comes from a merge key (<<) here: write it "
                             "out");
    return put_key(splice, parent, token, value);
}

static enum err change(struct splice *splice, const json_t *operation, struct manifest_node **cut)
{
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *path = json_string_value(json_object_get(operation, "path"));
    const json_t *value = json_object_get(operation, "value");
    char token[POINTER_TOKEN_MAX];
    struct manifest_node *parent;
    *cut = NULL;
    enum err e = find_parent(splice, path, token, &parent);
    if (e != OK)
        return e;
    if (strcmp(op, "add") == 0)
        return add(splice, parent, token, value);
    struct manifest_node *child = manifest_child(parent, token);
    if (child == NULL)
        return splice_refuse(splice, parent, "what was injected is not written here");
    e = check_alone(splice, child);
    if (e != OK || strcmp(op, "replace") == 0)
        return e != OK ? e : splice_empty(splice, child, value);
    child->is_cut = true;
    *cut = child;
    return OK;
}

static enum err change_all(struct splice *splice, const json_t *patch, struct manifest_node **cuts,
                           size_t *count)
{
    for (size_t i = 0; i < json_array_size(patch); i++) {
        struct manifest_node *cut;
        const enum err e = change(splice, json_array_get(patch, i), &cut);
        if (e != OK)
            return e;
        if (cut)
            cuts[(*count)++] = cut;
    }
    for (size_t i = 0; i < *count; i++) {
        const enum err e = splice_cut_child(splice, cuts[i]);
        if (e != OK)
            return e;
    }
    return OK;
}

enum err splice_add(struct splice *splice, const json_t *patch, struct manifest_problem *problem)
{
    const size_t before = splice->count;
    size_t count = 0;
    struct manifest_node **cuts = calloc(json_array_size(patch) + 1, sizeof *cuts);
    if (cuts == NULL)
        return ERR_NO_MEMORY;
    splice->problem = problem;
    enum err e = change_all(splice, patch, cuts, &count);
    for (size_t i = before; i < splice->count && e == OK; i++)
        if (splice->edits[i].put.is_broken)
            e = ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        cuts[i]->is_cut = false;
    free(cuts);
    if (e != OK)
        drop_edits(splice, before);
    return e;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int compare_edits(const void *left, const void *right)
{
    const struct splice_edit *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->depth != b->depth)
        return a->depth > b->depth ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

enum err splice_write(struct splice *splice, struct text *out)
{
    size_t at = splice->document->start;
    if (splice->count > 0)
        qsort(splice->edits, splice->count, sizeof *splice->edits, compare_edits);
    for (size_t i = 0; i < splice->count; i++) {
        const struct splice_edit *edit = &splice->edits[i];
        if (edit->at < at)
            return ERR_INVALID;
        text_add(out, splice->text.data + at, edit->at - at);
        text_add(out, edit->put.data, edit->put.len);
        at = edit->at + edit->cut;
    }
    if (at > splice->document->end)
        return ERR_INVALID;
    text_add(out, splice->text.data + at, splice->document->end - at);
    return out->is_broken ? ERR_NO_MEMORY : OK;
}
