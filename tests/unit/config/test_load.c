#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLICY(name, host)                                                                         \
    "{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: " name          \
    "}, spec: {targets: [{host: " host "}]}}\n"

static char folder[64];
static struct policy_set *set;
static struct diagnostics diag;

static const char *in(const char *name)
{
    static char path[8][256];
    static int next;
    char *out = path[next++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in(name), "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/outrigger-load-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    diagnostics_init(&diag);
}

static void tear_down(void)
{
    char command[128];
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(load, .init = set_up, .fini = tear_down);

static enum err load(const char *a, const char *b)
{
    const char *paths[] = {a, b};
    enum err e = policy_set_load(&(struct load_sources){.paths = paths, .path_count = b ? 2 : 1},
                                 &set, &diag);
    diagnostics_print(&diag, stderr);
    return e;
}

Test(load, of_nothing_is_the_defaults)
{
    cr_assert_eq(
        policy_set_load(&(struct load_sources){.paths = NULL, .path_count = 0}, &set, &diag), OK);
    cr_assert(set->document_count == 0 && set->file_count == 0 && set->proxy.outbound.is_default);
}

Test(load, of_a_folder_takes_yaml_files_by_name)
{
    write_file("b.yaml", POLICY("b", "b"));
    write_file("a.yaml", POLICY("a", "a") "---\n" POLICY("a2", "a2"));
    write_file("c.yml", "not read");
    write_file("README.md", "not read");
    write_file(".hidden.yaml", "not: read");
    cr_assert_eq(mkdir(in("d.yaml"), 0700), 0);
    cr_assert_eq(load(folder, NULL), OK);
    cr_assert_eq(set->document_count, 3);
    cr_assert_str_eq(set->documents[0].name, "a");
    cr_assert_str_eq(set->documents[1].name, "a2");
    cr_assert_str_eq(set->documents[2].name, "b");
    cr_assert_eq(set->documents[2].index, 2);
    cr_assert_eq(set->file_count, 2);
    cr_assert_str_eq(set->files[0], in("a.yaml"));
    cr_assert_str_eq(set->documents[0].file, in("a.yaml"));
}

Test(load, of_a_config_map_follows_its_links)
{
    cr_assert_eq(mkdir(in("..2026_01"), 0700), 0);
    write_file("..2026_01/p.yaml", POLICY("p", "p"));
    cr_assert_eq(symlink("..2026_01", in("..data")), 0);
    cr_assert_eq(symlink("..data/p.yaml", in("p.yaml")), 0);
    cr_assert_eq(load(folder, NULL), OK);
    cr_assert(set->document_count == 1 && set->file_count == 1);
}

Test(load, of_a_dangling_link_is_an_error)
{
    cr_assert_eq(symlink("nowhere", in("p.yaml")), 0);
    cr_assert_eq(load(folder, NULL), ERR_NOT_FOUND);
    cr_assert_eq(diag.items[0].code, DIAG_UNREADABLE);
}

Test(load, of_a_missing_path_says_which_and_reads_on)
{
    write_file("a.yaml", "x: 1\n");
    cr_assert_eq(load(in("none.yaml"), in("a.yaml")), ERR_NOT_FOUND);
    cr_assert_str_eq(diag.items[0].file, in("none.yaml"));
    cr_assert_str_eq(diag.items[0].message, "cannot be read: No such file or directory");
    cr_assert_gt(diag.errors, 1);
    cr_assert_null(set);
}

Test(load, of_an_unreadable_file_says_so)
{
    write_file("a.yaml", POLICY("a", "a"));
    cr_assert_eq(chmod(in("a.yaml"), 0), 0);
    if (access(in("a.yaml"), R_OK) == 0) /* root may */
        cr_skip_test("runs as root");
    cr_assert_eq(load(in("a.yaml"), NULL), ERR_ACCESS);
}

Test(load, of_files_that_contradict_each_other_names_both)
{
    write_file("a.yaml", POLICY("a", "x"));
    write_file("b.yaml", POLICY("b", "x"));
    cr_assert_eq(load(in("b.yaml"), in("a.yaml")), ERR_INVALID);
    cr_assert_str_eq(diag.items[0].file, in("a.yaml"));
    cr_assert_not_null(strstr(diag.items[0].message, "b.yaml:1 already"));
}

Test(load, of_an_empty_folder_is_an_empty_set)
{
    cr_assert_eq(load(folder, NULL), OK);
    cr_assert(set->document_count == 0 && set->file_count == 0);
}

Test(load, refuses_a_file_of_more_than_a_mebibyte)
{
    char *big = malloc(LOAD_MAX_FILE_BYTES + 2);
    memset(big, '#', LOAD_MAX_FILE_BYTES + 1);
    big[LOAD_MAX_FILE_BYTES + 1] = '\0';
    write_file("a.yaml", big);
    cr_assert_eq(load(in("a.yaml"), NULL), ERR_INVALID);
    cr_assert_eq(diag.items[0].code, DIAG_FILE_TOO_LARGE);
    big[LOAD_MAX_FILE_BYTES] = '\0';
    write_file("a.yaml", big);
    diagnostics_fini(&diag);
    diagnostics_init(&diag);
    cr_assert_eq(load(in("a.yaml"), NULL), OK);
    free(big);
}

Test(load, refuses_a_folder_of_thousands_of_files)
{
    for (int i = 0; i <= LOAD_MAX_FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.yaml", i);
        write_file(name, "");
    }
    cr_assert_eq(load(folder, NULL), ERR_INVALID);
    cr_assert_eq(diag.items[0].code, DIAG_TOO_MANY_FILES);
}

Test(load, refuses_more_policies_than_memory_is_set_aside_for)
{
    static char text[2 * LOAD_MAX_FILE_BYTES];
    size_t len = 0;
    for (int i = 0; i < 60; i++) {
        len += (size_t)snprintf(
            text + len, sizeof text - len,
            "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: "
            "d%d}, spec: {targets: [{host: h%d}], rules: [",
            i, i);
        for (int j = 0; j < 250; j++)
            len += (size_t)snprintf(text + len, sizeof text - len, "{name: r%d},", j);
        len += (size_t)snprintf(text + len, sizeof text - len, "]}}\n");
    }
    const char *paths[8];
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.yaml", i);
        write_file(name, text);
        paths[i] = in(name);
    }
    cr_assert_eq(
        policy_set_load(&(struct load_sources){.paths = paths, .path_count = 8}, &set, &diag),
        ERR_INVALID);
    diagnostics_print(&diag, stderr);
    cr_assert(diag.errors == 1 && diag.warnings > DIAGNOSTICS_MAX);
    size_t found = 0;
    for (size_t i = 0; i < diag.count; i++)
        found += diag.items[i].code ==
                 DIAG_TOO_MANY_FILES; /* an error, among more warnings than are kept */
    cr_assert_eq(found, 1);
}

Test(load, hashes_what_the_files_say)
{
    char first[17];
    write_file("a.yaml", POLICY("a", "a"));
    cr_assert_eq(load(in("a.yaml"), NULL), OK);
    memcpy(first, set->hash, sizeof first);
    cr_assert_eq(strlen(first), 16);
    policy_set_unref(&set);
    cr_assert_eq(load(folder, NULL), OK);
    cr_assert_str_eq(set->hash, first);
    policy_set_unref(&set);
    write_file("a.yaml", POLICY("a", "b"));
    cr_assert_eq(load(folder, NULL), OK);
    cr_assert_str_neq(set->hash, first);
}

Test(load, leaves_the_result_alone_when_it_fails)
{
    write_file("bad.yaml", "a: 1\n");
    write_file("good.yaml", POLICY("a", "a"));
    cr_assert_eq(load(in("good.yaml"), NULL), OK);
    struct policy_set *running = set;
    cr_assert_eq(load(in("bad.yaml"), NULL), ERR_INVALID);
    cr_assert_eq(set, running);
}

Test(load, keeps_a_hundred_errors_and_counts_the_rest)
{
    static char text[8192];
    size_t len = (size_t)snprintf(text, sizeof text, "a: 1\n---\n");
    for (int i = 0; i < 150; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "x\n---\n");
    write_file("bad.yaml", text);
    cr_assert_eq(load(in("bad.yaml"), NULL), ERR_INVALID);
    cr_assert(diag.count == DIAGNOSTICS_MAX && diag.errors == 152, "%zu", diag.errors);
    char out[65536] = "";
    FILE *file = fmemopen(out, sizeof out - 1, "w");
    diagnostics_print(&diag, file);
    fclose(file);
    cr_assert_not_null(strstr(out, "\nand 52 more\n"));
}

Test(load, of_the_shipped_policies_finds_nothing)
{
    cr_assert_eq(load(source_path("policies"), NULL), OK);
    cr_assert(set->document_count == 3 && diag.warnings == 0 && diag.errors == 0);
    const struct policy *fallback = &policy_set_find(set, SPAN("anything"), 80)->policy;
    cr_assert(fallback->breaker.open_for == NS_PER_S &&
              fallback->breaker.max_open_for == 4 * NS_PER_S);
    cr_assert(fallback->timeouts.backend_request <= 3 * NS_PER_S &&
              fallback->timeouts.backend_request > 0);
    cr_assert_eq(fallback->bulkhead.mode, POLICY_ENFORCE);
    cr_assert(fallback->retry.attempts > 0 && fallback->retry.budget.mode == POLICY_ENFORCE);
}
