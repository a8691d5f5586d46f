/* manifest_scalar.c - see manifest_scalar.h. */
#include "inject/manifest_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NUMBER_MAX 64 /* bytes; a longer number is a text */
#define TAG_PREFIX "tag:yaml.org,2002:"

struct word {
    const char *text; /* also Capitalised and in CAPITALS */
    json_type type;
};

static const struct word words[] = {{"null", JSON_NULL}, {"true", JSON_TRUE},   {"yes", JSON_TRUE},
                                    {"on", JSON_TRUE},   {"false", JSON_FALSE}, {"no", JSON_FALSE},
                                    {"off", JSON_FALSE}};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* yes, Yes and YES, not yEs. */
static bool is_spelling_of(struct span text, struct span word)
{
    if (!span_is_nocase(text, word))
        return false;
    size_t capitals = 0;
    for (size_t i = 0; i < text.len; i++)
        capitals += is_upper(text.data[i]);
    return capitals == 0 || capitals == text.len || (capitals == 1 && is_upper(text.data[0]));
}

static const struct word *find_word(struct span text)
{
    static const struct word nothing = {"", JSON_NULL};
    if (text.len == 0 || span_is(text, SPAN("~")))
        return &nothing;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_spelling_of(text, span_of(words[i].text)))
            return &words[i];
    return NULL;
}

bool manifest_scalar_is_word(struct span text)
{
    const bool is_letter = span_is_nocase(text, SPAN("y")) || span_is_nocase(text, SPAN("n"));
    return is_letter || find_word(text) != NULL;
}

static size_t skip_digits(struct span text, size_t at)
{
    while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at;
}

/* -1.5e3 and the like: decimal, without a leading zero. */
static bool is_number(struct span text, bool *is_whole)
{
    size_t at = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    const size_t first = at;
    *is_whole = true;
    at = skip_digits(text, at);
    if (at == first || (at > first + 1 && text.data[first] == '0'))
        return false;
    if (at < text.len && text.data[at] == '.') {
        *is_whole = false;
        at = skip_digits(text, at + 1);
    }
    if (at < text.len && (text.data[at] == 'e' || text.data[at] == 'E')) {
        *is_whole = false;
        at += at + 1 < text.len && (text.data[at + 1] == '-' || text.data[at + 1] == '+') ? 2 : 1;
        if (skip_digits(text, at) == at)
            return false;
        at = skip_digits(text, at);
    }
    return at == text.len;
}

static json_t *number(struct span text, bool is_whole)
{
    char digits[NUMBER_MAX + 1];
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    errno = 0;
    if (is_whole) {
        const long long value = strtoll(digits, NULL, 10);
        return errno == 0 ? json_integer(value) : json_stringn_nocheck(text.data, text.len);
    }
    const double value = strtod(digits, NULL);
    return isfinite(value) ? json_real(value) : json_stringn_nocheck(text.data, text.len);
}

json_t *manifest_scalar(struct span text, bool is_plain, const char *tag)
{
    bool is_whole;
    const bool is_core = tag && strncmp(tag, TAG_PREFIX, sizeof TAG_PREFIX - 1) == 0 &&
                         strcmp(tag, TAG_PREFIX "str") != 0 &&
                         strcmp(tag, TAG_PREFIX "binary") != 0;
    const bool is_resolved = tag ? is_core : is_plain;
    const struct word *word = is_resolved ? find_word(text) : NULL;
    if (word)
        return word->type == JSON_NULL ? json_null() : json_boolean(word->type == JSON_TRUE);
    if (is_resolved && text.len <= NUMBER_MAX && is_number(text, &is_whole))
        return number(text, is_whole);
    return json_stringn_nocheck(text.data, text.len);
}
