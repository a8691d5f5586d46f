/* workload.c - see workload.h. */
#include "inject/workload.h"

#include "config/utf8.h"
#include "inject/patch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 253 /* bytes of a name; Kubernetes has no longer ones */

struct kind {
    const char *name;
    const char *groups[3]; /* "" is that of v1 */
    const char *prefix;
};

static const struct kind kinds[] = {
    {"Pod", {""}, ""},
    {"Deployment", {"apps", "extensions"}, "/spec/template"},
    {"StatefulSet", {"apps"}, "/spec/template"},
    {"DaemonSet", {"apps", "extensions"}, "/spec/template"},
    {"ReplicaSet", {"apps", "extensions"}, "/spec/template"},
    {"ReplicationController", {""}, "/spec/template"},
    {"Job", {"batch"}, "/spec/template"},
    {"CronJob", {"batch"}, "/spec/jobTemplate/spec/template"},
};

static struct span group_of(const char *api_version)
{
    const char *slash = strchr(api_version, '/');
    return slash ? span_make(api_version, (size_t)(slash - api_version)) : SPAN("");
}

static const struct kind *find_kind(const char *api_version, struct span name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!span_is(name, span_of(kinds[i].name)))
            continue;
        for (size_t group = 0; group < 3 && kinds[i].groups[group]; group++)
            if (span_is(group_of(api_version), span_of(kinds[i].groups[group])))
                return &kinds[i];
    }
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const json_t *follow(const json_t *from, const char *pointer)
{
    struct span left = span_of(pointer);
    char token[POINTER_TOKEN_MAX];
    while (pointer_next(&left, token))
        from = json_object_get(from, token);
    return from;
}

/* Names are other people's: controls would drive the terminal that the report is read on. */
static void put_shown(char *out, size_t size, const char *text)
{
    size_t len = strlen(out);
    const size_t shown = utf8_cut(span_of(text), SHOWN_MAX);
    for (size_t i = 0; i < shown && len + 1 < size; i++)
        out[len++] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    out[len] = '\0';
}

static void make_title(struct workload *workload, struct span kind)
{
    const json_t *meta = json_object_get(workload->object, "metadata");
    const char *space = text_of(meta, "namespace");
    const char *name = text_of(meta, "name");
    char word[WORKLOAD_PREFIX_MAX];
    snprintf(word, sizeof word, "%.*s", (int)utf8_cut(kind, sizeof word - 1), kind.data);
    put_shown(workload->title, sizeof workload->title, word);
    put_shown(workload->title, sizeof workload->title, " ");
    put_shown(workload->title, sizeof workload->title, space);
    put_shown(workload->title, sizeof workload->title, space[0] ? "/" : "");
    put_shown(workload->title, sizeof workload->title,
              name[0] ? name : text_of(meta, "generateName"));
    if (name[0] == '\0' && text_of(meta, "generateName")[0] == '\0')
        put_shown(workload->title, sizeof workload->title, "(no name)");
}

/* `list_kind` is what a list says of its items, which then may leave it out. */
static bool read_object(struct workload *workload, const struct manifest_node *node,
                        const char *list_version, struct span list_kind)
{
    const char *version = text_of(node->json, "apiVersion");
    struct span name = span_of(text_of(node->json, "kind"));
    if (name.len == 0) {
        name = list_kind;
        version = version[0] ? version : list_version;
    }
    if (!json_is_object(node->json) || name.len == 0)
        return false;
    const struct kind *kind = find_kind(version, name);
    workload->object = node->json;
    workload->line = node->start.line;
    workload->has_pods = kind != NULL;
    make_title(workload, name);
    if (kind == NULL)
        return true;
    const size_t len = strlen(workload->prefix);
    snprintf(workload->prefix + len, sizeof workload->prefix - len, "%s", kind->prefix);
    const json_t *template = follow(node->json, kind->prefix);
    workload->meta = json_object_get(template, "metadata");
    workload->spec = json_object_get(template, "spec");
    return true;
}

static enum err read_list(const struct manifest_node *items, const char *version,
                          struct span item_kind, struct workloads *out)
{
    const size_t count = json_array_size(items->json);
    size_t index = 0;
    out->items = calloc(count + 1, sizeof *out->items);
    if (out->items == NULL)
        return ERR_NO_MEMORY;
    for (const struct manifest_node *item = items->first; item; item = item->next, index++) {
        struct workload *workload = &out->items[out->count];
        snprintf(workload->prefix, sizeof workload->prefix, "/items/%zu", index);
        if (read_object(workload, item, version, item_kind))
            out->count++;
        else
            *workload = (struct workload){.line = 0};
    }
    return OK;
}

enum err workloads_find(const struct manifest_document *document, struct workloads *out)
{
    struct workloads found = {NULL, 0};
    const json_t *json = document->json;
    const struct span kind = span_of(text_of(json, "kind"));
    const struct manifest_node *items =
        json_is_object(json) ? manifest_child(document->root, "items") : NULL;
    enum err e = OK;
    if (span_ends_with(kind, SPAN("List")) && items && items->kind == MANIFEST_LIST) {
        e = read_list(items, text_of(json, "apiVersion"), span_make(kind.data, kind.len - 4),
                      &found);
    } else if (json_is_object(json)) {
        found.items = calloc(1, sizeof *found.items);
        e = found.items ? OK : ERR_NO_MEMORY;
        if (e == OK && read_object(found.items, document->root, "", SPAN_NONE))
            found.count = 1;
    }
    if (e != OK || found.count == 0)
        workloads_fini(&found);
    if (e == OK)
        *out = found;
    return e;
}

void workloads_fini(struct workloads *workloads)
{
    free(workloads->items);
    *workloads = (struct workloads){NULL, 0};
}
