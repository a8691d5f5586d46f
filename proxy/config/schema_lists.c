/* schema_lists.c - lists of plain values: statuses, codes, methods, words, ports; see schema.h. A
 * list in a file replaces the default, it never adds to it. */
#include "base/check.h"
#include "base/codes.h"
#include "config/proxy_config.h"
#include "config/scalar.h"
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#define GRPC_CODES 17 /* 0 OK ... 16 UNAUTHENTICATED */
#define METHOD_BYTES_MAX 32
#define OTHER_METHODS_MAX 32 /* every call compares its method with them */

static bool item_is_scalar(struct decoder *decoder, const struct node *item, const char *expects)
{
    if (item->kind == NODE_SCALAR)
        return true;
    return item->kind == NODE_BROKEN ? false : decode_expected(decoder, item, expects, NULL);
}

/* 503, or 502-504. */
static bool statuses_parse(struct span text, uint64_t *first, uint64_t *last)
{
    const char *dash = memchr(text.data, '-', text.len);
    size_t len = dash ? (size_t)(dash - text.data) : text.len;
    if (!count_parse(span_make(text.data, len), first))
        return false;
    *last = *first;
    return dash == NULL || count_parse(span_make(dash + 1, text.len - len - 1), last);
}

static bool status_decode(struct decoder *decoder, const struct field *field,
                          const struct node *item, struct code_set *codes)
{
    uint64_t first, last;
    char help[80], found[64];
    if (!item_is_scalar(decoder, item, "an HTTP status such as 503"))
        return false;
    snprintf(help, sizeof help, "%u to %u, or a range such as 502-504", (unsigned)field->min,
             (unsigned)field->max);
    if (!statuses_parse(item->text, &first, &last))
        return decode_expected(decoder, item, "an HTTP status such as 503", help);
    if (first < field->min || last > field->max || first > last) {
        decode_error(decoder, DIAG_OUT_OF_RANGE, item, help, "%s is not a status that can fail",
                     node_describe(item, found, sizeof found));
        return false;
    }
    for (uint64_t status = first; status <= last; status++)
        code_set_add_http(codes, (int)status);
    return true;
}

static bool grpc_code_decode(struct decoder *decoder, const struct node *item,
                             struct code_set *codes)
{
    struct word words[GRPC_CODES + 1] = {{NULL, 0}};
    if (!item_is_scalar(decoder, item, "a gRPC code such as UNAVAILABLE"))
        return false;
    int code = grpc_code_from(item->text.data, item->text.len);
    if (code > 0) {
        codes->grpc |= UINT32_C(1) << code;
        return true;
    }
    for (int i = 1; i < GRPC_CODES; i++) /* OK is no failure */
        words[i - 1] = (struct word){grpc_code_word(i), i};
    decode_unknown_word(decoder, item, words);
    return false;
}

static bool codes_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    struct code_set *codes = (void *)((char *)out + field->offset);
    bool is_good = true;
    if (field->type == FIELD_HTTP_CODES)
        memset(codes->http, 0, sizeof codes->http);
    else
        codes->grpc = 0;
    size_t i = 0;
    for (const struct node *item = node->first; item; item = item->next) {
        size_t mark = path_push_index(decoder, i++);
        is_good &= field->type == FIELD_HTTP_CODES ? status_decode(decoder, field, item, codes)
                                                   : grpc_code_decode(decoder, item, codes);
        path_pop(decoder, mark);
    }
    return is_good;
}

static bool flag_decode(struct decoder *decoder, const struct field *field, const struct node *item,
                        uint32_t *flags)
{
    if (!item_is_scalar(decoder, item, "one word"))
        return false;
    const struct word *word = field->words;
    while (word->name && !span_is(item->text, span_of(word->name)))
        word++;
    *flags |= (uint32_t)word->value;
    if (word->name == NULL)
        decode_unknown_word(decoder, item, field->words);
    return word->name != NULL;
}

static bool flags_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    uint32_t flags = 0;
    bool is_good = true;
    size_t i = 0;
    for (const struct node *item = node->first; item; item = item->next) {
        size_t mark = path_push_index(decoder, i++);
        is_good &= flag_decode(decoder, field, item, &flags);
        path_pop(decoder, mark);
    }
    memcpy((char *)out + field->offset, &flags, sizeof flags);
    return is_good;
}

bool method_check(struct decoder *decoder, const struct node *node)
{
    if (!item_is_scalar(decoder, node, "a method such as GET"))
        return false;
    if (!token_is_valid(node->text) || node->text.len > METHOD_BYTES_MAX)
        return decode_expected(decoder, node, "a method such as GET", NULL);
    char upper[METHOD_BYTES_MAX];
    for (size_t i = 0; i < node->text.len; i++) {
        char c = node->text.data[i];
        upper[i] = (char)(c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
    }
    enum method known = method_from(upper, node->text.len);
    if (known == METHOD_OTHER || memcmp(upper, node->text.data, node->text.len) == 0)
        return true;
    char help[80];
    snprintf(help, sizeof help, "methods are case-sensitive; did you mean \"%s\"?",
             method_word(known));
    return decode_expected(decoder, node, "a method such as GET", help);
}

struct method_list {
    uint32_t known;
    const char **others; /* ends with NULL */
    size_t other_count;
};

static bool method_decode(struct decoder *decoder, const struct node *item,
                          struct method_list *list)
{
    if (!method_check(decoder, item))
        return false;
    enum method method = method_from(item->text.data, item->text.len);
    if (method != METHOD_OTHER) {
        list->known |= method_bit(method);
        return true;
    }
    if (list->other_count == OTHER_METHODS_MAX) {
        decode_error(decoder, DIAG_OUT_OF_RANGE, item, "32 at most",
                     "too many methods that HTTP does not define");
        return false;
    }
    list->others[list->other_count++] = decode_keep(decoder, item->text);
    return decoder->err == OK;
}

static bool methods_decode(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *out)
{
    size_t most = node->count < OTHER_METHODS_MAX ? node->count : OTHER_METHODS_MAX;
    struct method_list list = {.others =
                                   arena_zalloc(decoder->arena, (most + 1) * sizeof *list.others)};
    if (list.others == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    bool is_good = true;
    size_t i = 0;
    for (const struct node *item = node->first; item && decoder->err == OK; item = item->next) {
        size_t mark = path_push_index(decoder, i++);
        is_good &= method_decode(decoder, item, &list);
        path_pop(decoder, mark);
    }
    const char **others = list.other_count ? list.others : NULL;
    memcpy((char *)out + field->offset, &list.known, sizeof list.known);
    memcpy((char *)out + field->aux, &others, sizeof others);
    return is_good;
}

static bool port_decode(struct decoder *decoder, const struct node *item, uint16_t *port)
{
    uint64_t value;
    if (!item_is_scalar(decoder, item, "a port such as 8080"))
        return false;
    if (!count_parse(item->text, &value))
        return decode_expected(decoder, item, "a port such as 8080", "1 to 65535");
    if (value == 0 || value > UINT16_MAX) {
        decode_error(decoder, DIAG_OUT_OF_RANGE, item, "1 to 65535", "%llu is not a port",
                     (unsigned long long)value);
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool ports_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    struct port_list ports = {NULL, 0};
    if (node->count > field->max) {
        char help[32];
        snprintf(help, sizeof help, "%llu at most", (unsigned long long)field->max);
        decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "%u ports", node->count);
        return false;
    }
    uint16_t *items = arena_zalloc(decoder->arena, (node->count + 1) * sizeof *items);
    if (items == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    bool is_good = true;
    for (const struct node *item = node->first; item; item = item->next) {
        size_t mark = path_push_index(decoder, ports.count);
        is_good &= port_decode(decoder, item, &items[ports.count++]);
        path_pop(decoder, mark);
    }
    ports.items = items;
    memcpy((char *)out + field->offset, &ports, sizeof ports);
    return is_good;
}

static const char *text_decode(struct decoder *decoder, const struct node *item)
{
    if (!item_is_scalar(decoder, item, "a text"))
        return NULL;
    if (item->text.len == 0) {
        decode_expected(decoder, item, "a text", NULL);
        return NULL;
    }
    return decode_keep(decoder, item->text);
}

static bool texts_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    if (node->count == 0 || node->count > field->max) {
        char help[32];
        snprintf(help, sizeof help, "1 to %llu", (unsigned long long)field->max);
        decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "%u items", node->count);
        return false;
    }
    const char **texts = arena_zalloc(decoder->arena, (node->count + 1) * sizeof *texts);
    if (texts == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    size_t count = 0;
    bool is_good = true;
    for (const struct node *item = node->first; item; item = item->next) {
        size_t mark = path_push_index(decoder, count);
        texts[count] = text_decode(decoder, item);
        is_good &= texts[count++] != NULL;
        path_pop(decoder, mark);
    }
    memcpy((char *)out + field->offset, &texts, sizeof texts);
    return is_good;
}

bool list_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                 void *out)
{
    switch (field->type) {
    case FIELD_FLAGS: return flags_decode(decoder, field, node, out);
    case FIELD_METHODS: return methods_decode(decoder, field, node, out);
    case FIELD_PORTS: return ports_decode(decoder, field, node, out);
    case FIELD_TEXTS: return texts_decode(decoder, field, node, out);
    default: return codes_decode(decoder, field, node, out);
    }
}
