#include "inject/manifest.h"
#include "inject_driver.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct manifest *manifest;
static struct manifest_problem problem;

static void parse(const char *text)
{
    const enum err e = manifest_parse(span_of(text), &manifest, &problem);
    cr_assert_eq(e, OK, "%s: %u:%u: %s", text, problem.line, problem.column, problem.why);
}

static void expect(const char *text, const char *wanted)
{
    parse(text);
    json_t *json = json_of(wanted);
    cr_expect(manifest->documents && json_equal(manifest->documents->json, json), "%s", text);
    json_decref(json);
    manifest_free(&manifest);
}

static void refuse(const char *text, uint32_t line, uint32_t column, const char *said)
{
    problem = (struct manifest_problem){.line = 0};
    const enum err e = manifest_parse(span_of(text), &manifest, &problem);
    cr_expect(e == ERR_INVALID || e == ERR_TOO_LARGE, "%s", text);
    cr_expect(problem.line == line && problem.column == column, "%s: at %u:%u", text, problem.line,
              problem.column);
    cr_expect(strstr(problem.why, said) != NULL, "%s: %s", text, problem.why);
}

Test(manifest, that_could_be_read_in_two_ways_is_refused)
{
    refuse("a: 1\nb: 2\na: 3\n", 3, 1, "key \"a\" is there twice");
    refuse("a: *b\n", 1, 4, "no anchor &b");
    refuse("a: &b [*b]\n", 1, 8, "stands within what it stands for");
    refuse("a: &b x\n*b : c\n", 2, 1, "a key");
    refuse("? [a]\n: b\n", 1, 3, "a key that is a list");
    refuse("&k a: 1\nb: *k\n", 2, 4, "a key");
    refuse("<<: x\n", 2, 1, "<< takes a block");
    refuse("\"a\\0\": 1\n", 1, 1, "NUL");
    refuse("a: b: c\n", 1, 5, "not valid YAML");
    refuse("a: \"\xC3\n", 1, 5, "UTF-8");
}

Test(manifest, that_is_too_much_is_refused)
{
    char deep[2 * MANIFEST_MAX_DEPTH + 4] = "", anchors[MANIFEST_MAX_ANCHORS * 16] = "[";
    memset(deep, '[', MANIFEST_MAX_DEPTH + 1);
    refuse(deep, 1, MANIFEST_MAX_DEPTH + 1, "64 deep");
    memset(deep + MANIFEST_MAX_DEPTH, ']', MANIFEST_MAX_DEPTH);
    parse(deep);
    manifest_free(&manifest);
    for (size_t i = 0; i <= MANIFEST_MAX_ANCHORS; i++)
        snprintf(anchors + strlen(anchors), sizeof anchors - strlen(anchors), "&a%zu x,\n", i);
    refuse(anchors, MANIFEST_MAX_ANCHORS + 1, 1, "256 anchors");
}

Test(manifest, counts_what_aliases_stand_for)
{
    char text[4096] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 9; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    problem.why[0] = '\0';
    cr_assert_eq(manifest_parse(span_of(text), &manifest, &problem), ERR_TOO_LARGE);
    cr_assert(strstr(problem.why, "aliases") != NULL);
}

Test(manifest, says_what_its_scalars_say)
{
    expect("[a, 'a', \"a\", 1, -1, '1', 1.5, 1e3, true, Yes, off, ~, null, NULL, '', nULL, y]",
           "['a','a','a',1,-1,'1',1.5,1000.0,true,true,false,null,null,null,'','nULL','y']");
    expect("[010, 0x1F, 1_000, .inf, 1., 99999999999999999999, 1e999, 2001-01-01]",
           "['010','0x1F','1_000','.inf',1.0,'99999999999999999999','1e999','2001-01-01']");
    expect("[!!str 1, !!int '1', !!null '', !own 1, ! 1, !!binary AA==, !!bool 'true']",
           "['1',1,null,'1','1','AA==',true]");
    expect("1: a\ntrue: b\n~: c\n", "{'1':'a','true':'b','~':'c'}");
    expect("a: |\n  x\n\nb: >-\n  y\n  z\n", "{'a':'x\\n','b':'y z'}");
    expect("a:\nb: {}\nc: []\n", "{'a':null,'b':{},'c':[]}");
    parse("# nothing\n");
    cr_expect(manifest->documents == NULL);
    manifest_free(&manifest);
}

Test(manifest, merges_after_what_is_written)
{
    expect("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", "{'a':{'x':1,'y':2},'b':{'y':3,'x':1}}");
    expect("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc:\n  <<: [*a, *b]\n",
           "{'a':{'x':1},'b':{'x':2,'z':3},'c':{'x':1,'z':3}}");
    expect("'<<': {x: 1}\n", "{'<<':{'x':1}}");
}

Test(manifest, reads_json_with_characters_in_two_halves)
{
    parse("{\"a\": \"\\ud83d\\ude00\", \"b\": 1}");
    cr_assert_eq(json_integer_value(json_object_get(manifest->documents->json, "b")), 1);
    cr_assert_eq(manifest->documents->root->end, strlen("{\"a\": \"\\ud83d\\ude00\", \"b\": 1}"));
    manifest_free(&manifest);
}

static struct span written(const struct manifest_node *node)
{
    return span_make(manifest->text.data + node->start.offset, node->end - node->start.offset);
}

static void expect_written(const struct manifest_node *node, const char *wanted)
{
    cr_expect(span_is(written(node), span_of(wanted)), "%.*s", SPAN_ARGS(written(node)));
}

Test(manifest, knows_the_bytes_of_each_value)
{
    parse("# \xC3\xA9\n\"\xE2\x9C\x93\": &x \"\xF0\x9F\x98\x80\"   # c\nlist:\n- a: 1\n  b: |\n"
          "    text\n\n- {c: d}\n# end\n---\nflow: [a, {b: c} ,]\n");
    const struct manifest_node *root = manifest->documents->root;
    const struct manifest_node *list = manifest_child(root, "list");
    expect_written(manifest_child(root, "\xE2\x9C\x93"), "&x \"\xF0\x9F\x98\x80\"");
    expect_written(manifest_child(list, "0"), "a: 1\n  b: |\n    text\n\n");
    cr_expect(manifest_child(list, "0")->has_whole_lines);
    cr_expect_not(list->has_whole_lines);
    expect_written(manifest_child(list, "1"), "{c: d}");
    cr_expect_eq(list->open.column, 0);
    cr_expect_eq(manifest->text.data[list->open.offset], '-');
    cr_expect_eq(manifest->documents->list_step, 0);
    const struct manifest_document *second = manifest->documents->next;
    const struct manifest_node *flow = manifest_child(second->root, "flow");
    expect_written(flow, "[a, {b: c} ,]");
    cr_expect_eq(flow->start.line, 11);
    cr_expect_eq(second->start, manifest->documents->end);
    cr_expect_eq(second->end, manifest->text.len);
    cr_expect(manifest_child(flow, "2") == NULL && manifest_child(flow, "x") == NULL);
    manifest_free(&manifest);
}

Test(manifest, knows_what_an_alias_shares)
{
    parse("a: &a {b: 1}\nc: &c {d: 2}\ne: *a\n");
    const struct manifest_node *root = manifest->documents->root;
    cr_expect(manifest_child(root, "a")->is_shared);
    cr_expect_not(manifest_child(root, "c")->is_shared);
    cr_expect_eq(manifest_child(root, "e")->kind, MANIFEST_ALIAS);
    manifest_free(&manifest);
}
