/* The texts of `outrigger explain`: each code has them, each wrong example earns its code, each
 * right one nothing at all. */
#include "config/explain.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char text[8192];

static bool is_file(const char *example)
{
    return strncmp(example, "$ ", 2) != 0;
}

/* The file that an example stands for. */
static const char *whole(const char *example)
{
    if (strncmp(example, "apiVersion", 10) == 0)
        return example;
    snprintf(text, sizeof text,
             "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: p}\n"
             "spec:\n%s%s",
             strstr(example, "  targets:") ? "" : "  targets: [{host: payments}]\n", example);
    return text;
}

Test(explain, has_words_for_every_code)
{
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        const struct explanation *explanation = diagnostic_explanation((enum diagnostic_code)code);
        cr_assert_not_null(explanation->means, "%s", diagnostic_id((enum diagnostic_code)code));
        cr_assert_gt(strlen(explanation->means), 40);
        cr_assert_gt(strlen(explanation->why), 30);
        cr_assert_str_neq(explanation->wrong, explanation->right);
    }
}

Test(explain, wrong_examples_earn_their_code)
{
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        const char *id = diagnostic_id((enum diagnostic_code)code);
        const char *wrong = diagnostic_explanation((enum diagnostic_code)code)->wrong;
        if (!is_file(wrong) || code == DIAG_TLS_FILE) /* said by who reads those files */
            continue;
        const char *said = findings(whole(wrong));
        cr_assert_not_null(strstr(said, id), "the wrong example of %s says:\n%s", id, said);
    }
}

Test(explain, right_examples_earn_nothing)
{
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        const char *id = diagnostic_id((enum diagnostic_code)code);
        const char *right = diagnostic_explanation((enum diagnostic_code)code)->right;
        if (is_file(right))
            cr_assert_str_empty(findings(whole(right)), "the right example of %s says:\n%s", id,
                                findings(whole(right)));
    }
}

Test(explain, lines_fit_a_terminal)
{
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        const struct explanation *explanation = diagnostic_explanation((enum diagnostic_code)code);
        const char *texts[] = {explanation->means, explanation->why};
        for (size_t i = 0; i < 2; i++)
            for (const char *at = texts[i]; *at; at += strcspn(at, "\n") + (strchr(at, '\n') != 0))
                cr_assert_leq(strcspn(at, "\n"), 90, "%s", at);
    }
}

Test(explain, finds_codes_in_any_spelling)
{
    enum diagnostic_code code = DIAG_UNREADABLE;
    static const char *const good[] = {"OUT0203", "out0203", "0203", "203"};
    static const char *const bad[] = {"", "OUT", "OUT0299", "OUT02031", "OUT-203", "x203", "0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(diagnostic_code_from(span_of(good[i]), &code), "%s", good[i]);
        cr_assert_eq(code, DIAG_BAD_VALUE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(diagnostic_code_from(span_of(bad[i]), &code), "%s", bad[i]);
}
