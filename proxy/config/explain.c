/* explain.c - see explain.h. */
#include "config/explain.h"

#include "config/scalar.h"

#include <string.h>

static const struct explanation explanations[DIAGNOSTIC_CODE_COUNT] = {
#define EXPLANATION(name, means, why, wrong, right) [DIAG_##name] = {means, why, wrong, right},
#include "config/explain.def"
#undef EXPLANATION
};

const struct explanation *diagnostic_explanation(enum diagnostic_code code)
{
    return &explanations[code];
}

bool diagnostic_code_from(struct span id, enum diagnostic_code *out)
{
    struct span digits = id;
    uint64_t number, known;
    if (id.len > 3 && strncasecmp(id.data, "OUT", 3) == 0)
        digits = span_make(id.data + 3, id.len - 3);
    if (digits.len > 4 || !count_parse(digits, &number))
        return false;
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        const char *text = diagnostic_id((enum diagnostic_code)code) + 3;
        if (!count_parse(span_of(text), &known) || known != number)
            continue;
        *out = (enum diagnostic_code)code;
        return true;
    }
    return false;
}

void explanation_example(const char *example, FILE *out)
{
    bool is_below_spec = strncmp(example, "  ", 2) == 0;
    if (is_below_spec)
        fputs("    spec:\n", out);
    for (const char *at = example; *at;) {
        size_t len = strcspn(at, "\n");
        fprintf(out, "    %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
}
