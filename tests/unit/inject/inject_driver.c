#include "inject_driver.h"

#include "inject/patch.h"

#include <criterion/criterion.h>
#include <stdlib.h>

json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    for (char *at = copy; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    json_t *json = json_loads(copy, JSON_DECODE_ANY, &error);
    cr_assert(json != NULL, "%s: %s", copy, error.text);
    free(copy);
    return json;
}

struct inject_result inject_of(const char *pod, const char *const *texts)
{
    struct inject_settings settings;
    struct inject_result result;
    char why[VALUE_WHY_MAX];
    json_t *json = json_of(pod);
    cr_assert_eq(inject_settings_init(&settings), OK);
    for (size_t i = 0; texts && texts[i]; i++) {
        const char *equals = strchr(texts[i], '=');
        const struct span name = span_make(texts[i], (size_t)(equals - texts[i]));
        cr_assert_eq(inject_settings_set(&settings, name, span_of(equals + 1), why), OK, "%s", why);
    }
    cr_assert_eq(inject_pod(json_object_get(json, "metadata"), json_object_get(json, "spec"), "",
                            &settings, &result),
                 OK);
    inject_settings_fini(&settings);
    json_decref(json);
    return result;
}

json_t *patched(const char *pod, const struct inject_result *result)
{
    json_t *json = json_of(pod);
    cr_assert_eq(patch_apply(&json, result->patch), OK);
    return json;
}
