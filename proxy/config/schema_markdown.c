/* schema_markdown.c - see schema_doc.h. */
#include "config/policy_schema.h"
#include "config/scalar.h"
#include "config/schema_doc.h"

#include <string.h>

static bool has_block(const struct field *field)
{
    return (field->type == FIELD_BLOCK || field->type == FIELD_BLOCKS) && field->block;
}

static void print_limit(FILE *out, const struct field *field, uint64_t value)
{
    char text[64];
    switch (field->type) {
    case FIELD_DURATION: duration_format((dur_ns)value, text, sizeof text); break;
    case FIELD_SIZE: size_format(value, text, sizeof text); break;
    case FIELD_PERCENT: snprintf(text, sizeof text, "%llu", (unsigned long long)value / 10); break;
    default: snprintf(text, sizeof text, "%llu", (unsigned long long)value); break;
    }
    fputs(text, out);
}

static void print_words(FILE *out, const struct word *words)
{
    const char *separator = "";
    for (; words->name; words++) {
        if (words->value == WORD_LATER)
            continue;
        fprintf(out, "%s`%s`", separator, words->name);
        separator = ", ";
    }
}

static void print_range(FILE *out, const struct field *field, const char *unit)
{
    print_limit(out, field, field->min);
    fputs(" to ", out);
    print_limit(out, field, field->max);
    fputs(unit, out);
}

static void print_allowed(FILE *out, const struct field *field)
{
    switch (field->type) {
    case FIELD_DURATION:
    case FIELD_SIZE:
    case FIELD_PERCENT: print_range(out, field, ""); break;
    case FIELD_HTTP_CODES: print_range(out, field, ", ranges such as 502-504"); break;
    case FIELD_COUNT:
        print_range(out, field, "");
        if (field->words)
            fprintf(out, ", `%s`", field->words->name);
        break;
    case FIELD_STRING:
    case FIELD_TEXT: print_range(out, field, " bytes"); break;
    case FIELD_BLOCKS: print_range(out, field, " items"); break;
    case FIELD_TEXTS:
    case FIELD_PORTS:
        if (field->max > 0)
            fprintf(out, "at most %llu", (unsigned long long)field->max);
        break;
    case FIELD_ENUM:
    case FIELD_FLAGS: print_words(out, field->words); break;
    case FIELD_KEY: fputs("`none`, `header:NAME`, `path`, `method`, `client`", out); break;
    case FIELD_ACCESS: fputs("`off`, `refusals`, `sampled: 1%`, `all`", out); break;
    default: break;
    }
}

static const char *shown(const char *text)
{
    return *text ? text : "\"\"";
}

static void print_default(FILE *out, const struct field *field)
{
    if (field->is_required)
        fputs("required", out);
    else if (field->type == FIELD_BLOCK && field->is_manual)
        fputs("the document's", out);
    else if (field->type == FIELD_BLOCK)
        fputs(field->preset ? "on" : "off", out);
    else if (field->preset)
        fprintf(out, "`%s`", shown(field->preset));
    else if (field->type == FIELD_DURATION)
        fputs("off", out);
    if (field->absent && field->preset && strcmp(field->absent, field->preset) != 0)
        fprintf(out, "; without the block `%s`", shown(field->absent));
}

static void print_row(FILE *out, const struct field *field)
{
    fprintf(out, "| `%s` | %s%s%s | ", field->name, field_type_word(field->type),
            field->unit ? ", " : "", field->unit ? field->unit : "");
    print_default(out, field);
    fputs(" | ", out);
    print_allowed(out, field);
    fprintf(out, " | %s%s |\n", field->doc, field->is_reloadable ? " (reloads)" : "");
}

static void print_later(FILE *out, const struct block *block)
{
    const char *separator = "\nNot in this version: ";
    for (size_t i = 0; i < block->field_count; i++) {
        if (block->fields[i].type != FIELD_LATER)
            continue;
        fprintf(out, "%s`%s` (%s)", separator, block->fields[i].name, block->fields[i].doc);
        separator = ", ";
    }
    if (*separator == ',')
        fputs(".\n", out);
}

static void print_block(FILE *out, const struct block *block, const char *path)
{
    fprintf(out, "\n### `%s`\n\n%s\n\n", path, block->doc);
    fputs("| field | type | default | allowed | |\n| --- | --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < block->field_count; i++)
        if (block->fields[i].type != FIELD_LATER)
            print_row(out, &block->fields[i]);
    print_later(out, block);
    for (size_t i = 0; i < block->field_count; i++) {
        const struct field *field = &block->fields[i];
        char inner[PATH_TEXT_MAX];
        if (!has_block(field) || field->is_manual) /* a rule's blocks are those of the document */
            continue;
        snprintf(inner, sizeof inner, "%s.%s%s", path, field->name,
                 field->type == FIELD_BLOCKS ? "[]" : "");
        print_block(out, field->block, inner);
    }
}

void schema_markdown_document(FILE *out, const struct block *block)
{
    fprintf(out, "\n## %s\n\n%s\n\n", block->name, block->doc);
    fputs("| field | type | default | allowed | |\n| --- | --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < block->field_count; i++)
        print_row(out, &block->fields[i]);
    for (size_t i = 0; i < block->field_count; i++)
        if (has_block(&block->fields[i]))
            print_block(out, block->fields[i].block, block->fields[i].name);
}

static void print_codes(FILE *out)
{
    fputs("\n## What `outrigger check` says\n\n| code | | |\n| --- | --- | --- |\n", out);
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++)
        fprintf(out, "| %s | %s | %s |\n", diagnostic_id((enum diagnostic_code)code),
                diagnostic_severity((enum diagnostic_code)code) == SEVERITY_ERROR ? "error"
                                                                                  : "warning",
                diagnostic_title((enum diagnostic_code)code));
}

void schema_markdown(FILE *out)
{
    schema_markdown_document(out, &policy_document_block);
    schema_markdown_document(out, &proxy_document_block);
    print_codes(out);
}
