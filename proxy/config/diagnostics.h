/* diagnostics.h - what is wrong with the files, all of it at once, each with its place.
 *
 * Printed as `file:line:column: path: message (help) [OUT0201]`; warnings say so. The codes are
 * stable (diagnostics.def). Bounded: past DIAGNOSTICS_MAX the rest is only counted, so that a
 * hostile file cannot fill memory or a terminal. Owns its memory; single-threaded, may be handed to
 * another thread as a whole. */
#ifndef OUTRIGGER_CONFIG_DIAGNOSTICS_H
#define OUTRIGGER_CONFIG_DIAGNOSTICS_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DIAGNOSTICS_MAX 100

enum severity { SEVERITY_ERROR = 0, SEVERITY_WARNING };

enum diagnostic_code {
#define DIAGNOSTIC(name, code, severity, title) DIAG_##name,
#include "diagnostics.def"
#undef DIAGNOSTIC
    DIAGNOSTIC_CODE_COUNT
};

#define PLACE_REST_OF_LINE UINT32_MAX

struct place {
    const char *file;
    uint32_t line;   /* from 1; 0 = the file as a whole */
    uint32_t column; /* in characters, from 1 */
    uint32_t length; /* in characters, for carets; 0 = unknown; PLACE_REST_OF_LINE: goes on below */
};

struct diagnostic {
    enum diagnostic_code code;
    enum severity severity;
    const char *file;
    uint32_t line; /* from 1; 0 = the file as a whole */
    uint32_t column;
    uint32_t length;
    const char *path;          /* "spec.retry.attempts", "" where there is none */
    const char *message;       /* what is wrong */
    const char *help;          /* what is allowed, what to do; "" = the message says it */
    struct place related;      /* another place that has to do with it; line 0: none */
    const char *related_label; /* what is there */
};

struct diagnostics {
    struct arena arena;
    struct diagnostic items[DIAGNOSTICS_MAX];
    size_t count;
    size_t errors; /* all of them, the ones not kept included */
    size_t warnings;
    bool is_out_of_memory;
    struct diagnostic *last; /* what diagnostics_add kept; NULL: it was only counted */
};

void diagnostics_init(struct diagnostics *diag);
void diagnostics_fini(struct diagnostics *diag);

void diagnostics_add(struct diagnostics *diag, enum diagnostic_code code, struct place place,
                     const char *path, const char *help, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* Copies everything. `path` and `help` may be NULL. The same finding is kept once. Without memory
 * it sets is_out_of_memory and still counts. */

void diagnostics_relate(struct diagnostics *diag, struct place place, const char *label);
/* Another place for what diagnostics_add was told last: "the other target is here". */

bool diagnostics_are_full(const struct diagnostics *diag);
/* A further error would only be counted: no need to find words for it. */

bool diagnostics_has(const struct diagnostics *diag, enum diagnostic_code code, struct place place,
                     const char *message);

void diagnostics_sort(struct diagnostics *diag);
/* By place within each file. */

void diagnostics_print(const struct diagnostics *diag, FILE *out);
/* One line each, then "and N more". */

int diagnostics_format(const struct diagnostic *item, char *out, size_t size);
/* One line without the newline, cut to `size`; returns the length that it has in full. */

const char *diagnostic_id(enum diagnostic_code code);
/* "OUT0201"; stable for ever. */

enum severity diagnostic_severity(enum diagnostic_code code);
const char *diagnostic_title(enum diagnostic_code code);

#endif
