#include "config/utf8.h"
#include "config/yaml_tree.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct arena arena;
static struct diagnostics diag;

static void set_up(void)
{
    arena_init(&arena, NULL, 64 << 20);
    diagnostics_init(&diag);
}

static void tear_down(void)
{
    arena_fini(&arena);
    diagnostics_fini(&diag);
}

TestSuite(yaml_tree, .init = set_up, .fini = tear_down);
TestSuite(node_merge, .init = set_up, .fini = tear_down);

static enum err parse(struct span text, struct node **documents)
{
    *documents = NULL;
    return yaml_tree_parse(&arena, "t.yaml", text, documents, &diag);
}

static struct node *good(const char *text)
{
    struct node *documents;
    enum err e = parse(span_of(text), &documents);
    diagnostics_print(&diag, stderr);
    cr_assert_eq(e, OK);
    cr_assert_eq(diag.errors, 0);
    return documents;
}

static void refused(struct span text, enum err wanted, enum diagnostic_code code, uint32_t line,
                    uint32_t column)
{
    struct node *documents;
    enum err e = parse(text, &documents);
    diagnostics_print(&diag, stderr);
    cr_assert_eq(e, wanted);
    cr_assert_eq(diag.errors, 1, "%zu", diag.errors);
    cr_assert_eq(diag.items[0].code, code);
    cr_assert(diag.items[0].line == line && diag.items[0].column == column, "%u:%u",
              diag.items[0].line, diag.items[0].column);
}

static char *repeat(const char *text, size_t times)
{
    size_t len = strlen(text);
    char *out = malloc(len * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(out + i * len, text, len);
    out[len * times] = '\0';
    return out;
}

Test(yaml_tree, of_nested_flow_ends_at_depth_32_at_once)
{
    char *bomb = repeat("[", 20000);
    clock_t start = clock();
    refused(span_of(bomb), ERR_INVALID, DIAG_YAML_LIMIT, 1, 33);
    cr_assert_lt((double)(clock() - start) / CLOCKS_PER_SEC, 0.05);
    free(bomb);
}

Test(yaml_tree, of_nested_blocks_ends_at_depth_32)
{
    char *bomb = repeat("{a: ", 20000);
    refused(span_of(bomb), ERR_INVALID, DIAG_YAML_LIMIT, 1, 129);
    free(bomb);
}

Test(yaml_tree, of_nested_dashes_ends_at_depth_32)
{
    char *bomb = repeat("- ", 20000);
    refused(span_of(bomb), ERR_INVALID, DIAG_YAML_LIMIT, 1, 65);
    free(bomb);
}

Test(yaml_tree, may_be_32_deep)
{
    char *open = repeat("[", 32), *close = repeat("]", 32), text[80];
    snprintf(text, sizeof text, "%s%s", open, close);
    good(text);
    free(open);
    free(close);
}

Test(yaml_tree, has_bounded_nodes)
{
    char *items = repeat("- a\n", YAML_MAX_NODES);
    refused(span_of(items), ERR_INVALID, DIAG_YAML_LIMIT, YAML_MAX_NODES, 3);
    free(items);
}

Test(yaml_tree, has_bounded_values)
{
    char *value = repeat("a", YAML_MAX_SCALAR_BYTES + 1);
    refused(span_of(value), ERR_INVALID, DIAG_YAML_LIMIT, 1, 1);
    diagnostics_fini(&diag);
    diagnostics_init(&diag);
    value[YAML_MAX_SCALAR_BYTES] = '\0';
    cr_assert_eq(good(value)->text.len, YAML_MAX_SCALAR_BYTES);
    free(value);
}

Test(yaml_tree, has_bounded_blocks)
{
    char text[4096];
    size_t len = 0;
    for (int i = 0; i <= YAML_MAX_KEYS; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "k%d: 1\n", i);
    refused(span_make(text, len), ERR_INVALID, DIAG_YAML_LIMIT, YAML_MAX_KEYS + 1, 1);
}

Test(yaml_tree, refuses_a_duplicate_key_and_reads_on)
{
    refused(SPAN("a: 1\nb: 2\na: 3\n"), OK, DIAG_DUPLICATE_KEY, 3, 1);
    cr_assert_str_eq(diag.items[0].help, "it stands in line 1 already: remove one of them");
}

Test(yaml_tree, refuses_a_key_that_is_duplicate_only_after_unescaping)
{
    refused(SPAN("a: 1\n\"\\x61\": 3\n"), OK, DIAG_DUPLICATE_KEY, 2, 1);
}

Test(yaml_tree, refuses_an_anchor)
{
    refused(SPAN("a: &x 1\n"), OK, DIAG_YAML_FEATURE, 1, 4);
}

Test(yaml_tree, refuses_an_anchor_on_a_list)
{
    refused(SPAN("a: &x [1]\n"), OK, DIAG_YAML_FEATURE, 1, 4);
}

Test(yaml_tree, refuses_an_anchor_on_a_key)
{
    refused(SPAN("&x a: 1\n"), OK, DIAG_YAML_FEATURE, 1, 1);
}

Test(yaml_tree, refuses_an_alias)
{
    refused(SPAN("a: *x\n"), OK, DIAG_YAML_FEATURE, 1, 4);
}

Test(yaml_tree, refuses_an_alias_as_key)
{
    refused(SPAN("? *x\n: 1\n"), ERR_INVALID, DIAG_YAML_FEATURE, 1, 3);
}

Test(yaml_tree, refuses_a_tag)
{
    refused(SPAN("a: !!str 1\n"), OK, DIAG_YAML_FEATURE, 1, 4);
}

Test(yaml_tree, refuses_a_tag_on_a_block)
{
    refused(SPAN("a: !mine {b: 1}\n"), OK, DIAG_YAML_FEATURE, 1, 4);
}

Test(yaml_tree, refuses_a_list_as_key)
{
    refused(SPAN("? [a]\n: 1\n"), ERR_INVALID, DIAG_YAML_SYNTAX, 1, 3);
}

Test(yaml_tree, refuses_tabs_as_indentation)
{
    refused(SPAN("a:\n\tb: 1\n"), ERR_INVALID, DIAG_YAML_SYNTAX, 2, 1);
    cr_assert(strstr(diag.items[0].help, "not tabs"));
}

Test(yaml_tree, refuses_an_escaped_nul)
{
    refused(SPAN("a: \"x\\0y\"\n"), ERR_INVALID, DIAG_NOT_UTF8, 1, 4);
}

Test(yaml_tree, refuses_a_nul_byte)
{
    refused(SPAN("a: 1\nb: \0\n"), ERR_INVALID, DIAG_NOT_UTF8, 2, 4);
}

Test(yaml_tree, refuses_control_characters)
{
    refused(SPAN("a: 1\nb: x\x01\n"), ERR_INVALID, DIAG_YAML_SYNTAX, 2, 5);
}

Test(yaml_tree, counts_columns_in_characters)
{
    refused(SPAN("\xc3\xa9\xc3\xa9: \xff\n"), ERR_INVALID, DIAG_NOT_UTF8, 1, 5);
}

Test(yaml_tree, leaves_out_empty_documents)
{
    cr_assert_null(good(""));
    cr_assert_null(good("# nothing\n---\n---\n...\n"));
    const struct node *two = good("---\na: 1\n---\n---\nb: 2\n");
    cr_assert(node_get(two, "a") && node_get(two->next, "b") && two->next->next == NULL);
}

Test(yaml_tree, keeps_places_and_kinds)
{
    const struct node *root = good("a: [x, 'y']\nb:\n  c: ~\n  d: null\n  e: \"null\"\n  f:\n");
    const struct node *list = node_get(root, "a"), *block = node_get(root, "b");
    cr_assert(list->kind == NODE_LIST && list->count == 2 && list->line == 1 && list->column == 4);
    cr_assert(list->first->next->is_quoted && !list->first->is_quoted);
    cr_assert(block->kind == NODE_BLOCK && block->key_line == 2 && block->key_column == 1 &&
              block->line == 3);
    cr_assert_eq(node_get(block, "c")->kind, NODE_NULL);
    cr_assert_eq(node_get(block, "d")->kind, NODE_NULL);
    cr_assert_eq(node_get(block, "e")->kind, NODE_SCALAR);
    cr_assert_eq(node_get(block, "f")->kind, NODE_NULL);
    cr_assert_null(node_get(list, "a"));
    cr_assert_null(node_get(NULL, "a"));
}

Test(yaml_tree, may_begin_with_a_byte_order_mark)
{
    cr_assert_not_null(node_get(good("\xef\xbb\xbf"
                                     "a: 1\n"),
                                "a"));
}

Test(utf8, that_is_not_utf8_is_found)
{
    static const struct {
        struct span text;
        size_t bad;
    } cases[] = {{{"a\0b", 3}, 1},
                 {{"a\x80", 2}, 1},
                 {{"\xc0\xaf", 2}, 0},
                 {{"\xc1\xbf", 2}, 0},
                 {{"\xe0\x9f\xbf", 3}, 0},
                 {{"\xed\xa0\x80", 3}, 0},
                 {{"\xf0\x8f\xbf\xbf", 4}, 0},
                 {{"\xf4\x90\x80\x80", 4}, 0},
                 {{"\xf5\x80\x80\x80", 4}, 0},
                 {{"ab\xe2\x82", 4}, 2},
                 {{"\xe2\x28\xa1", 3}, 0},
                 {{"\xe2\x82\x28", 3}, 0},
                 {{"\xff", 1}, 0},
                 {{"\xc3", 1}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bad = 99;
        cr_assert_not(utf8_is_valid(cases[i].text, &bad), "%zu", i);
        cr_assert_eq(bad, cases[i].bad, "%zu", i);
    }
}

Test(utf8, is_taken_to_its_bounds)
{
    size_t bad = 99;
    cr_assert(utf8_is_valid(SPAN(""), &bad));
    cr_assert(
        utf8_is_valid(SPAN("a\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
                           "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
                      &bad));
    cr_assert_eq(bad, 99);
}

static const char *text_of(const struct node *block, const char *key)
{
    return node_get(block, key)->text.data;
}

Test(node_merge, takes_the_upper_field_at_every_level)
{
    const struct node *below = good("{a: 1, b: {c: 1, d: 1}, e: [1, 2], f: {g: 1}}");
    const struct node *above = good("{a: 2, b: {d: 2, x: 2}, e: [3], f: 2}");
    const struct node *merged = node_merge(&arena, below, above);
    cr_assert_eq(merged->count, 4);
    cr_assert_str_eq(text_of(merged, "a"), "2");
    cr_assert_str_eq(text_of(node_get(merged, "b"), "c"), "1");
    cr_assert_str_eq(text_of(node_get(merged, "b"), "d"), "2");
    cr_assert_str_eq(text_of(node_get(merged, "b"), "x"), "2");
    cr_assert_eq(node_get(merged, "e")->count, 1);
    cr_assert_str_eq(text_of(merged, "f"), "2");
    cr_assert_eq(below->count, 4);
    cr_assert_eq(node_get(below, "b")->count, 2);
}

Test(node_merge, of_one_side_is_that_side)
{
    const struct node *only = good("{a: {b: 1}}");
    cr_assert_str_eq(text_of(node_get(node_merge(&arena, only, NULL), "a"), "b"), "1");
    cr_assert_str_eq(text_of(node_get(node_merge(&arena, NULL, only), "a"), "b"), "1");
    cr_assert_null(node_merge(&arena, NULL, NULL));
}

Test(utf8, is_cut_between_characters)
{
    static const struct span text = {"a\xc3\xa9\xe2\x82\xac", 6};
    static const size_t wanted[] = {0, 1, 1, 3, 3, 3, 6, 6};
    for (size_t max = 0; max < 8; max++)
        cr_assert_eq(utf8_cut(text, max), wanted[max], "%zu", max);
}
