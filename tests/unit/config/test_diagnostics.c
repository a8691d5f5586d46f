/* Every kind of error with its exact text and place: each data/NAME.yaml has what is said of it in
 * data/NAME.txt. */
#include "config/schema.h"
#include "support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void compare(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "tests/unit/config/data/%s", name);
    char *text = file_text(source_path(path));
    snprintf(strrchr(path, '.'), 5, ".txt");
    char *wanted = file_text(source_path(path));
    const char *said = findings(text);
    cr_assert_str_eq(said, wanted, "%s says:\n%s\ninstead of:\n%s", name, said, wanted);
    free(text);
    free(wanted);
}

Test(diagnostics, of_each_kept_file_are_as_kept)
{
    DIR *folder = opendir(source_path("tests/unit/config/data"));
    size_t count = 0;
    cr_assert_not_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (strstr(entry->d_name, ".yaml") == NULL)
            continue;
        compare(entry->d_name);
        count++;
    }
    closedir(folder);
    cr_assert_geq(count, 8);
}

static struct diagnostics diag;

static void set_up(void)
{
    diagnostics_init(&diag);
}

static void tear_down(void)
{
    diagnostics_fini(&diag);
}

TestSuite(diagnostics, .init = set_up, .fini = tear_down);

static const char *line(size_t index)
{
    static char text[512];
    diagnostics_format(&diag.items[index], text, sizeof text);
    return text;
}

Test(diagnostics, are_written_with_what_is_known)
{
    diagnostics_add(&diag, DIAG_UNREADABLE, (struct place){"a", 0, 0, 0}, NULL, NULL, "bad");
    diagnostics_add(&diag, DIAG_NO_BUDGET, (struct place){"a", 1, 2, 0}, "spec.x", "do %d",
                    "bad %d", 7);
    diagnostics_add(&diag, DIAG_UNREADABLE, (struct place){NULL, 0, 0, 0}, "", "", "%s", "worse");
    cr_assert_str_eq(line(0), "a: bad [OUT0101]");
    cr_assert_str_eq(line(1), "a:1:2: warning: spec.x: bad 7 (do %d) [OUT0404]");
    cr_assert_str_eq(line(2), ": worse [OUT0101]");
    cr_assert(diag.errors == 2 && diag.warnings == 1);
}

Test(diagnostics, are_kept_once)
{
    for (int i = 0; i < 3; i++)
        diagnostics_add(&diag, DIAG_BAD_VALUE, (struct place){"a", 1, 1, 0}, "p", NULL, "same");
    diagnostics_add(&diag, DIAG_BAD_VALUE, (struct place){"a", 1, 2, 0}, "p", NULL, "same");
    diagnostics_add(&diag, DIAG_MISSING, (struct place){"a", 1, 1, 0}, "p", NULL, "same");
    diagnostics_add(&diag, DIAG_BAD_VALUE, (struct place){"b", 1, 1, 0}, "p", NULL, "same");
    cr_assert(diag.count == 4 && diag.errors == 4);
}

Test(diagnostics, are_sorted_by_place_within_a_file)
{
    static const struct place places[] = {
        {"b", 2, 1, 0}, {"b", 1, 9, 0}, {"b", 1, 3, 0}, {"a", 5, 1, 0}, {"a", 1, 1, 0}};
    for (size_t i = 0; i < 5; i++)
        diagnostics_add(&diag, DIAG_BAD_VALUE, places[i], NULL, NULL, "x");
    diagnostics_sort(&diag);
    cr_assert_str_eq(line(0), "b:1:3: x [OUT0203]");
    cr_assert_str_eq(line(1), "b:1:9: x [OUT0203]");
    cr_assert_str_eq(line(2), "b:2:1: x [OUT0203]");
    cr_assert_str_eq(line(3), "a:1:1: x [OUT0203]");
    cr_assert_str_eq(line(4), "a:5:1: x [OUT0203]");
}

Test(diagnostics, bear_the_longest_of_everything)
{
    static char long_text[8192];
    memset(long_text, 'x', sizeof long_text - 1);
    for (uint32_t i = 0; i < 2 * DIAGNOSTICS_MAX; i++)
        diagnostics_add(&diag, i < DIAGNOSTICS_MAX ? DIAG_NO_BUDGET : DIAG_BAD_VALUE,
                        (struct place){long_text + 4096, i, i, 0},
                        long_text + sizeof long_text - PATH_TEXT_MAX,
                        long_text + sizeof long_text - 512, "%s", long_text);
    cr_assert_not(diag.is_out_of_memory);
    for (size_t i = 0; i < DIAGNOSTICS_MAX; i++)
        cr_assert_eq(diag.items[i].severity, SEVERITY_ERROR);
    cr_assert(diag.errors == DIAGNOSTICS_MAX && diag.warnings == DIAGNOSTICS_MAX);
}

Test(diagnostics, have_codes_that_are_unique)
{
    for (int i = 0; i < DIAGNOSTIC_CODE_COUNT; i++) {
        cr_assert_eq(strlen(diagnostic_id((enum diagnostic_code)i)), 7);
        cr_assert_gt(strlen(diagnostic_title((enum diagnostic_code)i)), 10);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(diagnostic_id((enum diagnostic_code)i),
                              diagnostic_id((enum diagnostic_code)j));
    }
}

Test(diagnostics, cannot_drive_a_terminal)
{
    diagnostics_add(&diag, DIAG_BAD_VALUE, (struct place){"a\n", 1, 1, 0}, "p\x1b[2J", "\x7f",
                    "x\r\n\xc2\x9b y \xc3\xa9 \xc2\xa9");
    cr_assert_str_eq(line(0), "a?:1:1: p?[2J: x???? y \xc3\xa9 \xc2\xa9 (?) [OUT0203]");
}

Test(diagnostics, of_a_strange_key_stay_on_one_line)
{
    cr_assert_str_eq(findings("apiVersion: outrigger.dev/v1alpha1\nkind: ProxyConfig\nmetadata: "
                              "{name: a, \"x\\ny\": 1}\n"),
                     "t.yaml:3:21: metadata.x?y: unknown key (allowed: name, namespace, labels, "
                     "annotations) [OUT0201]\n");
}
