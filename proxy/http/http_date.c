/* http_date.c - days are counted by the algorithm of Howard Hinnant ("chrono-compatible low-level
 * date algorithms"): years start in March, so that the leap day is the last of its year. */
#include "http/http_date.h"

#include "http/bytes.h"

#include <string.h>

#define SECONDS_PER_DAY 86400
#define DAYS_PER_ERA 146097      /* 400 years */
#define EPOCH_DAYS 719468        /* from 0000-03-01 to 1970-01-01 */
#define LAST_SECOND 253402300799 /* 9999-12-31 23:59:59 */
#define CENTURY_HORIZON_YEARS 50 /* RFC 9110 section 5.6.7 */

struct civil {
    int64_t year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
    unsigned hour;
    unsigned minute;
    unsigned second;
};

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";
static const char *const long_day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day);
static struct civil civil_from_seconds(int64_t wall_s);
static bool read_imf(struct span text, struct civil *date);
static bool read_rfc850(struct span text, int64_t wall_s, struct civil *date);
static bool read_asctime(struct span text, struct civil *date);
static bool is_possible(const struct civil *date);

void http_date_write(int64_t wall_s, char buf[HTTP_DATE_LEN])
{
    int64_t at = wall_s < 0 ? 0 : wall_s > LAST_SECOND ? LAST_SECOND : wall_s;
    struct civil date = civil_from_seconds(at);
    unsigned year = (unsigned)date.year;
    memcpy(buf, "ddd, DD mmm YYYY HH:MM:SS GMT", HTTP_DATE_LEN);
    memcpy(buf, day_names + 3 * ((at / SECONDS_PER_DAY + 4) % 7),
           3); /* 1970-01-01 was a Thursday */
    buf[5] = (char)('0' + date.day / 10);
    buf[6] = (char)('0' + date.day % 10);
    memcpy(buf + 8, month_names + 3 * (date.month - 1), 3);
    buf[12] = (char)('0' + year / 1000);
    buf[13] = (char)('0' + year / 100 % 10);
    buf[14] = (char)('0' + year / 10 % 10);
    buf[15] = (char)('0' + year % 10);
    buf[17] = (char)('0' + date.hour / 10);
    buf[18] = (char)('0' + date.hour % 10);
    buf[20] = (char)('0' + date.minute / 10);
    buf[21] = (char)('0' + date.minute % 10);
    buf[23] = (char)('0' + date.second / 10);
    buf[24] = (char)('0' + date.second % 10);
}

bool http_date_is_valid(struct span text, int64_t wall_s, int64_t *parsed_s)
{
    struct civil date = {.year = 0};
    if (!read_imf(text, &date) && !read_rfc850(text, wall_s, &date) && !read_asctime(text, &date))
        return false;
    if (!is_possible(&date))
        return false;
    *parsed_s = days_from_civil(date.year, date.month, date.day) * SECONDS_PER_DAY +
                (int64_t)(date.hour * 3600 + date.minute * 60 + date.second);
    return true;
}

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = shifted / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - EPOCH_DAYS;
}

static struct civil civil_from_seconds(int64_t wall_s)
{
    int64_t days = wall_s / SECONDS_PER_DAY + EPOCH_DAYS;
    int64_t second = wall_s % SECONDS_PER_DAY;
    int64_t era = days / DAYS_PER_ERA;
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    return (struct civil){
        .year = year_of_era + era * 400 + (month >= 10),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (unsigned)(second / 3600),
        .minute = (unsigned)(second / 60 % 60),
        .second = (unsigned)(second % 60),
    };
}

static bool read_number(struct span text, size_t at, size_t digits, unsigned *value)
{
    uint64_t number = 0;
    if (!bytes_decimal(span_make(text.data + at, digits), &number))
        return false;
    *value = (unsigned)number;
    return true;
}

static bool read_month(struct span text, size_t at, unsigned *month)
{
    for (unsigned i = 0; i < 12; i++) {
        if (memcmp(text.data + at, month_names + 3 * (size_t)i, 3) == 0) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool read_time(struct span text, size_t at, struct civil *date)
{
    return text.data[at + 2] == ':' && text.data[at + 5] == ':' &&
           read_number(text, at, 2, &date->hour) && read_number(text, at + 3, 2, &date->minute) &&
           read_number(text, at + 6, 2, &date->second);
}

static bool is_day_name(struct span text)
{
    for (size_t i = 0; i < 7; i++) {
        if (memcmp(text.data, day_names + 3 * i, 3) == 0)
            return true;
    }
    return false;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(struct span text, struct civil *date)
{
    unsigned year = 0;
    if (text.len != HTTP_DATE_LEN || !is_day_name(text) || memcmp(text.data + 3, ", ", 2) != 0 ||
        text.data[7] != ' ' || text.data[11] != ' ' || text.data[16] != ' ' ||
        memcmp(text.data + 25, " GMT", 4) != 0)
        return false;
    if (!read_number(text, 5, 2, &date->day) || !read_month(text, 8, &date->month) ||
        !read_number(text, 12, 4, &year))
        return false;
    date->year = year;
    return read_time(text, 17, date);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool read_rfc850(struct span text, int64_t wall_s, struct civil *date)
{
    const struct span shape = SPAN(", DD-mmm-YY HH:MM:SS GMT");
    size_t name = 0;
    unsigned short_year = 0;
    for (size_t i = 0; i < 7 && name == 0; i++) {
        if (span_starts_with(text, span_of(long_day_names[i])))
            name = strlen(long_day_names[i]);
    }
    if (name == 0)
        return false;
    struct span rest = span_make(text.data + name, text.len - name);
    if (rest.len != shape.len || memcmp(rest.data, ", ", 2) != 0 || rest.data[4] != '-' ||
        rest.data[8] != '-' || rest.data[11] != ' ' || memcmp(rest.data + 20, " GMT", 4) != 0)
        return false;
    if (!read_number(rest, 2, 2, &date->day) || !read_month(rest, 5, &date->month) ||
        !read_number(rest, 9, 2, &short_year))
        return false;
    int64_t this_year = civil_from_seconds(wall_s < 0 ? 0 : wall_s).year;
    date->year = this_year / 100 * 100 + short_year;
    if (date->year > this_year + CENTURY_HORIZON_YEARS)
        date->year -= 100;
    return read_time(rest, 12, date);
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct span text, struct civil *date)
{
    const struct span shape = SPAN("ddd mmm DD HH:MM:SS YYYY");
    unsigned year = 0;
    if (text.len != shape.len || !is_day_name(text) || text.data[3] != ' ' || text.data[7] != ' ' ||
        text.data[10] != ' ' || text.data[19] != ' ')
        return false;
    size_t day_at = text.data[8] == ' ' ? 9 : 8;
    if (!read_month(text, 4, &date->month) || !read_number(text, day_at, 10 - day_at, &date->day) ||
        !read_number(text, 20, 4, &year))
        return false;
    date->year = year;
    return read_time(text, 11, date);
}

static bool is_possible(const struct civil *date)
{
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    unsigned days = date->month == 2 && is_leap ? 29 : month_days[date->month - 1];
    return date->year >= 1 && date->day >= 1 && date->day <= days && date->hour < 24 &&
           date->minute < 60 && date->second <= 60; /* 60: a leap second */
}
