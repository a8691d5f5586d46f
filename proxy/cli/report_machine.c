/* report_machine.c - findings as JSON and as GitHub's workflow commands; see report.h. */
#include "cli/report.h"
#include "telemetry/text.h"

#include <string.h>

#define REPORT_BYTES_MAX ((size_t)16 << 20) /* a hundred findings of the longest kind are 1 MiB */

bool report_format_from(const char *word, enum report_format *format)
{
    static const char *const words[] = {"pretty", "json", "github", "sarif"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], word) != 0)
            continue;
        *format = (enum report_format)i;
        return true;
    }
    return false;
}

uint32_t report_end_column(const struct report *report, const struct place *place)
{
    struct span line = source_line(report->sources, place->file, place->line);
    if (line.data == NULL || place->column == 0)
        return 0;
    return place->column + source_width(line, place->column, place->length);
}

/* ---- json ---- */

static void put_number(struct text *out, const char *key, uint32_t number)
{
    text_printf(out, ",\"%s\":", key);
    if (number > 0)
        text_uint(out, number);
    else
        text_put(out, "null");
}

static void put_text(struct text *out, const char *key, const char *value)
{
    text_printf(out, ",\"%s\":", key);
    text_json(out, value);
}

static void put_place(const struct report *report, struct text *out, const struct place *place)
{
    text_put(out, "\"file\":");
    text_json(out, place->file);
    put_number(out, "line", place->line);
    put_number(out, "column", place->column);
    put_number(out, "endColumn", report_end_column(report, place));
}

static void put_finding(const struct report *report, struct text *out,
                        const struct diagnostic *item)
{
    struct place place = report_place(item);
    text_printf(out, "{\"code\":\"%s\",\"severity\":\"%s\",", diagnostic_id(item->code),
                item->severity == SEVERITY_ERROR ? "error" : "warning");
    put_place(report, out, &place);
    put_text(out, "path", item->path);
    put_text(out, "title", diagnostic_title(item->code));
    put_text(out, "message", item->message);
    put_text(out, "help", item->help);
    text_put(out, ",\"related\":[");
    if (item->related.line > 0) {
        text_char(out, '{');
        put_place(report, out, &item->related);
        put_text(out, "message", item->related_label);
        text_char(out, '}');
    }
    text_put(out, "]}");
}

static void write_out(struct text *text, FILE *out)
{
    if (text->is_broken)
        fputs("outrigger check: out of memory\n", stderr);
    else
        fwrite(text->data, 1, text->len, out);
    text_fini(text);
}

static int add_bytes(const char *bytes, size_t len, void *text)
{
    text_add(text, bytes, len);
    return 0;
}

static void put_plan(const json_t *plan, struct text *out)
{
    text_put(out, ",\n\"plan\":");
    json_dump_callback(plan, add_bytes, out, JSON_COMPACT);
}

void report_json(const struct report *report, FILE *out)
{
    const struct diagnostics *diag = report->diag;
    struct text text;
    text_init(&text, REPORT_BYTES_MAX);
    text_printf(&text,
                "{\"version\":1,\"errors\":%zu,\"warnings\":%zu,\"policies\":%zu,\"rules\":%zu,"
                "\"findings\":[",
                diag->errors, diag->warnings, report->policies, report->rules);
    for (size_t i = 0; i < diag->count; i++) {
        text_put(&text, i > 0 ? ",\n" : "\n");
        put_finding(report, &text, &diag->items[i]);
    }
    text_put(&text, diag->count > 0 ? "\n]" : "]");
    if (report->plan)
        put_plan(report->plan, &text);
    text_put(&text, "}\n");
    write_out(&text, out);
}

/* ---- github ---- */

static void put_escaped(FILE *out, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (strchr(escaped, *text))
            fprintf(out, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, out);
    }
}

static void put_property(FILE *out, const char *text)
{
    put_escaped(out, text, "%\r\n:,");
}

static void put_data(FILE *out, const char *text)
{
    put_escaped(out, text, "%\r\n");
}

static void put_command(const struct report *report, FILE *out, const struct diagnostic *item)
{
    struct place place = report_place(item);
    uint32_t end = report_end_column(report, &place);
    fprintf(out, "::%s file=", item->severity == SEVERITY_ERROR ? "error" : "warning");
    put_property(out, item->file);
    if (item->line > 0)
        fprintf(out, ",line=%u,endLine=%u,col=%u", item->line, item->line, item->column);
    if (end > 0)
        fprintf(out, ",endColumn=%u", end - 1); /* the last column itself */
    fprintf(out, ",title=%s ", diagnostic_id(item->code));
    put_property(out, diagnostic_title(item->code));
    fputs("::", out);
    put_data(out, item->path);
    put_data(out, *item->path ? ": " : "");
    put_data(out, item->message);
    put_data(out, *item->help ? " (" : "");
    put_data(out, item->help);
    fputs(*item->help ? ")\n" : "\n", out);
}

void report_github(const struct report *report, FILE *out)
{
    for (size_t i = 0; i < report->diag->count; i++)
        put_command(report, out, &report->diag->items[i]);
    size_t all = report->diag->errors + report->diag->warnings;
    if (all > report->diag->count)
        fprintf(out, "::error::and %zu more findings\n", all - report->diag->count);
}
