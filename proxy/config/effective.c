/* effective.c - see effective.h. */
#include "config/effective.h"

#include "base/check.h"
#include "base/codes.h"
#include "config/policy_schema.h"
#include "config/scalar.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_END 600
#define LONG_RUN 4 /* so many statuses in a row are written as a range */

struct walk {
    effective_visitor visit;
    void *context;
    char path[EFFECTIVE_PATH_MAX];
    size_t path_len;
    char text[EFFECTIVE_TEXT_MAX];
    size_t len;
    enum effective_kind kind;
};

/* ---- text ---- */

static void put(struct walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct walk *walk, const char *format, ...)
{
    size_t room = sizeof walk->text - walk->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(walk->text + walk->len, room, format, args);
    va_end(args);
    walk->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void open_list(struct walk *walk)
{
    walk->kind = EFFECTIVE_LIST;
    put(walk, "[");
}

static void put_item(struct walk *walk, const char *text)
{
    put(walk, "%s%s", walk->len > 1 ? ", " : "", text);
}

static void close_list(struct walk *walk)
{
    put(walk, "]");
}

static void put_word(struct walk *walk, const char *text)
{
    walk->kind = text && *text ? EFFECTIVE_WORD : EFFECTIVE_NONE;
    put(walk, "%s", text ? text : "");
}

static void put_span(struct walk *walk, struct span text)
{
    walk->kind = text.data ? EFFECTIVE_WORD : EFFECTIVE_NONE;
    if (text.data)
        put(walk, "%.*s", SPAN_ARGS(text));
}

/* ---- one value ---- */

static uint64_t load(const void *member, uint8_t size)
{
    uint64_t wide = 0;
    uint32_t narrow;
    if (size == sizeof wide) {
        memcpy(&wide, member, sizeof wide);
        return wide;
    }
    memcpy(&narrow, member, sizeof narrow);
    return narrow;
}

static const char *word_of(const struct word *words, uint64_t value)
{
    for (; words && words->name; words++)
        if ((uint32_t)words->value == (uint32_t)value)
            return words->name;
    return NULL;
}

static void put_count(struct walk *walk, const struct field *field, uint64_t value)
{
    const char *word = word_of(field->words, value);
    if (word) {
        put_word(walk, word);
        return;
    }
    walk->kind = EFFECTIVE_NUMBER;
    put(walk, "%llu", (unsigned long long)value);
}

static void put_percent(struct walk *walk, uint64_t permille)
{
    walk->kind = EFFECTIVE_NUMBER;
    put(walk, "%llu", (unsigned long long)permille / 10);
    if (permille % 10)
        put(walk, ".%llu", (unsigned long long)permille % 10);
}

static void put_key(struct walk *walk, const struct key_config *key)
{
    static const char *const words[] = {[KEY_NONE] = "none",
                                        [KEY_HEADER] = "header:",
                                        [KEY_PATH] = "path",
                                        [KEY_METHOD] = "method",
                                        [KEY_CLIENT] = "client"};
    put_word(walk, words[key->kind]);
    if (key->kind == KEY_HEADER)
        put(walk, "%s", key->header);
}

static void put_access(struct walk *walk, const struct log_config *log)
{
    static const char *const words[] = {[LOG_ACCESS_OFF] = "off",
                                        [LOG_ACCESS_REFUSALS] = "refusals",
                                        [LOG_ACCESS_SAMPLED] = "sampled: ",
                                        [LOG_ACCESS_ALL] = "all"};
    put_word(walk, words[log->access]);
    if (log->access == LOG_ACCESS_SAMPLED)
        put(walk, "%g%%", log->sampled_ppm / 10000.0);
}

static void put_scalar(struct walk *walk, const struct field *field, const void *member)
{
    char text[64];
    switch (field->type) {
    case FIELD_DURATION:
        duration_format((dur_ns)load(member, field->size), text, sizeof text);
        put_word(walk, text);
        break;
    case FIELD_SIZE:
        size_format(load(member, field->size), text, sizeof text);
        put_word(walk, text);
        break;
    case FIELD_PERCENT: put_percent(walk, load(member, field->size)); break;
    case FIELD_COUNT: put_count(walk, field, load(member, field->size)); break;
    case FIELD_BOOL:
        walk->kind = EFFECTIVE_BOOL;
        put(walk, "%s", *(const bool *)member ? "true" : "false");
        break;
    case FIELD_ENUM: put_word(walk, word_of(field->words, load(member, field->size))); break;
    case FIELD_KEY: put_key(walk, member); break;
    case FIELD_ACCESS: put_access(walk, member); break;
    case FIELD_TEXT:
    case FIELD_METHOD_NAME: put_span(walk, *(const struct span *)member); break;
    case FIELD_UPSTREAM: put_word(walk, ((const struct address_config *)member)->text); break;
    default: put_word(walk, *(const char *const *)member); break; /* names, hosts, headers */
    }
}

static void put_statuses(struct walk *walk, const struct code_set *codes)
{
    for (int first = 0; first < STATUS_END; first++) {
        char text[16];
        int last = first;
        if (!code_set_has_http(codes, first))
            continue;
        while (code_set_has_http(codes, last + 1))
            last++;
        snprintf(text, sizeof text, "%d-%d", first, last);
        if (last - first + 1 >= LONG_RUN) {
            put_item(walk, text);
            first = last;
            continue;
        }
        snprintf(text, sizeof text, "%d", first);
        put_item(walk, text);
    }
}

static void put_methods(struct walk *walk, uint32_t known, const char *const *others)
{
    for (int method = METHOD_OTHER + 1; method < METHOD_COUNT; method++)
        if (known & method_bit((enum method)method))
            put_item(walk, method_word((enum method)method));
    for (; others && *others; others++)
        put_item(walk, *others);
}

static void put_list(struct walk *walk, const struct field *field, const void *owner)
{
    const char *member = (const char *)owner + field->offset;
    open_list(walk);
    switch (field->type) {
    case FIELD_HTTP_CODES: put_statuses(walk, (const void *)member); break;
    case FIELD_GRPC_CODES:
        for (int code = 0; code < 32; code++)
            if (code_set_has_grpc((const void *)member, code))
                put_item(walk, grpc_code_word(code));
        break;
    case FIELD_FLAGS:
        for (const struct word *word = field->words; word->name; word++)
            if (load(member, sizeof(uint32_t)) & (uint32_t)word->value)
                put_item(walk, word->name);
        break;
    case FIELD_METHODS:
        put_methods(walk, (uint32_t)load(member, sizeof(uint32_t)),
                    *(const char *const *const *)(const void *)((const char *)owner + field->aux));
        break;
    case FIELD_TEXTS:
        for (const char *const *text = *(const char *const *const *)(const void *)member;
             text && *text; text++)
            put_item(walk, *text);
        break;
    case FIELD_ENDPOINTS:
    case FIELD_ADDRESSES: {
        const struct address_list *list = (const void *)member;
        for (size_t i = 0; i < list->count; i++)
            put_item(walk, list->items[i].text);
        break;
    }
    default: { /* FIELD_PORTS */
        const struct port_list *list = (const void *)member;
        for (size_t i = 0; i < list->count; i++) {
            char port[8];
            snprintf(port, sizeof port, "%u", list->items[i]);
            put_item(walk, port);
        }
        break;
    }
    }
    close_list(walk);
}

/* ---- the walk ---- */

static size_t push(struct walk *walk, const char *name)
{
    size_t mark = walk->path_len;
    size_t room = sizeof walk->path - mark;
    int len = snprintf(walk->path + mark, room, "%s%s", mark > 0 ? "." : "", name);
    walk->path_len += (size_t)len < room ? (size_t)len : room - 1;
    return mark;
}

static void pop(struct walk *walk, size_t mark)
{
    walk->path_len = mark;
    walk->path[mark] = '\0';
}

static void visit_value(struct walk *walk, const struct field *field, const void *owner)
{
    bool is_list = (field->type >= FIELD_HTTP_CODES && field->type <= FIELD_PORTS) ||
                   field->type == FIELD_ADDRESSES || field->type == FIELD_ENDPOINTS;
    walk->len = 0;
    walk->text[0] = '\0';
    if (is_list)
        put_list(walk, field, owner);
    else
        put_scalar(walk, field, (const char *)owner + field->offset);
    struct effective_field found = {walk->path, walk->kind, walk->text};
    walk->visit(&found, walk->context);
}

static bool is_shown(const struct field *field)
{
    bool has_no_member = field->type == FIELD_ENUM && field->size == 0;
    return field->type != FIELD_LATER && field->type != FIELD_LABELS && !has_no_member &&
           !field->is_manual;
}

static void visit_block(struct walk *walk, const struct block *block, const void *owner);

static void visit_field(struct walk *walk, const struct field *field, const void *owner)
{
    size_t mark = push(walk, field->name);
    if (field->type == FIELD_BLOCK)
        visit_block(walk, field->block, (const char *)owner + field->offset);
    else
        visit_value(walk, field, owner);
    pop(walk, mark);
}

static void visit_items(struct walk *walk, const struct field *field, const void *owner)
{
    const char *items;
    size_t count;
    char name[48];
    memcpy(&items, (const char *)owner + field->offset, sizeof items);
    memcpy(&count, (const char *)owner + field->aux, sizeof count);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s[%zu]", field->name, i);
        size_t mark = push(walk, name);
        visit_block(walk, field->block, items + i * field->block->item_size);
        pop(walk, mark);
    }
}

/* The tables nest four levels at most. */
static void visit_block(struct walk *walk, const struct block *block, const void *owner)
{
    bool is_off = false;
    for (size_t i = 0; i < block->field_count && !is_off; i++) {
        const struct field *field = &block->fields[i];
        if (!is_shown(field))
            continue;
        if (field->type == FIELD_BLOCKS) {
            visit_items(walk, field, owner);
            continue;
        }
        visit_field(walk, field, owner);
        is_off = strcmp(field->name, "mode") == 0 && strcmp(walk->text, "off") == 0;
    }
}

void effective_family(const struct policy *policy, enum policy_family family,
                      effective_visitor visit, void *context)
{
    struct walk walk;
    walk.visit = visit;
    walk.context = context;
    walk.path_len = 0;
    push(&walk, policy_families[family].block->name);
    visit_block(&walk, policy_families[family].block,
                (const char *)policy + policy_families[family].offset);
}

struct upstream_block {
    const struct block *block;
    size_t offset; /* in struct document */
};

static const struct upstream_block upstream_blocks[EFFECTIVE_UPSTREAM_BLOCKS] = {
    {&load_balancer_block, offsetof(struct document, policy.load_balancer)},
    {&discovery_block, offsetof(struct document, discovery)},
    {&health_check_block, offsetof(struct document, health_check)},
    {&connection_pool_block, offsetof(struct document, connection_pool)},
    {&tls_block, offsetof(struct document, tls)},
};

/* It holds for hosts that no document names, too. */
static bool is_everybodys(size_t index)
{
    return upstream_blocks[index].block == &load_balancer_block;
}

const char *effective_upstream_name(const struct document *document, size_t index)
{
    return document != NULL || is_everybodys(index) ? upstream_blocks[index].block->name : NULL;
}

void effective_upstream(const struct document *document, const struct policy *policy, size_t index,
                        effective_visitor visit, void *context)
{
    const struct upstream_block *of = &upstream_blocks[index];
    struct walk walk;
    walk.visit = visit;
    walk.context = context;
    walk.path_len = 0;
    push(&walk, of->block->name);
    visit_block(&walk, of->block,
                is_everybodys(index) ? (const void *)&policy->load_balancer
                                     : (const void *)((const char *)document + of->offset));
}

static const struct block *spec_of(const struct block *document)
{
    for (size_t i = 0; i < document->field_count; i++)
        if (strcmp(document->fields[i].name, "spec") == 0)
            return document->fields[i].block;
    return NULL;
}

void effective_document(const struct document *document, effective_visitor visit, void *context)
{
    struct walk walk;
    const struct block *spec = spec_of(&policy_document_block);
    walk.visit = visit;
    walk.context = context;
    walk.path_len = 0;
    walk.path[0] = '\0';
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct field *field = &spec->fields[i];
        if (field->type == FIELD_BLOCK || field->type == FIELD_ENUM)
            visit_field(&walk, field, document);
    }
}

void effective_proxy(const struct proxy_config *proxy, effective_visitor visit, void *context)
{
    struct walk walk;
    walk.visit = visit;
    walk.context = context;
    walk.path_len = 0;
    walk.path[0] = '\0';
    visit_block(&walk, spec_of(&proxy_document_block), proxy);
}

/* ---- where it comes from ---- */

static bool says_off(const struct node *layer, const char *block)
{
    const struct node *mode = node_get(node_get(layer, block), "mode");
    return mode && mode->kind == NODE_SCALAR && span_is(mode->text, SPAN("off"));
}

struct origin origin_find(const struct node *spec, const struct node *rule, const char *path)
{
    char block[64];
    snprintf(block, sizeof block, "%.*s", (int)strcspn(path, "."), path);
    const struct node *node = node_find(rule, path);
    enum origin_kind kind = ORIGIN_RULE;
    bool has_mode = node_get(node_get(rule, block), "mode") != NULL;
    bool is_off = has_mode ? says_off(rule, block) : says_off(spec, block);
    bool is_mode = strcmp(path + strlen(block), ".mode") == 0;
    if (node == NULL) {
        node = node_find(spec, path);
        kind = ORIGIN_DOCUMENT;
    }
    if (node && (is_mode || !is_off))
        return (struct origin){kind, node->key_line};
    bool is_present = node_get(rule, block) || node_get(spec, block);
    return (struct origin){is_present && !is_off ? ORIGIN_DEFAULT : ORIGIN_ABSENT, 0};
}
