/* schema.c - blocks against their tables: unknown keys, defaults, lists of blocks, errors; see
 * schema.h. */
#include "config/schema.h"

#include "base/check.h"
#include "config/scalar.h"
#include "config/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HELP_MAX 512
#define SHOWN_TEXT_MAX 40 /* of a value in a message */

static const struct {
    const char *word;
    const char *expects;
} types[FIELD_TYPE_COUNT] = {
#define X(name, word, expects) {word, expects},
    FIELD_TYPE_LIST(X)
#undef X
};

void decoder_init(struct decoder *decoder, struct arena *arena, struct arena *scratch,
                  struct diagnostics *diag, const char *file)
{
    *decoder = (struct decoder){.arena = arena, .scratch = scratch, .diag = diag, .file = file};
}

const char *field_type_word(enum field_type type)
{
    return types[type].word;
}

/* ---- the path ----------------------------------------------------------------------------- */

size_t path_push(struct decoder *decoder, const char *name)
{
    size_t mark = decoder->path_len;
    size_t room = sizeof decoder->path - mark;
    int len = snprintf(decoder->path + mark, room, "%s%s", mark > 0 ? "." : "", name);
    decoder->path_len += (size_t)len < room ? (size_t)len : room - 1;
    return mark;
}

size_t path_push_index(struct decoder *decoder, size_t index)
{
    size_t mark = decoder->path_len;
    size_t room = sizeof decoder->path - mark;
    int len = snprintf(decoder->path + mark, room, "[%zu]", index);
    decoder->path_len += (size_t)len < room ? (size_t)len : room - 1;
    return mark;
}

void path_pop(struct decoder *decoder, size_t mark)
{
    decoder->path_len = mark;
    decoder->path[mark] = '\0';
}

/* ---- what is wrong ------------------------------------------------------------------------ */

void decode_error(struct decoder *decoder, enum diagnostic_code code, const struct node *node,
                  const char *help, const char *format, ...)
{
    char message[HELP_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct place place =
        node ? node_place(decoder->file, node) : (struct place){.file = decoder->file};
    diagnostics_add(decoder->diag, code, place, decoder->path, help, "%s", message);
}

void decode_refuse(struct decoder *decoder, enum diagnostic_code code, const struct node *block,
                   const char *name, const char *help, const char *message)
{
    const struct node *node = node_get(block, name);
    const size_t mark = path_push(decoder, name);
    decode_error(decoder, code, node != NULL ? node : block, help, "%s", message);
    path_pop(decoder, mark);
}

const char *node_describe(const struct node *node, char *out, size_t size)
{
    switch (node->kind) {
    case NODE_LIST: return "a list";
    case NODE_BLOCK: return "a block";
    case NODE_SCALAR: break;
    default: return "nothing";
    }
    size_t shown = utf8_cut(node->text, SHOWN_TEXT_MAX);
    snprintf(out, size, "\"%.*s%s\"", (int)shown, node->text.data,
             node->text.len > shown ? "..." : "");
    return out;
}

bool decode_expected(struct decoder *decoder, const struct node *node, const char *expects,
                     const char *help)
{
    char found[64];
    decode_error(decoder, DIAG_WRONG_TYPE, node, help, "expected %s, found %s", expects,
                 node_describe(node, found, sizeof found));
    return false;
}

const char *decode_keep(struct decoder *decoder, struct span text)
{
    struct span copy = arena_copy(decoder->arena, text);
    if (copy.data == NULL)
        decoder->err = ERR_NO_MEMORY;
    return copy.data;
}

const char *decode_keep_lower(struct decoder *decoder, struct span text)
{
    char *copy = arena_alloc(decoder->arena, text.len + 1);
    if (copy == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return NULL;
    }
    for (size_t i = 0; i < text.len; i++)
        copy[i] =
            (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] | 0x20 : text.data[i]);
    copy[text.len] = '\0';
    return copy;
}

const char *decode_at(struct decoder *decoder, uint32_t line)
{
    char *at = arena_printf(decoder->arena, "%s:%u", decoder->file, line);
    if (at == NULL)
        decoder->err = ERR_NO_MEMORY;
    return at ? at : "";
}

static void append_word(char *out, size_t size, const char *separator, const char *word)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s%s", separator, word);
}

static bool nearest_key(const struct block *block, struct span typed, struct span *nearest)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < block->field_count; i++) {
        size_t distance;
        struct span known = span_of(block->fields[i].name);
        if (word_is_near(typed, known, &distance) && distance < best) {
            best = distance;
            *nearest = known;
        }
    }
    return best != SIZE_MAX;
}

static void key_help(struct decoder *decoder, const struct block *block, struct span typed,
                     char help[HELP_MAX])
{
    struct span nearest;
    if (diagnostics_are_full(decoder->diag)) /* a file full of slips costs no search for each */
        return;
    if (nearest_key(block, typed, &nearest)) {
        snprintf(help, HELP_MAX, "did you mean \"%.*s\"?", SPAN_ARGS(nearest));
        return;
    }
    for (size_t i = 0; i < block->field_count; i++)
        if (block->fields[i].type != FIELD_LATER)
            append_word(help, HELP_MAX, *help ? ", " : "allowed: ", block->fields[i].name);
}

static void unknown_key(struct decoder *decoder, const struct block *block, const struct node *node)
{
    char help[HELP_MAX] = "";
    char shown[SHOWN_TEXT_MAX + 1];
    key_help(decoder, block, node->key, help);
    snprintf(shown, sizeof shown, "%.*s", (int)utf8_cut(node->key, SHOWN_TEXT_MAX), node->key.data);
    size_t mark = path_push(decoder, shown);
    struct place place = node_key_place(decoder->file, node);
    diagnostics_add(decoder->diag, DIAG_UNKNOWN_KEY, place, decoder->path, help, "unknown key");
    path_pop(decoder, mark);
}

void decode_unknown_word(struct decoder *decoder, const struct node *node, const struct word *words)
{
    char help[HELP_MAX] = "";
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    bool is_wanted = !diagnostics_are_full(decoder->diag);
    for (const struct word *word = words; is_wanted && word->name; word++) {
        size_t distance;
        if (word->value == WORD_LATER)
            continue;
        append_word(help, sizeof help, *help ? ", " : "allowed: ", word->name);
        if (word_is_near(node->text, span_of(word->name), &distance) && distance < best) {
            best = distance;
            nearest = word->name;
        }
    }
    if (nearest) {
        append_word(help, sizeof help, "; did you mean \"", nearest);
        append_word(help, sizeof help, "\"?", "");
    }
    char found[64];
    decode_error(decoder, DIAG_BAD_VALUE, node, help, "unknown value %s",
                 node_describe(node, found, sizeof found));
}

/* ---- fields ------------------------------------------------------------------------------- */

bool node_default(struct decoder *decoder, const char *text, struct node *out)
{
    *out = (struct node){.kind = NODE_SCALAR, .text = span_of(text)};
    if (*text != '[')
        return true;
    out->kind = NODE_LIST;
    const char *end = text + strlen(text) - 1; /* the closing bracket; an IPv6 item has one too */
    for (const char *at = text + 1; at < end;) {
        const char *comma = strstr(at, ", ");
        struct node *item = arena_zalloc(decoder->scratch, sizeof *item);
        if (item == NULL) {
            decoder->err = ERR_NO_MEMORY;
            return false;
        }
        item->kind = NODE_SCALAR;
        item->text = span_make(at, (size_t)((comma ? comma : end) - at));
        node_append(out, item);
        at = comma ? comma + 2 : end;
    }
    return true;
}

static bool field_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *out)
{
    if (field->type >= FIELD_HTTP_CODES && field->type <= FIELD_PORTS) {
        if (node->kind != NODE_LIST)
            return decode_expected(decoder, node, types[field->type].expects, NULL);
        return list_decode(decoder, field, node, out);
    }
    bool has_own_shape = field->type == FIELD_ACCESS || field->type == FIELD_ADDRESSES ||
                         field->type == FIELD_ENDPOINTS || field->type == FIELD_LABELS;
    if (node->kind != NODE_SCALAR && !has_own_shape)
        return decode_expected(decoder, node, types[field->type].expects,
                               field->type == FIELD_KEY ? "write header:NAME without a space"
                                                        : NULL);
    return value_decode(decoder, field, node, out);
}

static bool default_decode(struct decoder *decoder, const struct field *field, const char *text,
                           void *out)
{
    struct node node;
    if (text == NULL)
        return true;
    bool is_good = node_default(decoder, text, &node) && field_decode(decoder, field, &node, out);
    INVARIANT(is_good ||
              decoder->err != OK); /* a default that its own row refuses is a bug in the table */
    return is_good;
}

static bool blocks_decode(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *out)
{
    if (node->kind != NODE_LIST)
        return decode_expected(decoder, node, types[FIELD_BLOCKS].expects, NULL);
    if (node->count < field->min || node->count > field->max) {
        char help[64];
        snprintf(help, sizeof help, "%llu to %llu", (unsigned long long)field->min,
                 (unsigned long long)field->max);
        decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "%u items", node->count);
        return false;
    }
    if (node->count == 0)
        return true;
    char *items = arena_zalloc(decoder->arena, node->count * field->block->item_size);
    if (items == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    bool is_good = true;
    size_t i = 0;
    for (const struct node *item = node->first; item && decoder->err == OK;
         item = item->next, i++) {
        size_t mark = path_push_index(decoder, i);
        is_good &=
            block_decode(decoder, field->block, item, true, items + i * field->block->item_size);
        path_pop(decoder, mark);
    }
    void *address = items;
    size_t count = node->count;
    memcpy((char *)out + field->offset, &address, sizeof address);
    memcpy((char *)out + field->aux, &count, sizeof count);
    return is_good;
}

static bool present_decode(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *out)
{
    if (node->kind == NODE_BROKEN)
        return false;
    switch (field->type) {
    case FIELD_BLOCK:
        return block_decode(decoder, field->block, node, true, (char *)out + field->offset);
    case FIELD_BLOCKS: return blocks_decode(decoder, field, node, out);
    case FIELD_LATER: {
        struct place place = node_key_place(decoder->file, node);
        diagnostics_add(decoder->diag, DIAG_NOT_AVAILABLE, place, decoder->path, "remove it",
                        "not available in this version");
        return false;
    }
    default: return field_decode(decoder, field, node, out);
    }
}

static bool absent_decode(struct decoder *decoder, const struct field *field,
                          const struct node *block, bool is_present, void *out)
{
    if (field->is_required && is_present && !decoder->is_partial) {
        char help[HELP_MAX];
        snprintf(help, sizeof help, "%s", field->doc);
        decode_error(decoder, DIAG_MISSING, block, help, "\"%s\" is required here", field->name);
        return false;
    }
    if (field->type == FIELD_BLOCK)
        return block_decode(decoder, field->block, NULL, field->preset != NULL,
                            (char *)out + field->offset);
    return default_decode(decoder, field,
                          is_present || !field->absent ? field->preset : field->absent, out);
}

static bool fields_decode(struct decoder *decoder, const struct block *block,
                          const struct node *node, bool is_present, void *out)
{
    bool is_good = true;
    for (size_t i = 0; i < block->field_count && decoder->err == OK; i++) {
        const struct field *field = &block->fields[i];
        const struct node *child = node_get(node, field->name);
        if (field->is_manual)
            continue;
        if (child == NULL) {
            is_good &= absent_decode(decoder, field, node, is_present, out);
            continue;
        }
        size_t mark = path_push(decoder, field->name);
        is_good &= present_decode(decoder, field, child, out);
        path_pop(decoder, mark);
    }
    return is_good && decoder->err == OK;
}

static bool is_known(const struct block *block, struct span key)
{
    for (size_t i = 0; i < block->field_count; i++)
        if (span_is(key, span_of(block->fields[i].name)))
            return true;
    return false;
}

static bool has_required(const struct block *block)
{
    for (size_t i = 0; i < block->field_count; i++)
        if (block->fields[i].is_required)
            return true;
    return false;
}

bool block_decode(struct decoder *decoder, const struct block *block, const struct node *node,
                  bool is_present, void *out)
{
    if (node == NULL)
        return fields_decode(decoder, block, NULL, is_present, out);
    if (node->kind == NODE_BROKEN)
        return false;
    if (node->kind != NODE_BLOCK) {
        bool has_defaults = node->kind == NODE_NULL && !has_required(block);
        const char *help = has_defaults ? "{} takes all defaults" : NULL;
        return decode_expected(decoder, node, types[FIELD_BLOCK].expects, help);
    }
    bool is_good = true;
    for (const struct node *child = node->first; child; child = child->next) {
        if (is_known(block, child->key))
            continue;
        unknown_key(decoder, block, child);
        is_good = false;
    }
    is_good &= fields_decode(decoder, block, node, true, out);
    if (block->finish && decoder->err == OK) {
        size_t errors = decoder->diag->errors;
        block->finish(decoder, node, out, is_good);
        is_good &= decoder->diag->errors == errors;
    }
    return is_good && decoder->err == OK;
}
