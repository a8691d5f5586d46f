/* inject.c - see inject.h.
 *
 * A pod is first made bare: what an earlier injection added is taken off a copy. What is then
 * rendered, and its hash, depend on the pod's own words alone, so the same again is recognised. */
#include "inject/inject.h"

#include "base/hash.h"
#include "config/proxy_variables.h"
#include "inject/json_text.h"
#include "inject/patch.h"
#include "inject/pod.h"
#include "inject/sidecar.h"
#include "inject/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 512
#define HASH_SEED UINT64_C(0x6f7574726967)
#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"
#define DEFAULT_LOGS_CONTAINER "kubectl.kubernetes.io/default-logs-container"

/* One injection under way. */
struct job {
    struct pod pod; /* the bare one */
    const char *prefix;
    const struct inject_settings *settings;
    struct inject_warnings *warnings;
    bool is_native, is_redirected;
    json_t *patch;
    json_t *status;
    json_t *rendered; /* all that is added, whatever stands around it */
    bool is_broken;   /* without memory */
};

void inject_result_fini(struct inject_result *result)
{
    json_decref(result->patch);
    inject_warnings_fini(&result->warnings);
    *result = (struct inject_result){.kind = INJECT_SKIPPED};
}

static void keep(struct job *job, bool is_done)
{
    job->is_broken = job->is_broken || !is_done;
}

/* Adds `items` to the list `name` of the spec, in front or behind; they are consumed. */
static void add_items(struct job *job, const char *name, json_t *items, bool is_in_front)
{
    char path[PATH_MAX_BYTES];
    const json_t *there = json_object_get(job->pod.spec, name);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        keep(job, status_name(job->status, name, pod_item_name(item)));
    }
    keep(job, json_array_append(job->rendered, items) == 0);
    keep(job, items != NULL && status_found(job->status, name, there));
    if (!json_is_array(there)) {
        snprintf(path, sizeof path, "/spec/%s", name);
        keep(job, patch_add(job->patch, job->prefix, path, items));
        return;
    }
    json_array_foreach(items, i, item)
    {
        if (is_in_front)
            snprintf(path, sizeof path, "/spec/%s/%zu", name, i);
        else
            snprintf(path, sizeof path, "/spec/%s/-", name);
        keep(job, patch_add(job->patch, job->prefix, path, json_incref(item)));
    }
    json_decref(items);
}

static void add_containers(struct job *job)
{
    json_t *sidecar = sidecar_container(job->settings), *starters = json_array();
    keep(job, starters != NULL && sidecar != NULL);
    if (job->is_redirected)
        keep(job, json_array_append_new(starters, sidecar_init_container(job->settings)) == 0);
    if (job->is_native)
        keep(job, json_array_append(starters, sidecar) == 0);
    if (json_array_size(starters) > 0) /* without a proxy yet, the app's own are not redirected */
        add_items(job, "initContainers", starters, job->is_native);
    else
        json_decref(starters);
    if (!job->is_native)
        add_items(job, "containers", json_pack("[O]", sidecar), true);
    json_decref(sidecar);
}

/* ---- variables of the app ---------------------------------------------------------------------
 */

static bool has_variable(const json_t *env, const char *name)
{
    size_t i;
    json_t *variable;
    json_array_foreach(env, i, variable)
    {
        if (strcmp(pod_item_name(variable), name) == 0)
            return true;
    }
    return false;
}

/* Those that the container does not have yet. */
static json_t *missing_variables(struct job *job, const json_t *container)
{
    const json_t *env = json_object_get(container, "env");
    json_t *missing = json_array();
    for (size_t i = 0; i < PROXY_VARIABLES_COUNT; i++) {
        const char *name = proxy_variables[i].name;
        if (has_variable(env, name))
            inject_warn(job->warnings,
                        "container %s sets %s itself: it is left as it is, so its calls may pass "
                        "by the proxy",
                        pod_item_name(container), name);
        else
            keep(job, json_array_append_new(missing, sidecar_variable(i)) == 0);
    }
    return missing;
}

static void add_env(struct job *job, const char *list, size_t index, const json_t *container)
{
    char path[PATH_MAX_BYTES], collection[PATH_MAX_BYTES];
    const json_t *env = json_object_get(container, "env");
    json_t *missing = missing_variables(job, container), *names = json_array(), *variable;
    size_t i;
    json_array_foreach(missing, i, variable)
    {
        keep(job, json_array_append_new(names, json_string(pod_item_name(variable))) == 0);
    }
    if (json_array_size(missing) == 0) {
        json_decref(missing);
        json_decref(names);
        return;
    }
    keep(job, json_array_append(job->rendered, missing) == 0);
    keep(job, json_object_set_new(json_object_get(job->status, "env"), pod_item_name(container),
                                  names) == 0);
    snprintf(collection, sizeof collection, "env/%s", pod_item_name(container));
    keep(job, status_found(job->status, collection, env));
    if (!json_is_array(env)) {
        snprintf(path, sizeof path, "/spec/%s/%zu/env", list, index);
        keep(job, patch_add(job->patch, job->prefix, path, missing));
        return;
    }
    snprintf(path, sizeof path, "/spec/%s/%zu/env/-", list, index);
    json_array_foreach(missing, i, variable)
    {
        keep(job, patch_add(job->patch, job->prefix, path, json_incref(variable)));
    }
    json_decref(missing);
}

/* Init containers run before a proxy that stands among the containers. */
static void add_variables(struct job *job)
{
    size_t i;
    json_t *container;
    json_array_foreach(json_object_get(job->pod.spec, "containers"), i, container)
    {
        add_env(job, "containers", i, container);
    }
    if (!job->is_native)
        return;
    json_array_foreach(json_object_get(job->pod.spec, "initContainers"), i, container)
    {
        add_env(job, "initContainers", i, container);
    }
}

/* ---- annotations ------------------------------------------------------------------------------
 */

/* Where a container of ours comes first, kubectl would show its logs rather than the app's: those
 * of the container that the user prefers, else of the first. */
static json_t *default_containers(struct job *job)
{
    static const char *const keys[] = {DEFAULT_CONTAINER, DEFAULT_LOGS_CONTAINER};
    const json_t *annotations = json_object_get(job->pod.meta, "annotations");
    const char *preferred = json_string_value(json_object_get(annotations, DEFAULT_CONTAINER));
    const char *first =
        pod_item_name(json_array_get(json_object_get(job->pod.spec, "containers"), 0));
    json_t *added = json_object();
    for (size_t i = 0; !job->is_native && i < sizeof keys / sizeof *keys; i++) {
        if (json_object_get(annotations, keys[i]))
            continue;
        keep(job,
             json_object_set_new(added, keys[i], json_string(preferred ? preferred : first)) == 0);
        keep(job, status_name(job->status, "annotations", keys[i]));
    }
    keep(job, added != NULL);
    return added;
}

static void add_annotations(struct job *job, json_t *added)
{
    const json_t *annotations = json_object_get(job->pod.meta, "annotations");
    char path[PATH_MAX_BYTES], escaped[PATH_MAX_BYTES / 2];
    const char *key;
    json_t *value;
    if (!json_is_object(job->pod.meta)) {
        keep(job, patch_add(job->patch, job->prefix, "/metadata",
                            json_pack("{s:O}", "annotations", added)));
        return;
    }
    if (!json_is_object(annotations)) {
        keep(job, patch_add(job->patch, job->prefix, "/metadata/annotations", json_incref(added)));
        return;
    }
    json_object_foreach(added, key, value)
    {
        pointer_escape(key, escaped, sizeof escaped);
        snprintf(path, sizeof path, "/metadata/annotations/%s", escaped);
        keep(job, patch_add(job->patch, job->prefix, path, json_incref(value)));
    }
}

/* A pod that is made from an injected template has the hash of the template: what Kubernetes adds
 * around ours does not count. */
static void add_hash(struct job *job)
{
    char settings[17];
    char *text = json_text(job->rendered, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(settings, sizeof settings, "%016" PRIx64,
             text ? hash_span(span_of(text), HASH_SEED) : 0);
    keep(job, text && json_object_set_new(job->status, "settings", json_string(settings)) == 0);
    free(text);
}

static void add_status(struct job *job)
{
    json_t *added = default_containers(job);
    if (!json_is_object(job->pod.meta))
        keep(job, status_found(job->status, "metadata", job->pod.meta));
    keep(job,
         status_found(job->status, "annotations", json_object_get(job->pod.meta, "annotations")));
    add_hash(job);
    char *text = json_text(job->status, JSON_COMPACT);
    keep(job, text && json_object_set_new(added, STATUS_ANNOTATION, json_string(text)) == 0);
    free(text);
    add_annotations(job, added);
    json_decref(added);
}

static enum err render(struct job *job)
{
    job->is_native = inject_settings_are(job->settings, INJECT_NATIVE_SIDECAR, "true");
    job->is_redirected = inject_settings_are(job->settings, INJECT_INTERCEPTION, "redirect");
    job->patch = json_array();
    job->status = status_new();
    job->rendered = json_array();
    keep(job, job->patch && job->status && job->rendered);
    if (!job->is_redirected)
        add_variables(job); /* first: its indices are those of the pod as it is */
    add_containers(job);
    add_items(job, "volumes", sidecar_volumes(job->settings), false);
    add_status(job);
    json_decref(job->rendered);
    if (!job->is_broken && !job->warnings->is_broken)
        return OK;
    json_decref(job->patch);
    json_decref(job->status);
    return ERR_NO_MEMORY;
}

/* ---- the pod as it was ------------------------------------------------------------------------
 */

static enum err make_bare(const struct pod *pod, const json_t *status, json_t **bare)
{
    json_t *patch = json_array(), *copy = json_object();
    enum err e = patch && copy ? OK : ERR_NO_MEMORY;
    if (e == OK && pod->meta &&
        json_object_set_new(copy, "metadata", json_deep_copy(pod->meta)) != 0)
        e = ERR_NO_MEMORY;
    if (e == OK && json_object_set_new(copy, "spec", json_deep_copy(pod->spec)) != 0)
        e = ERR_NO_MEMORY;
    if (e == OK && status)
        e = status_undo(status, pod->meta, pod->spec, "", patch);
    if (e == OK)
        e = patch_apply(&copy, patch);
    json_decref(patch);
    if (e == OK)
        *bare = copy;
    else
        json_decref(copy);
    return e;
}

static void compare(const json_t *before, struct job *job, struct inject_result *out)
{
    const char *was = json_string_value(json_object_get(before, "settings"));
    const char *now = json_string_value(json_object_get(job->status, "settings"));
    if (before == NULL) {
        out->kind = INJECT_PATCHED;
        out->patch = json_incref(job->patch);
        return;
    }
    inject_warnings_fini(&out->warnings); /* they were said the first time */
    if (strcmp(was, now) == 0) {
        out->kind = INJECT_SKIPPED;
        out->why = "already injected";
        return;
    }
    out->kind = INJECT_REFUSED;
    out->is_outdated = true;
    inject_warn(&out->warnings,
                "already injected by version %s with other settings, and left as it is: run "
                "`outrigger inject` over its manifest again, or `outrigger inject --remove`",
                json_string_value(json_object_get(before, "version")));
}

static enum err inject_bare(const json_t *before, struct job *job, struct inject_result *out)
{
    const enum err e = render(job);
    if (e != OK)
        return e;
    compare(before, job, out);
    json_decref(job->patch);
    json_decref(job->status);
    return OK;
}

static enum err inject_with(const struct pod *pod, const char *prefix,
                            const struct inject_settings *settings, struct inject_result *out)
{
    bool is_there;
    json_t *bare = NULL, *status = status_of(pod->meta, &is_there);
    enum err e = OK;
    out->kind = INJECT_REFUSED;
    if (is_there && status == NULL) {
        inject_warn(&out->warnings, "annotation " STATUS_ANNOTATION
                                    " is not one that was written here: take it out, and what "
                                    "was injected with it");
        return OK;
    }
    if (!is_there && pod_is_injected_by_hand(pod, &out->warnings))
        return OK;
    e = make_bare(pod, status, &bare);
    if (e == OK) {
        struct job job = {.pod = {json_object_get(bare, "metadata"), json_object_get(bare, "spec")},
                          .prefix = prefix,
                          .settings = settings,
                          .warnings = &out->warnings};
        e = inject_bare(status, &job, out);
    }
    if (e == ERR_INVALID)
        inject_warn(&out->warnings, "annotation " STATUS_ANNOTATION
                                    " names what cannot be taken out: take it out by hand, and "
                                    "what was injected with it");
    json_decref(bare);
    json_decref(status);
    return e == ERR_INVALID ? OK : e;
}

static enum err inject_whole(const struct pod *pod, const char *prefix,
                             const struct inject_settings *defaults, struct inject_result *out)
{
    struct inject_settings settings;
    enum err e = inject_settings_copy(defaults, &settings);
    if (e != OK)
        return e;
    out->kind = INJECT_REFUSED;
    e = pod_settings(pod, &settings, &out->warnings);
    if (e == OK && inject_settings_are(&settings, INJECT_INJECT, "false")) {
        out->kind = INJECT_SKIPPED;
        out->why = "outrigger.dev/inject is false by default";
    } else if (e == OK && pod_may_be_injected(pod, &settings, &out->warnings)) {
        e = inject_with(pod, prefix, &settings, out);
    }
    inject_settings_fini(&settings);
    return e == ERR_INVALID ? OK : e;
}

enum err inject_pod(const json_t *meta, const json_t *pod_spec, const char *path_prefix,
                    const struct inject_settings *settings, struct inject_result *out)
{
    const struct pod pod = {meta, pod_spec};
    struct inject_result result = {.kind = INJECT_REFUSED};
    enum err e = OK;
    if (pod_is_opted_out(&pod)) {
        result.kind = INJECT_SKIPPED;
        result.why = "outrigger.dev/inject is \"false\"";
    } else if (pod_is_whole(&pod, &result.warnings)) {
        e = inject_whole(&pod, path_prefix, settings, &result);
    }
    if (e == OK && result.warnings.is_broken)
        e = ERR_NO_MEMORY;
    if (e == OK)
        *out = result;
    else
        inject_result_fini(&result);
    return e;
}

enum err inject_undo(const json_t *meta, const json_t *pod_spec, const char *path_prefix,
                     struct inject_result *out)
{
    bool is_there;
    struct inject_result result = {.kind = INJECT_SKIPPED, .why = "nothing was injected"};
    json_t *status = status_of(meta, &is_there);
    enum err e = OK;
    if (status) {
        result = (struct inject_result){.kind = INJECT_PATCHED, .patch = json_array()};
        e = result.patch ? status_undo(status, meta, pod_spec, path_prefix, result.patch)
                         : ERR_NO_MEMORY;
    } else if (is_there) {
        result.kind = INJECT_REFUSED;
        result.why = NULL;
        inject_warn(&result.warnings, "annotation " STATUS_ANNOTATION
                                      " is not one that was written here: take out by hand what "
                                      "was injected");
    }
    json_decref(status);
    if (e == OK)
        *out = result;
    else
        inject_result_fini(&result);
    return e;
}
