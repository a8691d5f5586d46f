/* source.c - see source.h. */
#include "cli/source.h"

#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_BEFORE 40 /* characters of a long line that are shown before the place */

struct source_file {
    struct source_file *next;
    char *name;
    char *text; /* NULL: cannot be read */
    size_t len;
};

void sources_fini(struct sources *sources)
{
    while (sources->first) {
        struct source_file *gone = sources->first;
        sources->first = gone->next;
        free(gone->name);
        free(gone->text);
        free(gone);
    }
}

static void file_read(struct source_file *source)
{
    FILE *file = fopen(source->name, "re");
    if (file == NULL)
        return;
    source->text = malloc(LOAD_MAX_FILE_BYTES + 1);
    if (source->text)
        source->len = fread(source->text, 1, LOAD_MAX_FILE_BYTES + 1, file);
    if (source->len > LOAD_MAX_FILE_BYTES || ferror(file)) {
        free(source->text);
        source->text = NULL;
        source->len = 0;
    }
    fclose(file);
}

struct span source_text(struct sources *sources, const char *file)
{
    struct source_file *source = sources->first;
    while (source && strcmp(source->name, file) != 0)
        source = source->next;
    if (source == NULL) {
        source = calloc(1, sizeof *source);
        char *name = strdup(file);
        if (source == NULL || name == NULL) {
            free(source);
            free(name);
            return SPAN_NONE;
        }
        source->name = name;
        source->next = sources->first;
        sources->first = source;
        file_read(source);
    }
    return source->text ? span_make(source->text, source->len) : SPAN_NONE;
}

struct span source_line(struct sources *sources, const char *file, uint32_t line)
{
    struct span text = source_text(sources, file);
    const char *at = text.data, *end = text.data + text.len;
    for (uint32_t i = 1; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    if (at == NULL || at > end || line == 0)
        return SPAN_NONE;
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((stop ? stop : end) - at);
    if (len > 0 && at[len - 1] == '\r')
        len--;
    return span_make(at, len);
}

/* ---- characters ---- */

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static uint32_t characters(struct span text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += starts_character(text.data[i]);
    return count;
}

static size_t offset_of(struct span text, uint32_t character)
{
    size_t at = 0;
    while (at < text.len && (character > 0 || !starts_character(text.data[at]))) {
        at++;
        if (at == text.len || starts_character(text.data[at]))
            character--;
    }
    return at;
}

uint32_t source_width(struct span line, uint32_t column, uint32_t length)
{
    size_t start = offset_of(line, column > 0 ? column - 1 : 0);
    struct span rest = span_make(line.data + start, line.len - start);
    if (length == PLACE_REST_OF_LINE) {
        for (size_t i = 1; i < rest.len; i++)
            if (rest.data[i] == '#' && rest.data[i - 1] == ' ')
                rest.len = i;
        while (rest.len > 0 && (rest.data[rest.len - 1] == ' ' || rest.data[rest.len - 1] == '\t'))
            rest.len--;
    }
    uint32_t most = characters(rest);
    uint32_t width = length < most ? length : most;
    return width > 0 ? width : 1;
}

/* Controls drive a terminal, bidi controls show a text in another order than it is read. */
static bool is_unfit(const unsigned char *at, size_t len)
{
    if (len == 1)
        return at[0] < ' ' || at[0] == 0x7F || at[0] >= 0x80;
    if (len == 2)
        return at[0] == 0xC2 && at[1] < 0xA0;
    return len == 3 && at[0] == 0xE2 &&
           ((at[1] == 0x80 && at[2] >= 0xAA && at[2] <= 0xAE) ||
            (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9));
}

static size_t copy_clean(struct span text, char *out)
{
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        size_t bytes = 1;
        while (at + bytes < text.len && bytes < 4 && !starts_character(text.data[at + bytes]))
            bytes++;
        bool is_tab = text.data[at] == '\t';
        if (is_tab || is_unfit((const unsigned char *)text.data + at, bytes)) {
            out[len++] = is_tab ? ' ' : '?';
        } else {
            memcpy(out + len, text.data + at, bytes);
            len += bytes;
        }
        at += bytes;
    }
    return len;
}

void source_excerpt(struct span line, uint32_t column, uint32_t length,
                    struct source_excerpt *excerpt)
{
    uint32_t all = characters(line);
    uint32_t before = column > 0 ? column - 1 : 0;
    before = before < all ? before : all;
    uint32_t first = 0;
    if (all > SOURCE_SHOWN_MAX)
        first = before > SHOWN_BEFORE ? before - SHOWN_BEFORE : 0;
    size_t from = offset_of(line, first);
    struct span rest = span_make(line.data + from, line.len - from);
    size_t stop = offset_of(rest, SOURCE_SHOWN_MAX);
    size_t len = 0;
    if (first > 0)
        len = (size_t)snprintf(excerpt->text, sizeof excerpt->text, "...");
    excerpt->indent = before - first + (uint32_t)len;
    len += copy_clean(span_make(rest.data, stop), excerpt->text + len);
    snprintf(excerpt->text + len, sizeof excerpt->text - len, "%s", stop < rest.len ? "..." : "");
    uint32_t width = source_width(line, column, length);
    uint32_t room = SOURCE_SHOWN_MAX - (before - first);
    excerpt->width = width < room ? width : room;
}
