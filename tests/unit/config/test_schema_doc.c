#include "config/policy_schema.h"
#include "config/schema_doc.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    print(out);
    fclose(out);
    return text;
}

Test(reference, in_policies_is_what_the_tables_say)
{
    char *readme = file_text(source_path("policies/README.md"));
    char *reference = printed(schema_markdown);
    const char *marker =
        strstr(readme, "<!-- What follows is printed by `outrigger schema --markdown`");
    cr_assert_not_null(marker, "policies/README.md has lost its marker");
    const char *kept = strchr(marker, '\n') + 1;
    cr_assert_str_eq(
        kept, reference,
        "policies/README.md is stale: replace what follows its marker by the output of "
        "`outrigger schema --markdown`");
    free(readme);
    free(reference);
}

/* Brackets that match and strings that end, outside of which nothing stands that JSON does not
 * know. */
static bool is_json_like(const char *text)
{
    char open[64];
    size_t depth = 0;
    for (; *text; text++) {
        if (*text == '"') {
            for (text++; *text != '"'; text += *text == '\\' ? 2 : 1)
                if (*text == '\0' || (unsigned char)*text < ' ')
                    return false;
        } else if (*text == '{' || *text == '[') {
            open[depth++] = *text == '{' ? '}' : ']';
        } else if (*text == '}' || *text == ']') {
            if (depth == 0 || open[--depth] != *text)
                return false;
        } else if (strchr(" \n,:-0123456789", *text) == NULL && strncmp(text, "false", 5) != 0) {
            return false;
        } else if (*text == 'f') {
            text += 4;
        }
    }
    return depth == 0;
}

Test(json_schema, is_well_formed_and_knows_the_fields)
{
    char *json = printed(schema_json);
    cr_assert(is_json_like(json));
    cr_assert_not_null(strstr(json, "\"$schema\": \"http://json-schema.org/draft-07/schema#\""));
    cr_assert_not_null(strstr(json, "\"honourIdempotencyKey\": {"));
    cr_assert_not_null(strstr(json, "\"bodyIdleTimeout\": {"));
    cr_assert_null(strstr(json, "\"hedge\""));
    cr_assert_null(strstr(json, "RegularExpression"));
    free(json);
}

Test(json_schema, has_the_budget_only_in_documents)
{
    char *json = printed(schema_json);
    const char *first = strstr(json, "\"budget\": {");
    cr_assert_not_null(first);
    cr_assert_null(strstr(first + 1, "\"budget\": {"));
    free(json);
}

static void check_rows(const struct block *block)
{
    for (size_t i = 0; i < block->field_count; i++) {
        const struct field *field = &block->fields[i];
        cr_assert_not_null(field->doc, "%s.%s", block->name, field->name);
        cr_assert_null(strpbrk(field->doc, "|\n"), "%s.%s", block->name, field->name);
        cr_assert_leq(field->min, field->max, "%s.%s", block->name, field->name);
        bool needs_words = field->type == FIELD_ENUM || field->type == FIELD_FLAGS;
        cr_assert(!needs_words || field->words, "%s.%s", block->name, field->name);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(field->name, block->fields[j].name);
        if (field->block)
            check_rows(field->block);
    }
}

Test(tables, are_complete)
{
    check_rows(&policy_document_block);
    check_rows(&proxy_document_block);
}
