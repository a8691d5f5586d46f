/* expectation.c - see expectation.h. A sentence is cut into words; brackets and commas stand for
 * themselves. */
#include "sim/expectation.h"

#include "config/scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 32

static const struct {
    const char *word;
    enum measure_unit unit;
} measures[] = {
#define X(name, word, unit) [MEASURE_##name] = {#word, UNIT_##unit},
    MEASURE_LIST(X)
#undef X
};

enum measure_unit measure_unit(enum measure measure)
{
    return measures[measure].unit;
}

const char *measure_word(enum measure measure)
{
    return measures[measure].word;
}

bool window_holds(const struct time_window *window, dur_ns at)
{
    return (at >= window->from && at < window->to) != window->is_outside;
}

struct reader {
    struct span left;
    char *why;
    size_t why_size;
};

static bool fail(struct reader *reader, const char *problem, struct span what)
{
    snprintf(reader->why, reader->why_size, "%s%.*s", problem, SPAN_ARGS(what));
    return false;
}

static bool is_mark(char c)
{
    return c == '[' || c == ']' || c == ',';
}

static struct span next_word(struct reader *reader)
{
    const char *at = reader->left.data;
    const char *end = at + reader->left.len;
    while (at < end && *at == ' ')
        at++;
    const char *word = at;
    if (at < end && is_mark(*at))
        at++;
    else
        while (at < end && *at != ' ' && !is_mark(*at))
            at++;
    reader->left = span_make(at, (size_t)(end - at));
    return span_make(word, (size_t)(at - word));
}

static bool want(struct reader *reader, const char *word)
{
    const struct span got = next_word(reader);
    if (span_is(got, span_of(word)))
        return true;
    snprintf(reader->why, reader->why_size, "expected `%s`, found `%.*s`", word, SPAN_ARGS(got));
    return false;
}

static bool read_duration(struct reader *reader, dur_ns *out)
{
    const struct span word = next_word(reader);
    if (duration_parse(word, out))
        return true;
    return fail(reader, "expected a time such as 30s, found ", word);
}

static bool read_number(struct span word, double *out)
{
    char text[NUMBER_MAX];
    char *end;
    if (word.len == 0 || word.len >= sizeof text)
        return false;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    if (strspn(text, "0123456789.") != word.len)
        return false;
    *out = strtod(text, &end);
    return *end == '\0';
}

static bool read_limit(struct reader *reader, struct expectation *out)
{
    struct span word = next_word(reader);
    const enum measure_unit unit = measure_unit(out->measure);
    dur_ns time;
    if (unit == UNIT_DURATION) {
        if (!duration_parse(word, &time))
            return fail(reader, "expected a time such as 250ms, found ", word);
        out->limit = (double)time;
        return true;
    }
    struct span digits = word;
    if (unit == UNIT_PERCENT && word.len > 0 && word.data[word.len - 1] == '%')
        digits.len--;
    if (!read_number(digits, &out->limit))
        return fail(reader,
                    unit == UNIT_PERCENT ? "expected a share such as 95%, found "
                                         : "expected a number such as 1.3, found ",
                    word);
    if (unit == UNIT_PERCENT)
        out->limit /= 100;
    return true;
}

static bool read_comparison(struct reader *reader, enum comparison *out)
{
    static const char *const signs[] = {
        [BELOW] = "<", [AT_MOST] = "<=", [ABOVE] = ">", [AT_LEAST] = ">="};
    const struct span word = next_word(reader);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (span_is(word, span_of(signs[i]))) {
            *out = (enum comparison)i;
            return true;
        }
    }
    return fail(reader, "expected <, <=, > or >=, found ", word);
}

static bool read_range(struct reader *reader, struct time_window *out)
{
    if (!want(reader, "[") || !read_duration(reader, &out->from) || !want(reader, ",") ||
        !read_duration(reader, &out->to) || !want(reader, "]"))
        return false;
    return out->from < out->to || fail(reader, "the window ends before it begins", SPAN(""));
}

static bool read_window(struct reader *reader, struct time_window *out)
{
    const struct span word = next_word(reader);
    if (word.len == 0)
        return true;
    if (span_is(word, SPAN("after")))
        return read_duration(reader, &out->from);
    if (span_is(word, SPAN("before")))
        return read_duration(reader, &out->to);
    out->is_outside = span_is(word, SPAN("outside"));
    if (!out->is_outside && !span_is(word, SPAN("in")))
        return fail(reader, "expected in, outside, after or before, found ", word);
    return read_range(reader, out);
}

/* "recovers within 30s of 120s", "never recovers of 70s", "trips within 5s of 60s", "never trips"
 */
static bool read_event(struct reader *reader, struct expectation *out)
{
    if (out->is_never && out->measure == MEASURE_TRIPS)
        return true;
    if (!out->is_never && (!want(reader, "within") || !read_duration(reader, &out->within)))
        return false;
    return want(reader, "of") && read_duration(reader, &out->window.from);
}

static bool read_measure(struct reader *reader, struct expectation *out)
{
    struct span word = next_word(reader);
    out->is_never = span_is(word, SPAN("never"));
    if (out->is_never)
        word = next_word(reader);
    for (size_t i = 0; i < MEASURE_COUNT; i++) {
        if (!span_is(word, span_of(measures[i].word)))
            continue;
        out->measure = (enum measure)i;
        if (out->is_never && measures[i].unit != UNIT_EVENT)
            return fail(reader, "`never` goes with recovers and trips, not with ", word);
        return true;
    }
    return fail(reader,
                "allowed are goodput, errors, refused, amplification, retries, calls, p50, p99, "
                "queue, inFlight, recovers and trips, found ",
                word);
}

bool expectation_parse(struct span text, struct expectation *out, char *why, size_t why_size)
{
    struct reader reader = {.left = text, .why = why, .why_size = why_size};
    out->window = (struct time_window){.to = DUR_FOREVER};
    out->limit = 0;
    out->within = 0;
    out->comparison = BELOW;
    if (!read_measure(&reader, out))
        return false;
    if (measure_unit(out->measure) == UNIT_EVENT) {
        if (!read_event(&reader, out))
            return false;
    } else if (!read_comparison(&reader, &out->comparison) || !read_limit(&reader, out) ||
               !read_window(&reader, &out->window)) {
        return false;
    }
    const struct span rest = next_word(&reader);
    return rest.len == 0 || fail(&reader, "one thing too many: ", rest);
}
