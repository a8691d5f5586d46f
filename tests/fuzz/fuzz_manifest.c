/* fuzz_manifest.c - any bytes as a file of manifests. What is refused is refused with words and a
 * place; what comes out can be read again, the same again changes nothing, and taking out what was
 * put in gives the input, byte for byte. (That the text says what the patch means is checked by
 * rewrite_text itself, which then refuses; here nothing may have been refused for that reason but
 * what is written oddly.) The first byte chooses the settings. */
#include "inject/rewrite.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define require(condition) (void)((condition) || (require_failed(#condition, __LINE__), 0))

static void require_failed(const char *what, int line)
{
    fprintf(stderr, "fuzz_manifest.c:%d: not so: %s\n", line, what);
    abort();
}

static void tell(void *context, uint32_t line, uint32_t column, const char *title, const char *what)
{
    size_t *told = context;
    ++*told;
    require(line > 0 && column < UINT32_MAX && title[0] != '\0' && what[0] != '\0');
    require(strpbrk(title, "\n\x1b") == NULL);
}

struct outcome {
    struct text text;
    struct rewrite_counts counts;
    enum err e;
};

static struct outcome rewrite(const struct inject_settings *settings, struct span text,
                              bool is_removal)
{
    size_t told = 0;
    const struct rewrite_options options = {
        .settings = settings, .is_removal = is_removal, .tell = tell, .context = &told};
    struct outcome outcome;
    struct manifest_problem problem = {.line = 0, .why = ""};
    text_init(&outcome.text, REWRITE_MAX_BYTES);
    outcome.e = rewrite_text(text, &options, &outcome.text, &outcome.counts, &problem);
    require(outcome.e == OK || outcome.e == ERR_INVALID || outcome.e == ERR_TOO_LARGE);
    if (outcome.e != OK)
        require(problem.line > 0 && problem.column > 0 && problem.why[0] != '\0');
    else
        require(told >= outcome.counts.changed + outcome.counts.skipped + outcome.counts.refused);
    return outcome;
}

static void require_promises(const struct inject_settings *settings, struct span text)
{
    struct outcome first = rewrite(settings, text, false);
    if (first.e == OK) {
        struct outcome again = rewrite(settings, text_span(&first.text), false);
        struct outcome back = rewrite(settings, text_span(&first.text), true);
        require(again.e == OK && back.e == OK);
        require(again.counts.changed == 0);
        require(span_is(text_span(&again.text), text_span(&first.text)));
        /* A file that had ours in it before gets back to before that, too. */
        struct outcome bare = rewrite(settings, text, true);
        require(bare.e == OK);
        if (bare.counts.changed == 0 && bare.counts.refused == 0)
            require(span_is(text_span(&back.text), text));
        text_fini(&bare.text);
        text_fini(&back.text);
        text_fini(&again.text);
    }
    text_fini(&first.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const choices[][2] = {
        {"interception", "none"}, {"native-sidecar", "false"}, {"policy", "a,b"}};
    struct inject_settings settings;
    char why[VALUE_WHY_MAX];
    if (size == 0)
        return 0;
    require(inject_settings_init(&settings) == OK);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (data[0] >> i & 1)
            require(inject_settings_set(&settings, span_of(choices[i][0]), span_of(choices[i][1]),
                                        why) == OK);
    require_promises(&settings, span_make((const char *)data + 1, size - 1));
    inject_settings_fini(&settings);
    return 0;
}
