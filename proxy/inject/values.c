/* values.c - see values.h. */
#include "inject/values.h"

#include "base/cidrs.h"
#include "base/ports.h"
#include "config/utf8.h"

#include <stdio.h>

#define SHOWN_MAX 60 /* bytes of an entry that `why` shows */
#define LABEL_MAX 63 /* RFC 1123 */
#define NAME_MAX_BYTES 253
#define IMAGE_MAX 512
#define DIGITS_MAX 12 /* of a quantity; 999 999 999 999 is more than there is of anything */

static bool refuse(char why[VALUE_WHY_MAX], struct span entry, const char *problem)
{
    snprintf(why, VALUE_WHY_MAX, "\"%.*s\" %s", (int)utf8_cut(entry, SHOWN_MAX),
             entry.data ? entry.data : "", problem);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span text)
{
    while (text.len > 0 && is_blank(text.data[0]))
        text = span_make(text.data + 1, text.len - 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

struct span value_list(const char *list)
{
    const struct span all = trim(span_of(list));
    return all.len > 0 ? all : SPAN_NONE;
}

bool value_next(struct span *list, struct span *entry)
{
    if (list->data == NULL)
        return false;
    const char *comma = list->len > 0 ? memchr(list->data, ',', list->len) : NULL;
    const size_t len = comma ? (size_t)(comma - list->data) : list->len;
    *entry = trim(span_make(list->data, len));
    *list = comma ? span_make(comma + 1, list->len - len - 1) : SPAN_NONE;
    return true;
}

static const char *check_range(struct span entry)
{
    struct port_range range;
    return port_range_parse(entry, &range);
}

static const char *check_port(struct span entry)
{
    struct port_range range;
    const char *problem = port_range_parse(entry, &range);
    if (problem == NULL && memchr(entry.data, '-', entry.len) != NULL)
        problem = "is a range: write out each port";
    return problem;
}

static const char *check_cidr(struct span entry)
{
    struct cidr cidr;
    return cidr_parse(entry, &cidr);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static const char *check_config_map(struct span entry)
{
    static const char problem[] =
        "is no name of a ConfigMap: lower-case letters, digits, '-' and '.', at most 253";
    size_t label = 0;
    if (entry.len == 0 || entry.len > NAME_MAX_BYTES)
        return problem;
    for (size_t i = 0; i < entry.len; i++) {
        const char c = entry.data[i];
        const bool is_last = i + 1 == entry.len || entry.data[i + 1] == '.';
        if (c == '.' ? label == 0 || is_last : !is_word(c) && c != '-')
            return problem;
        if (c == '-' && (label == 0 || is_last))
            return problem;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return problem;
    }
    return NULL;
}

static bool read_list(struct span value, struct text *out, char why[VALUE_WHY_MAX],
                      const char *(*check)(struct span entry))
{
    struct span entry, seen[VALUE_LIST_MAX];
    size_t count = 0;
    if (trim(value).len == 0)
        return true;
    while (value_next(&value, &entry)) {
        const char *problem = check(entry);
        for (size_t i = 0; i < count && problem == NULL; i++)
            if (span_is(seen[i], entry))
                problem = "is there twice";
        if (problem == NULL && count == VALUE_LIST_MAX)
            problem = "is one entry too many: at most 64 are taken";
        if (problem)
            return refuse(why, entry, problem);
        text_put(out, count > 0 ? "," : "");
        text_add(out, entry.data, entry.len);
        seen[count++] = entry;
    }
    return true;
}

bool value_read_port_ranges(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_list(value, out, why, check_range);
}

bool value_read_ports(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_list(value, out, why, check_port);
}

bool value_read_cidrs(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_list(value, out, why, check_cidr);
}

bool value_read_config_maps(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_list(value, out, why, check_config_map);
}

bool value_read_image(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    if (value.len == 0 || value.len > IMAGE_MAX)
        return refuse(why, value, "is no image: it has 1 to 512 characters");
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.data[i];
        const bool is_alnum = is_word(c) || (c >= 'A' && c <= 'Z');
        if (!is_alnum && (i == 0 || c == '\0' || strchr("./:@_-", c) == NULL))
            return refuse(why, value, "is no image: letters, digits and ./:@_- only, no blanks");
    }
    text_add(out, value.data, value.len);
    return true;
}

/* ---- quantities --------------------------------------------------------------------------- */

struct unit {
    const char *suffix;
    uint64_t thousandths;
    bool is_of_cpu, is_of_memory;
};

static const struct unit units[] = {
    {"", 1000, true, true},
    {"m", 1, true, false},
    {"k", UINT64_C(1000) * 1000, false, true},
    {"M", UINT64_C(1000) * 1000 * 1000, false, true},
    {"G", UINT64_C(1000) * 1000 * 1000 * 1000, false, true},
    {"T", UINT64_C(1000) * 1000 * 1000 * 1000 * 1000, false, true},
    {"Ki", UINT64_C(1000) << 10, false, true},
    {"Mi", UINT64_C(1000) << 20, false, true},
    {"Gi", UINT64_C(1000) << 30, false, true},
    {"Ti", UINT64_C(1000) << 40, false, true},
};

/* Digits, perhaps with a point and at most three more, and a unit. NULL when it is none. */
static const struct unit *quantity_parse(struct span text, uint64_t *whole, uint64_t *milli)
{
    size_t at = 0, decimals = 0;
    *whole = *milli = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        *whole = at < DIGITS_MAX ? *whole * 10 + (uint64_t)(text.data[at] - '0') : *whole;
    if (at == 0 || at > DIGITS_MAX)
        return NULL;
    const bool has_point = at < text.len && text.data[at] == '.';
    at += has_point ? 1 : 0;
    for (; has_point && at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        if (++decimals <= 3)
            *milli = *milli * 10 + (uint64_t)(text.data[at] - '0');
    if (has_point && (decimals == 0 || decimals > 3))
        return NULL;
    for (; decimals > 0 && decimals < 3; decimals++)
        *milli *= 10;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (span_is(span_make(text.data + at, text.len - at), span_of(units[i].suffix)))
            return &units[i];
    return NULL;
}

static bool read_quantity(struct span value, struct text *out, char why[VALUE_WHY_MAX], bool is_cpu,
                          const char *problem)
{
    uint64_t whole, milli;
    if (span_is(value, SPAN("none")))
        return true;
    const struct unit *unit = value.len > 0 ? quantity_parse(value, &whole, &milli) : NULL;
    if (unit == NULL || !(is_cpu ? unit->is_of_cpu : unit->is_of_memory))
        return refuse(why, value, problem);
    if (value_quantity(value) == 0)
        return refuse(why, value, "is nothing at all: write none, or more than 0");
    text_add(out, value.data, value.len);
    return true;
}

bool value_read_cpu(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_quantity(value, out, why, true, "is no amount of CPU: write 250m, 1 or 0.5");
}

bool value_read_memory(struct span value, struct text *out, char why[VALUE_WHY_MAX])
{
    return read_quantity(value, out, why, false,
                         "is no amount of memory: write 64Mi, 128M or 1.5Gi");
}

uint64_t value_quantity(struct span quantity)
{
    uint64_t whole, milli, product;
    const struct unit *unit = quantity_parse(quantity, &whole, &milli);
    if (unit == NULL)
        return 0;
    if (__builtin_mul_overflow(whole, unit->thousandths, &product))
        return UINT64_MAX;
    product += unit->thousandths > 1 ? milli * (unit->thousandths / 1000) : milli / 1000;
    return product;
}
