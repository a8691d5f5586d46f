/* proxy.c - life of the data plane: entrances, the perform loop, reload's swap. Housekeeping:
 * janitor.c. */
#include "request/proxy.h"

#include "base/check.h"
#include "base/log.h"
#include "request/connection.h"
#include "request/destination.h"
#include "request/host.h"
#include "request/janitor.h"
#include "request/request.h"
#include "request/route.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_CHUNKS 256
#define STREAM_CHUNK_BYTES                                                                         \
    256                 /* an open gRPC stream holds its head, in a block of its own, and an id */
#define JOINED_FIELDS 1 /* a cookie of HTTP/2, beside its crumbs */
#define DEFAULT_MEMORY_BYTES                                                                       \
    (UINT64_C(256) << 20) /* POLICY section 6: where no cgroup sets a limit */

/* ---- the perform loop ---- */

void proxy_perform(struct proxy *proxy)
{
    struct call *call;
    if (proxy->is_performing)
        return; /* the loop below sees what was added */
    proxy->is_performing = true;
    loop_task_cancel(&proxy->perform);
    while ((call = call_engine_next(&proxy->engine)) != NULL)
        request_perform(request_of(call), call_take_actions(call));
    proxy->is_performing = false;
}

static void on_perform(struct loop_task *task)
{
    struct proxy *proxy = CONTAINER_OF(task, struct proxy, perform);
    proxy_perform(proxy);
    codec_uncork(&proxy->codec);
}

/* ---- life ---- */

static void on_defence(void *context, enum h2_side side, enum defence defence)
{
    struct proxy *proxy = context;
    metrics_count_defence(proxy->metrics, side, defence);
}

static void take_limits(struct proxy *proxy, const struct proxy_config *cfg)
{
    proxy->limits = cfg->limits;
    proxy->drain_cfg = cfg->drain;
    if (proxy->limits.max_memory_bytes == 0)
        proxy->limits.max_memory_bytes = cgroup_memory_limit();
    if (proxy->limits.max_memory_bytes == 0)
        proxy->limits.max_memory_bytes = DEFAULT_MEMORY_BYTES;
    const struct h1_limits limits = {
        .max_line_bytes = cfg->limits.max_line_bytes,
        .max_header_bytes = cfg->limits.max_header_bytes,
        .max_headers = cfg->limits.max_headers,
    };
    proxy->codec.request_limits = limits;
    proxy->codec.response_limits = limits;
    proxy->codec.header_timeout = cfg->limits.header_timeout;
    proxy->codec.write_timeout = cfg->limits.write_timeout;
    proxy->codec.h2_limits = (struct h2_limits){
        .max_streams = cfg->http2.max_concurrent_streams,
        .keep_alive_interval = cfg->http2.keep_alive_interval,
        .keep_alive_timeout = cfg->http2.keep_alive_timeout,
    };
    proxy->engine.body_idle = cfg->limits.body_idle_timeout;
}

static void take_log(struct proxy *proxy, const struct log_config *log)
{
    const struct access_config access = {
        .mode = log->access == LOG_ACCESS_OFF        ? ACCESS_OFF
                : log->access == LOG_ACCESS_REFUSALS ? ACCESS_REFUSALS
                : log->access == LOG_ACCESS_SAMPLED  ? ACCESS_SAMPLED
                                                     : ACCESS_ALL,
        .sampled_ppm = log->sampled_ppm,
    };
    access_log_configure(&proxy->access, &access);
    log_set_level(log->level);
    log_set_format(log->format);
}

/* The threads that handshakes need are made when the first policy asks for TLS. */
static void take_tls(struct proxy *proxy)
{
    static const struct tls_engine_options usual = {.handshakes_max = 0};
    if (proxy->snapshot->tls == NULL || proxy->snapshot->tls->is_empty || proxy->tls != NULL)
        return;
    proxy->tls = tls_engine_new(proxy->loop, &usual);
    proxy->pool.tls = proxy->tls;
}

struct proxy *proxy_new(struct loop *loop, const struct proxy_options *options,
                        struct snapshot *snapshot)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    INVARIANT(proxy != NULL);
    const struct access_config quiet = {.mode = ACCESS_OFF};
    const struct resolver_options dns = {.servers = options->dns_servers};
    proxy->loop = loop;
    proxy->metrics = options->metrics;
    proxy->events = options->events;
    proxy->snapshot = snapshot_ref(snapshot);
    proxy->busy_at = loop->now;
    loop_task_init(&proxy->perform, on_perform);
    proxy->replay.left_bytes = REPLAY_POOL_BYTES;
    list_init(&proxy->entrances);
    slab_init(&proxy->request_memory, sizeof(struct request));
    list_init(&proxy->requests);
    list_init(&proxy->connections);
    arena_pool_init(&proxy->arenas, ARENA_CHUNKS);
    arena_pool_init_small(&proxy->stream_arenas, STREAM_CHUNK_BYTES, ARENA_CHUNKS);
    codec_init(&proxy->codec, loop);
    proxy->codec.defence_context = proxy;
    proxy->codec.on_defence = on_defence;
    pool_init(&proxy->pool, &proxy->codec);
    proxy->resolver = resolver_new(loop, &dns);
    call_engine_init(&proxy->engine, loop->wheel, &loop->rng, &request_host, proxy);
    target_table_init(&proxy->targets, &proxy->engine, TARGET_LIMIT);
    access_log_init(&proxy->access, &quiet, rng_next(&loop->rng));
    proxy->unroutable = metrics_target_get(proxy->metrics, "_unroutable");
    snprintf(proxy->pseudonym, sizeof proxy->pseudonym, "outrigger-%08x",
             (unsigned)rng_next(&loop->rng));
    take_limits(proxy, &snapshot->set->proxy);
    proxy->unpacked.headers =
        calloc(proxy->limits.max_headers + JOINED_FIELDS, sizeof *proxy->unpacked.headers);
    INVARIANT(proxy->unpacked.headers != NULL);
    take_log(proxy, &snapshot->set->proxy.log);
    take_tls(proxy);
    janitor_start(proxy);
    return proxy;
}

/* ---- entrances ---- */

static void on_accept(struct listener *listener, int fd, const struct address *peer)
{
    connection_accept(listener->options.context, fd, peer);
}

static bool may_accept(struct listener *listener)
{
    const struct entrance *entrance = listener->options.context;
    return entrance->proxy->connection_count < entrance->proxy->limits.max_connections;
}

static void on_refuse(struct listener *listener, int fd)
{
    connection_refuse(listener->options.context, fd);
}

static void on_entrance_closed(struct listener *listener)
{
    free(CONTAINER_OF(listener, struct entrance, listener));
}

static enum err address_of(const struct address_config *from, struct address *out)
{
    char text[ADDRESS_TEXT_MAX];
    if (from->kind == ADDRESS_ANY)
        snprintf(text, sizeof text, "0.0.0.0:%u", from->port);
    else
        snprintf(text, sizeof text, "%s", from->text);
    return address_parse(span_of(text), out);
}

static enum err open_entrance(struct proxy *proxy, const struct address_config *at,
                              const char *upstream, enum protocol protocol,
                              char why[LISTENER_TEXT_BYTES])
{
    struct address address = {.len = 0};
    if (at->kind != ADDRESS_FD && address_of(at, &address) != OK) {
        snprintf(why, LISTENER_TEXT_BYTES, "%s: not an address that can be listened on", at->text);
        return ERR_INVALID;
    }
    struct entrance *entrance = calloc(1, sizeof *entrance);
    if (entrance == NULL) {
        snprintf(why, LISTENER_TEXT_BYTES, "no memory for a listener on %s", at->text);
        return ERR_NO_MEMORY;
    }
    entrance->proxy = proxy;
    snprintf(entrance->upstream, sizeof entrance->upstream, "%s", upstream);
    entrance->protocol = protocol;
    list_init(&entrance->link);
    const struct listener_options options = {.context = entrance,
                                             .on_accept = on_accept,
                                             .may_accept = may_accept,
                                             .on_refuse = on_refuse};
    const enum err e =
        at->kind == ADDRESS_FD
            ? listener_adopt(&entrance->listener, proxy->loop, at->port, &options, why)
            : listener_open(&entrance->listener, proxy->loop, &address, &options, why);
    if (e != OK) {
        free(entrance);
        return e;
    }
    list_append(&proxy->entrances, &entrance->link);
    return OK;
}

/* A default listener that the host has no address family for is no error: it is said once in the
 * log. */
static enum err open_outbound(struct proxy *proxy, const struct outbound_config *cfg,
                              char why[LISTENER_TEXT_BYTES])
{
    for (size_t i = 0; i < cfg->listen.count; i++) {
        const struct address_config *at = &cfg->listen.items[i];
        const enum err e = open_entrance(proxy, at, "", PROTOCOL_AUTO, why);
        if (e == OK)
            continue;
        if (!cfg->is_default || at->kind != ADDRESS_IPV6 || e == ERR_ADDRESS_IN_USE)
            return e;
        log_event(LOG_INFO, "listener_skipped",
                  LOG_TEXT("this host has no IPv6: the default listener is left out"),
                  LOG_STR("address", at->text));
    }
    return OK;
}

enum err proxy_listen(struct proxy *proxy, char why[LISTENER_TEXT_BYTES])
{
    const struct proxy_config *cfg = &proxy->snapshot->set->proxy;
    for (size_t i = 0; i < cfg->listener_count; i++) {
        const struct listener_config *listener = &cfg->listeners[i];
        char upstream[sizeof((struct entrance *)0)->upstream];
        const char *format = listener->upstream.kind == ADDRESS_IPV6 ? "[%s]:%u" : "%s:%u";
        snprintf(upstream, sizeof upstream, format, listener->upstream.host,
                 listener->upstream.port);
        for (size_t k = 0; k < listener->listen.count; k++) {
            const enum err e =
                open_entrance(proxy, &listener->listen.items[k], upstream, listener->protocol, why);
            if (e != OK)
                return e;
        }
    }
    return open_outbound(proxy, &cfg->outbound, why);
}

/* ---- DNS ---- */

/* The first of "ADDRESS[:PORT],…". */
static enum err first_server(const char *servers, struct address *out)
{
    const struct span first = span_make(servers, strcspn(servers, ","));
    return address_parse(first, out) == OK ? OK : address_from_ip(first, DNS_PORT, out);
}

enum err proxy_relay_dns(struct proxy *proxy, const struct proxy_options *options,
                         char why[LISTENER_TEXT_BYTES])
{
    if (options->dns_socket_count > 0 && options->dns_servers != NULL &&
        first_server(options->dns_servers, &proxy->dns_server) != OK) {
        snprintf(why, LISTENER_TEXT_BYTES, "%s: name servers are written 192.0.2.1 or [::1]:5353",
                 options->dns_servers);
        return ERR_INVALID;
    }
    const struct address *server = proxy->dns_server.len > 0 ? &proxy->dns_server : NULL;
    for (size_t i = 0; i < options->dns_socket_count; i++) {
        const int fd = options->dns_sockets[i];
        const enum err e = dns_relay_new(proxy->loop, fd, server, &proxy->dns_relays[i]);
        if (e == OK)
            continue;
        snprintf(why, LISTENER_TEXT_BYTES,
                 "descriptor %d is no UDP socket: whoever starts this process must leave one open "
                 "for --relay-dns",
                 fd);
        return e;
    }
    return OK;
}

static void close_relays(struct proxy *proxy)
{
    for (size_t i = 0; i < PROXY_DNS_SOCKETS; i++)
        if (proxy->dns_relays[i] != NULL)
            dns_relay_free(&proxy->dns_relays[i]);
}

/* ---- reload ---- */

/* The same document keeps its instances; another one, or none, means that the target starts anew
 * with its next call. */
static void swap_target(struct proxy *proxy, struct target *target)
{
    struct span host;
    uint16_t port;
    route_host_port(target->name, &host, &port);
    const struct document *document = policy_set_find(proxy->snapshot->set, host, port);
    const struct plan *plan = snapshot_plan(proxy->snapshot, document);
    if (strcmp(plan->policy_name, target->policy_name) == 0 &&
        target_apply(target, plan, proxy->loop->now) == OK) {
        destination_follow(proxy, target, document);
        return;
    }
    destination_part(proxy, target);
    target_table_drop(&proxy->targets, target);
}

void proxy_swap(struct proxy *proxy, struct snapshot *snapshot)
{
    struct snapshot *old = proxy->snapshot;
    proxy->snapshot = snapshot_ref(snapshot);
    take_tls(proxy);
    LIST_FOREACH_SAFE (link, following, &proxy->targets.by_age)
        swap_target(proxy, CONTAINER_OF(link, struct target, age_link));
    take_log(proxy, &snapshot->set->proxy.log);
    snapshot_unref(&old);
    proxy_perform(proxy);
}

bool proxy_is_ready(const struct proxy *proxy)
{
    return proxy->drain == DRAIN_NONE;
}

/* ---- the end ---- */

static void cut_requests(struct proxy *proxy)
{
    LIST_FOREACH_SAFE (link, following, &proxy->requests)
        request_cancel(CONTAINER_OF(link, struct request, link));
    proxy_perform(proxy);
}

/* Their attempts hold memory of the pool. */
static void end_checks(const struct proxy *proxy)
{
    LIST_FOREACH (link, &proxy->targets.by_age)
        health_end(&destination_of(CONTAINER_OF(link, struct target, age_link))->health);
}

static void close_entrances(struct proxy *proxy)
{
    LIST_FOREACH_SAFE (link, following, &proxy->entrances) {
        struct entrance *entrance = CONTAINER_OF(link, struct entrance, link);
        list_remove(&entrance->link);
        listener_close(&entrance->listener, on_entrance_closed);
    }
}

static void on_tls_closed(void *context)
{
    *(bool *)context = true;
}

static void close_tls(struct proxy *proxy)
{
    bool is_closed = proxy->tls == NULL;
    if (proxy->tls != NULL)
        tls_engine_close(&proxy->tls, on_tls_closed, &is_closed);
    while (!is_closed)
        loop_turn(proxy->loop, true);
}

void proxy_free(struct proxy **taken)
{
    struct proxy *proxy = *taken;
    *taken = NULL;
    if (proxy == NULL)
        return;
    janitor_stop(proxy);
    loop_task_cancel(&proxy->perform);
    close_entrances(proxy);
    cut_requests(proxy);
    connections_cut(proxy);
    end_checks(proxy);
    pool_fini(&proxy->pool);
    target_table_fini(&proxy->targets);
    while (proxy->connection_count > 0 || proxy->pool.open_count > 0)
        loop_turn(proxy->loop, true);
    loop_turn(proxy->loop, false);
    close_tls(proxy);
    close_relays(proxy);
    resolver_free(&proxy->resolver);
    metrics_target_unref(&proxy->unroutable);
    snapshot_unref(&proxy->snapshot);
    slab_fini(&proxy->request_memory);
    free(proxy->unpacked.headers);
    arena_pool_fini(&proxy->arenas);
    arena_pool_fini(&proxy->stream_arenas);
    codec_fini(&proxy->codec);
    free(proxy);
}
