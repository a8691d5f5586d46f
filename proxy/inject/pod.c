/* pod.c - see pod.h. */
#include "inject/pod.h"

#include "inject/sidecar.h"
#include "inject/status.h"

#include <string.h>

#define SHOWN_MAX 80 /* bytes of a value in a warning */

static const char *const lists[] = {"containers", "initContainers"};
#define LIST_COUNT (sizeof lists / sizeof *lists)

const char *pod_item_name(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    return name ? name : "";
}

static bool is_absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

static bool has_named_items(const json_t *spec, const char *list, struct inject_warnings *warnings)
{
    size_t i;
    json_t *item;
    const json_t *items = json_object_get(spec, list);
    if (!is_absent(items) && !json_is_array(items)) {
        inject_warn(warnings, "spec.%s is no list", list);
        return false;
    }
    json_array_foreach(items, i, item)
    {
        if (pod_item_name(item)[0] != '\0')
            continue;
        inject_warn(warnings, "spec.%s[%zu] has no name", list, i);
        return false;
    }
    return true;
}

/* Adds those of a list to `seen`; what was put into a container is found again by its name. */
static bool are_new_names(json_t *seen, const json_t *items, struct inject_warnings *warnings)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        const char *name = pod_item_name(item);
        if (json_object_get(seen, name) != NULL) {
            inject_warn(warnings,
                        "two of its containers are named %.*s: Kubernetes takes no such pod, give "
                        "each a name of its own",
                        SHOWN_MAX, name);
            return false;
        }
        if (json_object_set_new(seen, name, json_true()) != 0) {
            warnings->is_broken = true;
            return false;
        }
    }
    return true;
}

static bool has_names_of_their_own(const struct pod *pod, struct inject_warnings *warnings)
{
    bool is_good = true;
    json_t *seen = json_object();
    for (size_t list = 0; is_good && list < LIST_COUNT; list++)
        is_good = are_new_names(seen, json_object_get(pod->spec, lists[list]), warnings);
    json_decref(seen);
    return is_good;
}

static bool is_map_or_absent(const json_t *value, const char *path,
                             struct inject_warnings *warnings)
{
    if (is_absent(value) || json_is_object(value))
        return true;
    inject_warn(warnings, "%s is no map of keys and values", path);
    return false;
}

static bool has_lists_of_env(const struct pod *pod, struct inject_warnings *warnings)
{
    size_t i;
    json_t *container;
    for (size_t list = 0; list < LIST_COUNT; list++) {
        json_array_foreach(json_object_get(pod->spec, lists[list]), i, container)
        {
            const json_t *env = json_object_get(container, "env");
            if (is_absent(env) || json_is_array(env))
                continue;
            inject_warn(warnings, "`env` of container %s is no list", pod_item_name(container));
            return false;
        }
    }
    return true;
}

bool pod_is_whole(const struct pod *pod, struct inject_warnings *warnings)
{
    if (!json_is_object(pod->spec)) {
        inject_warn(warnings, "there is no pod spec: a pod has `spec` with `containers`");
        return false;
    }
    if (!is_map_or_absent(pod->meta, "metadata", warnings) ||
        !is_map_or_absent(json_object_get(pod->meta, "annotations"), "metadata.annotations",
                          warnings) ||
        !is_map_or_absent(json_object_get(pod->meta, "labels"), "metadata.labels", warnings))
        return false;
    if (!has_named_items(pod->spec, "containers", warnings) ||
        !has_named_items(pod->spec, "initContainers", warnings) ||
        !has_named_items(pod->spec, "volumes", warnings) ||
        !has_names_of_their_own(pod, warnings) || !has_lists_of_env(pod, warnings))
        return false;
    if (json_array_size(json_object_get(pod->spec, "containers")) > 0)
        return true;
    inject_warn(warnings, "spec.containers is empty: there is nothing whose calls could be taken");
    return false;
}

bool pod_is_opted_out(const struct pod *pod)
{
    const char *label = json_string_value(
        json_object_get(json_object_get(pod->meta, "labels"), INJECT_PREFIX "inject"));
    const char *annotation = json_string_value(
        json_object_get(json_object_get(pod->meta, "annotations"), INJECT_PREFIX "inject"));
    return (label && strcmp(label, "false") == 0) ||
           (annotation && strcmp(annotation, "false") == 0);
}

/* ---- settings ---------------------------------------------------------------------------------
 */

static enum err read_annotation(const char *key, const json_t *value,
                                struct inject_settings *settings, struct inject_warnings *warnings)
{
    char why[VALUE_WHY_MAX] = "";
    const char *name = key + sizeof INJECT_PREFIX - 1;
    const char *text = json_string_value(value);
    if (text == NULL) {
        inject_warn(warnings,
                    "annotation %s is no text: values of annotations stand in quotes, as in "
                    "\"true\" or \"25\"",
                    key);
        return ERR_INVALID;
    }
    const enum err e = inject_settings_set(settings, span_of(name), span_of(text), why);
    if (e == ERR_NOT_FOUND)
        inject_warn(warnings, "annotation %.*s is unknown, and does nothing: %s", SHOWN_MAX, key,
                    why);
    if (e == ERR_INVALID)
        inject_warn(warnings, "annotation %s: \"%.*s\" is refused: %s", key, SHOWN_MAX, text, why);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void note_of_pod(struct inject_settings *settings, const char *name)
{
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++)
        if (strcmp(inject_key_name((enum inject_key)i), name) == 0)
            settings->is_of_pod[i] = true;
}

static bool is_ours(const char *key)
{
    return strncmp(key, INJECT_PREFIX, sizeof INJECT_PREFIX - 1) == 0;
}

static bool read_labels(const struct pod *pod, struct inject_warnings *warnings)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json_object_get(pod->meta, "labels"), key, value)
    {
        const char *text = json_string_value(value);
        if (strcmp(key, INJECT_PREFIX "inject") == 0) {
            if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
                continue;
            inject_warn(warnings, "label %s is neither \"true\" nor \"false\"", key);
            return false;
        }
        if (is_ours(key))
            inject_warn(warnings, "label %.*s does nothing: write it as an annotation", SHOWN_MAX,
                        key);
    }
    return true;
}

/* A limit below the request is refused by Kubernetes, and with it the whole pod. */
static bool is_limit_high_enough(const struct inject_settings *settings, enum inject_key request,
                                 enum inject_key limit, struct inject_warnings *warnings)
{
    const char *wanted = settings->values[request], *most = settings->values[limit];
    if (wanted[0] == '\0' || most[0] == '\0' ||
        value_quantity(span_of(wanted)) <= value_quantity(span_of(most)))
        return true;
    inject_warn(warnings,
                INJECT_PREFIX "%s: %s is more than the limit of %s: raise " INJECT_PREFIX "%s too",
                inject_key_name(request), wanted, most, inject_key_name(limit));
    return false;
}

static void warn_of_idle_keys(const struct inject_settings *settings,
                              struct inject_warnings *warnings)
{
    static const enum inject_key keys[] = {
        INJECT_SKIP_OUTBOUND_PORTS, INJECT_INCLUDE_OUTBOUND_PORTS, INJECT_SKIP_OUTBOUND_CIDRS};
    if (!inject_settings_are(settings, INJECT_INTERCEPTION, "none"))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (settings->is_of_pod[keys[i]])
            inject_warn(warnings,
                        "annotation " INJECT_PREFIX "%s does nothing with " INJECT_PREFIX
                        "interception: none",
                        inject_key_name(keys[i]));
}

enum err pod_settings(const struct pod *pod, struct inject_settings *settings,
                      struct inject_warnings *warnings)
{
    const char *key;
    json_t *value;
    bool is_good = read_labels(pod, warnings);
    json_object_foreach((json_t *)json_object_get(pod->meta, "annotations"), key, value)
    {
        if (!is_ours(key) || strcmp(key, STATUS_ANNOTATION) == 0)
            continue;
        const enum err e = read_annotation(key, value, settings, warnings);
        if (e == ERR_NO_MEMORY)
            return e;
        is_good = is_good && e == OK;
        if (e == OK)
            note_of_pod(settings, key + sizeof INJECT_PREFIX - 1);
    }
    is_good = is_good &&
              is_limit_high_enough(settings, INJECT_CPU_REQUEST, INJECT_CPU_LIMIT, warnings) &&
              is_limit_high_enough(settings, INJECT_MEMORY_REQUEST, INJECT_MEMORY_LIMIT, warnings);
    if (is_good)
        warn_of_idle_keys(settings, warnings);
    return is_good ? OK : ERR_INVALID;
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static const json_t *uid_of(const json_t *holder)
{
    return json_object_get(json_object_get(holder, "securityContext"), "runAsUser");
}

static bool is_our_user(const json_t *uid)
{
    return json_is_integer(uid) && json_integer_value(uid) == SIDECAR_UID;
}

static bool runs_as_us(const struct pod *pod, const json_t *container,
                       struct inject_warnings *warnings)
{
    const json_t *own = uid_of(container);
    if (!is_our_user(is_absent(own) ? uid_of(pod->spec) : own))
        return false;
    inject_warn(warnings,
                "container %s runs as user %d, which is the proxy's: its calls would pass by the "
                "proxy; give it another securityContext.runAsUser",
                pod_item_name(container), SIDECAR_UID);
    return true;
}

static bool takes_our_port(const json_t *container, struct inject_warnings *warnings)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(container, "ports"), i, port)
    {
        const json_int_t number = json_integer_value(json_object_get(port, "containerPort"));
        if (number != SIDECAR_OUTBOUND_PORT && number != SIDECAR_ADMIN_PORT &&
            number != SIDECAR_METRICS_PORT)
            continue;
        inject_warn(warnings,
                    "container %s has containerPort %d, where the proxy listens: let it listen "
                    "elsewhere",
                    pod_item_name(container), (int)number);
        return true;
    }
    return false;
}

static bool is_on_windows(const struct pod *pod)
{
    const char *os = json_string_value(json_object_get(json_object_get(pod->spec, "os"), "name"));
    return os && strcmp(os, "windows") == 0;
}

static bool ends_by_itself(const struct pod *pod)
{
    const char *policy = json_string_value(json_object_get(pod->spec, "restartPolicy"));
    return policy && strcmp(policy, "Always") != 0;
}

static bool is_a_name_of_ours(const json_t *container)
{
    return strcmp(pod_item_name(container), SIDECAR_NAME) == 0 ||
           strcmp(pod_item_name(container), SIDECAR_INIT_NAME) == 0;
}

bool pod_may_be_injected(const struct pod *pod, const struct inject_settings *settings,
                         struct inject_warnings *warnings)
{
    size_t i;
    json_t *container;
    if (json_is_true(json_object_get(pod->spec, "hostNetwork"))) {
        inject_warn(warnings, "spec.hostNetwork is true: the rules that redirect its calls would "
                              "be those of the whole node");
        return false;
    }
    if (is_on_windows(pod)) {
        inject_warn(warnings, "spec.os.name is windows: the proxy runs on Linux only");
        return false;
    }
    for (size_t list = 0; list < LIST_COUNT; list++) {
        json_array_foreach(json_object_get(pod->spec, lists[list]), i, container)
        {
            if (!is_a_name_of_ours(container) &&
                (runs_as_us(pod, container, warnings) || takes_our_port(container, warnings)))
                return false;
        }
    }
    if (ends_by_itself(pod) && !inject_settings_are(settings, INJECT_NATIVE_SIDECAR, "true"))
        inject_warn(warnings,
                    "annotation " INJECT_PREFIX
                    "native-sidecar: \"false\" with restartPolicy other "
                    "than Always: the pod does not complete before its last program has sent "
                    "POST http://127.0.0.1:15020/quit");
    return true;
}

bool pod_is_injected_by_hand(const struct pod *pod, struct inject_warnings *warnings)
{
    size_t i;
    json_t *item;
    for (size_t list = 0; list < LIST_COUNT; list++) {
        json_array_foreach(json_object_get(pod->spec, lists[list]), i, item)
        {
            if (!is_a_name_of_ours(item))
                continue;
            inject_warn(
                warnings,
                "spec.%s has a container named %s, but there is no annotation " STATUS_ANNOTATION
                ": it was injected by hand; take it out, or set " INJECT_PREFIX "inject: \"false\"",
                lists[list], pod_item_name(item));
            return true;
        }
    }
    json_array_foreach(json_object_get(pod->spec, "volumes"), i, item)
    {
        if (!sidecar_owns_volume(pod_item_name(item)))
            continue;
        inject_warn(warnings, "spec.volumes has one named %s, which is a name of ours: rename it",
                    pod_item_name(item));
        return true;
    }
    return false;
}
