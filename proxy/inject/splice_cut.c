/* splice_cut.c - taking out; see splice.h. In blocks whole lines go, with the line break before
 * them: just what splice.c puts in. */
#include "inject/splice_own.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

/* Where a child begins: its key, or its dash. */
static enum err find_start(struct splice *splice, const struct manifest_node *child, size_t *out)
{
    size_t at = child->key ? child->key->start.offset : child->start.offset;
    if (child->key || child->parent->is_flow) {
        *out = at;
        return OK;
    }
    while (at > 0 && (is_blank(splice->text.data[at - 1]) || is_break(splice->text.data[at - 1])))
        at--;
    if (at == 0 || splice->text.data[at - 1] != '-')
        return splice_refuse(splice, child,
                             "what was injected is not written as it was: take it out by hand");
    *out = at - 1;
    return OK;
}

/* The line break before the line on which `at` is; false where something else is on that line. */
static bool find_break_before(const struct splice *splice, size_t at, size_t *out)
{
    const char *text = splice->text.data;
    while (at > 0 && is_blank(text[at - 1]))
        at--;
    if (at == 0 || !is_break(text[at - 1]))
        return false;
    at--;
    *out = text[at] == '\n' && at > 0 && text[at - 1] == '\r' ? at - 1 : at;
    return true;
}

static enum err cut(struct splice *splice, const struct manifest_node *child, size_t from,
                    size_t to)
{
    return splice_edit_at(splice, from, to - from, child->depth) ? OK : ERR_NO_MEMORY;
}

/* The first key of an item shares its line with the dash: the next key moves up. */
static enum err cut_first_key(struct splice *splice, const struct manifest_node *child,
                              size_t start)
{
    const struct manifest_node *next = child->next;
    if (child->key == NULL || next == NULL || next->is_cut)
        return splice_refuse(splice, child,
                             "what was injected shares its line with something else: take it out "
                             "by hand");
    return cut(splice, child, start, next->key->start.offset);
}

static enum err cut_lines(struct splice *splice, const struct manifest_node *child)
{
    size_t start, from, to;
    enum err e = find_start(splice, child, &start);
    if (e != OK)
        return e;
    if (!find_break_before(splice, start, &from))
        return cut_first_key(splice, child, start);
    e = splice_lines_end(splice, child, &to);
    return e != OK ? e : cut(splice, child, from, to);
}

static size_t flow_start(const struct manifest_node *child)
{
    return child->key ? child->key->start.offset : child->start.offset;
}

/* With the comma before it; where nothing before it stays, with the one behind it. */
static enum err cut_flow(struct splice *splice, const struct manifest_node *child)
{
    const struct manifest_node *before = NULL, *stays = NULL;
    for (const struct manifest_node *at = child->parent->first; at != child; at = at->next) {
        stays = at->is_cut ? stays : at;
        before = at;
    }
    if (stays)
        return cut(splice, child, before->end, child->end);
    const bool is_last = child->next == NULL;
    const size_t to = is_last ? child->end : flow_start(child->next);
    return cut(splice, child, flow_start(child), to);
}

enum err splice_cut_child(struct splice *splice, struct manifest_node *child)
{
    return child->parent->is_flow ? cut_flow(splice, child) : cut_lines(splice, child);
}

static enum err empty_flow(struct splice *splice, const struct manifest_node *node,
                           const json_t *value)
{
    const bool is_null = json_is_null(value);
    if (!is_null && node->first == NULL)
        return OK;
    const size_t from = is_null ? node->start.offset : flow_start(node->first);
    const size_t to = is_null ? node->end : node->last->end;
    struct text *put = splice_edit_at(splice, from, to - from, node->depth);
    if (put && is_null)
        text_put(put, "null");
    return put ? OK : ERR_NO_MEMORY;
}

enum err splice_empty(struct splice *splice, struct manifest_node *node, const json_t *value)
{
    size_t from, to, colon;
    if (node->is_flow)
        return empty_flow(splice, node, value);
    if (!find_break_before(splice, node->open.offset, &from))
        return splice_refuse(splice, node,
                             "what was injected shares its line with something else: take it out "
                             "by hand");
    const enum err e = splice_lines_end(splice, node, &to);
    if (e != OK)
        return e;
    if (!json_is_null(value)) {
        for (colon = node->key->end; colon < from && splice->text.data[colon] != ':';)
            colon++;
        struct text *put = splice_edit_at(splice, colon + 1, 0, node->depth);
        if (put == NULL)
            return ERR_NO_MEMORY;
        text_put(put, json_is_array(value) ? " []" : " {}");
    }
    return cut(splice, node, from, to);
}
