#include "cli/source.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct sources sources;
static char path[64];

static void write_file(const char *text, size_t len)
{
    snprintf(path, sizeof path, "/tmp/outrigger-source-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static void tear_down(void)
{
    sources_fini(&sources);
    unlink(path);
}

TestSuite(source, .fini = tear_down);

static bool line_is(uint32_t number, const char *text)
{
    struct span line = source_line(&sources, path, number);
    return text ? line.data && span_is(line, span_of(text)) : line.data == NULL;
}

Test(source, has_lines_from_1)
{
    write_file("a\r\nb\n\nc", 7);
    cr_assert(line_is(0, NULL) && line_is(1, "a") && line_is(2, "b") && line_is(3, ""));
    cr_assert(line_is(4, "c") && line_is(5, NULL));
}

Test(source, of_a_missing_file_is_nothing)
{
    snprintf(path, sizeof path, "/tmp/outrigger-no-such-file");
    cr_assert(line_is(1, NULL));
    cr_assert_null(source_text(&sources, path).data);
}

Test(source, measures_a_place_in_characters)
{
    struct span line = SPAN("a: \xc3\xa9\xc3\xa9 b  # c");
    cr_assert_eq(source_width(line, 4, 2), 2);
    cr_assert_eq(source_width(line, 4, 0), 1);
    cr_assert_eq(source_width(line, 4, 900), 9);
    cr_assert_eq(source_width(line, 4, PLACE_REST_OF_LINE), 4); /* without the comment */
    cr_assert_eq(source_width(line, 99, 5), 1);
}

Test(source, excerpt_is_fit_for_a_terminal)
{
    struct source_excerpt excerpt;
    source_excerpt(SPAN("\ta\x1b[2J\xc2\x9b\xe2\x80\xae\xc3\xa9"), 2, 1, &excerpt);
    cr_assert_str_eq(excerpt.text, " a?[2J??\xc3\xa9");
    cr_assert(excerpt.indent == 1 && excerpt.width == 1);
}

Test(source, excerpt_of_a_long_line_is_around_the_place)
{
    char line[5000];
    struct source_excerpt excerpt;
    memset(line, 'x', sizeof line);
    memcpy(line + 3000, "here", 4);
    source_excerpt(span_make(line, sizeof line), 3001, 4, &excerpt);
    cr_assert_eq(strncmp(excerpt.text + excerpt.indent, "here", 4), 0);
    cr_assert(strlen(excerpt.text) == SOURCE_SHOWN_MAX + 6 && excerpt.width == 4);
    source_excerpt(span_make(line, sizeof line), 3001, 1900, &excerpt);
    cr_assert_eq(excerpt.indent + excerpt.width, SOURCE_SHOWN_MAX + 3);
    source_excerpt(span_make(line, sizeof line), 9000, 1, &excerpt);
    cr_assert_leq(excerpt.indent, SOURCE_SHOWN_MAX + 3);
}
