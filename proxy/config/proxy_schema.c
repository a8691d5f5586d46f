/* proxy_schema.c - the fields of a ProxyConfig, one row each (POLICY section 6); see schema.h for
 * the columns. */
#include "config/policy_schema.h"

#include <string.h>

#define MAX_LISTENERS 256
#define MAX_ADDRESSES 16 /* of one `listen` */
#define MAX_SIZE (UINT64_C(1) << 40)
#define DURATION_OF(lo, hi) .min = (uint64_t)(lo), .max = (uint64_t)(hi)
#define TLS_ROW                                                                                    \
    {                                                                                              \
        .name = "tls", .type = FIELD_LATER, .doc = "TLS on this port"                              \
    }

static const struct word protocol_words[] = {{"auto", PROTOCOL_AUTO},   {"http1", PROTOCOL_HTTP1},
                                             {"http2", PROTOCOL_HTTP2}, {"grpc", PROTOCOL_GRPC},
                                             {"tcp", PROTOCOL_TCP},     {NULL, 0}};
static const struct word drain_words[] = {
    {"serve", DRAIN_SERVE}, {"refuse", DRAIN_REFUSE}, {NULL, 0}};
static const struct word format_words[] = {
    {"auto", LOG_FORMAT_AUTO}, {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};
static const struct word level_words[] = {
    {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}, {NULL, 0}};
static const struct word api_words[] = {{API_VERSION, 0}, {NULL, 0}};
static const struct word kind_words[] = {{KIND_PROXY, 0}, {NULL, 0}};

/* ---- finish: what no single row can say --------------------------------------------------- */

static void outbound_finish(struct decoder *decoder, const struct node *node, void *out,
                            bool is_good)
{
    struct outbound_config *outbound = out;
    (void)decoder;
    (void)is_good;
    outbound->is_default = node_get(node, "listen") == NULL;
}

static void listener_finish(struct decoder *decoder, const struct node *node, void *out,
                            bool is_good)
{
    struct listener_config *listener = out;
    (void)is_good;
    listener->at = decode_at(decoder, node->line);
    const struct node *upstream = node_get(node, "upstream");
    listener->upstream_place = node_place(decoder->file, upstream ? upstream : node);
}

static void admin_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct admin_listen_config *admin = out;
    admin->is_default = node_get(node, "listen") == NULL;
    if (!is_good || admin->token_file)
        return;
    for (size_t i = 0; i < admin->listen.count; i++) {
        if (address_config_is_loopback(&admin->listen.items[i]))
            continue;
        decode_error(decoder, DIAG_ADMIN_EXPOSED, node_get(node, "listen"),
                     "name admin.tokenFile, or listen on 127.0.0.1; metrics.listen may be open",
                     "%s is reachable from other machines, and has no token",
                     admin->listen.items[i].text);
    }
}

/* ---- tables ------------------------------------------------------------------------------- */

static const struct field outbound_fields[] = {
    {.name = "listen",
     .type = FIELD_ADDRESSES,
     .max = MAX_ADDRESSES,
     FIELD_AT(struct outbound_config, listen),
     .preset = "[127.0.0.1:15001, [::1]:15001]",
     .doc =
         "intercepted traffic and forward proxy on one port; \"\": off. fd:N is a listening "
         "socket that the process was started with. The default skips ::1 on a host without IPv6"},
    {.name = "allowHostRouting",
     .type = FIELD_BOOL,
     FIELD_AT(struct outbound_config, may_host_route),
     .preset = "false",
     .doc = "the Host of an intercepted call also picks its endpoints"},
    TLS_ROW,
};
static const struct block outbound_block = {.name = "outbound",
                                            BLOCK_FIELDS(outbound_fields),
                                            .finish = outbound_finish,
                                            .doc = "Where the app's calls come in."};

static const struct field listener_fields[] = {
    {.name = "listen",
     .type = FIELD_ADDRESSES,
     .max = MAX_ADDRESSES,
     .is_required = true,
     FIELD_AT(struct listener_config, listen),
     .min = 1,
     .doc = "one address or a list of them; fd:N is a listening socket that the process was "
            "started with"},
    {.name = "upstream",
     .type = FIELD_UPSTREAM,
     .is_required = true,
     FIELD_AT(struct listener_config, upstream),
     .doc = "where everything goes that comes in; what policies match by"},
    {.name = "protocol",
     .type = FIELD_ENUM,
     FIELD_AT(struct listener_config, protocol),
     .words = protocol_words,
     .preset = "auto",
     .doc = "what is spoken; auto: HTTP/1.1 or HTTP/2 by its preface"},
    TLS_ROW,
};
static const struct block listener_block = {
    .name = "listeners",
    BLOCK_FIELDS(listener_fields),
    .finish = listener_finish,
    .item_size = sizeof(struct listener_config),
    .doc = "Explicit ports: whatever comes in goes to that upstream."};

static const struct field admin_fields[] = {
    {.name = "listen",
     .type = FIELD_ADDRESSES,
     .max = MAX_ADDRESSES,
     FIELD_AT(struct admin_listen_config, listen),
     .preset = "127.0.0.1:15020",
     .doc = "\"\": off"},
    {.name = "tokenFile",
     .type = FIELD_STRING,
     FIELD_AT(struct admin_listen_config, token_file),
     .min = 1,
     .max = 4096,
     .doc = "a file with the token that changes need; required when an address is not loopback"},
    TLS_ROW,
};
static const struct block admin_block = {.name = "admin",
                                         BLOCK_FIELDS(admin_fields),
                                         .finish = admin_finish,
                                         .doc = "Metrics, state and operation."};

static const struct field metrics_fields[] = {
    {.name = "listen",
     .type = FIELD_ADDRESSES,
     .max = MAX_ADDRESSES,
     FIELD_AT(struct proxy_config, metrics),
     .preset = "",
     .doc = "a port with GET /metrics, /ready and /live only; \"\": off"},
};
static const struct block metrics_block = {
    .name = "metrics", BLOCK_FIELDS(metrics_fields), .doc = "A port that may be open to others."};

static const struct field limits_fields[] = {
    {.name = "maxConnections",
     .type = FIELD_COUNT,
     FIELD_AT(struct limits_config, max_connections),
     .min = 1,
     .max = 1000000,
     .preset = "10000",
     .unit = "connections",
     .doc = "from the app; further ones are closed at once"},
    {.name = "maxLineBytes",
     .type = FIELD_SIZE,
     FIELD_AT(struct limits_config, max_line_bytes),
     .min = 256,
     .max = 1 << 20,
     .preset = "16KiB",
     .doc = "of the request line, and of one header line"},
    {.name = "maxHeaderBytes",
     .type = FIELD_SIZE,
     FIELD_AT(struct limits_config, max_header_bytes),
     .min = 1024,
     .max = 1 << 22,
     .preset = "64KiB",
     .doc = "of all headers of a message together"},
    {.name = "maxHeaders",
     .type = FIELD_COUNT,
     FIELD_AT(struct limits_config, max_headers),
     .min = 8,
     .max = 10000,
     .preset = "100",
     .unit = "headers",
     .doc = "of a message"},
    {.name = "maxSeries",
     .type = FIELD_COUNT,
     FIELD_AT(struct limits_config, max_series),
     .min = 1000,
     .max = 10000000,
     .preset = "100000",
     .unit = "series",
     .doc = "of all metrics; further targets fold into _other"},
    {.name = "headerTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct limits_config, header_timeout),
     DURATION_OF(0, MAX_DURATION),
     .preset = "10s",
     .doc = "for a request's headers to arrive; 0s: no limit"},
    {.name = "bodyIdleTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct limits_config, body_idle_timeout),
     DURATION_OF(0, MAX_DURATION),
     .preset = "60s",
     .doc = "for the next byte of a request's body, until the response head; 0s: no limit"},
    {.name = "writeTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct limits_config, write_timeout),
     DURATION_OF(0, MAX_DURATION),
     .preset = "30s",
     .doc = "for a caller, or an HTTP/2 peer, to take the next byte of what waits for it after the "
            "call; 0s: no limit"},
    {.name = "maxMemory",
     .type = FIELD_SIZE,
     FIELD_AT(struct limits_config, max_memory_bytes),
     .min = 16 << 20,
     .max = MAX_SIZE,
     .doc = "left out: 70 % of the cgroup's limit, or 256MiB where there is none"},
};
static const struct block limits_block = {
    .name = "limits",
    BLOCK_FIELDS(limits_fields),
    .doc = "What the app, or who pretends to be it, may use up."};

static const struct field http2_fields[] = {
    {.name = "maxConcurrentStreams",
     .type = FIELD_COUNT,
     FIELD_AT(struct http2_config, max_concurrent_streams),
     .min = 1,
     .max = 1000000,
     .preset = "1000",
     .unit = "streams",
     .doc = "of one connection of the app; further ones are refused, and may be sent again"},
    {.name = "keepAliveInterval",
     .type = FIELD_DURATION,
     FIELD_AT(struct http2_config, keep_alive_interval),
     DURATION_OF(0, MAX_DURATION),
     .preset = "5m30s",
     .doc = "silence on a connection with open streams, on either side, after which a PING asks "
            "whether the peer is there; gRPC servers take it ill below 5m; 0s: never"},
    {.name = "keepAliveTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct http2_config, keep_alive_timeout),
     DURATION_OF(NS_PER_MS, MAX_DURATION),
     .preset = "20s",
     .doc = "for the answer to a PING; then the connection is closed"},
};
static const struct block http2_block = {
    .name = "http2", BLOCK_FIELDS(http2_fields), .doc = "Connections that speak HTTP/2."};

static const struct field drain_fields[] = {
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct drain_config, mode),
     .words = drain_words,
     .preset = "serve",
     .doc = "serve: go on for the app until it is idle for 2 s; refuse: take no new calls"},
    {.name = "timeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct drain_config, timeout),
     DURATION_OF(0, MAX_DURATION),
     .preset = "25s",
     .doc = "how long at most"},
};
static const struct block drain_block = {
    .name = "drain", BLOCK_FIELDS(drain_fields), .doc = "What SIGTERM does."};

static const struct field log_fields[] = {
    {.name = "format",
     .type = FIELD_ENUM,
     FIELD_AT(struct log_config, format),
     .words = format_words,
     .preset = "auto",
     .doc = "auto: text on a terminal, else json"},
    {.name = "level",
     .type = FIELD_ENUM,
     FIELD_AT(struct log_config, level),
     .words = level_words,
     .preset = "info",
     .doc = "the least that is logged"},
    {.name = "access",
     .type = FIELD_ACCESS,
     .offset = 0,
     .preset = "refusals",
     .doc = "which calls are logged: off, refusals, sampled: 1%, or all"},
};
static const struct block log_block = {
    .name = "log", BLOCK_FIELDS(log_fields), .doc = "What is logged. Reloads."};

static const struct field proxy_spec_fields[] = {
    {.name = "outbound",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, outbound),
     .block = &outbound_block,
     .preset = "{}",
     .doc = "where the app's calls come in"},
    {.name = "listeners",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct proxy_config, listeners),
     .aux = offsetof(struct proxy_config, listener_count),
     .block = &listener_block,
     .max = MAX_LISTENERS,
     .doc = "explicit ports: whatever comes in goes to that upstream"},
    {.name = "admin",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, admin),
     .block = &admin_block,
     .preset = "{}",
     .doc = "metrics, state and operation"},
    {.name = "metrics",
     .type = FIELD_BLOCK,
     .block = &metrics_block,
     .preset = "{}",
     .doc = "a port that may be open to others"},
    {.name = "limits",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, limits),
     .block = &limits_block,
     .preset = "{}",
     .doc = "what the app may use up"},
    {.name = "http2",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, http2),
     .block = &http2_block,
     .preset = "{}",
     .doc = "connections that speak HTTP/2"},
    {.name = "drain",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, drain),
     .block = &drain_block,
     .preset = "{}",
     .doc = "what SIGTERM does"},
    {.name = "detectTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct proxy_config, detect_timeout),
     DURATION_OF(0, 60 * NS_PER_S),
     .preset = "500ms",
     .doc = "how long an intercepted connection may be silent before it is passed through as TCP"},
    {.name = "opaquePorts",
     .type = FIELD_PORTS,
     FIELD_AT(struct proxy_config, opaque_ports),
     .max = 1024,
     .preset = "[25, 3306, 5432, 6379, 9092]",
     .doc = "intercepted ports that are passed through as TCP at once"},
    {.name = "log",
     .type = FIELD_BLOCK,
     .offset = offsetof(struct proxy_config, log),
     .block = &log_block,
     .preset = "{}",
     .is_reloadable = true,
     .doc = "what is logged"},
    {.name = "tls", .type = FIELD_LATER, .doc = "certificates"},
};
static const struct block proxy_spec_block = {
    .name = "spec", BLOCK_FIELDS(proxy_spec_fields), .doc = "How the proxy runs."};

static const struct field proxy_metadata_fields[] = {
    {.name = "name",
     .type = FIELD_NAME,
     FIELD_AT(struct proxy_config, name),
     .is_required = true,
     .doc = "any name"},
    {.name = "namespace",
     .type = FIELD_NAME,
     .is_manual = true,
     .doc = "as Kubernetes has it; not used"},
    {.name = "labels", .type = FIELD_LABELS, .doc = "as Kubernetes has them; not used"},
    {.name = "annotations", .type = FIELD_LABELS, .doc = "as Kubernetes has them; not used"},
};
static const struct block proxy_metadata_block = {
    .name = "metadata", BLOCK_FIELDS(proxy_metadata_fields), .doc = "What the document is called."};

static const struct field proxy_document_fields[] = {
    {.name = "apiVersion",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = api_words,
     .doc = "always " API_VERSION},
    {.name = "kind",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = kind_words,
     .doc = "always " KIND_PROXY},
    {.name = "metadata",
     .type = FIELD_BLOCK,
     .is_required = true,
     .block = &proxy_metadata_block,
     .doc = "what the document is called"},
    {.name = "spec",
     .type = FIELD_BLOCK,
     .block = &proxy_spec_block,
     .preset = "{}",
     .doc = "how the proxy runs"},
};
const struct block proxy_document_block = {.name = KIND_PROXY,
                                           BLOCK_FIELDS(proxy_document_fields),
                                           .doc = "How the proxy itself runs. At most one."};

/* ---- the document ------------------------------------------------------------------------- */

static bool is_same_address(const struct address_config *a, const struct address_config *b)
{
    return a->kind == b->kind && a->port == b->port && strcmp(a->host, b->host) == 0 &&
           strcmp(a->path, b->path) == 0;
}

struct listen_claim {
    const struct address_list *list;
    const struct node *node; /* NULL: the default */
    const char *path;
};

static void refuse_shared_address(struct decoder *decoder, const struct listen_claim *claim,
                                  const struct listen_claim *earlier)
{
    for (size_t i = 0; i < claim->list->count; i++) {
        const struct address_config *address = &claim->list->items[i];
        bool is_taken = false;
        for (size_t j = 0; j < earlier->list->count; j++)
            is_taken |= is_same_address(address, &earlier->list->items[j]) &&
                        (address->port != 0 || address->kind == ADDRESS_UNIX);
        if (!is_taken)
            continue;
        struct place place = {.file = decoder->file};
        if (claim->node)
            place = node_place(decoder->file, claim->node);
        diagnostics_add(decoder->diag, DIAG_DUPLICATE_LISTEN, place, claim->path,
                        "each needs a port of its own", "%s is the address of spec.%s already",
                        address->text, earlier->path + strlen("spec."));
        if (earlier->node)
            diagnostics_relate(decoder->diag, node_place(decoder->file, earlier->node),
                               "the other listener is here");
    }
}

static void refuse_shared_addresses(struct decoder *decoder, const struct node *spec,
                                    const struct proxy_config *proxy)
{
    struct listen_claim claims[MAX_LISTENERS + 3];
    char paths[MAX_LISTENERS][64];
    size_t count = 0;
    claims[count++] = (struct listen_claim){&proxy->outbound.listen,
                                            node_get(node_get(spec, "outbound"), "listen"),
                                            "spec.outbound.listen"};
    claims[count++] = (struct listen_claim){
        &proxy->admin.listen, node_get(node_get(spec, "admin"), "listen"), "spec.admin.listen"};
    claims[count++] = (struct listen_claim){
        &proxy->metrics, node_get(node_get(spec, "metrics"), "listen"), "spec.metrics.listen"};
    const struct node *list = node_get(spec, "listeners");
    const struct node *item = list ? list->first : NULL;
    for (size_t i = 0; i < proxy->listener_count; i++, item = item->next) {
        snprintf(paths[i], sizeof paths[i], "spec.listeners[%zu].listen", i);
        claims[count++] =
            (struct listen_claim){&proxy->listeners[i].listen, node_get(item, "listen"), paths[i]};
    }
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            refuse_shared_address(decoder, claims[i].node ? &claims[i] : &claims[j],
                                  claims[i].node ? &claims[j] : &claims[i]);
}

static const struct proxy_config unnamed = {
    .name = "", .at = "", .outbound.is_default = true, .admin.is_default = true};

static bool spec_finish(struct decoder *decoder, const struct node *spec, bool is_good,
                        struct proxy_config *proxy)
{
    if (decoder->err == OK && is_good)
        refuse_shared_addresses(decoder, spec, proxy);
    if (proxy->admin.token_file == NULL)
        proxy->admin.token_file = "";
    return decoder->err == OK && is_good;
}

bool proxy_document_decode(struct decoder *decoder, const struct node *root,
                           struct proxy_config *proxy)
{
    const size_t errors = decoder->diag->errors;
    *proxy = unnamed;
    const bool is_good = block_decode(decoder, &proxy_document_block, root, true, proxy);
    if (decoder->err)
        return false;
    proxy->at = decode_at(decoder, root->line);
    return spec_finish(decoder, node_get(root, "spec"), is_good, proxy) &&
           decoder->diag->errors == errors;
}

bool proxy_spec_decode(struct decoder *decoder, const struct node *spec, struct proxy_config *proxy)
{
    const size_t errors = decoder->diag->errors;
    const size_t mark = path_push(decoder, "spec");
    *proxy = unnamed;
    const bool is_good = block_decode(decoder, &proxy_spec_block, spec, true, proxy);
    path_pop(decoder, mark);
    return spec_finish(decoder, spec, is_good, proxy) && decoder->diag->errors == errors;
}

/* ---- reload ------------------------------------------------------------------------------- */

static bool is_same_list(const struct address_list *a, const struct address_list *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (!is_same_address(&a->items[i], &b->items[i]))
            return false;
    return a->count == b->count;
}

static bool is_same_listeners(const struct proxy_config *a, const struct proxy_config *b)
{
    for (size_t i = 0; i < a->listener_count && i < b->listener_count; i++) {
        const struct listener_config *x = &a->listeners[i], *y = &b->listeners[i];
        if (!is_same_list(&x->listen, &y->listen) || !is_same_address(&x->upstream, &y->upstream) ||
            x->protocol != y->protocol)
            return false;
    }
    return a->listener_count == b->listener_count;
}

static bool is_same_limits(const struct limits_config *a, const struct limits_config *b)
{
    return a->max_connections == b->max_connections && a->max_line_bytes == b->max_line_bytes &&
           a->max_header_bytes == b->max_header_bytes && a->max_headers == b->max_headers &&
           a->max_series == b->max_series && a->header_timeout == b->header_timeout &&
           a->body_idle_timeout == b->body_idle_timeout && a->write_timeout == b->write_timeout &&
           a->max_memory_bytes == b->max_memory_bytes;
}

static bool is_same_ports(const struct port_list *a, const struct port_list *b)
{
    return a->count == b->count && memcmp(a->items, b->items, a->count * sizeof *a->items) == 0;
}

size_t proxy_config_restarts(const struct proxy_config *running, const struct proxy_config *wanted,
                             const char **names, size_t max)
{
    const struct proxy_config *a = running, *b = wanted;
    const struct {
        const char *name;
        bool is_same;
    } fields[] = {
        {"outbound", is_same_list(&a->outbound.listen, &b->outbound.listen) &&
                         a->outbound.may_host_route == b->outbound.may_host_route},
        {"listeners", is_same_listeners(a, b)},
        {"admin", is_same_list(&a->admin.listen, &b->admin.listen) &&
                      strcmp(a->admin.token_file, b->admin.token_file) == 0},
        {"metrics", is_same_list(&a->metrics, &b->metrics)},
        {"limits", is_same_limits(&a->limits, &b->limits)},
        {"http2", a->http2.max_concurrent_streams == b->http2.max_concurrent_streams &&
                      a->http2.keep_alive_interval == b->http2.keep_alive_interval &&
                      a->http2.keep_alive_timeout == b->http2.keep_alive_timeout},
        {"drain", a->drain.mode == b->drain.mode && a->drain.timeout == b->drain.timeout},
        {"detectTimeout", a->detect_timeout == b->detect_timeout},
        {"opaquePorts", is_same_ports(&a->opaque_ports, &b->opaque_ports)},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].is_same)
            continue;
        if (count < max)
            names[count] = fields[i].name;
        count++;
    }
    return count;
}
