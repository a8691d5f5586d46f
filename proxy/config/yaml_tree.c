/* yaml_tree.c - libyaml's events, one at a time, onto a stack of open nodes; see yaml_tree.h. */
#include "config/yaml_tree.h"

#include "base/check.h"
#include "config/utf8.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct builder {
    struct arena *arena;
    const char *file;
    struct span text;
    struct diagnostics *diag;
    struct node *documents;
    struct node *last_document;
    struct node *open[YAML_MAX_DEPTH];
    size_t depth;
    uint32_t nodes;
    bool has_key; /* in the innermost block a key was read, its value comes next */
    struct node key;
};

static struct place place_at(const struct builder *b, yaml_mark_t mark)
{
    return (struct place){b->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, 1};
}

static enum err say(struct builder *b, enum diagnostic_code code, yaml_mark_t mark,
                    const char *message, const char *help)
{
    diagnostics_add(b->diag, code, place_at(b, mark), NULL, help, "%s", message);
    return ERR_INVALID;
}

static uint32_t length_between(yaml_mark_t start, yaml_mark_t end)
{
    return end.line == start.line ? (uint32_t)(end.column - start.column) : PLACE_REST_OF_LINE;
}

static enum err node_new(struct builder *b, enum node_kind kind, yaml_mark_t mark,
                         struct node **out)
{
    if (++b->nodes > YAML_MAX_NODES)
        return say(b, DIAG_YAML_LIMIT, mark, "the file has more than 50000 values",
                   "split it into several files");
    struct node *node = arena_zalloc(b->arena, sizeof *node);
    if (node == NULL)
        return ERR_NO_MEMORY;
    node->kind = kind;
    node->line = (uint32_t)mark.line + 1;
    node->column = (uint32_t)mark.column + 1;
    *out = node;
    return OK;
}

void node_append(struct node *parent, struct node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

struct place node_place(const char *file, const struct node *node)
{
    return (struct place){file, node->line, node->column, node->length};
}

struct place node_key_place(const char *file, const struct node *node)
{
    return (struct place){file, node->key_line, node->key_column, node->key_length};
}

const struct node *node_get(const struct node *block, const char *key)
{
    if (block == NULL || block->kind != NODE_BLOCK)
        return NULL;
    struct span wanted = span_of(key);
    for (const struct node *child = block->first; child; child = child->next)
        if (span_is(child->key, wanted))
            return child;
    return NULL;
}

const struct node *node_find(const struct node *block, const char *path)
{
    char name[64];
    while (block && *path) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        block = node_get(block, name);
        path += len;
        path += *path == '.';
    }
    return block;
}

struct node *node_merge(struct arena *arena, const struct node *below, const struct node *above)
{
    const struct node *shape = above ? above : below;
    struct node *merged = arena_alloc(arena, sizeof *merged);
    if (merged == NULL || shape == NULL)
        return NULL;
    *merged = *shape;
    merged->next = NULL;
    if (shape->kind != NODE_BLOCK || below == NULL || above == NULL || below->kind != NODE_BLOCK)
        return merged;
    merged->first = merged->last = NULL;
    merged->count = 0;
    for (const struct node *child = above->first; child; child = child->next) {
        struct node *copy = node_merge(arena, node_get(below, child->key.data), child);
        if (copy == NULL)
            return NULL;
        node_append(merged, copy);
    }
    for (const struct node *child = below->first; child; child = child->next) {
        if (node_get(above, child->key.data))
            continue;
        struct node *copy = node_merge(arena, child, NULL);
        if (copy == NULL)
            return NULL;
        node_append(merged, copy);
    }
    return merged;
}

static enum err add_to_block(struct builder *b, struct node *block, struct node *node)
{
    node->key = b->key.text;
    node->key_line = b->key.line;
    node->key_column = b->key.column;
    node->key_length = b->key.length;
    b->has_key = false;
    const struct node *first = node_get(block, node->key.data);
    struct place place = node_key_place(b->file, node);
    if (first) {
        char help[80];
        snprintf(help, sizeof help, "it stands in line %u already: remove one of them",
                 first->key_line);
        diagnostics_add(b->diag, DIAG_DUPLICATE_KEY, place, NULL, help, "duplicate key \"%.64s\"",
                        node->key.data);
        diagnostics_relate(b->diag, node_key_place(b->file, first), "the first one is here");
        return OK;
    }
    if (block->count == YAML_MAX_KEYS) {
        diagnostics_add(b->diag, DIAG_YAML_LIMIT, place, NULL, "no block of ours has that many",
                        "a block has more than %d keys", YAML_MAX_KEYS);
        return ERR_INVALID;
    }
    node_append(block, node);
    return OK;
}

static enum err add(struct builder *b, struct node *node)
{
    if (b->depth > 0) {
        struct node *parent = b->open[b->depth - 1];
        if (parent->kind == NODE_BLOCK)
            return add_to_block(b, parent, node);
        node_append(parent, node);
        return OK;
    }
    if (node->kind == NODE_NULL)
        return OK; /* an empty document */
    if (b->last_document)
        b->last_document->next = node;
    else
        b->documents = node;
    b->last_document = node;
    return OK;
}

static bool is_key_expected(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == NODE_BLOCK && !b->has_key;
}

static void refuse_feature(struct builder *b, yaml_mark_t mark, const yaml_char_t *anchor,
                           const yaml_char_t *tag)
{
    if (anchor)
        say(b, DIAG_YAML_FEATURE, mark, "anchors (&) are not allowed",
            "write the value out in each place");
    if (tag)
        say(b, DIAG_YAML_FEATURE, mark, "tags (!) are not allowed", "remove the tag");
}

static bool is_null_text(struct span text)
{
    return text.len == 0 || span_is(text, SPAN("~")) || span_is(text, SPAN("null"));
}

static enum err on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct span text = span_make((const char *)event->data.scalar.value, event->data.scalar.length);
    bool is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    refuse_feature(b, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
    if (text.len > YAML_MAX_SCALAR_BYTES)
        return say(b, DIAG_YAML_LIMIT, event->start_mark, "a value is longer than 64 KiB",
                   "shorten it");
    if (memchr(text.data, '\0', text.len))
        return say(b, DIAG_NOT_UTF8, event->start_mark, "a value contains a NUL character",
                   "remove the \\0");

    struct node *node;
    enum err e = node_new(b, !is_quoted && is_null_text(text) ? NODE_NULL : NODE_SCALAR,
                          event->start_mark, &node);
    if (e)
        return e;
    node->is_quoted = is_quoted;
    node->length = length_between(event->start_mark, event->end_mark);
    node->text = arena_copy(b->arena, text);
    if (node->text.data == NULL)
        return ERR_NO_MEMORY;
    if (!is_key_expected(b))
        return add(b, node);
    b->key = *node;
    b->has_key = true;
    return OK;
}

static enum err on_alias(struct builder *b, const yaml_event_t *event)
{
    struct node *node;
    say(b, DIAG_YAML_FEATURE, event->start_mark, "aliases (*) are not allowed",
        "write the value out in each place");
    if (is_key_expected(b))
        return ERR_INVALID;
    enum err e = node_new(b, NODE_BROKEN, event->start_mark, &node);
    return e ? e : add(b, node);
}

static enum err on_open(struct builder *b, enum node_kind kind, yaml_mark_t mark)
{
    if (is_key_expected(b))
        return say(b, DIAG_YAML_SYNTAX, mark, "a key must be text, this one is a list or a block",
                   "a { or [ at the start of a value that is text needs quotes");
    if (b->depth == YAML_MAX_DEPTH)
        return say(b, DIAG_YAML_LIMIT, mark, "nested more than 32 deep",
                   "no valid policy is nested more than 12 deep");
    struct node *node;
    enum err e = node_new(b, kind, mark, &node);
    if (e == OK) {
        node->length = PLACE_REST_OF_LINE; /* until its end is seen */
        e = add(b, node);
    }
    if (e == OK)
        b->open[b->depth++] = node;
    return e;
}

static void on_close(struct builder *b, yaml_mark_t end)
{
    struct node *node = b->open[--b->depth];
    if (end.line + 1 == node->line)
        node->length = (uint32_t)end.column + 1 - node->column;
}

static enum err on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return on_scalar(b, event);
    case YAML_ALIAS_EVENT: return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        refuse_feature(b, event->start_mark, event->data.sequence_start.anchor,
                       event->data.sequence_start.tag);
        return on_open(b, NODE_LIST, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        refuse_feature(b, event->start_mark, event->data.mapping_start.anchor,
                       event->data.mapping_start.tag);
        return on_open(b, NODE_BLOCK, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: on_close(b, event->end_mark); return OK;
    default: return OK; /* the ends of documents and of the stream */
    }
}

static const char *syntax_help(const char *problem)
{
    if (strstr(problem, "cannot start any token"))
        return "YAML indents with spaces, not tabs; a value that starts with @, ` or % needs "
               "quotes";
    if (strstr(problem, "expected alphabetic or numeric"))
        return "a value that starts with * or & needs quotes: \"*.example.com\"";
    if (strstr(problem, "mapping values are not allowed"))
        return "check the indentation; a value that contains \": \" needs quotes";
    if (strstr(problem, "did not find expected key") || strstr(problem, "expected <block end>"))
        return "check the indentation of this line and of the one before";
    if (strstr(problem, "could not find expected ':'"))
        return "a key is followed by a colon and a space";
    if (strstr(problem, "did not find expected ',' or"))
        return "a comma or a closing bracket is missing";
    if (strstr(problem, "control characters"))
        return "remove the character, or write it as an escape in double quotes";
    return "check quotes, brackets and indentation before this place";
}

static enum err parser_error(struct builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return ERR_NO_MEMORY;
    const char *problem = parser->problem ? parser->problem : "not understood";
    struct place place = place_at(b, parser->problem_mark);
    if (parser->error == YAML_READER_ERROR)
        place = utf8_place(b->file, b->text, parser->problem_offset);
    diagnostics_add(b->diag, DIAG_YAML_SYNTAX, place, NULL, syntax_help(problem),
                    "not valid YAML: %s%s%s", problem, parser->context ? ", " : "",
                    parser->context ? parser->context : "");
    return ERR_INVALID;
}

static enum err parse_events(struct builder *b, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return parser_error(b, parser);
        bool is_end = event.type == YAML_STREAM_END_EVENT;
        enum err e = on_event(b, &event);
        yaml_event_delete(&event);
        if (e || is_end)
            return e;
    }
}

static enum err check_text(struct builder *b)
{
    size_t bad;
    if (utf8_is_valid(b->text, &bad))
        return OK;
    bool is_nul = b->text.data[bad] == '\0';
    diagnostics_add(
        b->diag, DIAG_NOT_UTF8, utf8_place(b->file, b->text, bad), NULL,
        is_nul ? "is it a text file, saved as UTF-8 rather than UTF-16?" : "save the file as UTF-8",
        is_nul ? "a NUL byte" : "byte 0x%02x is not UTF-8", (unsigned char)b->text.data[bad]);
    return ERR_INVALID;
}

enum err yaml_tree_parse(struct arena *arena, const char *file, struct span text,
                         struct node **documents, struct diagnostics *diag)
{
    struct builder b = {.arena = arena, .file = file, .text = text, .diag = diag};
    enum err e = check_text(&b);
    if (e)
        return e;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return ERR_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    e = parse_events(&b, &parser);
    yaml_parser_delete(&parser);
    if (e == OK)
        *documents = b.documents;
    return e;
}
