/* match.c - see match.h; also document_match of policy_set.h. */
#include "config/match.h"

#include <string.h>

static bool is_prefix(struct span prefix, struct span path)
{
    return span_starts_with(path, prefix) &&
           (path.len == prefix.len || path.data[prefix.len] == '/');
}

static bool path_holds(const struct match *match, struct span path)
{
    switch (match->path_type) {
    case PATH_MATCH_EXACT: return span_is(match->path, path);
    case PATH_MATCH_PREFIX: return is_prefix(match->path, path);
    default: return true;
    }
}

static bool grpc_holds(const struct match *match, const struct match_input *input)
{
    struct span path = input->path;
    if (!match->is_grpc)
        return true;
    if (!input->is_grpc || path.len == 0 || path.data[0] != '/')
        return false;
    const char *slash = memrchr(path.data, '/', path.len); /* /package.Service/Method */
    struct span service =
        span_make(path.data + 1, slash > path.data ? (size_t)(slash - path.data) - 1 : 0);
    struct span method = span_make(slash + 1, path.len - (size_t)(slash - path.data) - 1);
    return (match->grpc_service.data == NULL || span_is(match->grpc_service, service)) &&
           (match->grpc_method.data == NULL || span_is(match->grpc_method, method));
}

/* The first header that is not as it should be; header_count when all are. */
static size_t headers_hold(const struct match *match, const struct match_input *input)
{
    size_t i = 0;
    for (; i < match->header_count; i++) {
        struct span value = input->header(input->context, span_of(match->headers[i].name));
        if (value.data == NULL || !span_is(value, match->headers[i].value))
            break;
    }
    return i;
}

static struct span query_find(struct span query, struct span name)
{
    const char *at = query.data, *end = query.data + query.len;
    while (query.data && at < end) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = equals ? equals : stop;
        if (span_is(span_make(at, (size_t)(name_end - at)), name))
            return equals ? span_make(equals + 1, (size_t)(stop - equals) - 1) : span_make(stop, 0);
        at = stop + 1;
    }
    return SPAN_NONE;
}

static size_t query_holds(const struct match *match, const struct match_input *input)
{
    size_t i = 0;
    for (; i < match->query_param_count; i++) {
        struct span value = query_find(input->query, span_of(match->query_params[i].name));
        if (value.data == NULL || !span_is(value, match->query_params[i].value))
            break;
    }
    return i;
}

enum match_part match_mismatch(const struct match *match, const struct match_input *input,
                               size_t *index)
{
    *index = 0;
    if (!path_holds(match, input->path))
        return MATCH_PATH;
    if (match->method.data != NULL && !span_is(match->method, input->method))
        return MATCH_METHOD;
    if (!grpc_holds(match, input))
        return MATCH_GRPC;
    *index = headers_hold(match, input);
    if (*index < match->header_count)
        return MATCH_HEADER;
    *index = query_holds(match, input);
    return *index < match->query_param_count ? MATCH_QUERY : MATCH_ALL;
}

bool match_holds(const struct match *match, const struct match_input *input)
{
    size_t index;
    return match_mismatch(match, input, &index) == MATCH_ALL;
}

const struct rule *document_match(const struct document *document, const struct match_input *input)
{
    for (size_t i = 0; i < document->rule_count; i++) {
        const struct rule *rule = &document->rules[i];
        if (rule->match_count == 0)
            return rule;
        for (size_t j = 0; j < rule->match_count; j++)
            if (match_holds(&rule->matches[j], input))
                return rule;
    }
    return NULL;
}

/* ---- coverage of one match by another ----------------------------------------------------- */

static bool path_covers(const struct match *wide, const struct match *narrow)
{
    if (wide->path_type == PATH_MATCH_NONE)
        return true;
    if (wide->path_type == PATH_MATCH_PREFIX && wide->path.len == 0)
        return true; /* "/" */
    if (narrow->path_type == PATH_MATCH_NONE)
        return false;
    if (wide->path_type == PATH_MATCH_EXACT)
        return narrow->path_type == PATH_MATCH_EXACT && span_is(wide->path, narrow->path);
    return is_prefix(wide->path, narrow->path);
}

static bool text_covers(struct span wide, struct span narrow)
{
    return wide.data == NULL || (narrow.data != NULL && span_is(wide, narrow));
}

static bool grpc_covers(const struct match *wide, const struct match *narrow)
{
    return !wide->is_grpc ||
           (narrow->is_grpc && text_covers(wide->grpc_service, narrow->grpc_service) &&
            text_covers(wide->grpc_method, narrow->grpc_method));
}

static bool values_cover(const struct name_value *wide, size_t wide_count,
                         const struct name_value *narrow, size_t narrow_count)
{
    for (size_t i = 0; i < wide_count; i++) {
        size_t j = 0;
        while (j < narrow_count && (strcmp(wide[i].name, narrow[j].name) != 0 ||
                                    !span_is(wide[i].value, narrow[j].value)))
            j++;
        if (j == narrow_count)
            return false;
    }
    return true;
}

static bool match_covers(const struct match *wide, const struct match *narrow)
{
    return path_covers(wide, narrow) && text_covers(wide->method, narrow->method) &&
           grpc_covers(wide, narrow) &&
           values_cover(wide->headers, wide->header_count, narrow->headers, narrow->header_count) &&
           values_cover(wide->query_params, wide->query_param_count, narrow->query_params,
                        narrow->query_param_count);
}

static bool rule_covers(const struct rule *rule, const struct match *narrow)
{
    static const struct match everything = {0};
    for (size_t i = 0; i < rule->match_count; i++)
        if (match_covers(&rule->matches[i], narrow ? narrow : &everything))
            return true;
    return rule->match_count == 0;
}

const struct rule *rule_that_shadows(const struct document *document, size_t index)
{
    const struct rule *rule = &document->rules[index];
    for (size_t i = 0; i < index; i++) {
        size_t covered = 0;
        while (covered < rule->match_count &&
               rule_covers(&document->rules[i], &rule->matches[covered]))
            covered++;
        bool takes_all = rule->match_count ? covered == rule->match_count
                                           : rule_covers(&document->rules[i], NULL);
        if (takes_all)
            return &document->rules[i];
    }
    return NULL;
}
