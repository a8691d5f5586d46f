/* diagnostics.c - a bounded list of findings in one arena; see diagnostics.h. */
#include "config/diagnostics.h"

#include <stdarg.h>
#include <string.h>

/* A hundred findings of the longest kind fit twice: errors may take the places of warnings. */
#define DIAGNOSTICS_MAX_BYTES (2048u * 1024)
#define MESSAGE_MAX 1024

struct diagnostic_info {
    const char *id;
    enum severity severity;
    const char *title;
};

static const struct diagnostic_info infos[DIAGNOSTIC_CODE_COUNT] = {
#define DIAGNOSTIC(name, code, severity, title) {code, SEVERITY_##severity, title},
#include "config/diagnostics.def"
#undef DIAGNOSTIC
};

void diagnostics_init(struct diagnostics *diag)
{
    memset(diag, 0, sizeof *diag);
    arena_init(&diag->arena, NULL, DIAGNOSTICS_MAX_BYTES);
}

void diagnostics_fini(struct diagnostics *diag)
{
    arena_fini(&diag->arena);
    memset(diag, 0, sizeof *diag);
}

/* What a file says must neither break the line nor drive the terminal (C0, DEL, C1 as UTF-8). */
static void clean(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        bool is_c1 = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
        if (is_c1)
            *at++ = '?';
        if (is_c1 || *at < ' ' || *at == 0x7F)
            *at = '?';
    }
}

static const char *keep(struct diagnostics *diag, const char *text)
{
    if (text == NULL || *text == '\0')
        return "";
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(&diag->arena, size);
    if (copy == NULL) {
        diag->is_out_of_memory = true;
        return "";
    }
    memcpy(copy, text, size);
    clean(copy);
    return copy;
}

bool diagnostics_are_full(const struct diagnostics *diag)
{
    return diag->errors >= DIAGNOSTICS_MAX;
}

bool diagnostics_has(const struct diagnostics *diag, enum diagnostic_code code, struct place place,
                     const char *message)
{
    for (size_t i = 0; i < diag->count; i++) {
        const struct diagnostic *item = &diag->items[i];
        if (item->code == code && item->line == place.line && item->column == place.column &&
            strcmp(item->message, message) == 0 && strcmp(item->file, place.file) == 0)
            return true;
    }
    return false;
}
static struct diagnostic *free_item(struct diagnostics *diag, enum severity severity)
{
    if (diag->count < DIAGNOSTICS_MAX)
        return &diag->items[diag->count++];
    for (size_t i = diag->count; severity == SEVERITY_ERROR && i > 0; i--)
        if (diag->items[i - 1].severity == SEVERITY_WARNING)
            return &diag->items[i - 1];
    return NULL;
}
/* Where a finding goes: an error takes the place of a warning when there is no other. */

void diagnostics_add(struct diagnostics *diag, enum diagnostic_code code, struct place place,
                     const char *path, const char *help, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    clean(message);

    place.file = place.file ? place.file : "";
    diag->last = NULL;
    if (diagnostics_has(diag, code, place,
                        message)) /* a rule is read with its document's fields below its own */
        return;
    enum severity severity = infos[code].severity;
    if (severity == SEVERITY_ERROR)
        diag->errors++;
    else
        diag->warnings++;
    struct diagnostic *item = free_item(diag, severity);
    if (item == NULL)
        return;
    *item = (struct diagnostic){.code = code,
                                .severity = severity,
                                .line = place.line,
                                .column = place.column,
                                .length = place.length,
                                .related_label = ""};
    item->file = keep(diag, place.file);
    item->path = keep(diag, path);
    item->message = keep(diag, message);
    item->help = keep(diag, help);
    diag->last = item;
}

void diagnostics_relate(struct diagnostics *diag, struct place place, const char *label)
{
    if (diag->last == NULL)
        return;
    diag->last->related = place;
    diag->last->related.file = keep(diag, place.file);
    diag->last->related_label = keep(diag, label);
}

static bool is_after(const struct diagnostic *a, const struct diagnostic *b)
{
    if (strcmp(a->file, b->file) != 0)
        return false;
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

void diagnostics_sort(struct diagnostics *diag)
{
    diag->last = NULL;
    for (size_t i = 1; i < diag->count; i++) {
        struct diagnostic moving = diag->items[i];
        size_t at = i;
        while (at > 0 && is_after(&diag->items[at - 1], &moving)) {
            diag->items[at] = diag->items[at - 1];
            at--;
        }
        diag->items[at] = moving;
    }
}

int diagnostics_format(const struct diagnostic *item, char *out, size_t size)
{
    char place[32] = "";
    if (item->line > 0)
        snprintf(place, sizeof place, "%u:%u:", item->line, item->column);
    return snprintf(out, size, "%s:%s%s %s%s%s%s%s%s [%s]", item->file, place,
                    item->severity == SEVERITY_WARNING ? " warning:" : "", item->path,
                    *item->path ? ": " : "", item->message, *item->help ? " (" : "", item->help,
                    *item->help ? ")" : "", infos[item->code].id);
}

void diagnostics_print(const struct diagnostics *diag, FILE *out)
{
    char line[4 * MESSAGE_MAX];
    for (size_t i = 0; i < diag->count; i++) {
        diagnostics_format(&diag->items[i], line, sizeof line);
        fprintf(out, "%s\n", line);
    }
    size_t all = diag->errors + diag->warnings;
    if (all > diag->count)
        fprintf(out, "and %zu more\n", all - diag->count);
    if (diag->is_out_of_memory)
        fprintf(out,
                "out of memory while the files were checked: the list above is not complete\n");
}

const char *diagnostic_id(enum diagnostic_code code)
{
    return infos[code].id;
}

enum severity diagnostic_severity(enum diagnostic_code code)
{
    return infos[code].severity;
}

const char *diagnostic_title(enum diagnostic_code code)
{
    return infos[code].title;
}
