#include "inject/review.h"
#include "inject_driver.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define REVIEW(request)                                                                            \
    "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':" request "}"
#define REQUEST(more, pod)                                                                         \
    REVIEW("{'uid':'7d5f','namespace':'shop','operation':'CREATE','kind':{'group':'','version':"   \
           "'v1','kind':'Pod'}" more ",'object':" pod "}")
#define POD                                                                                        \
    "{'metadata':{'generateName':'app-'},'spec':{'containers':[{'name':'app','image':'app:1'}]}}"

static struct inject_settings settings;
static struct inject_review_note note;
static char why[REVIEW_WHY_MAX];

static void set_up(void)
{
    cr_assert_eq(inject_settings_init(&settings), OK);
}

static void tear_down(void)
{
    inject_settings_fini(&settings);
}

TestSuite(review, .init = set_up, .fini = tear_down);

/* The response, for json_decref. */
static json_t *reviewed(const char *text)
{
    json_t *body = json_of(text);
    char *bytes = json_dumps(body, 0), *reply = NULL;
    size_t len = 0;
    cr_assert_eq(inject_review(span_of(bytes), &settings, &reply, &len, &note, why), OK, "%s", why);
    json_t *review = json_loadb(reply, len, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(review, "apiVersion")),
                     "admission.k8s.io/v1");
    cr_assert_str_eq(json_string_value(json_object_get(review, "kind")), "AdmissionReview");
    json_t *response = json_incref(json_object_get(review, "response"));
    cr_assert(json_is_true(json_object_get(response, "allowed")));
    json_decref(review);
    json_decref(body);
    free(bytes);
    free(reply);
    return response;
}

static void refuse(const char *text, const char *said)
{
    char *reply = NULL;
    size_t len = 7;
    cr_expect_eq(inject_review(span_of(text), &settings, &reply, &len, &note, why), ERR_INVALID);
    cr_expect(strstr(why, said) != NULL, "%s", why);
    cr_expect(reply == NULL && len == 7 && note.result == REVIEW_MALFORMED);
}

Test(review, that_is_none_is_refused_with_words)
{
    refuse("", "not JSON");
    refuse("{", "not JSON");
    refuse("[]", "no AdmissionReview");
    refuse("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
           "admissionReviewVersions");
    refuse("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}", "no request");
    refuse("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
           "no uid");
}

Test(review, with_more_values_than_any_pod_has_is_refused_before_it_takes_memory)
{
    static char body[400000];
    memset(body, ',', sizeof body - 1);
    refuse(body, "more than 100000 values");
    memcpy(body, "\"\\\"", 4); /* in a text they are none: it has no end */
    refuse(body, "not JSON");
}

static size_t digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return c == '=' ? 0 : (size_t)(strchr(digits, c) - digits);
}

static json_t *decoded(const char *base64)
{
    char bytes[16384];
    size_t len = 0;
    for (; base64[0] != '\0'; base64 += 4) {
        const size_t bits = digit_of(base64[0]) << 18 | digit_of(base64[1]) << 12 |
                            digit_of(base64[2]) << 6 | digit_of(base64[3]);
        bytes[len++] = (char)(bits >> 16);
        bytes[len++] = (char)(bits >> 8);
        bytes[len++] = (char)bits;
        len -= (size_t)(base64[2] == '=') + (size_t)(base64[3] == '=');
    }
    return json_loadb(bytes, len, 0, NULL);
}

Test(review, of_a_new_pod_answers_with_a_patch)
{
    json_t *response = reviewed(REQUEST("", POD));
    struct inject_result result = inject_of(POD, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(response, "uid")), "7d5f");
    cr_assert_str_eq(json_string_value(json_object_get(response, "patchType")), "JSONPatch");
    json_t *patch = decoded(json_string_value(json_object_get(response, "patch")));
    cr_assert(json_equal(patch, result.patch));
    cr_assert(json_object_get(response, "warnings") == NULL);
    cr_assert_eq(note.result, REVIEW_PATCHED);
    cr_assert_str_eq(note.namespace, "shop");
    cr_assert_str_eq(note.name, "app-");
    json_decref(patch);
    inject_result_fini(&result);
    json_decref(response);
}

Test(review, of_a_pod_that_is_refused_allows_it_with_a_warning)
{
    json_t *response = reviewed(
        REQUEST(",'name':'p'", "{'metadata':{'name':'p'},'spec':{'hostNetwork':true,'containers':"
                               "[{'name':'a'}]}}"));
    const char *warning =
        json_string_value(json_array_get(json_object_get(response, "warnings"), 0));
    cr_assert(json_object_get(response, "patch") == NULL);
    cr_assert(json_object_get(response, "patchType") == NULL);
    cr_assert(warning && strncmp(warning, "outrigger: spec.hostNetwork", 27) == 0, "%s", warning);
    cr_assert_eq(note.result, REVIEW_REFUSED);
    cr_assert_str_eq(note.name, "p");
    json_decref(response);
}

Test(review, has_warnings_as_short_as_kubernetes_wants_them)
{
    json_t *response = reviewed(
        REQUEST("", "{'metadata':{'annotations':{'outrigger.dev/zzzzzzzzzzzzzz':'x'}},'spec':"
                    "{'containers':[{'name':'a'}]}}"));
    const json_t *warnings = json_object_get(response, "warnings");
    cr_assert_eq(json_array_size(warnings), 1);
    cr_assert_leq(json_string_length(json_array_get(warnings, 0)), 256);
    cr_assert_eq(note.result, REVIEW_PATCHED);
    json_decref(response);
}

Test(review, of_anything_but_a_new_pod_is_skipped)
{
    static const char *const others[] = {
        REVIEW("{'uid':'1','operation':'UPDATE','kind':{'kind':'Pod'},'object':" POD "}"),
        REVIEW("{'uid':'1','operation':'CREATE','kind':{'kind':'Service'},'object':" POD "}"),
        REVIEW("{'uid':'1','operation':'DELETE','kind':{'kind':'Pod'},'object':null}"),
        REQUEST("", "{'metadata':{'labels':{'outrigger.dev/inject':'false'}},'spec':{'containers':"
                    "[{'name':'a'}]}}")};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        json_t *response = reviewed(others[i]);
        cr_expect_eq(json_object_size(response), 2);
        cr_expect_eq(note.result, REVIEW_SKIPPED);
        json_decref(response);
    }
    cr_assert_str_eq(inject_review_word(REVIEW_SKIPPED), "skipped");
}
