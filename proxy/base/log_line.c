/* log_line.c - one line under construction (see log.h). What does not fit is left out whole: a
 * field is added, or the line is as it was, marked as cut. RESERVE is always left for what closes
 * the line. */
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define CUT_MARK ",\"truncated\":true"
#define RESERVE (sizeof(CUT_MARK) + LOG_DEPTH_MAX + 4)

static bool add_bytes(struct log_line *line, const char *bytes, size_t len)
{
    if (len > sizeof(line->bytes) - RESERVE - line->len) {
        return false;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
    return true;
}

static bool add_string(struct log_line *line, const char *string)
{
    return add_bytes(line, string, strlen(string));
}

/* How many bytes from `at` on stand in a JSON string as they are: nearly always all of them. */
static size_t plain_run(const char *at, size_t left)
{
    size_t len = 0;
    while (len < left && at[len] >= ' ' && at[len] <= '~' && at[len] != '"' && at[len] != '\\') {
        len++;
    }
    return len;
}

static bool add_quoted(struct log_line *line, struct span text)
{
    size_t len = text.len < LOG_VALUE_MAX ? text.len : LOG_VALUE_MAX;
    bool has_room = add_bytes(line, "\"", 1);
    for (size_t at = 0; has_room && at < len;) {
        char out[JSON_ESCAPE_MAX];
        size_t out_len;
        size_t run = plain_run(text.data + at, len - at);
        has_room = add_bytes(line, text.data + at, run);
        at += run;
        if (at < len) {
            at += json_escape(text.data + at, text.len - at, out, &out_len);
            has_room = has_room && add_bytes(line, out, out_len);
        }
    }
    if (text.len > len) {
        has_room = has_room && add_string(line, "…");
    }
    return has_room && add_bytes(line, "\"", 1);
}

/* Text that can stand without quotes, on a line for people. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return text.len > 0 && text.len <= LOG_VALUE_MAX;
}

static bool is_bare(const struct log_line *line)
{
    return !line->is_json && line->depth == 0;
}

static bool add_separator(struct log_line *line)
{
    if (line->len == 0) {
        return true;
    }
    if (is_bare(line)) {
        return add_bytes(line, " ", 1);
    }
    char last = line->bytes[line->len - 1];
    return last == '{' || last == '[' || add_bytes(line, ",", 1);
}

static bool add_key(struct log_line *line, const char *key)
{
    if (!key) {
        return true;
    }
    if (is_bare(line)) {
        return add_string(line, key) && add_bytes(line, "=", 1);
    }
    return add_bytes(line, "\"", 1) && add_string(line, key) && add_bytes(line, "\":", 2);
}

static bool add_uint(struct log_line *line, uint64_t number)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return add_bytes(line, digits + at, sizeof(digits) - at);
}

static bool add_int(struct log_line *line, int64_t number)
{
    return (number >= 0 || add_bytes(line, "-", 1)) &&
           add_uint(line, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static bool add_ms(struct log_line *line, dur_ns duration)
{
    uint64_t us = (uint64_t)(duration > 0 ? duration / NS_PER_US : 0);
    char fraction[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                        (char)('0' + us % 10)};
    return add_uint(line, us / 1000) && add_bytes(line, fraction, sizeof(fraction));
}

static bool add_value(struct log_line *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
    case LOG_FIELD_STR:
        return is_bare(line) && is_plain(field->text)
                   ? add_bytes(line, field->text.data, field->text.len)
                   : add_quoted(line, field->text);
    case LOG_FIELD_INT: return add_int(line, field->number);
    case LOG_FIELD_UINT: return add_uint(line, (uint64_t)field->number);
    case LOG_FIELD_BOOL: return add_string(line, field->number ? "true" : "false");
    case LOG_FIELD_MS: return add_ms(line, field->number);
    case LOG_FIELD_JSON: return add_bytes(line, field->text.data, field->text.len);
    case LOG_FIELD_NONE: break;
    }
    return false;
}

static bool is_absent(const struct log_field *field)
{
    bool is_text = field->kind == LOG_FIELD_TEXT || field->kind == LOG_FIELD_STR ||
                   field->kind == LOG_FIELD_JSON;
    return field->kind == LOG_FIELD_NONE || (is_text && !field->text.data);
}

void log_line_begin(struct log_line *line, bool is_json)
{
    line->is_json = is_json;
    line->is_cut = false;
    line->depth = 0;
    line->lost = 0;
    line->len = 0;
    if (is_json) {
        line->bytes[line->len++] = '{';
    }
}

void log_line_add(struct log_line *line, const struct log_field *field)
{
    if (line->lost > 0 || is_absent(field)) {
        return;
    }
    size_t before = line->len;
    if (!add_separator(line) || !add_key(line, field->key) || !add_value(line, field)) {
        line->len = before;
        line->is_cut = true;
    }
}

void log_line_open(struct log_line *line, const char *key, char bracket)
{
    size_t before = line->len;
    if (line->lost > 0 || line->depth == LOG_DEPTH_MAX || !add_separator(line) ||
        !add_key(line, key) || !add_bytes(line, &bracket, 1)) {
        line->len = before;
        line->is_cut = true;
        line->lost++;
        return;
    }
    line->closers[line->depth++] = bracket == '[' ? ']' : '}';
}

void log_line_close(struct log_line *line)
{
    if (line->lost > 0) {
        line->lost--;
    } else if (line->depth > 0) {
        line->bytes[line->len++] = line->closers[--line->depth];
    }
}

struct span log_line_end(struct log_line *line)
{
    line->lost = 0;
    while (line->depth > 0) {
        log_line_close(line);
    }
    if (line->is_cut) {
        const char *mark = line->is_json ? CUT_MARK : " truncated=true";
        memcpy(line->bytes + line->len, mark, strlen(mark));
        line->len += strlen(mark);
    }
    if (line->is_json) {
        line->bytes[line->len++] = '}';
    }
    line->bytes[line->len++] = '\n';
    return span_make(line->bytes, line->len);
}

/* Days since 1970 to a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
 * algorithms"). No gmtime: libc's takes a lock, and the loop must not. */
static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

void log_format_time(int64_t wall_ns, char out[LOG_TIME_SIZE])
{
    int64_t ms = wall_ns > 0 ? wall_ns / NS_PER_MS : 0;
    int64_t seconds = ms / 1000;
    int64_t year;
    int month;
    int day;
    civil_from_days(seconds / 86400, &year, &month, &day);
    unsigned of_day = (unsigned)(seconds % 86400);
    snprintf(out, LOG_TIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year % 10000,
             (unsigned)month % 13, (unsigned)day % 32, of_day / 3600 % 24, of_day / 60 % 60,
             of_day % 60, (unsigned)(ms % 1000));
}
