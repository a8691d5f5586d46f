/* warnings.c - see warnings.h. */
#include "inject/warnings.h"

#include "config/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void inject_warn(struct inject_warnings *warnings, const char *format, ...)
{
    char text[WARNING_BYTES_MAX];
    va_list args;
    if (warnings->count == WARNINGS_MAX)
        return;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const size_t kept = len < 0 ? 0 : utf8_cut(span_make(text, (size_t)len), sizeof text - 1);
    char *copy = strndup(text, kept);
    if (copy)
        warnings->texts[warnings->count++] = copy;
    else
        warnings->is_broken = true;
}

void inject_warnings_fini(struct inject_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        free(warnings->texts[i]);
    *warnings = (struct inject_warnings){.count = 0};
}
