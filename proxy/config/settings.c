/* settings.c - see settings.h. The nodes have no line: they are of no file. */
#include "config/settings.h"

#include <stdint.h>
#include <string.h>

static void refuse(struct diagnostics *diag, const char *setting)
{
    diagnostics_add(diag, DIAG_BAD_VALUE, (struct place){.file = SETTINGS_SOURCE}, NULL,
                    "FIELD=VALUE of the ProxyConfig's spec, such as log.level=debug",
                    "\"%s\" names no field and value", setting);
}

static bool is_yaml(struct span value)
{
    const char last = value.len > 1 ? value.data[value.len - 1] : '\0';
    return (value.data[0] == '[' && last == ']') || (value.data[0] == '{' && last == '}');
}

static void forget_places(struct node *node)
{
    node->line = node->key_line = 0;
    for (struct node *child = node->first; child; child = child->next)
        forget_places(child);
}

/* The value as a document of its own. */
static enum err value_parse(struct arena *arena, struct span text, struct node **out,
                            struct diagnostics *diag)
{
    if (is_yaml(text)) {
        const enum err e = yaml_tree_parse(arena, SETTINGS_SOURCE, text, out, diag);
        if (e == OK && *out)
            forget_places(*out);
        return e == ERR_INVALID ? OK : e; /* said */
    }
    *out = arena_zalloc(arena, sizeof **out);
    if (*out)
        **out = (struct node){.kind = NODE_SCALAR, .is_quoted = text.len == 0, .text = text};
    return *out ? OK : ERR_NO_MEMORY;
}

/* The block that holds only `inner`, under that key. */
static struct node *wrap(struct arena *arena, struct span key, struct node *inner)
{
    struct node *block = arena_zalloc(arena, sizeof *block);
    if (block == NULL)
        return NULL;
    block->kind = NODE_BLOCK;
    inner->key = key;
    node_append(block, inner);
    return block;
}

/* "a.b" and a value -> {a: {b: value}}; the dots become the ends of the keys. */
static struct node *field_tree(struct arena *arena, char *path, struct node *value)
{
    struct node *tree = value;
    for (char *dot = strrchr(path, '.'); tree && dot; dot = strrchr(path, '.')) {
        *dot = '\0';
        tree = wrap(arena, span_of(dot + 1), tree);
    }
    return tree ? wrap(arena, span_of(path), tree) : NULL;
}

static enum err setting_parse(struct arena *arena, const char *setting, struct node **spec,
                              struct diagnostics *diag)
{
    const struct span kept = arena_copy(arena, span_of(setting));
    if (kept.data == NULL)
        return ERR_NO_MEMORY;
    char *path = (char *)(uintptr_t)kept.data; /* our copy */
    char *equals = strchr(path, '=');
    if (equals == NULL || equals == path) {
        refuse(diag, setting);
        return OK;
    }
    *equals = '\0';
    struct node *value = NULL;
    enum err e = value_parse(arena, span_of(equals + 1), &value, diag);
    if (e != OK || value == NULL)
        return e;
    const struct node *tree = field_tree(arena, path, value);
    *spec = tree ? node_merge(arena, *spec, tree) : NULL;
    return *spec ? OK : ERR_NO_MEMORY;
}

enum err settings_parse(struct arena *arena, const char *const *settings, size_t count,
                        struct node **document, struct diagnostics *diag)
{
    struct node *spec = NULL;
    *document = NULL;
    for (size_t i = 0; i < count; i++) {
        const enum err e = setting_parse(arena, settings[i], &spec, diag);
        if (e != OK)
            return e;
    }
    if (spec == NULL)
        return OK;
    *document = wrap(arena, SPAN("spec"), spec);
    return *document ? OK : ERR_NO_MEMORY;
}
