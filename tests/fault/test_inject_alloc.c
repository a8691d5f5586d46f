/* An injection when the n-th allocation fails, for every n: ours, libyaml's, jansson's and libc's.
 * No crash, nothing lost, and no answer but the whole one. */
#include "alloc_faults.h"
#include "inject/review.h"
#include "inject/rewrite.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char manifests[] =
    "# é\n"
    "apiVersion: apps/v1\n"
    "kind: Deployment\n"
    "metadata: {name: p}\n"
    "spec:\n"
    "  template:\n"
    "    metadata:\n"
    "      annotations: {outrigger.dev/policy: \"a, b\", outrigger.dev/polcy: x}\n"
    "    spec:\n"
    "      volumes:\n"
    "      containers:\n"
    "      - &a {name: a, env: [{name: HTTP_PROXY}]}\n"
    "      - <<: *a\n"
    "        name: b\n"
    "        env: null\n"
    "---\n"
    "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: "
    "\"\\ud83d\"},"
    " spec: {hostNetwork: true, containers: [{name: c}]}}]}\n";

static const char review[] =
    "{\"apiVersion\":\"admission.k8s.io/"
    "v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"1\","
    "\"kind\":{\"kind\":\"Pod\"},\"operation\":\"CREATE\",\"object\":{\"metadata\":{"
    "\"annotations\":"
    "{\"outrigger.dev/polcy\":\"x\"}},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}}}";

static struct inject_settings settings;
static struct text injected; /* what comes of `manifests` */
static const char *const ways[][2] = {
    {"interception", "none"}, {"native-sidecar", "false"}, {"policy", "every"}};

static void tell(void *context, uint32_t line, uint32_t column, const char *title, const char *what)
{
    (void)context;
    cr_assert(line > 0 && column < 100 && title[0] != '\0' && what[0] != '\0');
}

static enum err rewrite(struct span text, bool is_removal, struct text *out)
{
    struct rewrite_counts counts;
    struct manifest_problem problem;
    const struct rewrite_options options = {
        .settings = &settings, .is_removal = is_removal, .tell = tell};
    text_init(out, REWRITE_MAX_BYTES);
    return rewrite_text(text, &options, out, &counts, &problem);
}

static enum err set_and_inject(struct text *out)
{
    char why[VALUE_WHY_MAX];
    enum err e = inject_settings_init(&settings);
    for (size_t i = 0; i < sizeof ways / sizeof *ways && e == OK; i++)
        e = inject_settings_set(&settings, span_of(ways[i][0]), span_of(ways[i][1]), why);
    if (e == OK)
        e = rewrite(span_of(manifests), false, out);
    inject_settings_fini(&settings);
    return e;
}

static enum err inject_again(struct text *out)
{
    enum err e = inject_settings_init(&settings);
    if (e == OK) /* other settings: what is there is taken out first */
        e = rewrite(text_span(&injected), false, out);
    inject_settings_fini(&settings);
    return e;
}

static enum err take_out(struct text *out)
{
    return rewrite(text_span(&injected), true, out);
}

static enum err answer(struct text *out)
{
    char *reply = NULL, why[REVIEW_WHY_MAX];
    size_t len = 0;
    struct inject_review_note note;
    enum err e = inject_settings_init(&settings);
    text_init(out, 1 << 20);
    if (e == OK)
        e = inject_review(span_of(review), &settings, &reply, &len, &note, why);
    text_add(out, reply ? reply : "", len);
    if (e == OK && out->is_broken)
        e = ERR_NO_MEMORY;
    inject_settings_fini(&settings);
    free(reply);
    return e;
}

static enum err once(enum err work(struct text *), size_t n, bool and_all_after,
                     const struct text *wanted)
{
    struct text out;
    text_init(&out, 1 << 20);
    faults_start(FAULTS_OF_ALL, n, and_all_after);
    const enum err e = work(&out);
    faults_stop();
    if (e == OK && wanted)
        cr_assert(span_is(text_span(&out), text_span(wanted)), "allocation %zu fails", n);
    text_fini(&out);
    const long lost = faults_lost();
    cr_assert_eq(lost, 0, "allocation %zu of %zu fails: %ld are lost", n, faults_counted(), lost);
    return e;
}

static void with_each_failure(enum err work(struct text *))
{
    struct text wanted;
    cr_assert_eq(work(&wanted), OK);
    cr_assert_eq(once(work, FAULTS_NEVER, false, &wanted), OK);
    const size_t count = faults_counted();
    cr_assert_gt(count, 20);
    for (size_t n = 0; n < count; n++) {
        const enum err e = once(work, n, n % 2 == 1, &wanted);
        /* Of some of its own failures jansson says that the text is wrong. */
        cr_assert(e == OK || e == ERR_NO_MEMORY || e == ERR_TOO_LARGE ||
                      (work == answer && e == ERR_INVALID),
                  "allocation %zu: %s", n, err_text(e));
    }
    text_fini(&wanted);
}

static void set_up(void)
{
    cr_assert_eq(set_and_inject(&injected), OK);
}

static void tear_down(void)
{
    text_fini(&injected);
}

TestSuite(inject_alloc, .init = set_up, .fini = tear_down);

Test(inject_alloc, of_manifests_fails_cleanly)
{
    with_each_failure(set_and_inject);
}

Test(inject_alloc, of_what_was_injected_otherwise_fails_cleanly)
{
    with_each_failure(inject_again);
}

Test(inject_alloc, that_is_taken_out_fails_cleanly)
{
    with_each_failure(take_out);
}

Test(inject_alloc, of_a_review_fails_cleanly)
{
    with_each_failure(answer);
}
