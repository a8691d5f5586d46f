#include "inject/splice.h"
#include "inject_driver.h"

#include <criterion/criterion.h>

static struct manifest_problem problem;

static enum err splice(const char *text, const char *patch, struct text *out)
{
    struct manifest *manifest = NULL;
    struct splice made;
    json_t *operations = json_of(patch);
    cr_assert_eq(manifest_parse(span_of(text), &manifest, &problem), OK, "%s", problem.why);
    splice_init(&made, manifest->text, manifest->documents);
    problem = (struct manifest_problem){.line = 0};
    enum err e = splice_add(&made, operations, &problem);
    if (e == OK)
        e = splice_write(&made, out);
    splice_fini(&made);
    manifest_free(&manifest);
    json_decref(operations);
    return e;
}

static void expect(const char *text, const char *patch, const char *wanted)
{
    struct text out;
    text_init(&out, 1 << 16);
    cr_expect_eq(splice(text, patch, &out), OK, "%s: %s", text, problem.why);
    cr_expect(span_is(text_span(&out), span_of(wanted)), "%s\ngave\n%.*s", text,
              SPAN_ARGS(text_span(&out)));
    text_fini(&out);
}

static void refuse(const char *text, const char *patch, uint32_t line, uint32_t column,
                   const char *said)
{
    struct text out;
    text_init(&out, 1 << 16);
    cr_expect_eq(splice(text, patch, &out), ERR_INVALID, "%s", text);
    cr_expect(problem.line == line && problem.column == column, "%s: at %u:%u", text, problem.line,
              problem.column);
    cr_expect(strstr(problem.why, said) != NULL, "%s: %s", text, problem.why);
    text_fini(&out);
}

#define ADD(path, value) "[{'op':'add','path':'" path "','value':" value "}]"
#define REMOVE(path) "[{'op':'remove','path':'" path "'}]"
#define REPLACE(path, value) "[{'op':'replace','path':'" path "','value':" value "}]"

Test(splice, refuses_what_would_change_something_else_too)
{
    refuse("a: &x {b: 1}\nc: *x\n", ADD("/c/d", "1"), 2, 4, "alias");
    refuse("a: &x {b: 1}\nc: *x\n", ADD("/a/d", "1"), 1, 4, "anchor");
    refuse("x: &x {a: {b: 1}}\nc:\n  <<: *x\n", ADD("/c/a/d", "1"), 3, 3, "merge key");
    refuse("x: &x {a: {b: 1}}\nc:\n  <<: *x\n", ADD("/c/a", "1"), 3, 3, "merge key");
    refuse("a: ~\n", ADD("/a", "[1]"), 1, 1, "write null");
    refuse("a: &n\n", ADD("/a", "[1]"), 1, 1, "write null");
    refuse("{a: }\n", ADD("/a", "[1]"), 1, 2, "write null");
    refuse("a:\n  b: |\n    x", ADD("/a/c", "1"), 2, 3, "line break");
    refuse("a: 1\n", REMOVE("/b"), 1, 1, "not written here");
    refuse("- a: 1\n", REMOVE("/0/a"), 1, 6, "shares its line");
}

Test(splice, puts_keys_behind_the_last)
{
    expect("a: 1\n", ADD("/b", "{'c':['d',{'e':true,'f':[]}]}"),
           "a: 1\nb:\n  c:\n    - d\n    - e: true\n      f: []\n");
    expect("a: 1 # c\n\n# end\n", ADD("/b", "'x'"), "a: 1 # c\nb: x\n\n# end\n");
    expect("a: 1", ADD("/b", "'x'"), "a: 1\nb: x");
    expect("a: 1\r\nb: 2", ADD("/c", "3"), "a: 1\r\nb: 2\r\nc: 3");
    expect("a:\n    b:\n    - c\n# d\ne: f\n", ADD("/a/g", "{'h':[1]}"),
           "a:\n    b:\n    - c\n    g:\n        h:\n        - 1\n# d\ne: f\n");
    expect("a:\n  b: |\n    x\n\nc: d\n", ADD("/a/e", "1"), "a:\n  b: |\n    x\n\n  e: 1\nc: d\n");
    expect("- a: 1\n-\n  a: 2\n", ADD("/0/b", "3"), "- a: 1\n  b: 3\n-\n  a: 2\n");
    expect("a: {}\n", ADD("/a/b~1c", "'{\\\"d\\\":1}'"), "a: {\"b/c\": \"{\\\"d\\\":1}\"}\n");
    expect("a: {b: c,}\n", ADD("/a/d", "[1]"), "a: {b: c, \"d\": [1],}\n");
}

Test(splice, puts_items_in_front_and_behind)
{
    expect("a:  # k\n  # first\n  - b\n", ADD("/a/0", "{'c':1,'d':2}"),
           "a:  # k\n  - c: 1\n    d: 2\n  # first\n  - b\n");
    expect("a:\n- b # c\n# d\n", ADD("/a/-", "'e'"), "a:\n- b # c\n- e\n# d\n");
    expect("a: [ b ]\n", ADD("/a/0", "'e'"), "a: [ \"e\", b ]\n");
    expect("a: [ b ]\n", ADD("/a/-", "'e'"), "a: [ b, \"e\" ]\n");
    expect("a: [ ]\n",
           "[{'op':'add','path':'/a/0','value':1},{'op':'add','path':'/a/1','value':2}]",
           "a: [1, 2 ]\n");
    expect("a:\n- b: c\n",
           "[{'op':'add','path':'/a/0','value':1},{'op':'add','path':'/a/1','value':2},"
           "{'op':'add','path':'/a/-','value':3},{'op':'add','path':'/d','value':4}]",
           "a:\n- 1\n- 2\n- b: c\n- 3\nd: 4\n");
}

Test(splice, puts_something_where_nothing_was)
{
    expect("a: # none\nb: c\n", ADD("/a", "[1]"), "a: # none\n  - 1\nb: c\n");
    expect("a:\nb: c\n", ADD("/a", "{'d':1}"), "a:\n  d: 1\nb: c\n");
    expect("a: null # n\n", ADD("/a", "[1]"), "a: [1] # n\n");
    expect("{\"a\": null}", ADD("/a", "{}"), "{\"a\": {}}");
}

Test(splice, takes_out_what_it_put_in)
{
    expect("a: 1\nb:\n  c: 2\n", REMOVE("/b"), "a: 1\n");
    expect("a: 1\r\nb: 2", REMOVE("/b"), "a: 1");
    expect("a:\n- 1\n# c\n- 2 # d\n- 3\n",
           "[{'op':'remove','path':'/a/2'},{'op':'remove','path':'/a/0'}]", "a:\n# c\n- 2 # d\n");
    expect("a: [1, 2 , 3]\n", "[{'op':'remove','path':'/a/2'},{'op':'remove','path':'/a/1'}]",
           "a: [1]\n");
    expect("a: [ 1, 2,  3]\n", "[{'op':'remove','path':'/a/1'},{'op':'remove','path':'/a/0'}]",
           "a: [ 3]\n");
    expect("a: {b: 1, c: 2}\n", REMOVE("/a/b"), "a: {c: 2}\n");
    expect("a:\n- b: 1\n  c: 2\n", REMOVE("/a/0/b"), "a:\n- c: 2\n");
    expect("a:  # none\n- 1\nb: 2\n", REPLACE("/a", "null"), "a:  # none\nb: 2\n");
    expect("a:\n- 1\nb: 2\n", REPLACE("/a", "[]"), "a: []\nb: 2\n");
    expect("a:\n  b: 1\n", REPLACE("/a", "{}"), "a: {}\n");
    expect("a: [ 1, 2 ]\n", REPLACE("/a", "[]"), "a: [  ]\n");
    expect("a: [1]\n", REPLACE("/a", "null"), "a: null\n");
}

Test(splice, quotes_what_yaml_would_take_for_something_else)
{
    expect("a: 1\n",
           ADD("/b", "['yes','Null','1','','a b','a: b','x # y','-','--set','n','http://x:1']"),
           "a: 1\nb:\n  - \"yes\"\n  - \"Null\"\n  - \"1\"\n  - \"\"\n  - \"a b\"\n  - \"a: b\"\n"
           "  - \"x # y\"\n  - \"-\"\n  - --set\n  - \"n\"\n  - http://x:1\n");
    expect("a: 1\n", ADD("/b", "'{it\\u0027s}'"), "a: 1\nb: '{it''s}'\n");
}
