/* manifest.c - libyaml's events onto a stack of open nodes; see manifest.h.
 *
 * libyaml counts characters, we count bytes: `places` has the byte of each 64th character. A block
 * collection ends, for libyaml, where the next thing begins, comments and all; for us it ends with
 * its last child. */
#include "inject/manifest.h"

#include "config/utf8.h"
#include "inject/manifest_scalar.h"
#include "inject/patch.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define CHARACTERS_A_PLACE 64
#define ARENA_MAX_BYTES ((size_t)4 << 30) /* MANIFEST_MAX_VALUES are much less */
#define SHOWN_MAX 120

struct anchor {
    const char *name;
    struct manifest_node *node;
};

struct builder {
    struct manifest *manifest;
    struct manifest_problem *problem;
    struct span text;
    char *copy;     /* what libyaml reads; NULL: the text itself */
    size_t *places; /* NULL: every character is a byte */
    struct manifest_document *document;
    struct manifest_node *open[MANIFEST_MAX_DEPTH];
    size_t depth;
    struct manifest_node *key; /* of the innermost map: read, its value comes next */
    struct anchor anchors[MANIFEST_MAX_ANCHORS];
    size_t anchor_count;
    size_t weight;
};

/* ---- places ------------------------------------------------------------------------------- */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static enum err find_places(struct builder *b)
{
    size_t characters = 0;
    for (size_t i = 0; i < b->text.len; i++)
        characters += !is_continuation(b->text.data[i]);
    if (characters == b->text.len)
        return OK;
    b->places = calloc(characters / CHARACTERS_A_PLACE + 1, sizeof *b->places);
    if (b->places == NULL)
        return ERR_NO_MEMORY;
    characters = 0;
    for (size_t i = 0; i < b->text.len; i++) {
        if (is_continuation(b->text.data[i]))
            continue;
        if (characters % CHARACTERS_A_PLACE == 0)
            b->places[characters / CHARACTERS_A_PLACE] = i;
        characters++;
    }
    if (characters % CHARACTERS_A_PLACE == 0)
        b->places[characters / CHARACTERS_A_PLACE] = b->text.len; /* where marks of an end are */
    return OK;
}

static size_t byte_of(const struct builder *b, size_t character)
{
    if (b->places == NULL)
        return character < b->text.len ? character : b->text.len;
    size_t at = b->places[character / CHARACTERS_A_PLACE];
    for (size_t left = character % CHARACTERS_A_PLACE; left > 0 && at < b->text.len; left--)
        for (at++; at < b->text.len && is_continuation(b->text.data[at]);)
            at++;
    return at;
}

static struct manifest_mark mark_of(const struct builder *b, yaml_mark_t mark)
{
    return (struct manifest_mark){byte_of(b, mark.index), (uint32_t)mark.line + 1,
                                  (uint32_t)mark.column};
}

static enum err refuse(struct builder *b, enum err e, yaml_mark_t mark, const char *why,
                       struct span shown)
{
    b->problem->line = (uint32_t)mark.line + 1;
    b->problem->column = (uint32_t)mark.column + 1;
    snprintf(b->problem->why, sizeof b->problem->why, why, (int)utf8_cut(shown, SHOWN_MAX),
             shown.data ? shown.data : "");
    return e;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* An escape of half a character beyond U+FFFF, of which JSON writes two. */
static bool is_surrogate(const char *at, size_t left)
{
    return left >= 6 && at[0] == '\\' && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D') &&
           is_hex(at[3]) && (at[3] >= 'A' || at[3] >= '8') && is_hex(at[4]) && is_hex(at[5]);
}

/* libyaml does not take \ud83d\ude00 of JSON. It reads a copy that says \ufffd instead: of the
 * same length, so that places hold, and only in texts that are none of ours to look at. */
static enum err hide_surrogates(struct builder *b)
{
    const struct span text = b->text;
    for (size_t i = 0; i + 6 <= text.len; i++) {
        if (!is_surrogate(text.data + i, text.len - i))
            continue;
        if (b->copy == NULL) {
            b->copy = malloc(text.len);
            if (b->copy == NULL)
                return ERR_NO_MEMORY;
            memcpy(b->copy, text.data, text.len);
        }
        memcpy(b->copy + i + 2, "fffd", 4);
    }
    return OK;
}

/* ---- nodes -------------------------------------------------------------------------------- */

static enum err take_weight(struct builder *b, size_t weight, yaml_mark_t mark)
{
    if (weight <= MANIFEST_MAX_VALUES - b->weight) {
        b->weight += weight;
        return OK;
    }
    return refuse(b, ERR_TOO_LARGE, mark,
                  "more than 4000000 values, counting what aliases stand for: split the file%.*s",
                  SPAN_NONE);
}

static enum err node_new(struct builder *b, enum manifest_kind kind, const yaml_event_t *event,
                         struct manifest_node **out)
{
    const enum err e = take_weight(b, 1, event->start_mark);
    if (e != OK)
        return e;
    struct manifest_node *node = arena_zalloc(&b->manifest->arena, sizeof *node);
    if (node == NULL)
        return ERR_NO_MEMORY;
    node->kind = kind;
    node->weight = 1;
    node->depth = (uint16_t)b->depth;
    node->start = mark_of(b, event->start_mark);
    node->open = mark_of(b, event->end_mark);
    node->end = node->open.offset;
    node->parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
    *out = node;
    return OK;
}

static enum err add_anchor(struct builder *b, const yaml_char_t *name, struct manifest_node *node,
                           yaml_mark_t mark)
{
    if (name == NULL)
        return OK;
    if (b->anchor_count == MANIFEST_MAX_ANCHORS)
        return refuse(b, ERR_TOO_LARGE, mark, "more than 256 anchors in one document%.*s",
                      SPAN_NONE);
    const struct span copy = arena_copy(&b->manifest->arena, span_of((const char *)name));
    if (copy.data == NULL)
        return ERR_NO_MEMORY;
    b->anchors[b->anchor_count++] = (struct anchor){copy.data, node};
    return OK;
}

/* The text of a key, or a refusal: Kubernetes has no other keys. */
static enum err become_key(struct builder *b, struct manifest_node *node, struct span text,
                           bool is_plain, yaml_mark_t mark)
{
    node->text = arena_copy(&b->manifest->arena, text);
    if (node->text.data == NULL)
        return ERR_NO_MEMORY;
    node->is_merge = is_plain && span_is(text, SPAN("<<"));
    if (memchr(text.data, '\0', text.len) != NULL)
        return refuse(b, ERR_INVALID, mark, "a key with a NUL character in it%.*s", SPAN_NONE);
    b->key = node;
    return OK;
}

static void attach(struct manifest_node *parent, struct manifest_node *node)
{
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->weight += node->weight;
    if (parent->is_flow)
        return;
    parent->end = node->end;
    parent->has_whole_lines = node->has_whole_lines;
}

/* `json` is consumed. */
static enum err set_key(struct builder *b, struct manifest_node *parent, json_t *json)
{
    const struct manifest_mark start = b->key->start;
    const yaml_mark_t mark = {0, start.line - 1, start.column};
    const char *key = b->key->text.data;
    if (json_object_get(parent->json, key) != NULL) {
        json_decref(json);
        return refuse(b, ERR_INVALID, mark, "key \"%.*s\" is there twice in the same block",
                      b->key->text);
    }
    return json_object_set_new_nocheck(parent->json, key, json) == 0 ? OK : ERR_NO_MEMORY;
}

/* Hands a finished value to what it stands in. */
static enum err add_value(struct builder *b, struct manifest_node *node)
{
    struct manifest_node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
    if (node->json == NULL)
        return ERR_NO_MEMORY;
    if (parent == NULL) {
        b->document->root = node;
        b->document->json = node->json;
        return OK;
    }
    if (parent->kind == MANIFEST_LIST) {
        attach(parent, node);
        return json_array_append_new(parent->json, node->json) == 0 ? OK : ERR_NO_MEMORY;
    }
    enum err e = OK;
    node->key = b->key;
    attach(parent, node);
    if (b->key->is_merge) /* kept until the map ends: its own keys come before them */
        e = json_array_append_new(b->manifest->merged, node->json) == 0 ? OK : ERR_NO_MEMORY;
    else
        e = set_key(b, parent, node->json);
    b->key = NULL;
    return e;
}

/* ---- events ------------------------------------------------------------------------------- */

static bool wants_key(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == MANIFEST_MAP && b->key == NULL;
}

/* `? key` without a value: for libyaml that stands where the next thing begins, for us with its
 * key. */
static void place_missing_value(const struct builder *b, struct manifest_node *node)
{
    const struct manifest_node *key = b->key;
    if (key == NULL || node->start.offset != node->end || node->end <= key->end ||
        memchr(b->text.data + key->end, ':', node->end - key->end) != NULL)
        return;
    node->start.offset = node->open.offset = node->end = key->end;
    node->has_whole_lines = key->has_whole_lines;
}

static enum err on_scalar(struct builder *b, const yaml_event_t *event)
{
    const struct span text =
        span_make((const char *)event->data.scalar.value, event->data.scalar.length);
    const yaml_scalar_style_t style = event->data.scalar.style;
    const bool is_plain = style == YAML_PLAIN_SCALAR_STYLE;
    const bool is_key = wants_key(b);
    struct manifest_node *node = NULL;
    enum err e = node_new(b, MANIFEST_SCALAR, event, &node);
    if (e == OK)
        e = add_anchor(b, event->data.scalar.anchor, node, event->start_mark);
    if (e != OK)
        return e;
    node->has_whole_lines = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    if (is_key)
        return become_key(b, node, text, is_plain, event->start_mark);
    place_missing_value(b, node);
    node->json = manifest_scalar(text, is_plain, (const char *)event->data.scalar.tag);
    return add_value(b, node);
}

static enum err on_alias(struct builder *b, const yaml_event_t *event)
{
    const struct span name = span_of((const char *)event->data.alias.anchor);
    struct manifest_node *target = NULL, *node = NULL;
    for (size_t i = b->anchor_count; i-- > 0 && target == NULL;)
        if (span_is(span_of(b->anchors[i].name), name))
            target = b->anchors[i].node;
    if (target == NULL)
        return refuse(b, ERR_INVALID, event->start_mark, "there is no anchor &%.*s before this",
                      name);
    for (size_t i = 0; i < b->depth; i++)
        if (b->open[i] == target)
            return refuse(b, ERR_INVALID, event->start_mark,
                          "*%.*s stands within what it stands for", name);
    if (wants_key(b) || target->json == NULL)
        return refuse(b, ERR_INVALID, event->start_mark, "*%.*s is, or stands for, a key", name);
    enum err e = node_new(b, MANIFEST_ALIAS, event, &node);
    if (e == OK)
        e = take_weight(b, target->weight, event->start_mark);
    if (e != OK)
        return e;
    target->is_shared = true;
    node->weight = target->weight;
    node->json = json_incref(target->json);
    return add_value(b, node);
}

static int step_of(const struct manifest_node *node)
{
    return (int)node->open.column - (int)node->parent->open.column;
}

/* How this file is laid out is seen where it happens first. */
static void note_steps(struct builder *b, const struct manifest_node *node)
{
    const struct manifest_node *parent = node->parent;
    if (node->is_flow || parent == NULL || parent->is_flow || parent->kind != MANIFEST_MAP)
        return;
    if (node->kind == MANIFEST_MAP && b->document->map_step < 0)
        b->document->map_step = step_of(node);
    if (node->kind == MANIFEST_LIST && b->document->list_step < 0)
        b->document->list_step = step_of(node);
}

static enum err on_open(struct builder *b, const yaml_event_t *event)
{
    const bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    struct manifest_node *node = NULL;
    if (wants_key(b))
        return refuse(b, ERR_INVALID, event->start_mark,
                      "a key that is a list or a block: Kubernetes has texts as keys only%.*s",
                      SPAN_NONE);
    if (b->depth == MANIFEST_MAX_DEPTH)
        return refuse(b, ERR_TOO_LARGE, event->start_mark, "nested more than 64 deep%.*s",
                      SPAN_NONE);
    enum err e = node_new(b, is_list ? MANIFEST_LIST : MANIFEST_MAP, event, &node);
    if (e == OK)
        e = add_anchor(
            b, is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor, node,
            event->start_mark);
    if (e != OK)
        return e;
    node->is_flow = is_list ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
                            : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    /* A list that does not stand in begins, for libyaml, behind its first dash. */
    if (is_list && !node->is_flow && node->open.offset > 0 &&
        (node->open.offset == b->text.len || b->text.data[node->open.offset] != '-')) {
        node->open.offset--;
        node->open.column--;
    }
    node->key = b->key;
    node->json = is_list ? json_array() : json_object();
    if (node->json == NULL)
        return ERR_NO_MEMORY;
    note_steps(b, node);
    b->key = NULL;
    b->open[b->depth++] = node;
    return OK;
}

static enum err merge(struct builder *b, struct manifest_node *node, json_t *from, yaml_mark_t mark)
{
    const char *key;
    json_t *value;
    if (!json_is_object(from))
        return refuse(b, ERR_INVALID, mark, "<< takes a block, or a list of blocks%.*s", SPAN_NONE);
    json_object_foreach(from, key, value)
    {
        if (json_object_get(node->json, key) == NULL &&
            json_object_set_nocheck(node->json, key, value) != 0)
            return ERR_NO_MEMORY;
    }
    return OK;
}

/* What stands in the map itself comes first, then the first of those merged. */
static enum err merge_all(struct builder *b, struct manifest_node *node, yaml_mark_t mark)
{
    enum err e = OK;
    for (struct manifest_node *child = node->first; child && e == OK; child = child->next) {
        if (!child->key->is_merge)
            continue;
        if (!json_is_array(child->json)) {
            e = merge(b, node, child->json, mark);
            continue;
        }
        for (size_t i = 0; i < json_array_size(child->json) && e == OK; i++)
            e = merge(b, node, json_array_get(child->json, i), mark);
    }
    return e;
}

static enum err on_close(struct builder *b, const yaml_event_t *event)
{
    struct manifest_node *node = b->open[b->depth - 1];
    enum err e = OK;
    if (node->is_flow)
        node->end = byte_of(b, event->end_mark.index);
    if (node->kind == MANIFEST_MAP)
        e = merge_all(b, node, event->start_mark);
    if (e != OK)
        return e;
    b->depth--;
    b->key = node->key;
    return add_value(b, node);
}

static enum err on_document(struct builder *b, const yaml_event_t *event)
{
    struct manifest *manifest = b->manifest;
    struct manifest_document *document = arena_zalloc(&manifest->arena, sizeof *document);
    const enum err e = take_weight(b, 1, event->start_mark);
    if (e != OK || document == NULL)
        return e != OK ? e : ERR_NO_MEMORY;
    document->map_step = document->list_step = -1;
    document->start = manifest->last ? byte_of(b, event->start_mark.index) : 0;
    document->end = b->text.len;
    if (manifest->last) {
        manifest->last->end = document->start;
        manifest->last->next = document;
    } else {
        manifest->documents = document;
    }
    manifest->last = b->document = document;
    b->anchor_count = 0;
    return OK;
}

static enum err on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return on_document(b, event);
    case YAML_SCALAR_EVENT: return on_scalar(b, event);
    case YAML_ALIAS_EVENT: return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return on_open(b, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_close(b, event);
    default: return OK;
    }
}

static enum err parser_error(struct builder *b, const yaml_parser_t *parser)
{
    char why[MANIFEST_WHY_MAX];
    if (parser->error == YAML_MEMORY_ERROR)
        return ERR_NO_MEMORY;
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR) {
        const struct place place = utf8_place("", b->text, parser->problem_offset);
        mark.line = place.line - 1;
        mark.column = place.column - 1;
    }
    snprintf(why, sizeof why, "%s%s%s", parser->problem ? parser->problem : "not understood",
             parser->context ? ", " : "", parser->context ? parser->context : "");
    return refuse(b, ERR_INVALID, mark, "not valid YAML: %.*s", span_of(why));
}

static enum err parse_events(struct builder *b, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return parser_error(b, parser);
        const bool is_end = event.type == YAML_STREAM_END_EVENT;
        const enum err e = on_event(b, &event);
        yaml_event_delete(&event);
        if (e != OK || is_end)
            return e;
    }
}

static enum err check_text(struct builder *b)
{
    size_t bad;
    yaml_mark_t mark = {0, 0, 0};
    if (b->text.len > MANIFEST_MAX_BYTES)
        return refuse(b, ERR_TOO_LARGE, mark, "more than 64 MiB: split the file%.*s", SPAN_NONE);
    if (utf8_is_valid(b->text, &bad))
        return OK;
    const struct place place = utf8_place("", b->text, bad);
    mark.line = place.line - 1;
    mark.column = place.column - 1;
    return refuse(b, ERR_INVALID, mark,
                  b->text.data[bad] == '\0'
                      ? "a NUL byte: is it a text file, saved as UTF-8 rather than UTF-16?%.*s"
                      : "not UTF-8: save the file as UTF-8%.*s",
                  SPAN_NONE);
}

static enum err build(struct builder *b)
{
    yaml_parser_t parser;
    enum err e = check_text(b);
    if (e == OK)
        e = find_places(b);
    if (e == OK)
        e = hide_surrogates(b);
    if (e != OK)
        return e;
    if (!yaml_parser_initialize(&parser))
        return ERR_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(b->copy ? b->copy : b->text.data),
                                 b->text.len);
    e = parse_events(b, &parser);
    yaml_parser_delete(&parser);
    for (size_t i = 0; i < b->depth; i++) /* what was not handed on, for an error */
        json_decref(b->open[i]->json);
    return e;
}

enum err manifest_parse(struct span text, struct manifest **out, struct manifest_problem *problem)
{
    struct builder *b = calloc(1, sizeof *b);
    struct manifest *manifest = calloc(1, sizeof *manifest);
    json_t *merged = json_array();
    enum err e = b && manifest && merged ? OK : ERR_NO_MEMORY;
    if (manifest) {
        arena_init(&manifest->arena, NULL, ARENA_MAX_BYTES);
        manifest->text = text;
        manifest->merged = merged;
    } else {
        json_decref(merged);
    }
    if (e == OK) {
        *b = (struct builder){.manifest = manifest, .problem = problem, .text = text};
        e = build(b);
        free(b->places);
        free(b->copy);
    }
    free(b);
    if (e == OK)
        *out = manifest;
    else
        manifest_free(&manifest);
    return e;
}

void manifest_free(struct manifest **manifest)
{
    struct manifest *doomed = *manifest;
    *manifest = NULL;
    if (doomed == NULL)
        return;
    for (struct manifest_document *doc = doomed->documents; doc; doc = doc->next)
        json_decref(doc->json);
    json_decref(doomed->merged);
    arena_fini(&doomed->arena);
    free(doomed);
}

struct manifest_node *manifest_child(const struct manifest_node *node, const char *token)
{
    size_t index = 0;
    struct manifest_node *child = node->first;
    if (node->kind == MANIFEST_MAP) {
        while (child && !span_is(child->key->text, span_of(token)))
            child = child->next;
        return child;
    }
    if (node->kind != MANIFEST_LIST || !pointer_index(token, &index))
        return NULL;
    for (; child && index > 0; index--)
        child = child->next;
    return child;
}
