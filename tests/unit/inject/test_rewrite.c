#include "inject/rewrite.h"

#include <criterion/criterion.h>

static struct inject_settings settings;
static char told[4096];
static struct text out;
static struct rewrite_counts counts;
static struct manifest_problem problem;

static void set_up(void)
{
    cr_assert_eq(inject_settings_init(&settings), OK);
    text_init(&out, REWRITE_MAX_BYTES);
    told[0] = '\0';
}

static void tear_down(void)
{
    text_fini(&out);
    inject_settings_fini(&settings);
}

TestSuite(rewrite, .init = set_up, .fini = tear_down);

static void tell(void *context, uint32_t line, uint32_t column, const char *title, const char *what)
{
    const size_t len = strlen(told);
    (void)context;
    snprintf(told + len, sizeof told - len, "%u:%u %s: %.100s\n", line, column, title, what);
}

static enum err rewrite(struct span text, bool is_removal)
{
    const struct rewrite_options options = {
        .settings = &settings, .is_removal = is_removal, .tell = tell};
    text_fini(&out);
    told[0] = '\0';
    return rewrite_text(text, &options, &out, &counts, &problem);
}

#define KEPT(text)                                                                                 \
    do {                                                                                           \
        cr_assert_eq(rewrite(SPAN(text), false), OK);                                              \
        cr_assert(span_is(text_span(&out), SPAN(text)), "%.*s", SPAN_ARGS(text_span(&out)));       \
    } while (0)

Test(rewrite, says_where_the_yaml_is_bad_and_writes_nothing)
{
    cr_assert_eq(rewrite(SPAN("kind: Pod\n---\na: b: c\n"), false), ERR_INVALID);
    cr_assert_eq(problem.line, 3);
    cr_assert_eq(out.len, 0);
    cr_assert_str_eq(told, "");
}

Test(rewrite, keeps_what_has_no_pods)
{
    KEPT("");
    KEPT("# nothing\n");
    KEPT("\xEF\xBB\xBF---\r\n...\r\n# end");
    KEPT("just a text\n");
    KEPT("[a, b]\n");
    KEPT("kind: List\nitems:\n- 1\n- kind: [Pod]\n");
    KEPT("--- \nkind:   Service # s\n\n\n---\n---\nmetadata: {}\n");
    cr_assert_str_eq(told, "2:0 Service (no name): skipped: it has no pods\n");
}

Test(rewrite, tells_of_each_object_of_a_list_by_its_place)
{
    const struct span list = SPAN(
        "kind: PodList\napiVersion: v1\nitems:\n- metadata: {name: a}\n  spec:\n    containers:"
        "\n    - name: a\n- metadata: {name: b, namespace: n}\n  spec: {hostNetwork: true, "
        "containers: [{name: x}]}\n");
    cr_assert_eq(rewrite(list, false), OK);
    cr_assert_eq(counts.changed, 1);
    cr_assert_eq(counts.refused, 1);
    cr_assert(strstr(told, "4:0 Pod a: injected\n8:0 Pod n/b: refused: spec.hostNetwork") != NULL,
              "%s", told);
}

Test(rewrite, gives_back_what_it_changed)
{
    const struct span pod = SPAN("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n");
    cr_assert_eq(rewrite(pod, false), OK);
    struct text injected = out;
    text_init(&out, REWRITE_MAX_BYTES);
    cr_assert_gt(injected.len, pod.len);
    cr_assert_eq(rewrite(text_span(&injected), false), OK);
    cr_assert(span_is(text_span(&out), text_span(&injected)));
    cr_assert_eq(counts.skipped, 1);
    cr_assert_eq(rewrite(text_span(&injected), true), OK);
    cr_assert(span_is(text_span(&out), pod), "%.*s", SPAN_ARGS(text_span(&out)));
    text_fini(&injected);
}

/* Characters are more than bytes here, and the text ends at every place of a row of 64. */
Test(rewrite, knows_where_a_text_ends_that_is_not_ascii_and_has_no_last_line_break)
{
    for (int padding = 1; padding <= 130; padding++) {
        char text[512];
        const int len = snprintf(text, sizeof text,
                                 "# \xC3\xA9\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n"
                                 "  - name: a\nlast: %0*d",
                                 padding, 7);
        const struct span pod = span_make(text, (size_t)len);
        cr_assert_eq(rewrite(pod, false), OK);
        cr_assert_eq(counts.changed, 1, "padding %d: %s", padding, told);
        struct text injected = out;
        text_init(&out, REWRITE_MAX_BYTES);
        cr_assert_eq(rewrite(text_span(&injected), true), OK);
        cr_assert(span_is(text_span(&out), pod), "padding %d: %s", padding, told);
        text_fini(&injected);
    }
}

Test(rewrite, names_the_place_that_cannot_be_changed)
{
    cr_assert_eq(rewrite(SPAN("apiVersion: v1\nkind: Pod\nmetadata: &m {name: p}\nspec:\n  "
                              "containers:\n  - name: a\n    x: *m\n"),
                         false),
                 OK);
    cr_assert_eq(counts.refused, 1);
    cr_assert(strstr(told, "3:11 Pod p: refused: what has to be changed has an anchor") != NULL,
              "%s", told);
}

Test(rewrite, refuses_what_it_cannot_verify)
{
    const struct span pod =
        SPAN("apiVersion: v1\nkind: Pod\nspec:\n  ? initContainers\n  : - name: i\n  containers: "
             "[{name: a}]\n");
    cr_assert_eq(rewrite(pod, false), OK);
    cr_assert_eq(counts.refused, 1);
    cr_assert(span_is(text_span(&out), pod));
    cr_assert(strstr(told, "cannot be changed without changing something") != NULL, "%s", told);
}
