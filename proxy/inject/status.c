/* status.c - see status.h. */
#include "inject/status.h"

#include "inject/patch.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 1024

struct undo {
    const json_t *status;
    const char *prefix;
    json_t *patch;
    bool is_broken;
};

json_t *status_new(void)
{
    return json_pack("{s:s, s:[], s:[], s:[], s:{}, s:[], s:[], s:[]}", "version",
                     OUTRIGGER_VERSION, "initContainers", "containers", "volumes", "env",
                     "annotations", "created", "null");
}

bool status_name(json_t *status, const char *list, const char *name)
{
    return json_array_append_new(json_object_get(status, list), json_string(name)) == 0;
}

bool status_found(json_t *status, const char *collection, const json_t *before)
{
    if (before == NULL)
        return status_name(status, "created", collection);
    return !json_is_null(before) || status_name(status, "null", collection);
}

static bool is_list_of_texts(const json_t *list)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return true;
}

static bool is_ours(json_t *status)
{
    static const char *const lists[] = {"initContainers", "containers", "volumes",
                                        "annotations",    "created",    "null"};
    const char *key;
    json_t *value;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!is_list_of_texts(json_object_get(status, lists[i])))
            return false;
    json_object_foreach(json_object_get(status, "env"), key, value)
    {
        if (!is_list_of_texts(value))
            return false;
    }
    return json_is_object(json_object_get(status, "env")) &&
           json_is_string(json_object_get(status, "version")) &&
           json_is_string(json_object_get(status, "settings"));
}

json_t *status_of(const json_t *meta, bool *is_there)
{
    const json_t *text = json_object_get(json_object_get(meta, "annotations"), STATUS_ANNOTATION);
    *is_there = text != NULL;
    if (!json_is_string(text))
        return NULL;
    json_t *status = json_loads(json_string_value(text), JSON_REJECT_DUPLICATES, NULL);
    if (status && !is_ours(status)) {
        json_decref(status);
        status = NULL;
    }
    return status;
}

/* ---- taking away ------------------------------------------------------------------------------
 */

static bool has(const json_t *list, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

static const char *name_of(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    return name ? name : "";
}

/* Nothing of `collection` stays: what was there before? */
static void undo_whole(struct undo *undo, const char *collection, const char *path, json_t *empty)
{
    bool is_done;
    if (has(json_object_get(undo->status, "created"), collection))
        is_done = patch_remove(undo->patch, undo->prefix, path);
    else if (has(json_object_get(undo->status, "null"), collection))
        is_done = patch_replace(undo->patch, undo->prefix, path, json_null());
    else
        is_done = patch_replace(undo->patch, undo->prefix, path, json_incref(empty));
    json_decref(empty);
    undo->is_broken = undo->is_broken || !is_done;
}

/* Items of the list at `path` whose name is in `names`. */
static void undo_items(struct undo *undo, const json_t *list, const json_t *names,
                       const char *collection, const char *path)
{
    size_t ours = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        ours += has(names, name_of(json_array_get(list, i)));
    if (ours > 0 && ours == json_array_size(list)) {
        undo_whole(undo, collection, path, json_array());
        return;
    }
    for (size_t i = json_array_size(list); i-- > 0;) {
        char at[PATH_MAX_BYTES];
        if (!has(names, name_of(json_array_get(list, i))))
            continue;
        snprintf(at, sizeof at, "%s/%zu", path, i);
        undo->is_broken = undo->is_broken || !patch_remove(undo->patch, undo->prefix, at);
    }
}

static void undo_env(struct undo *undo, const json_t *spec, const char *list)
{
    size_t i;
    json_t *container;
    json_array_foreach(json_object_get(spec, list), i, container)
    {
        char collection[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
        const json_t *names =
            json_object_get(json_object_get(undo->status, "env"), name_of(container));
        snprintf(collection, sizeof collection, "env/%s", name_of(container));
        snprintf(path, sizeof path, "/spec/%s/%zu/env", list, i);
        if (names)
            undo_items(undo, json_object_get(container, "env"), names, collection, path);
    }
}

static bool is_our_annotation(const struct undo *undo, const char *key)
{
    return strcmp(key, STATUS_ANNOTATION) == 0 ||
           has(json_object_get(undo->status, "annotations"), key);
}

static void undo_annotations(struct undo *undo, const json_t *meta)
{
    const json_t *annotations = json_object_get(meta, "annotations");
    const bool is_all_metadata = json_object_size(meta) == 1;
    size_t ours = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)annotations, key, value)
    {
        ours += is_our_annotation(undo, key);
    }
    const bool is_whole = ours == json_object_size(annotations);
    const bool was_metadata = !has(json_object_get(undo->status, "created"), "metadata") &&
                              !has(json_object_get(undo->status, "null"), "metadata");
    if (is_whole && is_all_metadata && !was_metadata) {
        undo_whole(undo, "metadata", "/metadata", json_object());
        return;
    }
    if (is_whole) {
        undo_whole(undo, "annotations", "/metadata/annotations", json_object());
        return;
    }
    json_object_foreach((json_t *)annotations, key, value)
    {
        char escaped[POINTER_TOKEN_MAX], path[PATH_MAX_BYTES];
        if (!is_our_annotation(undo, key))
            continue;
        pointer_escape(key, escaped, sizeof escaped);
        snprintf(path, sizeof path, "/metadata/annotations/%s", escaped);
        undo->is_broken = undo->is_broken || !patch_remove(undo->patch, undo->prefix, path);
    }
}

enum err status_undo(const json_t *status, const json_t *meta, const json_t *spec,
                     const char *prefix, json_t *patch)
{
    struct undo undo = {.status = status, .prefix = prefix, .patch = patch};
    undo_env(&undo, spec, "containers");
    undo_env(&undo, spec, "initContainers");
    undo_items(&undo, json_object_get(spec, "initContainers"),
               json_object_get(status, "initContainers"), "initContainers", "/spec/initContainers");
    undo_items(&undo, json_object_get(spec, "containers"), json_object_get(status, "containers"),
               "containers", "/spec/containers");
    undo_items(&undo, json_object_get(spec, "volumes"), json_object_get(status, "volumes"),
               "volumes", "/spec/volumes");
    undo_annotations(&undo, meta);
    return undo.is_broken ? ERR_NO_MEMORY : OK;
}
