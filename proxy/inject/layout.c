/* layout.c - see layout.h. */
#include "inject/layout.h"

#include "inject/json_text.h"
#include "inject/manifest_scalar.h"

#include <stdlib.h>

#define COLUMN_MAX 1000 /* what stands further in is no manifest */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A word, a path, a URL or an --option: nothing that YAML could take for anything but this text,
 * whatever its version. */
static bool is_plain(struct span text)
{
    const size_t dashes = text.len > 1 && text.data[0] == '-' ? 1 + (text.data[1] == '-') : 0;
    const char first = dashes < text.len ? text.data[dashes] : '\0';
    if (!is_letter(first) && (first != '/' || dashes > 0))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_inner_colon = c == ':' && i + 1 < text.len;
        if (!is_letter(c) && !is_digit && !is_inner_colon &&
            (c == '\0' || strchr("_-./=@", c) == NULL))
            return false;
    }
    return !manifest_scalar_is_word(text);
}

/* JSON in single quotes stays readable; what it escapes for itself stays as it is. */
static bool is_json(struct span text)
{
    if (text.len < 2 || text.data[0] != '{')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || (unsigned char)text.data[i] > 0x7e)
            return false;
    return true;
}

static void put_text(struct span text, struct text *out)
{
    if (is_plain(text)) {
        text_add(out, text.data, text.len);
        return;
    }
    if (!is_json(text)) {
        text_json_span(out, text);
        return;
    }
    text_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        text_char(out, text.data[i]);
        if (text.data[i] == '\'')
            text_char(out, '\'');
    }
    text_char(out, '\'');
}

static void put_scalar(const json_t *value, struct text *out)
{
    if (json_is_string(value))
        put_text(span_make(json_string_value(value), json_string_length(value)), out);
    else
        layout_flow(value, out);
}

static void begin_line(const struct layout *layout, unsigned column, struct text *out)
{
    text_put(out, layout->line_break);
    for (unsigned i = 0; i < column && i < COLUMN_MAX; i++)
        text_char(out, ' ');
}

static bool is_block(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static void put_items(const struct layout *layout, unsigned column, const json_t *list,
                      struct text *out)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        layout_item(layout, column, item, out);
    }
}

static void put_entry(const struct layout *layout, unsigned column, const char *key,
                      const json_t *value, struct text *out)
{
    const char *inner;
    json_t *item;
    put_text(span_of(key), out);
    text_char(out, ':');
    if (!is_block(value)) {
        text_char(out, ' ');
        put_scalar(value, out);
        return;
    }
    put_items(layout, column + layout->list_step, value, out);
    json_object_foreach((json_t *)value, inner, item)
    {
        layout_key(layout, column + layout->map_step, inner, item, out);
    }
}

void layout_key(const struct layout *layout, unsigned column, const char *key, const json_t *value,
                struct text *out)
{
    begin_line(layout, column, out);
    put_entry(layout, column, key, value, out);
}

void layout_item(const struct layout *layout, unsigned column, const json_t *value,
                 struct text *out)
{
    const char *key;
    json_t *inner;
    bool is_first = true;
    begin_line(layout, column, out);
    text_put(out, "- ");
    if (json_object_size(value) == 0)
        put_scalar(value, out);
    json_object_foreach((json_t *)value, key, inner)
    {
        if (is_first)
            put_entry(layout, column + 2, key, inner, out);
        else
            layout_key(layout, column + 2, key, inner, out);
        is_first = false;
    }
}

void layout_flow(const json_t *value, struct text *out)
{
    char *json = json_text(value, JSON_ENCODE_ANY);
    if (json)
        text_put(out, json);
    else
        out->is_broken = true;
    free(json);
}

void layout_flow_key(const char *key, struct text *out)
{
    text_json(out, key);
    text_put(out, ": ");
}
