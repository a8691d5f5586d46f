/* sidecar.c - see sidecar.h. */
#include "inject/sidecar.h"

#include "config/proxy_variables.h"

#include <string.h>

#define POLICY_FOLDER "/etc/outrigger/policies/"
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static bool is_native(const struct inject_settings *settings)
{
    return inject_settings_are(settings, INJECT_NATIVE_SIDECAR, "true");
}

static bool put_texts(json_t *list, const char *first, const char *second)
{
    return json_array_append_new(list, json_string(first)) == 0 &&
           json_array_append_new(list, json_string(second)) == 0;
}

/* "--set FIELD=VALUE", where the key is set at all. */
static bool put_field(json_t *args, const struct inject_settings *settings, enum inject_key key,
                      const char *format)
{
    if (settings->values[key][0] == '\0')
        return true;
    return json_array_append_new(args, json_string("--set")) == 0 &&
           json_array_append_new(args, json_sprintf(format, settings->values[key])) == 0;
}

static bool put_policies(json_t *args, const struct inject_settings *settings)
{
    struct span left = value_list(settings->values[INJECT_POLICY]), name;
    bool is_whole = true;
    while (value_next(&left, &name))
        is_whole =
            is_whole && json_array_append_new(args, json_string("-c")) == 0 &&
            json_array_append_new(args, json_sprintf(POLICY_FOLDER "%.*s", SPAN_ARGS(name))) == 0;
    return is_whole;
}

static json_t *proxy_args(const struct inject_settings *settings)
{
    json_t *args = json_pack("[s, s, s]", "proxy", "--defaults", "/etc/outrigger/default.yaml");
    const bool is_whole =
        args && put_policies(args, settings) &&
        put_texts(args, "--pod-labels", "/etc/outrigger/pod/labels") &&
        put_texts(args, "--set", "metrics.listen=[::]:" TEXT(SIDECAR_METRICS_PORT)) &&
        put_field(args, settings, INJECT_LOG_LEVEL, "log.level=%s") &&
        put_field(args, settings, INJECT_OPAQUE_PORTS, "opaquePorts=[%s]") &&
        put_field(args, settings, INJECT_DRAIN, "drain.mode=%s");
    if (is_whole)
        return args;
    json_decref(args);
    return NULL;
}

static json_t *init_args(const struct inject_settings *settings)
{
    static const struct {
        enum inject_key key;
        const char *option;
    } options[] = {{INJECT_SKIP_OUTBOUND_PORTS, "--skip-outbound-ports"},
                   {INJECT_INCLUDE_OUTBOUND_PORTS, "--include-outbound-ports"},
                   {INJECT_SKIP_OUTBOUND_CIDRS, "--skip-outbound-cidrs"}};
    json_t *args = json_pack("[s, s]", "--uid", TEXT(SIDECAR_UID));
    for (size_t i = 0; args && i < sizeof options / sizeof *options; i++) {
        const char *value = settings->values[options[i].key];
        if (value[0] == '\0' || put_texts(args, options[i].option, value))
            continue;
        json_decref(args);
        return NULL;
    }
    return args;
}

static json_t *mounts(const struct inject_settings *settings)
{
    struct span left = value_list(settings->values[INJECT_POLICY]), name;
    json_t *list = json_array();
    bool is_whole = list != NULL;
    for (size_t i = 0; value_next(&left, &name); i++) {
        json_t *mount = json_pack(
            "{s:o, s:o, s:b}", "name", json_sprintf(SIDECAR_POLICY_VOLUMES "%zu", i), "mountPath",
            json_sprintf(POLICY_FOLDER "%.*s", SPAN_ARGS(name)), "readOnly", 1);
        is_whole = json_array_append_new(list, mount) == 0 && is_whole;
    }
    json_t *pod = json_pack("{s:s, s:s, s:b}", "name", SIDECAR_POD_VOLUME, "mountPath",
                            "/etc/outrigger/pod", "readOnly", 1);
    if (json_array_append_new(list, pod) == 0 && is_whole)
        return list;
    json_decref(list);
    return NULL;
}

json_t *sidecar_volumes(const struct inject_settings *settings)
{
    struct span left = value_list(settings->values[INJECT_POLICY]), name;
    json_t *list = json_array();
    bool is_whole = list != NULL;
    for (size_t i = 0; value_next(&left, &name); i++) {
        json_t *source = json_pack("{s:s%}", "name", name.data, name.len);
        /* What is a default for every pod is not in every namespace. */
        if (source && !settings->is_of_pod[INJECT_POLICY])
            is_whole = json_object_set_new(source, "optional", json_true()) == 0 && is_whole;
        json_t *volume =
            json_pack("{s:o, s:o}", "name", json_sprintf(SIDECAR_POLICY_VOLUMES "%zu", i),
                      "configMap", source);
        is_whole = json_array_append_new(list, volume) == 0 && is_whole;
    }
    json_t *pod =
        json_pack("{s:s, s:{s:[{s:s, s:{s:s}}]}}", "name", SIDECAR_POD_VOLUME, "downwardAPI",
                  "items", "path", "labels", "fieldRef", "fieldPath", "metadata.labels");
    if (json_array_append_new(list, pod) == 0 && is_whole)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *amounts(const char *cpu, const char *memory)
{
    json_t *list = json_object();
    bool is_whole = list != NULL;
    if (is_whole && cpu[0] != '\0')
        is_whole = json_object_set_new(list, "cpu", json_string(cpu)) == 0;
    if (is_whole && memory[0] != '\0')
        is_whole = json_object_set_new(list, "memory", json_string(memory)) == 0;
    if (is_whole)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *resources(const struct inject_settings *settings)
{
    return json_pack(
        "{s:o, s:o}", "requests",
        amounts(settings->values[INJECT_CPU_REQUEST], settings->values[INJECT_MEMORY_REQUEST]),
        "limits",
        amounts(settings->values[INJECT_CPU_LIMIT], settings->values[INJECT_MEMORY_LIMIT]));
}

static json_t *security_context(json_t *capabilities)
{
    return json_pack("{s:b, s:o, s:b, s:b, s:i, s:i, s:{s:s}}", "allowPrivilegeEscalation", 0,
                     "capabilities", capabilities, "readOnlyRootFilesystem", 1, "runAsNonRoot", 1,
                     "runAsUser", SIDECAR_UID, "runAsGroup", SIDECAR_UID, "seccompProfile", "type",
                     "RuntimeDefault");
}

/* What a user may leave to Kubernetes is left out rather than empty. */
static bool put_pull_policy(json_t *container, const struct inject_settings *settings)
{
    const char *policy = settings->values[INJECT_IMAGE_PULL_POLICY];
    return policy[0] == '\0' ||
           json_object_set_new(container, "imagePullPolicy", json_string(policy)) == 0;
}

/* Without restartPolicy a container of initContainers would have to end; in `containers` the app
 * starts beside it, and waits for it only by a hook. */
static bool put_order(json_t *container, const struct inject_settings *settings)
{
    if (is_native(settings))
        return json_object_set_new(container, "restartPolicy", json_string("Always")) == 0;
    json_t *hook = json_pack("{s:{s:{s:[s, s]}}}", "postStart", "exec", "command",
                             "/usr/local/bin/outrigger", "wait");
    return json_object_set_new(container, "lifecycle", hook) == 0;
}

static bool put_probes(json_t *container)
{
    json_t *start = json_pack("{s:{s:s, s:i}, s:i, s:i}", "httpGet", "path", "/ready", "port",
                              SIDECAR_METRICS_PORT, "periodSeconds", 1, "failureThreshold", 60);
    json_t *live =
        json_pack("{s:{s:s, s:i}}", "httpGet", "path", "/live", "port", SIDECAR_METRICS_PORT);
    const bool is_started = json_object_set_new(container, "startupProbe", start) == 0;
    return json_object_set_new(container, "livenessProbe", live) == 0 && is_started;
}

json_t *sidecar_container(const struct inject_settings *settings)
{
    json_t *container = json_pack(
        "{s:s, s:s, s:o, s:[{s:s, s:i}], s:o, s:o, s:s, s:o}", "name", SIDECAR_NAME, "image",
        settings->values[INJECT_IMAGE], "args", proxy_args(settings), "ports", "name", "or-metrics",
        "containerPort", SIDECAR_METRICS_PORT, "resources", resources(settings), "securityContext",
        security_context(json_pack("{s:[s]}", "drop", "ALL")), "terminationMessagePolicy",
        "FallbackToLogsOnError", "volumeMounts", mounts(settings));
    if (container && put_order(container, settings) && put_pull_policy(container, settings) &&
        put_probes(container))
        return container;
    json_decref(container);
    return NULL;
}

json_t *sidecar_init_container(const struct inject_settings *settings)
{
    json_t *container = json_pack(
        "{s:s, s:s, s:[s], s:o, s:{s:{s:s, s:s}, s:{s:s}}, s:o, s:s}", "name", SIDECAR_INIT_NAME,
        "image", settings->values[INJECT_IMAGE], "command", "/usr/local/bin/outrigger-init", "args",
        init_args(settings), "resources", "requests", "cpu", "10m", "memory", "8Mi", "limits",
        "memory", "32Mi", "securityContext",
        security_context(json_pack("{s:[s], s:[s]}", "drop", "ALL", "add", "NET_ADMIN")),
        "terminationMessagePolicy", "FallbackToLogsOnError");
    if (container && put_pull_policy(container, settings))
        return container;
    json_decref(container);
    return NULL;
}

json_t *sidecar_variable(size_t index)
{
    static const char *const values[] = {
        [PROXY_VARIABLE_PROXY] = "http://127.0.0.1:" TEXT(SIDECAR_OUTBOUND_PORT),
        [PROXY_VARIABLE_ADMIN] = "http://127.0.0.1:" TEXT(SIDECAR_ADMIN_PORT),
        [PROXY_VARIABLE_ON] = "1",
        [PROXY_VARIABLE_PASSED] = "localhost,127.0.0.1,::1"};
    const struct proxy_variable *variable = &proxy_variables[index];
    return json_pack("{s:s, s:s}", "name", variable->name, "value", values[variable->kind]);
}

bool sidecar_owns_volume(const char *name)
{
    static const char policies[] = SIDECAR_POLICY_VOLUMES;
    return strcmp(name, SIDECAR_POD_VOLUME) == 0 ||
           strncmp(name, policies, sizeof policies - 1) == 0;
}
