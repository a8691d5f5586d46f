/* fuzz_review.c - what comes to the admission webhook, whatever it is: either it is no review, and
 * that is said, or the answer is one that allows the pod. */
#include "inject/review.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_reply(const char *text, size_t len)
{
    json_t *review = json_loadb(text, len, 0, NULL);
    const json_t *response = json_object_get(review, "response");
    require(json_is_true(json_object_get(response, "allowed")));
    require(json_string_length(json_object_get(response, "uid")) > 0);
    require((json_object_get(response, "patch") == NULL) ==
            (json_object_get(response, "patchType") == NULL));
    json_decref(review);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct inject_settings settings;
    struct inject_review_note note;
    char why[REVIEW_WHY_MAX] = "";
    char *reply = NULL;
    size_t reply_len = 0;
    require(inject_settings_init(&settings) == OK);
    const enum err e = inject_review(span_make((const char *)data, len), &settings, &reply,
                                     &reply_len, &note, why);
    require(e == OK || e == ERR_INVALID);
    if (e == OK)
        check_reply(reply, reply_len);
    else
        require(why[0] != '\0' && note.result == REVIEW_MALFORMED);
    free(reply);
    inject_settings_fini(&settings);
    return 0;
}
