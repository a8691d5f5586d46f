/* schema_values.c - one value at a time: text of a file -> member of a struct; see schema.h. */
#include "base/check.h"
#include "config/proxy_config.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "policy/token_bucket.h"

#include <stdio.h>
#include <string.h>

#define HELP_MAX 256
#define NAME_MAX_BYTES 63
#define PPM_PER_PERCENT 10000

static void store(void *out, const struct field *field, uint64_t value)
{
    char *member = (char *)out + field->offset;
    uint32_t narrow = (uint32_t)value;
    if (field->size == 0) /* there is only one answer, and nobody asks */
        return;
    INVARIANT(field->size == sizeof value || (field->size == sizeof narrow && value <= UINT32_MAX));
    if (field->size == sizeof value)
        memcpy(member, &value, sizeof value);
    else
        memcpy(member, &narrow, sizeof narrow);
}

static bool store_text(struct decoder *decoder, void *member, const char *text)
{
    memcpy(member, &text, sizeof text);
    return decoder->err == OK;
}

typedef void (*formatter)(uint64_t value, char *out, size_t size);

static void format_duration(uint64_t value, char *out, size_t size)
{
    duration_format((dur_ns)value, out, size);
}

static void format_percent(uint64_t value, char *out, size_t size)
{
    if (value % 10)
        snprintf(out, size, "%llu.%llu", (unsigned long long)value / 10,
                 (unsigned long long)value % 10);
    else
        snprintf(out, size, "%llu", (unsigned long long)value / 10);
}

static void format_count(uint64_t value, char *out, size_t size)
{
    snprintf(out, size, "%llu", (unsigned long long)value);
}

static bool in_range(struct decoder *decoder, const struct field *field, const struct node *node,
                     uint64_t value, formatter format)
{
    if (value >= field->min && value <= field->max)
        return true;
    char least[40], most[40], help[HELP_MAX], found[64];
    format(field->min, least, sizeof least);
    format(field->max, most, sizeof most);
    snprintf(help, sizeof help, "%s to %s", least, most);
    decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "%s is too %s",
                 node_describe(node, found, sizeof found), value < field->min ? "small" : "large");
    return false;
}

static bool duration_decode(struct decoder *decoder, const struct field *field,
                            const struct node *node, void *out)
{
    dur_ns value;
    if (duration_parse(node->text, &value)) {
        if (!in_range(decoder, field, node, (uint64_t)value, format_duration))
            return false;
        store(out, field, (uint64_t)value);
        return true;
    }
    uint64_t number;
    char help[HELP_MAX] = "whole numbers with h, m, s or ms, such as 1m30s";
    if (count_parse(node->text, &number) && number <= 99999)
        snprintf(help, sizeof help, "did you mean \"%llus\"?", (unsigned long long)number);
    return decode_expected(decoder, node, "a duration such as 250ms", help);
}

static bool size_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    uint64_t value;
    if (!size_parse(node->text, &value))
        return decode_expected(decoder, node, "a size such as 64KiB",
                               "a whole number with KiB, MiB, GiB, or of bytes");
    if (!in_range(decoder, field, node, value, size_format))
        return false;
    store(out, field, value);
    return true;
}

static bool percent_decode(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *out)
{
    uint64_t value;
    if (!percent_parse(node->text, 1, &value)) {
        char help[HELP_MAX] = "a number with at most one decimal";
        if (node->text.len > 1 && node->text.len < 9 && span_ends_with(node->text, SPAN("%")))
            snprintf(help, sizeof help, "did you mean \"%.*s\"?", (int)node->text.len - 1,
                     node->text.data);
        return decode_expected(decoder, node, "a percentage such as 20", help);
    }
    if (!in_range(decoder, field, node, value, format_percent))
        return false;
    store(out, field, value);
    return true;
}

static bool count_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    uint64_t value;
    if (field->words && span_is(node->text, span_of(field->words->name))) {
        store(out, field, (uint32_t)field->words->value);
        return true;
    }
    if (!count_parse(node->text, &value))
        return decode_expected(decoder, node, "a whole number",
                               field->words ? "or \"unlimited\"" : NULL);
    if (!in_range(decoder, field, node, value, format_count))
        return false;
    store(out, field, value);
    return true;
}

static bool bool_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    bool is_true = span_is(node->text, SPAN("true"));
    if (node->is_quoted || (!is_true && !span_is(node->text, SPAN("false"))))
        return decode_expected(decoder, node, "true or false", NULL);
    memcpy((char *)out + field->offset, &is_true, sizeof is_true);
    return true;
}

static bool enum_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    const struct word *word = field->words;
    while (word->name && !span_is(node->text, span_of(word->name)))
        word++;
    if (word->name == NULL) {
        decode_unknown_word(decoder, node, field->words);
        return false;
    }
    if (word->value == WORD_LATER) {
        decode_error(decoder, DIAG_NOT_AVAILABLE, node, NULL, "%s is not available in this version",
                     word->name);
        return false;
    }
    store(out, field, (uint64_t)word->value);
    return true;
}

static bool length_is_good(struct decoder *decoder, const struct field *field,
                           const struct node *node)
{
    if (node->text.len >= field->min && node->text.len <= field->max)
        return true;
    char help[HELP_MAX];
    snprintf(help, sizeof help, "%llu to %llu bytes", (unsigned long long)field->min,
             (unsigned long long)field->max);
    decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "a text of %zu bytes", node->text.len);
    return false;
}

static bool string_decode(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *out)
{
    if (!length_is_good(decoder, field, node))
        return false;
    return store_text(decoder, (char *)out + field->offset, decode_keep(decoder, node->text));
}

static bool store_span(struct decoder *decoder, const struct field *field, struct span text,
                       void *out)
{
    struct span copy = span_make(decode_keep(decoder, text), text.len);
    memcpy((char *)out + field->offset, &copy, sizeof copy);
    return decoder->err == OK;
}

static bool text_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    return length_is_good(decoder, field, node) && store_span(decoder, field, node->text, out);
}

static bool name_is_valid(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool is_inside = i > 0 && i + 1 < text.len;
        if (!is_alnum && !(is_inside && (c == '-' || c == '_' || c == '.')))
            return false;
    }
    return text.len > 0 && text.len <= NAME_MAX_BYTES;
}

static bool name_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    if (!name_is_valid(node->text))
        return decode_expected(decoder, node, "a name such as payments",
                               "letters, digits, and -, _ or . between them; at most 63");
    return store_text(decoder, (char *)out + field->offset, decode_keep(decoder, node->text));
}

static bool header_name_decode(struct decoder *decoder, const struct field *field,
                               const struct node *node, void *out)
{
    if (!token_is_valid(node->text) || node->text.len > field->max)
        return decode_expected(decoder, node, "the name of a header", "letters, digits and -");
    return store_text(decoder, (char *)out + field->offset, decode_keep_lower(decoder, node->text));
}

static bool method_name_decode(struct decoder *decoder, const struct field *field,
                               const struct node *node, void *out)
{
    return method_check(decoder, node) && store_span(decoder, field, node->text, out);
}

static bool key_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *out)
{
    static const struct word words[] = {{"none", KEY_NONE},          {"path", KEY_PATH},
                                        {"method", KEY_METHOD},      {"client", KEY_CLIENT},
                                        {"header:NAME", KEY_HEADER}, {NULL, 0}};
    struct key_config *key = (void *)((char *)out + field->offset);
    key->header = NULL;
    if (span_starts_with(node->text, SPAN("header:"))) {
        struct span name = span_make(node->text.data + 7, node->text.len - 7);
        if (!token_is_valid(name) || name.len > 256)
            return decode_expected(decoder, node, "header: and the name of a header",
                                   "such as header:x-tenant");
        key->kind = KEY_HEADER;
        key->header = decode_keep_lower(decoder, name);
        return decoder->err == OK;
    }
    for (const struct word *word = words; word->value != KEY_HEADER; word++)
        if (span_is(node->text, span_of(word->name))) {
            key->kind = (enum key_kind)word->value;
            return true;
        }
    decode_unknown_word(decoder, node, words);
    return false;
}

static bool sampled_decode(struct decoder *decoder, const struct node *node, struct span text,
                           struct log_config *log)
{
    uint64_t ppm;
    while (text.len > 0 && text.data[0] == ' ')
        text = span_make(text.data + 1, text.len - 1);
    if (span_ends_with(text, SPAN("%")))
        text.len--;
    if (!percent_parse(text, 4, &ppm) || ppm == 0 || ppm > 100 * PPM_PER_PERCENT)
        return decode_expected(decoder, node, "a percentage such as \"sampled: 1%\"",
                               "0.0001 to 100, at most four decimals");
    log->access = LOG_ACCESS_SAMPLED;
    log->sampled_ppm = (uint32_t)ppm;
    return true;
}

static bool access_decode(struct decoder *decoder, const struct node *node, struct log_config *log)
{
    static const struct word words[] = {{"off", LOG_ACCESS_OFF},
                                        {"refusals", LOG_ACCESS_REFUSALS},
                                        {"all", LOG_ACCESS_ALL},
                                        {"sampled: 1%", LOG_ACCESS_SAMPLED},
                                        {NULL, 0}};
    const struct node *sampled = node_get(node, "sampled");
    if (sampled && node->count == 1 && sampled->kind == NODE_SCALAR)
        return sampled_decode(decoder, sampled, sampled->text, log);
    if (node->kind != NODE_SCALAR)
        return decode_expected(decoder, node, "off, refusals, all, or {sampled: 1%}", NULL);
    if (span_starts_with(node->text, SPAN("sampled:")))
        return sampled_decode(decoder, node, span_make(node->text.data + 8, node->text.len - 8),
                              log);
    for (const struct word *word = words; word->value != LOG_ACCESS_SAMPLED; word++)
        if (span_is(node->text, span_of(word->name))) {
            log->access = (enum log_access)word->value;
            return true;
        }
    decode_unknown_word(decoder, node, words);
    return false;
}

bool value_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                  void *out)
{
    switch (field->type) {
    case FIELD_DURATION: return duration_decode(decoder, field, node, out);
    case FIELD_SIZE: return size_decode(decoder, field, node, out);
    case FIELD_PERCENT: return percent_decode(decoder, field, node, out);
    case FIELD_COUNT: return count_decode(decoder, field, node, out);
    case FIELD_BOOL: return bool_decode(decoder, field, node, out);
    case FIELD_STRING: return string_decode(decoder, field, node, out);
    case FIELD_TEXT: return text_decode(decoder, field, node, out);
    case FIELD_NAME: return name_decode(decoder, field, node, out);
    case FIELD_HEADER_NAME: return header_name_decode(decoder, field, node, out);
    case FIELD_METHOD_NAME: return method_name_decode(decoder, field, node, out);
    case FIELD_ENUM: return enum_decode(decoder, field, node, out);
    case FIELD_KEY: return key_decode(decoder, field, node, out);
    case FIELD_ACCESS: return access_decode(decoder, node, (void *)((char *)out + field->offset));
    default: return place_decode(decoder, field, node, out);
    }
}
