/* policy_json.c - see policy_json.h. */
#include "admin/policy_json.h"

#include <string.h>

static bool is_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.len > 0;
}

static void put_list(struct text *out, struct span list)
{
    struct span items = span_make(list.data + 1, list.len > 2 ? list.len - 2 : 0);
    text_char(out, '[');
    while (items.len > 0) {
        const char *comma = memmem(items.data, items.len, ", ", 2);
        struct span item = span_make(items.data, comma ? (size_t)(comma - items.data) : items.len);
        if (is_digits(item))
            text_add(out, item.data, item.len);
        else
            text_json_span(out, item);
        size_t taken = item.len + (comma ? 2 : 0);
        items = span_make(items.data + taken, items.len - taken);
        text_put(out, comma ? "," : "");
    }
    text_char(out, ']');
}

void policy_json_value(struct text *out, const struct effective_field *field)
{
    switch (field->kind) {
    case EFFECTIVE_NONE: text_put(out, "null"); break;
    case EFFECTIVE_NUMBER:
    case EFFECTIVE_BOOL: text_put(out, field->text); break;
    case EFFECTIVE_LIST: put_list(out, span_of(field->text)); break;
    default: text_json(out, field->text); break;
    }
}

void policy_json_member(const struct effective_field *field, void *text)
{
    struct text *out = text;
    if (out->len > 0 && out->data[out->len - 1] != '{')
        text_char(out, ',');
    text_json(out, field->path);
    text_char(out, ':');
    policy_json_value(out, field);
}

/* ---- matches, in words ---- */

static void put_separator(struct text *out, size_t start)
{
    text_put(out, out->len > start ? ", " : "");
}

void policy_put_grpc(struct text *out, const struct match *match)
{
    struct span any = SPAN("*");
    struct span service = match->grpc_service.data ? match->grpc_service : any;
    struct span method = match->grpc_method.data ? match->grpc_method : any;
    text_printf(out, "%.*s/%.*s", SPAN_ARGS(service), SPAN_ARGS(method));
}

void policy_put_match(struct text *out, const struct match *match)
{
    const size_t start = out->len;
    if (match->path_type != PATH_MATCH_NONE)
        text_printf(out, "path %s %.*s%s", match->path_type == PATH_MATCH_EXACT ? "is" : "under",
                    SPAN_ARGS(match->path), match->path.len ? "" : "/");
    if (match->method.data) {
        put_separator(out, start);
        text_printf(out, "method %.*s", SPAN_ARGS(match->method));
    }
    if (match->is_grpc) {
        put_separator(out, start);
        text_put(out, "gRPC ");
        policy_put_grpc(out, match);
    }
    for (size_t i = 0; i < match->header_count; i++) {
        put_separator(out, start);
        text_printf(out, "header %s: %.*s", match->headers[i].name,
                    SPAN_ARGS(match->headers[i].value));
    }
    for (size_t i = 0; i < match->query_param_count; i++) {
        put_separator(out, start);
        text_printf(out, "query %s=%.*s", match->query_params[i].name,
                    SPAN_ARGS(match->query_params[i].value));
    }
    text_put(out, out->len > start ? "" : "every call");
}
