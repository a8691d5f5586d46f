/* report_pretty.c - findings as rustc shows them: where, the line itself, why, what to do. See
 * report.h. */
#include "cli/report.h"
#include "config/explain.h"

#include <string.h>

#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"
#define BLUE "\033[1;34m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

struct pen {
    FILE *out;
    const struct report *report;
    int gutter; /* digits of the largest line number shown */
    bool is_told[DIAGNOSTIC_CODE_COUNT];
};

static void put(const struct pen *pen, const char *colour, const char *text)
{
    if (pen->report->has_colour)
        fprintf(pen->out, "%s%s" PLAIN, colour, text);
    else
        fputs(text, pen->out);
}

static int digits(uint32_t number)
{
    int count = 1;
    for (; number > 9; number /= 10)
        count++;
    return count;
}

static void put_bar(const struct pen *pen)
{
    fprintf(pen->out, "%*s ", pen->gutter, "");
    put(pen, BLUE, "|");
}

static void put_repeated(const struct pen *pen, const char *colour, const char *mark,
                         uint32_t times)
{
    char marks[SOURCE_SHOWN_MAX + 1] = "";
    for (uint32_t i = 0; i < times && i < SOURCE_SHOWN_MAX; i++)
        marks[i] = *mark;
    put(pen, colour, marks);
}

static void put_excerpt(const struct pen *pen, const struct place *place, const char *colour,
                        const char *mark)
{
    fprintf(pen->out, "%*s", pen->gutter, "");
    put(pen, BLUE, "--> ");
    fputs(place->file, pen->out);
    if (place->line > 0)
        fprintf(pen->out, ":%u:%u", place->line, place->column);
    fputc('\n', pen->out);
    struct span line = source_line(pen->report->sources, place->file, place->line);
    if (line.data == NULL)
        return;
    struct source_excerpt excerpt;
    source_excerpt(line, place->column, place->length, &excerpt);
    put_bar(pen);
    char number[16];
    snprintf(number, sizeof number, "%*u", pen->gutter, place->line);
    fputc('\n', pen->out);
    put(pen, BLUE, number);
    fputc(' ', pen->out);
    put(pen, BLUE, "|");
    fprintf(pen->out, " %s\n", excerpt.text);
    put_bar(pen);
    fprintf(pen->out, " %*s", (int)excerpt.indent, "");
    put_repeated(pen, colour, mark, excerpt.width);
    fputc('\n', pen->out);
}

/* Further lines of a text stand below its first one. */
static void put_remark(const struct pen *pen, const char *kind, const char *text)
{
    fprintf(pen->out, "%*s ", pen->gutter, "");
    put(pen, BLUE, "= ");
    put(pen, BOLD, kind);
    fputs(": ", pen->out);
    for (; *text; text++) {
        fputc(*text, pen->out);
        if (*text == '\n')
            fprintf(pen->out, "%*s", pen->gutter + 5 + (int)strlen(kind), "");
    }
    fputc('\n', pen->out);
}

struct place report_place(const struct diagnostic *item)
{
    return (struct place){item->file, item->line, item->column, item->length};
}

static void put_finding(struct pen *pen, const struct diagnostic *item)
{
    const bool is_error = item->severity == SEVERITY_ERROR;
    const char *colour = is_error ? RED : YELLOW;
    char head[32];
    uint32_t last = item->line > item->related.line ? item->line : item->related.line;
    pen->gutter = digits(last);
    snprintf(head, sizeof head, "%s[%s]", is_error ? "error" : "warning",
             diagnostic_id(item->code));
    put(pen, colour, head);
    put(pen, BOLD, ": ");
    put(pen, BOLD, item->message);
    fputc('\n', pen->out);
    struct place place = report_place(item);
    put_excerpt(pen, &place, colour, "^");
    if (item->line > 0) {
        put_bar(pen);
        fputc('\n', pen->out);
    }
    if (*item->path)
        put_remark(pen, "note", item->path);
    if (!pen->is_told[item->code])
        put_remark(pen, "note", diagnostic_explanation(item->code)->why);
    pen->is_told[item->code] = true;
    if (*item->help)
        put_remark(pen, "help", item->help);
    if (item->related.line > 0) {
        put(pen, BOLD, "note");
        fprintf(pen->out, ": %s\n", item->related_label);
        put_excerpt(pen, &item->related, BLUE, "-");
    }
    fputc('\n', pen->out);
}

static void put_codes(const struct pen *pen)
{
    size_t count = 0;
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        static const char *const before[] = {"For more: outrigger explain ", " (or ", ", "};
        if (!pen->is_told[code])
            continue;
        fprintf(pen->out, "%s%s", before[count < 2 ? count : 2],
                diagnostic_id((enum diagnostic_code)code));
        count++;
    }
    fputs(count > 1 ? ")\n" : "\n", pen->out);
}

void report_pretty(const struct report *report, FILE *out)
{
    struct pen pen = {.out = out, .report = report};
    const struct diagnostics *diag = report->diag;
    for (size_t i = 0; i < diag->count; i++)
        put_finding(&pen, &diag->items[i]);
    size_t all = diag->errors + diag->warnings;
    if (all > diag->count)
        fprintf(out, "and %zu more\n\n", all - diag->count);
    if (diag->is_out_of_memory)
        fputs("out of memory while the files were checked: the list above is not complete\n\n",
              out);
    if (diag->count > 0)
        put_codes(&pen);
}
