#include "inject/patch.h"
#include "inject/status.h"
#include "inject_driver.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define APP "{'containers':[{'name':'app','image':'app:1'}]}"
#define POD(spec) "{'metadata':{'name':'p'},'spec':" spec "}"
#define NOTED(notes) "{'metadata':{'annotations':{" notes "}},'spec':" APP "}"

static void refuse(const char *pod, const char *said)
{
    struct inject_result result = inject_of(pod, NULL);
    cr_expect_eq(result.kind, INJECT_REFUSED, "%s", pod);
    cr_expect(result.patch == NULL && result.warnings.count > 0);
    cr_expect(result.warnings.count > 0 && strstr(result.warnings.texts[0], said) != NULL, "%s: %s",
              pod, result.warnings.count > 0 ? result.warnings.texts[0] : "");
    inject_result_fini(&result);
}

static void skip(const char *pod)
{
    struct inject_result result = inject_of(pod, NULL);
    cr_expect_eq(result.kind, INJECT_SKIPPED, "%s", pod);
    cr_expect(result.patch == NULL && result.why != NULL && result.warnings.count == 0);
    inject_result_fini(&result);
}

static bool has_value(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

static const json_t *at(const json_t *json, const char *pointer)
{
    struct span left = span_of(pointer);
    char token[POINTER_TOKEN_MAX];
    size_t index;
    while (pointer_next(&left, token))
        json = pointer_index(token, &index) && json_is_array(json) ? json_array_get(json, index)
                                                                   : json_object_get(json, token);
    return json;
}

static void expect_text(const json_t *json, const char *pointer, const char *wanted)
{
    const char *text = json_string_value(at(json, pointer));
    cr_expect(text && strcmp(text, wanted) == 0, "%s is %s", pointer, text ? text : "no text");
}

Test(inject, refuses_what_is_no_pod)
{
    refuse("{'spec':null}", "no pod spec");
    refuse("{'metadata':{}}", "no pod spec");
    refuse("{'spec':{}}", "spec.containers is empty");
    refuse("{'spec':{'containers':{}}}", "spec.containers is no list");
    refuse("{'spec':{'containers':[1]}}", "spec.containers[0] has no name");
    refuse("{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'a'}]}}",
           "two of its containers are named a");
    refuse("{'spec':{'initContainers':[{'name':'a'}],'containers':[{'name':'a'}]}}",
           "two of its containers are named a");
    refuse("{'spec':{'containers':[{'name':'a'}],'volumes':{}}}", "spec.volumes is no list");
    refuse("{'spec':{'containers':[{'name':'a','env':{}}]}}", "`env` of container a");
    refuse("{'metadata':[],'spec':" APP "}", "metadata is no map");
    refuse("{'metadata':{'annotations':[]},'spec':" APP "}", "metadata.annotations is no map");
    refuse("{'metadata':{'labels':7},'spec':" APP "}", "metadata.labels is no map");
}

Test(inject, refuses_pods_that_it_would_harm)
{
    refuse(POD("{'hostNetwork':true,'containers':[{'name':'a'}]}"), "spec.hostNetwork");
    refuse(POD("{'os':{'name':'windows'},'containers':[{'name':'a'}]}"), "spec.os.name");
    refuse(POD("{'securityContext':{'runAsUser':2102},'containers':[{'name':'a'}]}"),
           "container a runs as user 2102");
    refuse(POD("{'containers':[{'name':'a'},{'name':'b','securityContext':{'runAsUser':2102}}]}"),
           "container b runs as user 2102");
    refuse(POD("{'initContainers':[{'name':'i','securityContext':{'runAsUser':2102}}],"
               "'containers':[{'name':'a'}]}"),
           "container i runs as user 2102");
    refuse(POD("{'containers':[{'name':'a','ports':[{'containerPort':15001}]}]}"),
           "containerPort 15001");
    refuse(POD("{'containers':[{'name':'a'},{'name':'outrigger'}]}"), "injected by hand");
    refuse(POD("{'containers':[{'name':'a'}],'initContainers':[{'name':'outrigger-init'}]}"),
           "injected by hand");
    refuse(POD("{'containers':[{'name':'a'}],'volumes':[{'name':'outrigger-pod'}]}"), "rename it");
}

Test(inject, takes_a_pod_whose_containers_run_as_others_than_the_pod)
{
    const char *pod = POD("{'securityContext':{'runAsUser':2102},'containers':[{'name':'a',"
                          "'securityContext':{'runAsUser':1000}}]}");
    struct inject_result result = inject_of(pod, NULL);
    cr_assert_eq(result.kind, INJECT_PATCHED);
    inject_result_fini(&result);
}

Test(inject, never_patches_half_when_an_annotation_is_bad)
{
    refuse(NOTED("'outrigger.dev/opaque-ports':'25,x'"),
           "annotation outrigger.dev/opaque-ports: \"25,x\" is refused: \"x\" is no port");
    refuse(NOTED("'outrigger.dev/drain':true"), "annotation outrigger.dev/drain is no text");
    refuse(NOTED("'outrigger.dev/memory-request':'1Gi'"), "more than the limit of 128Mi");
    refuse(NOTED("'outrigger.dev/status':'x'"), "annotation outrigger.dev/status");
    refuse(NOTED("'outrigger.dev/status':7"), "annotation outrigger.dev/status");
    refuse("{'metadata':{'labels':{'outrigger.dev/inject':'yes'}},'spec':" APP "}",
           "label outrigger.dev/inject");
}

Test(inject, skips_who_does_not_want_it)
{
    skip("{'metadata':{'labels':{'outrigger.dev/inject':'false'}},'spec':" APP "}");
    skip(NOTED("'outrigger.dev/inject':'false'"));
    skip(NOTED("'outrigger.dev/inject':'false','outrigger.dev/drain':'bad'"));
}

Test(inject, warns_of_annotations_that_do_nothing)
{
    struct inject_result result =
        inject_of(NOTED("'outrigger.dev/polcy':'a','outrigger.dev/interception':'none',"
                        "'outrigger.dev/skip-outbound-ports':'22','example.com/x':'y'"),
                  NULL);
    cr_assert_eq(result.kind, INJECT_PATCHED);
    cr_assert_eq(result.warnings.count, 2);
    cr_assert(strstr(result.warnings.texts[0], "did you mean \"policy\"?") != NULL);
    cr_assert(strstr(result.warnings.texts[1], "skip-outbound-ports does nothing") != NULL);
    inject_result_fini(&result);
}

Test(inject, puts_native_sidecars_before_the_apps_own_init_containers)
{
    const char *pod =
        POD("{'initContainers':[{'name':'own'}],'containers':[{'name':'app'}],'volumes':[]}");
    struct inject_result result = inject_of(pod, NULL);
    json_t *json = patched(pod, &result);
    expect_text(json, "/spec/initContainers/0/name", "outrigger-init");
    expect_text(json, "/spec/initContainers/1/name", "outrigger");
    expect_text(json, "/spec/initContainers/1/restartPolicy", "Always");
    expect_text(json, "/spec/initContainers/2/name", "own");
    expect_text(json, "/spec/initContainers/1/startupProbe/httpGet/path", "/ready");
    cr_expect(at(json, "/spec/initContainers/1/readinessProbe") == NULL);
    cr_expect(at(json, "/spec/initContainers/1/lifecycle") == NULL);
    cr_expect_eq(json_array_size(at(json, "/spec/containers")), 1);
    expect_text(json, "/spec/volumes/0/name", "outrigger-pod");
    json_decref(json);
    inject_result_fini(&result);
}

Test(inject, passes_what_was_tuned_and_nothing_else)
{
    static const char *const tuned[] = {"opaque-ports=25, 3306",  "log-level=debug", "drain=refuse",
                                        "skip-outbound-ports=22", "policy=every",    NULL};
    const char *pod = POD(APP);
    struct inject_result result = inject_of(pod, tuned);
    json_t *json = patched(pod, &result);
    const json_t *args = at(json, "/spec/initContainers/1/args");
    cr_expect(has_value(args, "opaquePorts=[25,3306]"));
    cr_expect(has_value(args, "log.level=debug") && has_value(args, "drain.mode=refuse"));
    cr_expect(has_value(args, "/etc/outrigger/policies/every"));
    cr_expect(has_value(at(json, "/spec/initContainers/0/args"), "--skip-outbound-ports"));
    cr_expect(json_is_true(at(json, "/spec/volumes/0/configMap/optional")));
    json_decref(json);
    inject_result_fini(&result);
    result = inject_of(pod, NULL);
    json = patched(pod, &result);
    json_t *wanted = json_of("['proxy','--defaults','/etc/outrigger/default.yaml','--pod-labels',"
                             "'/etc/outrigger/pod/labels','--set','metrics.listen=[::]:15021']");
    cr_expect(json_equal(at(json, "/spec/initContainers/1/args"), wanted));
    json_decref(wanted);
    json_decref(json);
    inject_result_fini(&result);
}

Test(inject, wants_the_config_maps_that_a_pod_names)
{
    const char *pod = NOTED("'outrigger.dev/policy':'mine'");
    static const char *const settings[] = {"policy=every", NULL};
    struct inject_result result = inject_of(pod, settings);
    json_t *json = patched(pod, &result);
    expect_text(json, "/spec/volumes/0/configMap/name", "mine");
    cr_expect(at(json, "/spec/volumes/0/configMap/optional") == NULL);
    expect_text(json, "/spec/volumes/1/name", "outrigger-pod");
    json_decref(json);
    inject_result_fini(&result);
}

Test(inject, without_interception_fits_restricted_namespaces)
{
    static const char *const settings[] = {"interception=none", NULL};
    const char *pod = POD("{'containers':[{'name':'a','env':[{'name':'no_proxy','value':'x'}]},"
                          "{'name':'b'}]}");
    struct inject_result result = inject_of(pod, settings);
    json_t *json = patched(pod, &result);
    cr_expect_eq(json_array_size(at(json, "/spec/initContainers")), 1);
    cr_expect(at(json, "/spec/initContainers/0/securityContext/capabilities/add") == NULL);
    expect_text(json, "/spec/initContainers/0/securityContext/seccompProfile/type",
                "RuntimeDefault");
    cr_expect(at(json, "/spec/initContainers/0/env") == NULL);
    expect_text(json, "/spec/containers/0/env/0/value", "x");
    expect_text(json, "/spec/containers/0/env/1/name", "HTTP_PROXY");
    expect_text(json, "/spec/containers/1/env/0/value", "http://127.0.0.1:15001");
    cr_expect_eq(result.warnings.count, 1);
    cr_expect(strstr(result.warnings.texts[0], "container a sets no_proxy itself") != NULL);
    json_decref(json);
    inject_result_fini(&result);
}

Test(inject, among_the_containers_keeps_kubectl_at_the_app)
{
    static const char *const settings[] = {"native-sidecar=false", "interception=none", NULL};
    const char *pod = "{'metadata':{'annotations':{'kubectl.kubernetes.io/default-container':'b'}},"
                      "'spec':{'initContainers':[{'name':'i'}],"
                      "'containers':[{'name':'a'},{'name':'b'}]}}";
    struct inject_result result = inject_of(pod, settings);
    json_t *json = patched(pod, &result);
    expect_text(json, "/spec/containers/0/name", "outrigger");
    expect_text(json, "/spec/containers/0/lifecycle/postStart/exec/command/1", "wait");
    cr_expect(at(json, "/spec/containers/0/restartPolicy") == NULL);
    cr_expect(at(json, "/spec/initContainers/0/env") == NULL);
    cr_expect(at(json, "/spec/containers/0/env") == NULL);
    cr_expect(at(json, "/spec/containers/2/env") != NULL);
    expect_text(json, "/metadata/annotations/kubectl.kubernetes.io~1default-container", "b");
    expect_text(json, "/metadata/annotations/kubectl.kubernetes.io~1default-logs-container", "b");
    json_decref(json);
    inject_result_fini(&result);
}

/* ---- again, and back --------------------------------------------------------------------------
 */

static char *injected_text(const char *pod, const char *const *settings)
{
    struct inject_result result = inject_of(pod, settings);
    json_t *json = patched(pod, &result);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    inject_result_fini(&result);
    return text;
}

static const char *const pods[] = {
    POD(APP),
    "{'spec':" APP "}",
    "{'metadata':null,'spec':" APP "}",
    "{'metadata':{'annotations':null},'spec':{'volumes':null,'initContainers':[],"
    "'containers':[{'name':'a','env':null},{'name':'b','env':[]}]}}",
    "{'metadata':{'annotations':{'a/b':'c'}},'spec':{'volumes':[{'name':'v'}],"
    "'initContainers':[{'name':'i'}],'containers':[{'name':'a','env':[{'name':'X'}]}]}}",
};
static const char *const ways[][3] = {{NULL},
                                      {"interception=none", NULL},
                                      {"native-sidecar=false", NULL},
                                      {"native-sidecar=false", "interception=none", NULL}};

Test(inject, of_the_same_again_is_skipped)
{
    for (size_t i = 0; i < sizeof pods / sizeof *pods; i++) {
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            char *text = injected_text(pods[i], ways[way]);
            struct inject_result result = inject_of(text, ways[way]);
            cr_expect_eq(result.kind, INJECT_SKIPPED, "%s", text);
            cr_expect_eq(result.warnings.count, 0);
            inject_result_fini(&result);
            free(text);
        }
    }
}

Test(inject, with_other_settings_is_left_with_a_warning)
{
    char *text = injected_text(pods[0], NULL);
    struct inject_result result = inject_of(text, ways[1]);
    cr_assert_eq(result.kind, INJECT_REFUSED);
    cr_assert(result.is_outdated && result.patch == NULL);
    cr_assert(strstr(result.warnings.texts[0], "run `outrigger inject`") != NULL);
    inject_result_fini(&result);
    free(text);
}

Test(inject, can_be_undone)
{
    for (size_t i = 0; i < sizeof pods / sizeof *pods; i++) {
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            char *text = injected_text(pods[i], ways[way]);
            json_t *json = json_of(text), *wanted = json_of(pods[i]);
            struct inject_result result;
            cr_assert_eq(inject_undo(json_object_get(json, "metadata"),
                                     json_object_get(json, "spec"), "", &result),
                         OK);
            cr_assert_eq(result.kind, INJECT_PATCHED);
            cr_assert_eq(patch_apply(&json, result.patch), OK);
            cr_expect(json_equal(json, wanted), "%s", text);
            inject_result_fini(&result);
            json_decref(wanted);
            json_decref(json);
            free(text);
        }
    }
}

Test(inject, that_is_undone_leaves_what_came_later)
{
    char *text = injected_text("{'spec':" APP "}", ways[2]);
    json_t *json = json_of(text);
    struct inject_result result;
    json_object_set_new(json_object_get(json, "metadata"), "labels", json_of("{'a':'b'}"));
    json_array_append_new(json_object_get(json_object_get(json, "spec"), "volumes"),
                          json_of("{'name':'later'}"));
    cr_assert_eq(
        inject_undo(json_object_get(json, "metadata"), json_object_get(json, "spec"), "", &result),
        OK);
    cr_assert_eq(patch_apply(&json, result.patch), OK);
    json_t *wanted = json_of("{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'app',"
                             "'image':'app:1'}],'volumes':[{'name':'later'}]}}");
    cr_assert(json_equal(json, wanted));
    json_decref(wanted);
    json_decref(json);
    inject_result_fini(&result);
    free(text);
}

Test(inject, that_never_was_is_not_undone)
{
    json_t *meta = json_of("{}"),
           *foreign = json_of("{'annotations':{'outrigger.dev/status':'{}'}}");
    json_t *spec = json_of(APP);
    struct inject_result result;
    cr_assert_eq(inject_undo(meta, spec, "", &result), OK);
    cr_assert_eq(result.kind, INJECT_SKIPPED);
    inject_result_fini(&result);
    cr_assert_eq(inject_undo(foreign, spec, "", &result), OK);
    cr_assert_eq(result.kind, INJECT_REFUSED);
    inject_result_fini(&result);
    json_decref(meta);
    json_decref(foreign);
    json_decref(spec);
}
