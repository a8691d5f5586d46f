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
