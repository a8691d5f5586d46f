/* route.c - see route.h. */
#include "request/route.h"

#include "base/check.h"
#include "http/grpc.h"
#include "http/hop.h"
#include "request/connection.h"
#include "request/destination.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET_NAME_BYTES 300 /* a host of 255 bytes, brackets, port */
#define HTTP_PORT 80

void route_host_port(const char *target, struct span *host, uint16_t *port)
{
    const char *colon = strrchr(target, ':');
    *port = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
    *host = span_make(target, colon ? (size_t)(colon - target) : strlen(target));
    if (host->len >= 2 && host->data[0] == '[')
        *host = span_make(host->data + 1, host->len - 2);
}

static size_t lower(char *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return text.len;
}

static struct span target_name(char name[TARGET_NAME_BYTES], const struct message *msg,
                               uint16_t port)
{
    char host[TARGET_NAME_BYTES];
    size_t len = lower(host, span_make(msg->host.data, msg->host.len < 256 ? msg->host.len : 256));
    if (len > 1 && host[len - 1] == '.')
        len--;
    const char *format = msg->is_ipv6_host ? "[%.*s]:%u" : "%.*s:%u";
    const int n = snprintf(name, TARGET_NAME_BYTES, format, (int)len, host, port);
    return span_make(name, (size_t)n);
}

/* ---- loops ---- */

static bool is_this_host(struct span host)
{
    return span_is_nocase(host, SPAN("localhost")) || span_starts_with(host, SPAN("127.")) ||
           span_is(host, SPAN("::1"));
}

/* A tunnel carries no Via: the only sign of a loop is that it leads to a door of ours. */
static bool is_our_door(const struct proxy *proxy, struct span host, uint16_t port)
{
    if (!is_this_host(host))
        return false;
    LIST_FOREACH (link, &proxy->entrances) {
        const struct entrance *entrance = CONTAINER_OF(link, struct entrance, link);
        if (address_port(listener_address(&entrance->listener)) == port)
            return true;
    }
    return false;
}

struct entrance *route_door(const struct proxy *proxy, const struct address *address)
{
    LIST_FOREACH (link, &proxy->entrances) {
        struct entrance *entrance = CONTAINER_OF(link, struct entrance, link);
        const struct address *door = listener_address(&entrance->listener);
        const bool is_same_port = address_port(door) == address_port(address);
        if (address_equal(door, address) ||
            (is_same_port && address_is_any(door) && address_is_loopback(address)))
            return entrance;
    }
    return NULL;
}

/* ---- targets ---- */

static enum reason find_target(struct proxy *proxy, struct span name, struct target **out)
{
    struct target *target = target_table_lookup(&proxy->targets, name);
    if (target != NULL) {
        *out = target;
        return REASON_NONE;
    }
    char text[TARGET_NAME_BYTES];
    struct span host;
    uint16_t port;
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(name));
    route_host_port(text, &host, &port);
    const struct document *document = policy_set_find(proxy->snapshot->set, host, port);
    const struct plan *plan = snapshot_plan(proxy->snapshot, document);
    if (target_table_add(&proxy->targets, name, plan, proxy->loop->now, &target) != OK)
        return REASON_OVERLOADED;
    if (destination_of(target) == NULL) {
        target_table_drop(&proxy->targets, target);
        return REASON_OVERLOADED;
    }
    destination_follow(proxy, target, document);
    *out = target;
    return REASON_NONE;
}

static enum reason find_by_request(struct proxy *proxy, const struct message *msg,
                                   struct target **out, const char **detail)
{
    char name[TARGET_NAME_BYTES];
    if (msg->host.len == 0) {
        *detail = "no Host: on this port the request itself must name its target";
        return REASON_BAD_REQUEST;
    }
    const uint16_t port = msg->port ? msg->port : HTTP_PORT;
    if (is_our_door(proxy, msg->host, port))
        return REASON_LOOP;
    return find_target(proxy, target_name(name, msg, port), out);
}

/* It was going somewhere: its Host says what that is called, and never where it is. */
static enum reason find_caught(struct proxy *proxy, const struct connection *connection,
                               const struct message *msg, struct target **out, const char **detail)
{
    char name[TARGET_NAME_BYTES];
    if (msg->is_connect && !connection->is_bare) {
        *detail = "CONNECT is for a proxy, and this connection was on its way to another host";
        return REASON_BAD_REQUEST;
    }
    if (msg->host.len > 0)
        return find_target(proxy, target_name(name, msg, address_port(connection->caught)), out);
    address_text(connection->caught, name);
    return find_target(proxy, span_of(name), out);
}

static enum reason find(struct proxy *proxy, const struct connection *connection,
                        const struct message *msg, struct target **out, const char **detail)
{
    const char *upstream = connection_upstream(connection);
    if (upstream[0] != '\0')
        return find_target(proxy, span_of(upstream), out);
    if (connection->caught != NULL)
        return find_caught(proxy, connection, msg, out, detail);
    return find_by_request(proxy, msg, out, detail);
}

static bool is_tcp(const struct proxy *proxy, struct span host, uint16_t port,
                   enum protocol otherwise)
{
    const struct document *document = policy_set_find(proxy->snapshot->set, host, port);
    const enum protocol wanted = document ? document->protocol : PROTOCOL_UNSET;
    return (wanted != PROTOCOL_UNSET ? wanted : otherwise) == PROTOCOL_TCP;
}

bool route_is_tcp(const struct entrance *entrance)
{
    struct span host;
    uint16_t port;
    if (entrance->upstream[0] == '\0')
        return false;
    route_host_port(entrance->upstream, &host, &port);
    return is_tcp(entrance->proxy, host, port, entrance->protocol);
}

bool route_is_opaque_port(const struct proxy *proxy, uint16_t port)
{
    const struct port_list *ports = &proxy->snapshot->set->proxy.opaque_ports;
    for (size_t i = 0; i < ports->count; i++)
        if (ports->items[i] == port)
            return true;
    return false;
}

bool route_is_opaque(const struct proxy *proxy, const struct address *address)
{
    const uint16_t port = address_port(address);
    char host[ADDRESS_TEXT_BYTES];
    address_ip_text(address, host);
    return route_is_opaque_port(proxy, port) || is_tcp(proxy, span_of(host), port, PROTOCOL_AUTO);
}

/* ---- rules ---- */

enum route_http route_by_alpn(const struct document *document)
{
    const uint32_t offered = document ? document->tls.alpn : 0;
    if (offered == TLS_PROTOCOL_HTTP2)
        return ROUTE_HTTP2;
    return offered == TLS_PROTOCOL_HTTP1 ? ROUTE_HTTP1 : ROUTE_ALPN;
}

enum route_http route_http(const struct connection *connection, const struct target *target,
                           const struct message *msg)
{
    const struct destination *destination = destination_of(target);
    const struct document *document = destination->document;
    const enum protocol wanted = document ? document->protocol : PROTOCOL_UNSET;
    switch (wanted != PROTOCOL_UNSET ? wanted : connection->entrance->protocol) {
    case PROTOCOL_HTTP2:
    case PROTOCOL_GRPC: return ROUTE_HTTP2;
    case PROTOCOL_HTTP1: return ROUTE_HTTP1;
    default: break;
    }
    if (destination->tls != NULL)
        return route_by_alpn(document);
    return msg->version_major == 2 ? ROUTE_HTTP2 : ROUTE_HTTP1;
}

bool request_is_grpc(const struct message *msg)
{
    return message_has(msg, HEADER_CONTENT_TYPE) &&
           grpc_is_content_type(message_value(msg, HEADER_CONTENT_TYPE));
}

static struct span header_of(const void *context, struct span name)
{
    const struct header *header = message_find_name(context, name);
    return header ? header->value : SPAN_NONE;
}

static struct lane *lane_of(struct target *target, const struct message *msg)
{
    const struct destination *destination = destination_of(target);
    const struct document *document = destination->document;
    if (document == NULL || document->rule_count == 0)
        return target->lanes[0];
    struct span query = msg->query;
    if (query.len > 0)
        query = span_make(query.data + 1, query.len - 1);
    const struct match_input input = {.method = msg->method_name,
                                      .path = msg->path,
                                      .query = query,
                                      .is_grpc = request_is_grpc(msg),
                                      .header = header_of,
                                      .context = msg};
    const struct rule *rule = document_match(document, &input);
    return target->lanes[rule ? rule->index + 1 : 0];
}

enum reason route_request(struct proxy *proxy, const struct connection *connection,
                          const struct message *msg, struct lane **out, const char **detail)
{
    struct target *target = NULL;
    const char *upstream = connection_upstream(connection);
    const bool is_explicit = upstream[0] != '\0';
    if (is_explicit && msg->is_connect && !connection->is_bare) {
        *detail = "CONNECT is for the outbound port: this listener leads to one upstream only";
        return REASON_BAD_REQUEST;
    }
    const enum reason reason = find(proxy, connection, msg, &target, detail);
    if (reason != REASON_NONE)
        return reason;
    *out = lane_of(target, msg);
    return hop_is_loop(msg, span_of(proxy->pseudonym)) ? REASON_LOOP : REASON_NONE;
}

static bool is_in(const char *const *names, struct span name)
{
    for (; names != NULL && *names != NULL; names++)
        if (span_is(span_of(*names), name))
            return true;
    return false;
}

bool route_is_method_listed(const struct retry_config *cfg, const struct message *msg)
{
    if (cfg->honours_idempotency_key && message_has(msg, HEADER_IDEMPOTENCY_KEY))
        return true;
    if (msg->method != METHOD_OTHER)
        return (cfg->methods & method_bit(msg->method)) != 0;
    return is_in(cfg->other_methods, msg->method_name);
}
