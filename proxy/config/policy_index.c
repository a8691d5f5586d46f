/* policy_index.c - hosts -> documents: exact names and wildcard suffixes in one open-addressing
 * table, at most half full. A wildcard is entered as ".example.com", which no host can be; "*" as
 * itself. See policy_index.h; also policy_set_find of policy_set.h. */
#include "config/policy_index.h"

#include "base/hash.h"
#include "config/address.h"
#include "config/ip.h"

#include <string.h>

#define HOST_BYTES_MAX 255
/* payments, payments.NS, payments.NS.svc, payments.NS.svc.CLUSTERDOMAIN */
#define SERVICE_NAMES 4
#define PORT_MIX UINT64_C(0x9E3779B97F4A7C15) /* 2^64 / golden ratio (Knuth, vol. 3, 6.4) */

struct host_slot {
    struct span host; /* data == NULL: free */
    uint16_t port;    /* 0 = any */
    const struct document *document;
    const struct document_target *target; /* NULL in the table of names */
};

/* ---- the table ---------------------------------------------------------------------------- */

static enum err table_init(struct host_table *table, struct arena *arena, size_t entries)
{
    size_t size = 8;
    while (size < entries * 2)
        size *= 2;
    struct host_slot *slots = arena_zalloc(arena, size * sizeof *slots);
    if (slots == NULL)
        return ERR_NO_MEMORY;
    *table = (struct host_table){slots, size - 1, 0};
    return OK;
}

static struct host_slot *table_find(const struct host_table *table, struct span host, uint64_t hash,
                                    uint16_t port)
{
    size_t at = (size_t)(hash ^ port * PORT_MIX) & table->mask;
    while (table->slots[at].host.data &&
           !(table->slots[at].port == port && span_is(table->slots[at].host, host)))
        at = (at + 1) & table->mask;
    return &table->slots[at];
}
/* The slot of (host, port), or the free one where it belongs. */

static const struct host_slot *ask(const struct host_table *table, struct span host, uint16_t port)
{
    uint64_t hash = hash_span(host, 0);
    const struct host_slot *listed = table_find(table, host, hash, port);
    if (listed->document == NULL)
        listed = table_find(table, host, hash, 0);
    return listed->document ? listed : NULL;
}

/* ---- asking ------------------------------------------------------------------------------- */

static struct span host_normalise(struct span host, char out[HOST_BYTES_MAX])
{
    if (host.len > 1 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = span_make(host.data + 1, host.len - 2);
    uint8_t ip[16];
    if (host.len > 0 && memchr(host.data, ':', host.len) && ipv6_parse(host, ip))
        return ipv6_format(ip, out);
    if (host.len > HOST_BYTES_MAX)
        return SPAN("");
    for (size_t i = 0; i < host.len; i++)
        out[i] =
            (char)(host.data[i] >= 'A' && host.data[i] <= 'Z' ? host.data[i] | 0x20 : host.data[i]);
    return span_make(out, host.len);
}

static const struct host_slot *ask_wildcards(const struct host_table *table, struct span host,
                                             uint16_t port)
{
    const struct host_slot *longest = NULL;
    size_t labels = 0;
    for (size_t i = host.len; i > 1 && labels < table->wildcard_labels; i--) {
        if (host.data[i - 1] != '.')
            continue;
        const struct host_slot *found =
            ask(table, span_make(host.data + i - 1, host.len - i + 1), port);
        longest = found ? found : longest;
        labels++;
    }
    return longest;
}

static const struct host_slot *find(const struct policy_set *set, struct span host, uint16_t port)
{
    char text[HOST_BYTES_MAX];
    struct span name = host_normalise(host, text);
    const struct host_slot *found = NULL;
    if (name.len > 0 && name.data[0] != '.' && name.data[0] != '*')
        found = ask(&set->hosts, name, port);
    if (found == NULL)
        found = ask_wildcards(&set->hosts, name, port);
    return found ? found : ask(&set->hosts, SPAN("*"), port);
}

const struct document *policy_set_find(const struct policy_set *set, struct span host,
                                       uint16_t port)
{
    const struct host_slot *found = find(set, host, port);
    return found ? found->document : NULL;
}

const struct document *policy_set_choose(const struct policy_set *set, struct span host,
                                         uint16_t port, const struct document_target **target)
{
    const struct host_slot *found = find(set, host, port);
    if (found)
        *target = found->target;
    return found ? found->document : NULL;
}

const struct document *policy_set_find_wider(const struct policy_set *set,
                                             const struct document *document,
                                             const struct document_target *target)
{
    const struct host_table *table = &set->hosts;
    struct span host = span_of(target->host);
    const uint16_t port = target->ports.count > 0 ? target->ports.items[0] : 0;
    const struct host_slot *found = NULL;
    if (host.data[0] == '*' && host.len > 1)
        host = span_make(host.data + 1, host.len - 1); /* ".example.com", as it is entered */
    if (target->ports.count > 0)
        found = ask(table, host, 0);
    if (found == NULL && host.data[0] != '*') {
        struct span below = host.data[0] == '.' ? span_make(host.data + 1, host.len - 1) : host;
        found = ask_wildcards(table, below, port);
    }
    if (found == NULL && host.data[0] != '*')
        found = ask(table, SPAN("*"), port);
    return found && found->document != document ? found->document : NULL;
}

/* ---- building ----------------------------------------------------------------------------- */

static struct place target_place(const struct document *document,
                                 const struct document_target *target)
{
    return (struct place){document->file, target->line, target->column, target->length};
}

static struct place document_place(const struct document *document)
{
    return (struct place){document->file, document->line, 1, PLACE_REST_OF_LINE};
}

struct builder {
    struct policy_set *set;
    struct diagnostics *diag;
    const struct document *document;
    const struct document_target *target;
};

static bool is_service(const struct document *document, const struct document_target *target)
{
    return *document->namespace && strchr(target->host, '.') == NULL &&
           strcmp(target->host, "*") != 0 && host_kind(span_of(target->host)) == ADDRESS_NAME;
}

/* Every spelling of a target; returns how many, 0 when there is no memory. */
static size_t spellings(const struct builder *b, struct span out[SERVICE_NAMES])
{
    const char *host = b->target->host;
    static const char *const suffixes[SERVICE_NAMES] = {"", "", ".svc", (".svc." CLUSTER_DOMAIN)};
    out[0] = span_of(host[0] == '*' && host[1] == '.' ? host + 1 : host);
    if (!is_service(b->document, b->target))
        return 1;
    char lower[HOST_BYTES_MAX];
    struct span folded = host_normalise(span_of(b->document->namespace), lower);
    struct span kept = arena_copy(&b->set->arena, folded);
    if (kept.data == NULL)
        return 0;
    for (size_t i = 1; i < SERVICE_NAMES; i++) {
        char *name = arena_printf(&b->set->arena, "%s.%s%s", host, kept.data, suffixes[i]);
        if (name == NULL)
            return 0;
        out[i] = span_of(name);
    }
    return SERVICE_NAMES;
}

static bool enter(struct builder *b, struct span host, uint16_t port)
{
    struct host_slot *slot = table_find(&b->set->hosts, host, hash_span(host, 0), port);
    if (slot->host.data == NULL) {
        *slot = (struct host_slot){host, port, b->document, b->target};
        return true;
    }
    if (slot->document == b->document || slot->document->rank > b->document->rank)
        return true;
    if (slot->document->rank < b->document->rank) {
        *slot = (struct host_slot){host, port, b->document, b->target};
        return true;
    }
    struct place place = target_place(b->document, b->target);
    char at_port[16] = "";
    if (port)
        snprintf(at_port, sizeof at_port, " port %u", port);
    diagnostics_add(b->diag, DIAG_TARGET_TIE, place, "spec.targets",
                    "name a longer host or a port in one of them",
                    "%s%.*s%s is a target of \"%s\" at %s:%u already",
                    host.data[0] == '.' ? "*" : "", SPAN_ARGS(host), at_port, slot->document->name,
                    slot->document->file, slot->target->line);
    diagnostics_relate(b->diag, target_place(slot->document, slot->target),
                       "the other target is here");
    return false;
}
/* False after a tie: one message for all spellings and ports of a target is enough. */

static bool enter_target(struct builder *b)
{
    struct span names[SERVICE_NAMES];
    const struct port_list *ports = &b->target->ports;
    size_t count = spellings(b, names);
    for (size_t i = 0; i < count; i++) {
        size_t port = 0;
        do {
            if (!enter(b, names[i], ports->count ? ports->items[port] : 0))
                return true;
        } while (++port < ports->count);
        size_t labels = 0;
        for (size_t at = 0; names[i].data[0] == '.' && at < names[i].len; at++)
            labels += names[i].data[at] == '.';
        if (labels > b->set->hosts.wildcard_labels)
            b->set->hosts.wildcard_labels = labels;
    }
    return count > 0;
}

static size_t entries_of(const struct document *document)
{
    size_t entries = 0;
    for (size_t i = 0; i < document->target_count; i++) {
        size_t ports = document->targets[i].ports.count;
        entries += (ports ? ports : 1) * SERVICE_NAMES;
    }
    return entries;
}

static enum err check_names(struct policy_set *set, struct diagnostics *diag)
{
    struct host_table names;
    enum err e = table_init(&names, &set->arena, set->document_count);
    for (size_t i = 0; e == OK && i < set->document_count; i++) {
        const struct document *document = &set->documents[i];
        const char *name = arena_printf(&set->arena, "%s/%s", document->namespace, document->name);
        if (name == NULL)
            return ERR_NO_MEMORY;
        struct host_slot *slot = table_find(&names, span_of(name), hash_span(span_of(name), 0), 0);
        if (slot->host.data == NULL) {
            *slot = (struct host_slot){span_of(name), 0, document, NULL};
            continue;
        }
        diagnostics_add(diag, DIAG_DUPLICATE_NAME, document_place(document), "metadata.name",
                        "circuits and metrics are told apart by namespace and name",
                        "\"%s\" is the name of the document at %s already", document->name,
                        slot->document->at);
        diagnostics_relate(diag, document_place(slot->document), "the first one begins here");
    }
    return e;
}

enum err policy_index_build(struct policy_set *set, struct diagnostics *diag)
{
    size_t entries = 0;
    for (size_t i = 0; i < set->document_count; i++)
        entries += entries_of(&set->documents[i]);
    enum err e = table_init(&set->hosts, &set->arena, entries);
    for (size_t i = 0; e == OK && i < set->document_count; i++) {
        struct builder b = {set, diag, &set->documents[i], NULL};
        for (size_t j = 0; e == OK && j < b.document->target_count; j++) {
            b.target = &b.document->targets[j];
            e = enter_target(&b) ? OK : ERR_NO_MEMORY;
        }
    }
    return e ? e : check_names(set, diag);
}
