/* page.h - /metrics of a registry in a test, and questions about it. */
#ifndef OUTRIGGER_TESTS_PAGE_H
#define OUTRIGGER_TESTS_PAGE_H

#include "telemetry/exposition.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX ((size_t)64 << 20)

/* The whole page, NUL-terminated, to be freed. */
static inline char *page_of(struct metrics *metrics, enum exposition_format format)
{
    struct exposition_facts facts = {.log_dropped = 3, .events_dropped = 4};
    struct text text;
    text_init(&text, PAGE_MAX);
    metrics_read_begin(metrics);
    exposition_write(&text, metrics, format, &facts);
    metrics_read_end(metrics);
    text_char(&text, '\0');
    cr_assert_not(text.is_broken);
    return text.data;
}

static inline bool page_has(struct metrics *metrics, const char *line)
{
    char *page = page_of(metrics, EXPOSITION_PROMETHEUS);
    const char *at = strstr(page, line);
    bool is_line = at && (at == page || at[-1] == '\n') && at[strlen(line)] == '\n';
    free(page);
    return is_line;
}

/* How many series (lines that are no comment) contain `what`. */
static inline unsigned page_count(struct metrics *metrics, const char *what)
{
    char *page = page_of(metrics, EXPOSITION_PROMETHEUS);
    unsigned count = 0;
    char *rest = page;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        count += line[0] != '#' && line[0] != '\0' && strstr(line, what) ? 1 : 0;
    }
    free(page);
    return count;
}

/* One family's part of the page, from its HELP to the next family's, to be freed. */
static inline char *page_family(struct metrics *metrics, const char *family,
                                enum exposition_format format)
{
    char *page = page_of(metrics, format);
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "# HELP %s ", family);
    char *from = strstr(page, wanted);
    cr_assert_not_null(from, "there is no %s", family);
    char *to = strstr(from + 1, "# HELP ");
    char *part = to ? strndup(from, (size_t)(to - from)) : strdup(from);
    free(page);
    return part;
}

#define EXPECT_LINE(metrics, line) cr_assert(page_has(metrics, line), "not on the page: %s", line)
#define EXPECT_NO(metrics, what) cr_assert_eq(page_count(metrics, what), 0, "on the page: %s", what)

#endif
