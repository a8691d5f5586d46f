/* accept.c - which of the two formats a scraper wants (RFC 9110 section 12.5.1, as far as two media
 * types need it). */
#include "telemetry/exposition.h"

#define WHOLE 1000 /* q=1, in thousandths */

static struct span trim(struct span s)
{
    while (s.len > 0 && (*s.data == ' ' || *s.data == '\t')) {
        s = span_make(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* Takes what stands before `mark` (or everything) off the front of `rest`. */
static struct span take_until(struct span *rest, char mark)
{
    const char *end = rest->len > 0 ? memchr(rest->data, mark, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct span part = span_make(rest->data, len);
    *rest = end ? span_make(end + 1, rest->len - len - 1) : SPAN_NONE;
    return trim(part);
}

/* "0.5" in thousandths; what is no weight counts as 0. */
static unsigned weight_from(struct span text)
{
    if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1')) {
        return 0;
    }
    unsigned weight = text.data[0] == '1' ? WHOLE : 0;
    unsigned unit = 100;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.data[1] != '.' || text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
        weight += unit * (unsigned)(text.data[i] - '0');
    }
    return weight < WHOLE ? weight : WHOLE;
}

struct wish {
    unsigned weight;
    bool is_version_known;
};

static struct wish wish_from(struct span parameters)
{
    struct wish wish = {WHOLE, true};
    while (parameters.len > 0) {
        struct span parameter = take_until(&parameters, ';');
        if (span_starts_with(parameter, SPAN("q="))) {
            wish.weight = weight_from(span_make(parameter.data + 2, parameter.len - 2));
        } else if (span_starts_with(parameter, SPAN("version="))) {
            wish.is_version_known = span_is(parameter, SPAN("version=1.0.0")) ||
                                    span_is(parameter, SPAN("version=0.0.1"));
        }
    }
    return wish;
}

enum exposition_format exposition_format_from(struct span accept)
{
    unsigned openmetrics = 0;
    unsigned plain = 0;
    while (accept.len > 0) {
        struct span entry = take_until(&accept, ',');
        struct span type = take_until(&entry, ';');
        struct wish wish = wish_from(entry);
        if (span_is_nocase(type, SPAN("application/openmetrics-text")) && wish.is_version_known) {
            openmetrics = wish.weight > openmetrics ? wish.weight : openmetrics;
        } else if (span_is_nocase(type, SPAN("text/plain"))) {
            plain = wish.weight > plain ? wish.weight : plain;
        }
    }
    return openmetrics > 0 && openmetrics >= plain ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS;
}

const char *exposition_content_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
