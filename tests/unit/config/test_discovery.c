/* discovery: where addresses come from, and the file that may hold them. */
#include "config/effective.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/outrigger-discovery-XXXXXX";
static char policy_path[64];
static char list_path[64];

static void open_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(policy_path, sizeof policy_path, "%s/p.yaml", folder);
    snprintf(list_path, sizeof list_path, "%s/list.txt", folder);
}

static void close_folder(void)
{
    unlink(policy_path);
    unlink(list_path);
    rmdir(folder);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* A policy with `discovery: {file: list.txt}`, and the list beside it. */
static enum err load_list(const char *list, struct policy_set **out, struct diagnostics *diag)
{
    const char *const paths[] = {policy_path};
    write_file(policy_path, policy_text("discovery: {file: list.txt}"));
    if (list != NULL)
        write_file(list_path, list);
    diagnostics_init(diag);
    return policy_set_load(&(struct load_sources){.paths = paths, .path_count = 1}, out, diag);
}

static void is_refused(const char *spec, const char *finding)
{
    cr_assert(strstr(spec_findings(spec), finding), "%s\nnot in: %s", finding, spec_findings(spec));
}

Test(discovery, without_a_block_is_dns_alone)
{
    static const char *const specs[] = {"", "discovery: {}"};
    for (int i = 0; i < 2; i++) {
        struct policy_set *set = loaded_spec(specs[i]);
        const struct discovery_config *cfg = &set->documents[0].discovery;
        cr_assert_eq(discovery_places(cfg).count, 0u);
        cr_assert_null(cfg->srv);
        cr_assert_null(cfg->file);
        cr_assert_eq(set->side_file_count, 0u);
        policy_set_unref(&set);
    }
}

Test(discovery, reads_addresses_of_every_kind)
{
    struct policy_set *set =
        loaded_spec("discovery: {addresses: [\"10.0.0.1:80\", \"[FD00::1]:81\", \"A.example:82\", "
                    "\"unix:/run/x.sock\"]}");
    const struct address_list list = discovery_places(&set->documents[0].discovery);
    cr_assert_eq(list.count, 4u);
    cr_assert_eq(list.items[0].kind, ADDRESS_IPV4);
    cr_assert_str_eq(list.items[1].host, "fd00::1");
    cr_assert_eq(list.items[1].port, 81u);
    cr_assert_str_eq(list.items[2].host, "a.example");
    cr_assert_str_eq(list.items[3].text, "unix:/run/x.sock");
    policy_set_unref(&set);
}

Test(discovery, refuses_what_cannot_be_dialled)
{
    is_refused("discovery: {addresses: [10.0.0.1]}",
               "spec.discovery.addresses[0]: \"10.0.0.1\": the port is missing");
    is_refused("discovery: {addresses: [\"http://a:80\"]}", "without a scheme");
    is_refused("discovery: {addresses: [\"unix:x\"]}", "an absolute path");
    is_refused("discovery: {addresses: [{a: 1}]}", "expected an address such as");
    is_refused("discovery: {addresses: []}", "0 addresses (1 to 256)");
    is_refused("discovery: {addresses: \"10.0.0.1:80\"}", "expected a list");
    is_refused("discovery: {srv: \"a b\"}", "spec.discovery.srv: this is not the name of a record");
    is_refused("discovery: {srv: _a.b, addresses: [\"a:1\"]}",
               "spec.discovery.srv: the addresses come from elsewhere already");
    is_refused("discovery: {file: x, addresses: [\"a:1\"]}",
               "spec.discovery.file: the addresses come from elsewhere already");
    is_refused("rules: [{name: a, discovery: {}}]", "spec.rules[0].discovery: unknown key");
}

Test(discovery, reads_the_file_that_it_names_from_the_folder_of_the_policy, .init = open_folder,
     .fini = close_folder)
{
    struct diagnostics diag;
    struct policy_set *set = NULL;
    char first[17];
    cr_assert_eq(load_list("addresses: [\"10.0.0.1:80\", \"b:81\"]\n", &set, &diag), OK);
    diagnostics_fini(&diag);
    const struct discovery_config *cfg = &set->documents[0].discovery;
    cr_assert_eq(discovery_places(cfg).count, 2u);
    cr_assert_str_eq(discovery_places(cfg).items[1].text, "b:81");
    cr_assert_eq(set->side_file_count, 1u);
    cr_assert_str_eq(set->side_files[0], list_path);
    snprintf(first, sizeof first, "%s", set->hash);
    policy_set_unref(&set);
    cr_assert_eq(load_list("addresses: [\"10.0.0.2:80\", \"b:81\"]\n", &set, &diag), OK);
    diagnostics_fini(&diag);
    cr_assert_str_neq(set->hash, first, "other addresses are another configuration");
    policy_set_unref(&set);
}

static void list_is_refused(const char *list, const char *finding)
{
    struct diagnostics diag;
    struct policy_set *set = NULL;
    char text[1024];
    cr_assert_eq(load_list(list, &set, &diag), ERR_INVALID);
    diagnostics_format(&diag.items[0], text, sizeof text);
    cr_assert(strstr(text, finding), "%s\nnot in: %s", finding, text);
    diagnostics_fini(&diag);
}

Test(discovery, says_what_is_wrong_with_the_file_and_where, .init = open_folder,
     .fini = close_folder)
{
    list_is_refused(NULL, "p.yaml:1:");
    list_is_refused(NULL, "spec.discovery.file: No such file or directory");
    list_is_refused("", "spec.discovery.file: the file is empty");
    list_is_refused("addresses: [\"a:1\"]\n---\naddresses: [\"b:1\"]\n", "more than one document");
    list_is_refused("addresses: []\n", "list.txt:1:12: addresses: 0 addresses");
    list_is_refused("addresses:\n  - a:1\n  - b\n", "list.txt:3:5: addresses[1]: \"b\"");
    list_is_refused("- a:1\n", "list.txt:1:1: expected a block such as addresses");
    list_is_refused("endpoints: [\"a:1\"]\n", "list.txt:1:1");
    list_is_refused("addresses: [", "list.txt:");
    char *large = malloc(LOAD_MAX_FILE_BYTES + 2);
    memset(large, '#', LOAD_MAX_FILE_BYTES + 1);
    large[LOAD_MAX_FILE_BYTES + 1] = '\0';
    list_is_refused(large, "larger than 1 MiB");
    free(large);
    unlink(list_path);
    cr_assert_eq(symlink("/dev/zero", list_path), 0);
    list_is_refused(NULL, "not a regular file");
}

static void visit(const struct effective_field *field, void *context)
{
    if (strcmp(field->path, "discovery.addresses") == 0)
        snprintf(context, 64, "%s", field->text);
}

Test(discovery, is_shown_among_the_effective_values)
{
    char text[64] = "";
    struct policy_set *set = loaded_spec("discovery: {addresses: [\"a:1\", \"b:2\"]}");
    effective_document(&set->documents[0], visit, text);
    cr_assert_str_eq(text, "[a:1, b:2]");
    policy_set_unref(&set);
}
