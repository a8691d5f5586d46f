#include "cli/cmd_check.h"
#include "cli/cmd_schema.h"
#include "support.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GOOD                                                                                       \
    "{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: a}, spec: "     \
    "{targets: [{host: a}]"

static char folder[64], path[128];

static void set_up(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    snprintf(folder, sizeof folder, "/tmp/outrigger-check-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.yaml", folder);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(check, .init = set_up, .fini = tear_down);
TestSuite(schema, .init = set_up, .fini = tear_down);

static int run(const char *text, const char *option)
{
    if (text) {
        FILE *file = fopen(path, "we");
        fputs(text, file);
        fclose(file);
    }
    char *argv[] = {(char *)"check", (char *)option, path, NULL};
    if (option)
        return cmd_check(3, argv);
    return cmd_check(2, (char *[]){argv[0], path, NULL});
}

static void expect(const char *out, const char *err)
{
    fflush(stdout);
    fflush(stderr);
    if (*out)
        cr_assert_stdout_eq_str(out);
    if (*err)
        cr_assert_stderr_eq_str(err);
}

Test(check, of_good_policies_counts_them)
{
    cr_assert_eq(run(GOOD ", rules: [{name: r}]}}\n", NULL), 0);
    expect("ok: 1 policy, 1 rule, 0 warnings\n", "");
}

Test(check, of_a_proxy_config_alone_is_good)
{
    cr_assert_eq(
        run("{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: a}}\n", NULL),
        0);
    expect("ok: 0 policies, 0 rules, 0 warnings\n", "");
}

Test(check, of_a_bad_policy_is_1)
{
    char wanted[1024];
    cr_assert_eq(run(GOOD ",\n  retyr: {}}}\n", NULL), 1);
    snprintf(wanted, sizeof wanted,
             "error[OUT0201]: unknown key\n --> %s:2:3\n  |\n2 |   retyr: {}}}\n  |   ^^^^^\n  |\n"
             "  = note: spec.retyr\n  = note: A misspelt limit would silently be no limit.\n"
             "  = help: did you mean \"retry\"?\n\nFor more: outrigger explain OUT0201\n"
             "failed: 1 error, 0 warnings\n",
             path);
    expect("", wanted);
}

Test(check, of_a_warning_is_0)
{
    cr_assert_eq(run(GOOD ", bulkhead: {}}}\n", NULL), 0);
    expect("ok: 1 policy, 0 rules, 1 warning\n", "");
}

Test(check, of_a_warning_is_1_when_strict)
{
    cr_assert_eq(run(GOOD ", bulkhead: {}}}\n", "--strict"), 1);
}

Test(check, of_a_missing_file_is_2)
{
    char wanted[1024];
    cr_assert_eq(run(NULL, NULL), 2);
    snprintf(
        wanted, sizeof wanted,
        "error[OUT0101]: cannot be read: No such file or directory\n --> %s\n  = note: A policy "
        "that is not read does not protect; the proxy does not start without it.\n  = help: "
        "check the path\n\nFor more: outrigger explain OUT0101\nfailed: 1 error, 0 warnings\n",
        path);
    expect("", wanted);
}

Test(check, of_an_empty_folder_is_2)
{
    char wanted[1024];
    cr_assert_eq(cmd_check(2, (char *[]){(char *)"check", folder, NULL}), 2);
    snprintf(wanted, sizeof wanted,
             "outrigger check: there is no *.yaml file in %s\n"
             "Try: outrigger check policies/   (or: outrigger check --help)\n",
             folder);
    expect("", wanted);
}

Test(check, of_nothing_is_2)
{
    cr_assert_eq(cmd_check(1, (char *[]){(char *)"check", NULL}), 2);
    expect("", "outrigger check: no file or folder is named\n"
               "Try: outrigger check policies/   (or: outrigger check --help)\n");
}

Test(check, with_an_unknown_option_is_2)
{
    cr_assert_eq(run(NULL, "--strikt"), 2);
    expect("", "outrigger check: unknown option --strikt\n"
               "Try: outrigger check policies/   (or: outrigger check --help)\n");
}

Test(check, help_fits_a_screen)
{
    cr_assert_eq(run(NULL, "--help"), 0);
    fflush(stdout);
    char text[8192];
    FILE *out = cr_get_redirected_stdout();
    size_t len = fread(text, 1, sizeof text - 1, out), lines = 0, column = 0;
    for (size_t i = 0; i < len; i++) {
        column = text[i] == '\n' ? 0 : column + 1;
        lines += text[i] == '\n';
        cr_assert_leq(column, 100);
    }
    cr_assert(lines > 5 && lines <= 24);
}

Test(schema, with_an_unknown_argument_is_2)
{
    cr_assert_eq(cmd_schema(2, (char *[]){(char *)"schema", (char *)"--yaml", NULL}), 2);
    expect("", "outrigger schema: unknown argument --yaml\nTry: outrigger schema --help\n");
}

Test(schema, is_printed)
{
    FILE *file = tmpfile(); /* a pipe would not hold it */
    char first[3] = "";
    cr_assert(dup2(fileno(file), STDOUT_FILENO) >= 0);
    cr_assert_eq(cmd_schema(1, (char *[]){(char *)"schema", NULL}), 0);
    rewind(file);
    cr_assert_eq(fread(first, 1, 2, file), 2);
    cr_assert_str_eq(first, "{\n");
    fclose(file);
}
