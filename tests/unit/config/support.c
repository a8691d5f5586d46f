/* support.c - see support.h. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char buffer[64 * 1024];
static char policy[64 * 1024];

struct policy_set *loaded(const char *text)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    enum err e = policy_set_load_text("t.yaml", text, strlen(text), &set, &diag);
    if (e != OK)
        diagnostics_print(&diag, stderr);
    diagnostics_fini(&diag);
    cr_assert_eq(e, OK, "%s", err_text(e));
    return set;
}

const char *policy_text(const char *spec)
{
    int len = snprintf(
        policy, sizeof policy,
        "{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: p}, "
        "spec: {targets: [{host: \"*\"}], %s}}\n",
        spec);
    cr_assert_lt((size_t)len, sizeof policy);
    return policy;
}

struct policy_set *loaded_spec(const char *spec)
{
    return loaded(policy_text(spec));
}

const char *findings(const char *text)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    enum err e = policy_set_load_text("t.yaml", text, strlen(text), &set, &diag);
    cr_assert_eq(e, diag.errors ? ERR_INVALID : OK, "%s", err_text(e));
    cr_assert_eq(set == NULL, diag.errors > 0);
    memset(buffer, 0, sizeof buffer);
    FILE *out = fmemopen(buffer, sizeof buffer - 1, "w");
    cr_assert_not_null(out);
    diagnostics_print(&diag, out);
    fclose(out);
    diagnostics_fini(&diag);
    policy_set_unref(&set);
    return buffer;
}

const char *spec_findings(const char *spec)
{
    return findings(policy_text(spec));
}

char *file_text(const char *path)
{
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    size_t size = 1 << 20;
    char *text = malloc(size);
    cr_assert_not_null(text);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

const char *source_path(const char *relative)
{
    static char path[4096];
    static const char here[] = "tests/unit/config/support.c";
    size_t root = strlen(__FILE__) - strlen(here);
    cr_assert_str_eq(&__FILE__[root], here);
    snprintf(path, sizeof path, "%.*s%s", (int)root, __FILE__, relative);
    return path;
}
