/* source.h - lines of the files that findings point at, for reports with excerpts.
 *
 * A file is read when it is first asked for, whole, at most LOAD_MAX_FILE_BYTES; one that cannot be
 * read has no lines. Columns count characters, from 1. Owns its memory. Single-threaded. */
#ifndef OUTRIGGER_CLI_SOURCE_H
#define OUTRIGGER_CLI_SOURCE_H

#include "base/span.h"
#include "config/diagnostics.h"

#include <stdbool.h>
#include <stdint.h>

struct source_file;

struct sources {
    struct source_file *first;
};

void sources_fini(struct sources *sources);

struct span source_text(struct sources *sources, const char *file);
/* The whole text; SPAN_NONE when it cannot be read, is too large, or there is no memory. */

struct span source_line(struct sources *sources, const char *file, uint32_t line);
/* Without its line end; SPAN_NONE when there is no such line. */

uint32_t source_width(struct span line, uint32_t column, uint32_t length);
/* How many characters of the line a place covers: at least 1, none past what is written. Where the
 * place goes on in the next line (PLACE_REST_OF_LINE), up to the end, a comment left out. */

#define SOURCE_SHOWN_MAX                                                                           \
    120 /* characters of a line that are shown; a one-line file has millions                       \
         */

struct source_excerpt {
    char text[4 * SOURCE_SHOWN_MAX + 8]; /* fit for a terminal: no control or bidi characters */
    uint32_t indent;                     /* characters of it before the place */
    uint32_t width;                      /* of the place, as far as it is shown */
};

void source_excerpt(struct span line, uint32_t column, uint32_t length,
                    struct source_excerpt *excerpt);

#endif
