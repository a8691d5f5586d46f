/* schema_json.c - JSON Schema draft-07, see schema_doc.h. A rule's blocks may leave out what their
 * document has, and have no budget. */
#include "config/policy_schema.h"
#include "config/scalar.h"
#include "config/schema_doc.h"

#include <string.h>

struct writer {
    FILE *out;
    int depth;
    bool has_item; /* in the innermost object */
    bool is_in_rule;
};

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}
/* The texts are our own: no control characters. */

static void key(struct writer *w, const char *name)
{
    fprintf(w->out, "%s\n%*s", w->has_item ? "," : "", 2 * w->depth, "");
    w->has_item = true;
    print_string(w->out, name);
    fputs(": ", w->out);
}

static void text_member(struct writer *w, const char *name, const char *text)
{
    key(w, name);
    print_string(w->out, text);
}

static void raw_member(struct writer *w, const char *name, const char *json)
{
    key(w, name);
    fputs(json, w->out);
}

static void number_member(struct writer *w, const char *name, uint64_t value)
{
    key(w, name);
    fprintf(w->out, "%llu", (unsigned long long)value);
}

static void open_object(struct writer *w)
{
    fputc('{', w->out);
    w->depth++;
    w->has_item = false;
}

static void close_object(struct writer *w)
{
    w->depth--;
    fprintf(w->out, "\n%*s}", 2 * w->depth, "");
    w->has_item = true;
}

static void words_member(struct writer *w, const struct word *words)
{
    const char *separator = "";
    key(w, "enum");
    fputc('[', w->out);
    for (; words->name; words++) {
        if (words->value == WORD_LATER)
            continue;
        fputs(separator, w->out);
        print_string(w->out, words->name);
        separator = ", ";
    }
    fputc(']', w->out);
}

static void list_members(struct writer *w, const char *items)
{
    text_member(w, "type", "array");
    raw_member(w, "items", items);
}

static void statuses(struct writer *w, const struct field *field)
{
    text_member(w, "type", "array");
    key(w, "items");
    fprintf(w->out,
            "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}, "
            "{\"type\": \"string\", \"pattern\": \"^[4-5][0-9]{2}(-[4-5][0-9]{2})?$\"}]}",
            (unsigned long long)field->min, (unsigned long long)field->max);
}

static void flags(struct writer *w, const struct field *field)
{
    text_member(w, "type", "array");
    key(w, "items");
    open_object(w);
    words_member(w, field->words);
    close_object(w);
}

static void count(struct writer *w, const struct field *field)
{
    if (field->words) {
        key(w, "anyOf");
        fprintf(
            w->out,
            "[{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}, {\"const\": \"%s\"}]",
            (unsigned long long)field->min, (unsigned long long)field->max, field->words->name);
        return;
    }
    text_member(w, "type", "integer");
    number_member(w, "minimum", field->min);
    number_member(w, "maximum", field->max);
}

static void text(struct writer *w, const struct field *field)
{
    text_member(w, "type", "string");
    number_member(w, "minLength", field->min);
    number_member(w, "maxLength", field->max);
}

static void value_members(struct writer *w, const struct field *field)
{
    static const char addresses[] =
        "[{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]";
    static const char access[] =
        "[{\"type\": \"string\", \"pattern\": \"^(off|refusals|all|sampled: *[0-9.]+%?)$\"}, "
        "{\"type\": \"object\", \"required\": [\"sampled\"], \"additionalProperties\": false, "
        "\"properties\": {\"sampled\": {\"type\": [\"string\", \"number\"]}}}]";
    static const char codes[] =
        "{\"enum\": [\"CANCELLED\", \"UNKNOWN\", \"INVALID_ARGUMENT\", \"DEADLINE_EXCEEDED\", "
        "\"NOT_FOUND\", \"ALREADY_EXISTS\", \"PERMISSION_DENIED\", \"RESOURCE_EXHAUSTED\", "
        "\"FAILED_PRECONDITION\", \"ABORTED\", \"OUT_OF_RANGE\", \"UNIMPLEMENTED\", "
        "\"INTERNAL\", \"UNAVAILABLE\", \"DATA_LOSS\", \"UNAUTHENTICATED\"]}";
    switch (field->type) {
    case FIELD_DURATION:
        text_member(w, "type", "string");
        text_member(w, "pattern", "^([0-9]{1,5}(h|m|s|ms)){1,4}$");
        break;
    case FIELD_SIZE:
        raw_member(w, "type", "[\"string\", \"integer\"]");
        text_member(w, "pattern", "^[0-9]+(KiB|MiB|GiB)?$");
        break;
    case FIELD_PERCENT:
        text_member(w, "type", "number");
        number_member(w, "minimum", field->min / 10);
        number_member(w, "maximum", field->max / 10);
        break;
    case FIELD_COUNT: count(w, field); break;
    case FIELD_BOOL: text_member(w, "type", "boolean"); break;
    case FIELD_STRING:
    case FIELD_TEXT: text(w, field); break;
    case FIELD_NAME:
        text_member(w, "type", "string");
        text_member(w, "pattern", "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$");
        break;
    case FIELD_ENUM: words_member(w, field->words); break;
    case FIELD_KEY:
        text_member(w, "type", "string");
        text_member(w, "pattern", "^(none|path|method|client|header:.+)$");
        break;
    case FIELD_ACCESS: raw_member(w, "anyOf", access); break;
    case FIELD_HTTP_CODES: statuses(w, field); break;
    case FIELD_GRPC_CODES: list_members(w, codes); break;
    case FIELD_FLAGS: flags(w, field); break;
    case FIELD_TEXTS:
    case FIELD_METHODS:
    case FIELD_ENDPOINTS: list_members(w, "{\"type\": \"string\"}"); break;
    case FIELD_PORTS:
        list_members(w, "{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535}");
        break;
    case FIELD_ADDRESSES: raw_member(w, "anyOf", addresses); break;
    case FIELD_LABELS: text_member(w, "type", "object"); break;
    default: text_member(w, "type", "string"); break;
    }
}

static bool is_left_out(const struct writer *w, const struct field *field)
{
    return field->type == FIELD_LATER || (w->is_in_rule && strcmp(field->name, "budget") == 0);
}

static void block_members(struct writer *w, const struct block *block);

static void field_schema(struct writer *w, const struct field *field)
{
    open_object(w);
    text_member(w, "description", field->doc);
    if (field->type == FIELD_BLOCK) {
        struct writer inner = *w;
        inner.is_in_rule |= field->is_manual;
        block_members(&inner, field->block);
    } else if (field->type == FIELD_BLOCKS) {
        text_member(w, "type", "array");
        number_member(w, "minItems", field->min);
        number_member(w, "maxItems", field->max);
        key(w, "items");
        open_object(w);
        block_members(w, field->block);
        close_object(w);
    } else {
        value_members(w, field);
    }
    close_object(w);
}

static void required_member(struct writer *w, const struct block *block)
{
    const char *separator = "";
    if (w->is_in_rule)
        return;
    key(w, "required");
    fputc('[', w->out);
    for (size_t i = 0; i < block->field_count; i++) {
        if (!block->fields[i].is_required)
            continue;
        fputs(separator, w->out);
        print_string(w->out, block->fields[i].name);
        separator = ", ";
    }
    fputc(']', w->out);
}

static void block_members(struct writer *w, const struct block *block)
{
    text_member(w, "type", "object");
    raw_member(w, "additionalProperties", "false");
    required_member(w, block);
    key(w, "properties");
    open_object(w);
    for (size_t i = 0; i < block->field_count; i++) {
        if (is_left_out(w, &block->fields[i]))
            continue;
        key(w, block->fields[i].name);
        field_schema(w, &block->fields[i]);
    }
    close_object(w);
}

static void kind_schema(struct writer *w, const struct block *block)
{
    fprintf(w->out, "{\n%*s\"if\": {\"properties\": {\"kind\": {\"const\": \"%s\"}}}, \"then\": ",
            2 * w->depth + 2, "", block->name);
    w->depth++;
    open_object(w);
    block_members(w, block);
    close_object(w);
    w->depth--;
    fprintf(w->out, "\n%*s}", 2 * w->depth, "");
}

void schema_json_document(FILE *out, const struct block *block)
{
    struct writer w = {.out = out};
    open_object(&w);
    text_member(&w, "$schema", "http://json-schema.org/draft-07/schema#");
    text_member(&w, "title", block->doc);
    block_members(&w, block);
    close_object(&w);
    fputc('\n', out);
}

void schema_json(FILE *out)
{
    struct writer w = {.out = out};
    open_object(&w);
    text_member(&w, "$schema", "http://json-schema.org/draft-07/schema#");
    text_member(&w, "title", "Outrigger policy file");
    text_member(&w, "type", "object");
    raw_member(&w, "required", "[\"apiVersion\", \"kind\", \"metadata\"]");
    raw_member(&w, "properties",
               "{\"kind\": {\"enum\": [\"" KIND_POLICY "\", \"" KIND_PROXY "\"]}}");
    key(&w, "allOf");
    fputc('[', out);
    kind_schema(&w, &policy_document_block);
    fputs(", ", out);
    kind_schema(&w, &proxy_document_block);
    fputc(']', out);
    close_object(&w);
    fputc('\n', out);
}
