/* report_sarif.c - findings as SARIF 2.1.0 (OASIS), for code scanning services; see report.h. The
 * rules are the table of codes, in its order, so that a rule's index is the code's number. */
#include "cli/report.h"
#include "config/explain.h"
#include "telemetry/text.h"

#include <string.h>

#define REPORT_BYTES_MAX ((size_t)16 << 20)
#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

static const char *level_of(enum severity severity)
{
    return severity == SEVERITY_ERROR ? "error" : "warning";
}

/* RFC 3986: what is not unreserved is encoded, save the slashes between segments. */
static void put_uri(struct text *out, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    text_put(out, path[0] == '/' ? "\"file://" : "\"");
    for (; *path; path++) {
        if (strchr(plain, *path))
            text_char(out, *path);
        else
            text_printf(out, "%%%02X", (unsigned char)*path);
    }
    text_char(out, '"');
}

static void put_message(struct text *out, const char *first, const char *second, const char *third)
{
    struct text joined;
    text_init(&joined, REPORT_BYTES_MAX);
    text_printf(&joined, "%s%s%s%s%s%s", first, *first ? ": " : "", second, *third ? " (" : "",
                third, *third ? ")" : "");
    text_put(out, "{\"text\":");
    text_json_span(out, text_span(&joined));
    text_char(out, '}');
    text_fini(&joined);
}

static void put_location(const struct report *report, struct text *out, const struct place *place)
{
    text_put(out, "\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
    put_uri(out, place->file);
    text_char(out, '}');
    if (place->line > 0) {
        uint32_t end = report_end_column(report, place);
        text_printf(out, ",\"region\":{\"startLine\":%u,\"startColumn\":%u,\"endLine\":%u",
                    place->line, place->column, place->line);
        if (end > 0)
            text_printf(out, ",\"endColumn\":%u", end);
        text_char(out, '}');
    }
    text_char(out, '}');
}

static void put_result(const struct report *report, struct text *out, const struct diagnostic *item)
{
    struct place place = report_place(item);
    text_printf(out, "{\"ruleId\":\"%s\",\"ruleIndex\":%d,\"level\":\"%s\",\"message\":",
                diagnostic_id(item->code), (int)item->code, level_of(item->severity));
    put_message(out, item->path, item->message, item->help);
    text_put(out, ",\"locations\":[{");
    put_location(report, out, &place);
    text_put(out, "}]");
    if (item->related.line > 0) {
        text_put(out, ",\"relatedLocations\":[{\"id\":1,\"message\":");
        put_message(out, "", item->related_label, "");
        text_char(out, ',');
        put_location(report, out, &item->related);
        text_put(out, "}]");
    }
    text_char(out, '}');
}

static void put_rule(struct text *out, enum diagnostic_code code)
{
    const struct explanation *explanation = diagnostic_explanation(code);
    text_printf(out, "{\"id\":\"%s\",\"shortDescription\":", diagnostic_id(code));
    put_message(out, "", diagnostic_title(code), "");
    text_put(out, ",\"fullDescription\":");
    put_message(out, "", explanation->means, "");
    text_put(out, ",\"help\":");
    put_message(out, "", explanation->why, "");
    text_printf(out, ",\"defaultConfiguration\":{\"level\":\"%s\"}}",
                level_of(diagnostic_severity(code)));
}

void report_sarif(const struct report *report, FILE *out)
{
    const struct diagnostics *diag = report->diag;
    struct text text;
    text_init(&text, REPORT_BYTES_MAX);
    text_put(&text, "{\"$schema\":\"" SCHEMA "\",\"version\":\"2.1.0\",\"runs\":[{\n\"tool\":"
                    "{\"driver\":{\"name\":\"outrigger check\",\"version\":\"" OUTRIGGER_VERSION
                    "\",\"rules\":[");
    for (int code = 0; code < DIAGNOSTIC_CODE_COUNT; code++) {
        text_put(&text, code > 0 ? ",\n" : "\n");
        put_rule(&text, (enum diagnostic_code)code);
    }
    text_put(&text, "\n]}},\n\"columnKind\":\"unicodeCodePoints\",\n\"results\":[");
    for (size_t i = 0; i < diag->count; i++) {
        text_put(&text, i > 0 ? ",\n" : "\n");
        put_result(report, &text, &diag->items[i]);
    }
    text_put(&text, diag->count > 0 ? "\n]}]}\n" : "]}]}\n");
    if (text.is_broken)
        fputs("outrigger check: out of memory\n", stderr);
    else
        fwrite(text.data, 1, text.len, out);
    text_fini(&text);
}
