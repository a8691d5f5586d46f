/* review.c - see review.h. */
#include "inject/review.h"

#include "config/utf8.h"
#include "inject/inject.h"
#include "inject/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION "admission.k8s.io/v1"
#define VALUES_MAX 100000 /* some 50 MiB in jansson; a large pod has a few thousand */
#define WARNING_MAX 256   /* bytes: what Kubernetes asks for at most (4096 for all of them) */

const char *inject_review_word(enum inject_review_result result)
{
    static const char *const words[] = {
#define X(name, word) word,
        REVIEW_RESULT_LIST(X)
#undef X
    };
    return words[result];
}

/* RFC 4648 section 4. */
static json_t *base64(struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t len = (bytes.len + 2) / 3 * 4;
    char *text = malloc(len + 1), *out = text;
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < bytes.len ? (unsigned char)bytes.data[i + k] : 0);
        *out++ = digits[bits >> 18 & 63];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < bytes.len ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < bytes.len ? digits[bits & 63] : '=';
    }
    json_t *string = json_stringn(text, len);
    free(text);
    return string;
}

static void keep_name(char out[REVIEW_NAME_MAX], const json_t *value)
{
    const char *text = json_string_value(value);
    const struct span name = span_of(text ? text : "");
    snprintf(out, REVIEW_NAME_MAX, "%.*s", (int)utf8_cut(name, REVIEW_NAME_MAX - 1), name.data);
}

static void note_pod(struct inject_review_note *note, const json_t *request, const json_t *pod)
{
    const json_t *meta = json_object_get(pod, "metadata");
    keep_name(note->namespace, json_object_get(request, "namespace"));
    keep_name(note->name, json_object_get(request, "name"));
    if (note->name[0] == '\0')
        keep_name(note->name, json_object_get(meta, "name"));
    if (note->name[0] == '\0')
        keep_name(note->name, json_object_get(meta, "generateName"));
}

static json_t *warning_list(const struct inject_warnings *warnings)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < warnings->count; i++) {
        char text[WARNING_BYTES_MAX + 16];
        snprintf(text, sizeof text, "outrigger: %s", warnings->texts[i]);
        const size_t len = utf8_cut(span_of(text), WARNING_MAX);
        if (json_array_append_new(list, json_stringn(text, len)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static enum err put_patch(json_t *response, const json_t *patch)
{
    char *text = json_text(patch, JSON_COMPACT);
    json_t *encoded = text ? base64(span_of(text)) : NULL;
    free(text);
    const bool is_done = json_object_set_new(response, "patchType", json_string("JSONPatch")) == 0;
    return json_object_set_new(response, "patch", encoded) == 0 && is_done ? OK : ERR_NO_MEMORY;
}

static enum err answer(const char *uid, const struct inject_result *result, char **reply,
                       size_t *reply_len)
{
    json_t *response = json_pack("{s:s, s:b}", "uid", uid, "allowed", 1);
    enum err e = response ? OK : ERR_NO_MEMORY;
    if (e == OK && result->patch)
        e = put_patch(response, result->patch);
    if (e == OK && result->warnings.count > 0 &&
        json_object_set_new(response, "warnings", warning_list(&result->warnings)) != 0)
        e = ERR_NO_MEMORY;
    json_t *review = json_pack("{s:s, s:s, s:O}", "apiVersion", API_VERSION, "kind",
                               "AdmissionReview", "response", response);
    char *text = e == OK && review ? json_text(review, JSON_COMPACT) : NULL;
    json_decref(review);
    json_decref(response);
    if (text == NULL)
        return ERR_NO_MEMORY;
    *reply_len = strlen(text);
    *reply = text;
    return OK;
}

/* How many values there are at most, by the marks in front of each: memory is theirs, not the
 * text's. */
static size_t count_values(struct span json)
{
    size_t values = 1;
    bool is_text = false;
    for (size_t i = 0; i < json.len; i++) {
        const char c = json.data[i];
        if (c == '"')
            is_text = !is_text;
        else if (is_text && c == '\\')
            i++;
        else if (!is_text && (c == ',' || c == '[' || c == '{'))
            values++;
    }
    return values;
}

/* What is missing from a review; NULL when nothing is. */
static const char *check_review(const json_t *review)
{
    const json_t *request = json_object_get(review, "request");
    const char *version = json_string_value(json_object_get(review, "apiVersion"));
    const char *kind = json_string_value(json_object_get(review, "kind"));
    if (kind == NULL || strcmp(kind, "AdmissionReview") != 0)
        return "the body is no AdmissionReview: `kind` says so";
    if (version == NULL || strcmp(version, API_VERSION) != 0)
        return "only apiVersion " API_VERSION
               " is understood: let admissionReviewVersions be [\"v1\"]";
    if (!json_is_object(request))
        return "the AdmissionReview has no request";
    if (json_string_length(json_object_get(request, "uid")) == 0)
        return "the request has no uid";
    return NULL;
}

static bool is_new_pod(const json_t *request)
{
    const char *kind = json_string_value(json_object_get(json_object_get(request, "kind"), "kind"));
    const char *operation = json_string_value(json_object_get(request, "operation"));
    return (kind == NULL || strcmp(kind, "Pod") == 0) &&
           (operation == NULL || strcmp(operation, "CREATE") == 0);
}

static enum err review_request(const json_t *request, const struct inject_settings *settings,
                               char **reply, size_t *reply_len, struct inject_review_note *note)
{
    const json_t *pod = json_object_get(request, "object");
    struct inject_result result = {.kind = INJECT_SKIPPED};
    enum err e = OK;
    note_pod(note, request, pod);
    if (is_new_pod(request))
        e = inject_pod(json_object_get(pod, "metadata"), json_object_get(pod, "spec"), "", settings,
                       &result);
    if (e != OK)
        return e;
    e = answer(json_string_value(json_object_get(request, "uid")), &result, reply, reply_len);
    note->result = result.kind == INJECT_PATCHED   ? REVIEW_PATCHED
                   : result.kind == INJECT_REFUSED ? REVIEW_REFUSED
                                                   : REVIEW_SKIPPED;
    inject_result_fini(&result);
    return e;
}

enum err inject_review(struct span body, const struct inject_settings *settings, char **reply,
                       size_t *reply_len, struct inject_review_note *note, char why[REVIEW_WHY_MAX])
{
    json_error_t error = {.line = 0};
    *note = (struct inject_review_note){.result = REVIEW_MALFORMED};
    if (count_values(body) > VALUES_MAX) {
        snprintf(why, REVIEW_WHY_MAX, "the body has more than %d values", VALUES_MAX);
        return ERR_INVALID;
    }
    json_t *review = json_loadb(body.data ? body.data : "", body.len, 0, &error);
    const char *missing = review ? check_review(review) : NULL;
    enum err e = OK;
    if (review == NULL && error.text[0] == '\0') /* nothing is wrong with the text */
        return ERR_NO_MEMORY;
    if (review == NULL)
        snprintf(why, REVIEW_WHY_MAX, "the body is not JSON, at byte %d: %s", error.position,
                 error.text);
    else if (missing)
        snprintf(why, REVIEW_WHY_MAX, "%s", missing);
    if (review == NULL || missing)
        e = ERR_INVALID;
    else
        e = review_request(json_object_get(review, "request"), settings, reply, reply_len, note);
    json_decref(review);
    return e;
}
