/* schema_places.c - hosts of targets, addresses to listen on, upstreams, labels; see schema.h. */
#include "config/address.h"
#include "config/ip.h"
#include "config/scalar.h"
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

static const char *keep_host(struct decoder *decoder, enum address_kind kind, struct span host)
{
    uint8_t ip[16];
    char text[IP_TEXT_MAX];
    if (kind == ADDRESS_IPV6 && ipv6_parse(host, ip))
        return decode_keep(decoder, ipv6_format(ip, text));
    return decode_keep_lower(decoder, host);
}

static bool keep_address(struct decoder *decoder, const struct node *node,
                         const struct address_parts *parts, struct address_config *address)
{
    address->kind = parts->kind;
    address->text = decode_keep(decoder, node->text);
    address->host = parts->kind == ADDRESS_UNIX ? "" : keep_host(decoder, parts->kind, parts->host);
    address->path = parts->kind == ADDRESS_UNIX ? decode_keep(decoder, parts->host) : "";
    address->port = parts->port;
    return decoder->err == OK;
}

typedef const char *(*address_parser)(struct span text, struct address_parts *parts);

struct address_form { /* of the items of a list */
    address_parser parse;
    const char *expects;
    const char *examples;
};

static const struct address_form listen_form = {
    address_parse_listen, "an address such as \"127.0.0.1:15001\"",
    "such as \"127.0.0.1:15001\", \"[::1]:15001\", \":15001\" or \"unix:/PATH\""};
static const struct address_form endpoint_form = {
    address_parse_endpoint, "an address such as \"10.0.0.1:8080\"",
    "such as \"10.0.0.1:8080\", \"[fd00::1]:8080\", \"payments-a:8080\" or \"unix:/PATH\""};

static bool address_decode(struct decoder *decoder, const struct address_form *form,
                           const struct node *node, struct address_config *address)
{
    struct address_parts parts;
    if (node->kind == NODE_BROKEN)
        return false;
    if (node->kind != NODE_SCALAR)
        return decode_expected(decoder, node, form->expects, NULL);
    const char *problem = form->parse(node->text, &parts);
    if (problem == NULL)
        return keep_address(decoder, node, &parts, address);
    char found[64];
    decode_error(decoder, DIAG_BAD_VALUE, node, form->examples, "%s: %s",
                 node_describe(node, found, sizeof found), problem);
    return false;
}

static bool list_of_addresses_decode(struct decoder *decoder, const struct field *field,
                                     const struct address_form *form, const struct node *node,
                                     void *out)
{
    struct address_list list = {NULL, 0};
    const bool is_list = node->kind == NODE_LIST;
    size_t count = is_list ? node->count : node->text.len > 0;
    if (count < field->min || count > field->max) {
        char help[64];
        snprintf(help, sizeof help, "%llu to %llu", (unsigned long long)field->min,
                 (unsigned long long)field->max);
        decode_error(decoder, DIAG_OUT_OF_RANGE, node, help, "%zu addresses", count);
        return false;
    }
    struct address_config *items = arena_zalloc(decoder->arena, (count + 1) * sizeof *items);
    if (items == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return false;
    }
    bool is_good = true;
    const struct node *item = is_list ? node->first : node;
    for (size_t i = 0; i < count; i++, item = item->next) {
        size_t mark = is_list ? path_push_index(decoder, i) : decoder->path_len;
        is_good &= address_decode(decoder, form, item, &items[i]);
        path_pop(decoder, mark);
    }
    list = (struct address_list){items, count};
    memcpy((char *)out + field->offset, &list, sizeof list);
    return is_good && decoder->err == OK;
}

static bool addresses_decode(struct decoder *decoder, const struct field *field,
                             const struct node *node, void *out)
{
    if (node->kind != NODE_LIST && node->kind != NODE_SCALAR)
        return decode_expected(decoder, node, "an address such as \"127.0.0.1:15001\", or a list",
                               node->kind == NODE_NULL ? "\"\" switches it off" : NULL);
    return list_of_addresses_decode(decoder, field, &listen_form, node, out);
}

static bool endpoints_decode(struct decoder *decoder, const struct field *field,
                             const struct node *node, void *out)
{
    if (node->kind != NODE_LIST)
        return decode_expected(decoder, node, "a list such as [\"10.0.0.1:8080\"]", NULL);
    return list_of_addresses_decode(decoder, field, &endpoint_form, node, out);
}

static bool upstream_decode(struct decoder *decoder, const struct field *field,
                            const struct node *node, void *out)
{
    struct address_parts parts;
    const char *problem = address_parse_upstream(node->text, &parts);
    if (problem == NULL)
        return keep_address(decoder, node, &parts, (void *)((char *)out + field->offset));
    char found[64];
    bool is_tls = span_starts_with(node->text, SPAN("https:"));
    decode_error(decoder, is_tls ? DIAG_NOT_AVAILABLE : DIAG_BAD_VALUE, node,
                 "such as \"payments:8080\"", "%s: %s", node_describe(node, found, sizeof found),
                 is_tls ? "TLS is not available in this version" : problem);
    return false;
}

static bool refuse_host(struct decoder *decoder, const struct node *node, const char *problem,
                        const char *help)
{
    char found[64];
    decode_error(decoder, DIAG_BAD_VALUE, node, help, "%s %s",
                 node_describe(node, found, sizeof found), problem);
    return false;
}

static bool host_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *out)
{
    static const char examples[] =
        "such as payments, payments.shop.svc, \"*.example.com\" or \"*\"";
    struct span host = node->text;
    struct address_parts parts;
    if (host.len > 1 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = span_make(host.data + 1, host.len - 2);
    enum address_kind kind = host_kind(host);
    struct span name =
        span_starts_with(host, SPAN("*.")) ? span_make(host.data + 2, host.len - 2) : host;
    bool is_good =
        kind == ADDRESS_IPV6 || span_is(node->text, SPAN("*")) || host_name_is_valid(name);
    if (!is_good && address_parse_upstream(host, &parts) == NULL)
        return refuse_host(decoder, node, "has a port in it",
                           "write host and ports apart: {host: payments, ports: [8080]}");
    if (!is_good && memchr(host.data, '*', host.len))
        return refuse_host(decoder, node, "has a * in a place where none may be",
                           "\"*\" alone, or in place of the first labels: \"*.example.com\"");
    if (!is_good)
        return refuse_host(decoder, node, "is not a host", examples);
    const char *kept = keep_host(decoder, kind, host);
    memcpy((char *)out + field->offset, &kept, sizeof kept);
    return decoder->err == OK;
}

static bool labels_decode(struct decoder *decoder, const struct node *node)
{
    if (node->kind != NODE_BLOCK)
        return decode_expected(decoder, node, "a block of texts", NULL);
    for (const struct node *child = node->first; child; child = child->next)
        if (child->kind == NODE_LIST || child->kind == NODE_BLOCK)
            return decode_expected(decoder, child, "text", NULL);
    return true;
}

bool place_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                  void *out)
{
    switch (field->type) {
    case FIELD_HOST: return host_decode(decoder, field, node, out);
    case FIELD_UPSTREAM: return upstream_decode(decoder, field, node, out);
    case FIELD_ADDRESSES: return addresses_decode(decoder, field, node, out);
    case FIELD_ENDPOINTS: return endpoints_decode(decoder, field, node, out);
    default: return labels_decode(decoder, node);
    }
}
