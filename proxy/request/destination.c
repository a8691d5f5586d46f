/* destination.c - see destination.h. */
#include "request/destination.h"

#include "base/log.h"
#include "request/proxy.h"
#include "request/route.h"

#include <stdio.h>
#include <stdlib.h>

bool destination_new(struct proxy *proxy, struct target *target)
{
    struct destination *destination = calloc(1, sizeof *destination);
    target->user = destination;
    if (destination == NULL)
        return false;
    destination->metrics = metrics_target_get(proxy->metrics, target->name);
    struct span host;
    uint16_t port;
    route_host_port(target->name, &host, &port);
    snprintf(destination->server_name, sizeof destination->server_name, "%.*s", SPAN_ARGS(host));
    return true;
}

void destination_free(struct target *target)
{
    struct destination *destination = target->user;
    target->user = NULL;
    if (destination == NULL)
        return;
    health_end(&destination->health);
    if (destination->endpoints != NULL)
        endpoint_set_free(&destination->endpoints);
    dialled_end(&destination->dialled);
    tls_client_unref(&destination->tls);
    metrics_target_unref(&destination->metrics);
    free(destination);
}

/* ---- endpoints ---- */

/* Where the document says that they come from. */
static enum err discover(struct endpoint_set *endpoints, const struct document *document)
{
    struct discovery_place places[DISCOVERY_MAX_PLACES];
    struct discovery_order order = {.places = places};
    if (document == NULL)
        return endpoint_set_follow(endpoints, NULL);
    const struct address_list list = discovery_places(&document->discovery);
    for (size_t i = 0; i < list.count; i++) {
        const struct address_config *address = &list.items[i];
        const char *host = address->kind == ADDRESS_UNIX ? address->text : address->host;
        places[order.count++] = (struct discovery_place){host, address->port};
    }
    order.srv = document->discovery.srv;
    return endpoint_set_follow(endpoints, order.count > 0 || order.srv ? &order : NULL);
}

/* And how one of them is chosen. */
static void balance(struct endpoint_set *endpoints, const struct target *target)
{
    const struct load_balancer_config *cfg = &target->lanes[0]->policy->load_balancer;
    endpoints->balancer.cfg = (struct balancer_config){cfg->algorithm, cfg->slow_start};
}

/* And how many connections there may be to it, and whether it must be healthy. */
static void limit(struct endpoint_set *endpoints, const struct destination *destination)
{
    const struct document *document = destination->document;
    const uint32_t most = document ? document->connection_pool.max_connections : UINT32_MAX;
    endpoints->max_connections = most != UINT32_MAX ? most : 0;
    endpoints->refuses_unhealthy = health_is_refusing(destination->health);
}

static struct endpoint_set *make_endpoints(struct proxy *proxy, struct destination *destination,
                                           struct span host, uint16_t port)
{
    const struct endpoint_hooks hooks = pool_hooks(&proxy->pool);
    struct endpoint_set *endpoints;
    if (endpoint_set_new(proxy->loop, proxy->resolver, host, port, &hooks, &endpoints) != OK)
        return NULL;
    if (discover(endpoints, destination->document) != OK) {
        endpoint_set_free(&endpoints);
        return NULL;
    }
    limit(endpoints, destination);
    return endpoints;
}

struct endpoint_set *destination_endpoints(struct proxy *proxy, struct target *target)
{
    struct destination *destination = target->user;
    struct span host;
    uint16_t port;
    if (destination->endpoints != NULL)
        return destination->endpoints;
    route_host_port(target->name, &host, &port);
    destination->endpoints = make_endpoints(proxy, destination, host, port);
    if (destination->endpoints != NULL)
        balance(destination->endpoints, target);
    return destination->endpoints;
}

static void follow_endpoints(const struct destination *destination, const struct target *target)
{
    balance(destination->endpoints, target);
    limit(destination->endpoints, destination);
    if (discover(destination->endpoints, destination->document) != OK)
        log_event(LOG_ERROR, "discovery_failed",
                  LOG_TEXT("no memory for the new addresses: the old ones stay until a reload"),
                  LOG_STR("target", target->name));
}

struct endpoint_set *destination_dialled(struct proxy *proxy, struct target *target,
                                         const struct address *address)
{
    struct destination *destination = target->user;
    const struct endpoint_hooks hooks = pool_hooks(&proxy->pool);
    const bool is_first = destination->dialled.set == NULL;
    struct endpoint_set *set = dialled_use(&destination->dialled, proxy->loop, &hooks, address);
    if (set != NULL && is_first) {
        balance(set, target);
        limit(set, destination);
    }
    return set;
}

/* ---- its document ---- */

void destination_follow(struct proxy *proxy, struct target *target, const struct document *document)
{
    struct destination *destination = target->user;
    const struct tls_entry *entry = tls_clients_of(proxy->snapshot->tls, document);
    struct tls_client *client = entry ? tls_client_ref(entry->client) : NULL;
    tls_client_unref(&destination->tls);
    destination->document = document;
    destination->tls = client;
    destination->tls_settings = entry ? entry->settings : 0;
    health_follow(&destination->health, proxy, target, document);
    if (destination->endpoints != NULL)
        follow_endpoints(destination, target);
    if (destination->dialled.set != NULL) {
        balance(destination->dialled.set, target);
        limit(destination->dialled.set, destination);
    }
}

static void warm(struct proxy *proxy, const struct target *target)
{
    const struct destination *destination = destination_of(target);
    const struct document *document = destination->document;
    const struct timeouts_config *timeouts = &target->lanes[0]->policy->timeouts;
    const struct pool_tls tls = destination_tls(destination);
    const struct pool_stay stay = {timeouts->pool_idle, timeouts->pool_max_age};
    if (document != NULL && destination->endpoints != NULL)
        pool_warm(&proxy->pool, destination->endpoints, document->connection_pool.warm, &tls,
                  &stay);
}

void destination_sweep(struct proxy *proxy, const struct target *target)
{
    warm(proxy, target);
    health_sweep(destination_of(target)->health);
}

/* Where to dial is not asked of a document that is gone. */
void destination_part(struct proxy *proxy, struct target *target)
{
    struct destination *destination = target->user;
    if (!target_is_idle(target))
        (void)destination_endpoints(proxy, target);
    health_end(&destination->health);
    destination->document = NULL;
}

struct pool_tls destination_tls(const struct destination *destination)
{
    return (struct pool_tls){.client = destination->tls,
                             .settings = destination->tls_settings,
                             .server_name = destination->server_name};
}
