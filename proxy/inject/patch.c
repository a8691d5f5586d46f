/* patch.c - see patch.h. */
#include "inject/patch.h"

#include <stdlib.h>
#include <string.h>

static bool put_operation(json_t *patch, const char *name, const char *prefix, const char *path,
                          json_t *value)
{
    json_t *pointer = json_sprintf("%s%s", prefix, path);
    json_t *operation =
        value ? json_pack("{s:s, s:o, s:o}", "op", name, "path", pointer, "value", value)
              : json_pack("{s:s, s:o}", "op", name, "path", pointer);
    return operation != NULL && json_array_append_new(patch, operation) == 0;
}

bool patch_add(json_t *patch, const char *prefix, const char *path, json_t *value)
{
    return value != NULL && put_operation(patch, "add", prefix, path, value);
}

bool patch_replace(json_t *patch, const char *prefix, const char *path, json_t *value)
{
    return value != NULL && put_operation(patch, "replace", prefix, path, value);
}

bool patch_remove(json_t *patch, const char *prefix, const char *path)
{
    return put_operation(patch, "remove", prefix, path, NULL);
}

void pointer_escape(const char *key, char *out, size_t size)
{
    size_t len = 0;
    for (; *key != '\0' && len + 3 <= size; key++) {
        const bool is_special = *key == '~' || *key == '/';
        out[len++] = is_special ? '~' : *key;
        if (is_special)
            out[len++] = *key == '~' ? '0' : '1';
    }
    out[len] = '\0';
}

bool pointer_next(struct span *pointer, char token[POINTER_TOKEN_MAX])
{
    size_t at = 1, len = 0;
    if (pointer->len == 0 || pointer->data[0] != '/')
        return false;
    for (; at < pointer->len && pointer->data[at] != '/'; at++) {
        char c = pointer->data[at];
        if (c == '~' && at + 1 < pointer->len)
            c = pointer->data[++at] == '1' ? '/' : '~';
        if (len + 1 == POINTER_TOKEN_MAX)
            return false;
        token[len++] = c;
    }
    token[len] = '\0';
    *pointer = span_make(pointer->data + at, pointer->len - at);
    return true;
}

bool pointer_index(const char *token, size_t *index)
{
    char *end = NULL;
    if (token[0] < '0' || token[0] > '9' || (token[0] == '0' && token[1] != '\0') ||
        strlen(token) > 9)
        return false;
    *index = strtoul(token, &end, 10);
    return *end == '\0';
}

static json_t *child_of(json_t *parent, const char *token)
{
    size_t index;
    if (json_is_object(parent))
        return json_object_get(parent, token);
    return json_is_array(parent) && pointer_index(token, &index) ? json_array_get(parent, index)
                                                                 : NULL;
}

/* `value` is consumed; NULL with "remove". */
static enum err change_object(json_t *parent, const char *op, const char *token, json_t *value)
{
    if (strcmp(op, "add") != 0 && json_object_get(parent, token) == NULL) {
        json_decref(value);
        return ERR_INVALID;
    }
    if (value == NULL)
        return json_object_del(parent, token) == 0 ? OK : ERR_INVALID;
    return json_object_set_new_nocheck(parent, token, value) == 0 ? OK : ERR_NO_MEMORY;
}

static enum err change_array(json_t *parent, const char *op, const char *token, json_t *value)
{
    const bool is_addition = strcmp(op, "add") == 0;
    const size_t size = json_array_size(parent);
    size_t index = size;
    const bool is_end = strcmp(token, "-") == 0 && is_addition;
    if ((!is_end && !pointer_index(token, &index)) || index > size ||
        (index == size && !is_addition)) {
        json_decref(value);
        return ERR_INVALID;
    }
    if (value == NULL)
        return json_array_remove(parent, index) == 0 ? OK : ERR_INVALID;
    const int done = is_addition ? json_array_insert_new(parent, index, value)
                                 : json_array_set_new(parent, index, value);
    return done == 0 ? OK : ERR_NO_MEMORY;
}

/* `value` is consumed. */
static enum err apply_one(json_t **document, const char *op, const char *path, json_t *value)
{
    struct span left = span_of(path);
    char token[POINTER_TOKEN_MAX];
    json_t *parent = *document;
    if (path[0] == '\0' && value) {
        json_decref(*document);
        *document = value;
        return OK;
    }
    while (pointer_next(&left, token) && left.len > 0 && parent)
        parent = child_of(parent, token);
    if (left.len == 0 && json_is_object(parent))
        return change_object(parent, op, token, value);
    if (left.len == 0 && json_is_array(parent))
        return change_array(parent, op, token, value);
    json_decref(value);
    return ERR_INVALID;
}

enum err patch_apply(json_t **document, const json_t *patch)
{
    size_t i;
    json_t *operation;
    json_array_foreach(patch, i, operation)
    {
        const char *op = json_string_value(json_object_get(operation, "op"));
        const char *path = json_string_value(json_object_get(operation, "path"));
        const json_t *value = json_object_get(operation, "value");
        if (op == NULL || path == NULL || (value == NULL) != (strcmp(op, "remove") == 0))
            return ERR_INVALID;
        json_t *copy = value ? json_deep_copy(value) : NULL;
        const enum err e =
            value && copy == NULL ? ERR_NO_MEMORY : apply_one(document, op, path, copy);
        if (e != OK)
            return e;
    }
    return OK;
}
