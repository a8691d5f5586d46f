/* explain_code.c - see explain_code.h. */
#include "cli/explain_code.h"

#include "config/explain.h"
#include "config/scalar.h"

#include <string.h>

#define SUGGESTED_MAX 5
#define NEAR_EDITS 1 /* "OUT0230" for "OUT0203": a swap, or one digit */

static const char *severity_word(enum diagnostic_code code)
{
    return diagnostic_severity(code) == SEVERITY_ERROR ? "error" : "warning";
}

bool explain_code(const char *word, FILE *out)
{
    enum diagnostic_code code;
    if (!diagnostic_code_from(span_of(word), &code))
        return false;
    const struct explanation *explanation = diagnostic_explanation(code);
    fprintf(out, "%s (%s): %s\n\n%s\n%s\n\nWrong:\n", diagnostic_id(code), severity_word(code),
            diagnostic_title(code), explanation->means, explanation->why);
    explanation_example(explanation->wrong, out);
    fputs("\nRight:\n", out);
    explanation_example(explanation->right, out);
    return true;
}

void explain_suggest(const char *word, FILE *out)
{
    size_t count = 0;
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT && count < SUGGESTED_MAX; code++) {
        const char *id = diagnostic_id((enum diagnostic_code)code);
        if (word_distance(span_of(word), span_of(id)) > NEAR_EDITS)
            continue;
        fprintf(out, "%s%s", count == 0 ? "Did you mean " : " or ", id);
        count++;
    }
    fputs(count > 0 ? "? " : "", out);
    fputs("outrigger explain --list shows all codes.\n", out);
}

void explain_list(FILE *out)
{
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++)
        fprintf(out, "%s  %-7s  %s\n", diagnostic_id((enum diagnostic_code)code),
                severity_word((enum diagnostic_code)code),
                diagnostic_title((enum diagnostic_code)code));
}
