/* text.c - see text.h. */
#include "telemetry/text.h"

#include "base/check.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE ((size_t)1024)
#define DECIMALS_MAX 18

void text_init(struct text *text, size_t limit)
{
    *text = (struct text){.limit = limit};
}

void text_fini(struct text *text)
{
    free(text->data);
    text_init(text, text->limit);
}

struct span text_span(const struct text *text)
{
    return span_make(text->data ? text->data : "", text->len);
}

static bool reserve(struct text *text, size_t more)
{
    if (text->is_broken || more > text->limit - text->len) {
        text->is_broken = true;
        return false;
    }
    if (more <= text->size - text->len) {
        return true;
    }
    size_t size = text->size > 0 ? text->size : FIRST_SIZE;
    while (size - text->len < more) {
        size *= 2;
    }
    size = size < text->limit ? size : text->limit;
    char *data = realloc(text->data, size);
    if (!data) {
        text->is_broken = true;
        return false;
    }
    text->data = data;
    text->size = size;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t len)
{
    if (len > 0 && reserve(text, len)) {
        memcpy(text->data + text->len, bytes, len);
        text->len += len;
    }
}

void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_char(struct text *text, char c)
{
    text_add(text, &c, 1);
}

void text_uint(struct text *text, uint64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_add(text, digits + at, sizeof(digits) - at);
}

void text_int(struct text *text, int64_t number)
{
    if (number < 0) {
        text_char(text, '-');
    }
    text_uint(text, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void text_fixed(struct text *text, uint64_t number, unsigned decimals)
{
    INVARIANT(decimals <= DECIMALS_MAX);
    char fraction[DECIMALS_MAX + 1] = ".";
    for (unsigned i = decimals; i > 0; i--) {
        fraction[i] = (char)('0' + number % 10);
        number /= 10;
    }
    unsigned used = decimals;
    while (used > 0 && fraction[used] == '0') {
        used--;
    }
    text_uint(text, number);
    text_add(text, fraction, used > 0 ? used + 1 : 0);
}

void text_printf(struct text *text, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    INVARIANT(len >= 0);
    if ((size_t)len < sizeof(small)) {
        text_add(text, small, (size_t)len);
        return;
    }
    if (!reserve(text, (size_t)len + 1)) {
        return;
    }
    va_start(args, format);
    vsnprintf(text->data + text->len, (size_t)len + 1, format, args);
    va_end(args);
    text->len += (size_t)len;
}

void text_json_span(struct text *text, struct span string)
{
    if (!string.data) {
        text_put(text, "null");
        return;
    }
    text_char(text, '"');
    for (size_t at = 0; at < string.len;) {
        char out[JSON_ESCAPE_MAX];
        size_t out_len;
        at += json_escape(string.data + at, string.len - at, out, &out_len);
        text_add(text, out, out_len);
    }
    text_char(text, '"');
}

void text_json(struct text *text, const char *string)
{
    text_json_span(text, span_of(string));
}
