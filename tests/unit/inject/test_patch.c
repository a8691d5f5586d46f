#include "inject/patch.h"
#include "inject_driver.h"

#include <criterion/criterion.h>

static void expect(const char *before, const char *patch, const char *wanted)
{
    json_t *document = json_of(before), *operations = json_of(patch), *after = json_of(wanted);
    cr_expect_eq(patch_apply(&document, operations), OK, "%s", patch);
    cr_expect(json_equal(document, after), "%s gave %s", patch,
              json_dumps(document, JSON_ENCODE_ANY));
    json_decref(document);
    json_decref(operations);
    json_decref(after);
}

static void refuse(const char *before, const char *patch)
{
    json_t *document = json_of(before), *operations = json_of(patch);
    cr_expect_eq(patch_apply(&document, operations), ERR_INVALID, "%s", patch);
    json_decref(document);
    json_decref(operations);
}

Test(patch, that_does_not_fit_is_refused)
{
    refuse("{'a':1}", "[{'op':'remove','path':'/b'}]");
    refuse("{'a':1}", "[{'op':'replace','path':'/b','value':1}]");
    refuse("{'a':1}", "[{'op':'add','path':'/a/b','value':1}]");
    refuse("{'a':1}", "[{'op':'add','path':'/b/c','value':1}]");
    refuse("{'a':1}", "[{'op':'add','path':'b','value':1}]");
    refuse("{'a':[1]}", "[{'op':'add','path':'/a/2','value':1}]");
    refuse("{'a':[1]}", "[{'op':'remove','path':'/a/1'}]");
    refuse("{'a':[1]}", "[{'op':'remove','path':'/a/-'}]");
    refuse("{'a':[1]}", "[{'op':'add','path':'/a/01','value':1}]");
    refuse("{'a':[1]}", "[{'op':'add','path':'/a/x','value':1}]");
    refuse("{'a':1}", "[{'op':'add','path':'/b'}]");
    refuse("{'a':1}", "[{'op':'remove','path':'/a','value':1}]");
    refuse("{'a':1}", "[{'path':'/a'}]");
}

Test(patch, is_applied_as_rfc_6902_says)
{
    expect("{'a':1}", "[]", "{'a':1}");
    expect("{'a':1}", "[{'op':'add','path':'/b','value':[2]}]", "{'a':1,'b':[2]}");
    expect("{'a':1}", "[{'op':'add','path':'/a','value':2}]", "{'a':2}");
    expect("{'a':[1,2]}", "[{'op':'add','path':'/a/1','value':3}]", "{'a':[1,3,2]}");
    expect("{'a':[1]}", "[{'op':'add','path':'/a/-','value':3}]", "{'a':[1,3]}");
    expect("{'a':[1,2,3]}", "[{'op':'remove','path':'/a/2'},{'op':'remove','path':'/a/0'}]",
           "{'a':[2]}");
    expect("{'a':[1]}", "[{'op':'replace','path':'/a/0','value':null}]", "{'a':[null]}");
    expect("{'a':1}", "[{'op':'replace','path':'','value':2}]", "2");
    expect("{'a':{'b/c~d':{}}}", "[{'op':'add','path':'/a/b~1c~0d/e','value':1}]",
           "{'a':{'b/c~d':{'e':1}}}");
}

Test(patch, has_pointers_with_their_prefix)
{
    char escaped[32];
    json_t *patch = json_array();
    pointer_escape("a/b~c", escaped, sizeof escaped);
    cr_assert_str_eq(escaped, "a~1b~0c");
    cr_assert(patch_add(patch, "/spec", "/x", json_integer(1)));
    cr_assert(patch_remove(patch, "", "/y"));
    cr_assert_not(patch_add(patch, "", "/z", NULL));
    json_t *wanted =
        json_of("[{'op':'add','path':'/spec/x','value':1},{'op':'remove','path':'/y'}]");
    cr_assert(json_equal(patch, wanted));
    json_decref(wanted);
    json_decref(patch);
}

Test(patch, has_pointers_that_end_where_a_token_is_too_long)
{
    char token[POINTER_TOKEN_MAX], path[POINTER_TOKEN_MAX + 8];
    struct span left = span_make(path, POINTER_TOKEN_MAX + 1);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    cr_assert_not(pointer_next(&left, token));
    left = span_make(path, POINTER_TOKEN_MAX);
    cr_assert(pointer_next(&left, token));
    cr_assert_eq(left.len, 0);
}
