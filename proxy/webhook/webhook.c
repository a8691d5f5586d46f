/* webhook.c - see webhook.h: its ports, its sweep, its end. */
#include "webhook/webhook_own.h"

#include "base/check.h"
#include "base/log.h"
#include "webhook/link.h"

#include <stdio.h>
#include <stdlib.h>

#define WEBHOOK_MAGIC 0x57484f4bU
#define BACKLOG 1024
#define SWEEP_PERIOD (1 * NS_PER_S)
#define FINISH_LIMIT (10 * NS_PER_S) /* after `linger` */

/* ---- libh2o ---- */

static h2o_hostconf_t *add_host(struct webhook *webhook, bool is_tls)
{
    h2o_iovec_t name =
        is_tls ? h2o_iovec_init(H2O_STRLIT("reviews")) : h2o_iovec_init(H2O_STRLIT("probes"));
    h2o_hostconf_t *host = h2o_config_register_host(&webhook->config, name, 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof *handler);
    handler->super.on_req = webhook_on_request;
    handler->webhook = webhook;
    handler->is_tls = is_tls;
    return host;
}

static void init_h2o(struct webhook *webhook)
{
    h2o_config_init(&webhook->config);
    webhook->config.server_name = h2o_iovec_init(H2O_STRLIT("outrigger"));
    webhook->config.max_request_entity_size = WEBHOOK_BODY_MAX;
    webhook->config.http1.upgrade_to_http2 = 0;
    webhook->config.http1.req_timeout = 2 * (uint64_t)(LINK_IDLE / NS_PER_MS); /* links are timed */
    webhook->reviews[0] = add_host(webhook, true);
    webhook->probes[0] = add_host(webhook, false);
    h2o_context_init(&webhook->context, &webhook->loop->uv, &webhook->config);
}

/* ---- ports ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct port *port = CONTAINER_OF(stream, struct port, tcp);
    if (status != 0)
        return;
    if (port->links >= port->links_max) {
        port->is_waiting = true; /* libuv keeps it, and stops listening until it is taken */
        links_make_room(port->webhook, port);
    } else {
        link_accept(port);
    }
}

void webhook_on_link_closed(struct webhook *webhook, struct port *port)
{
    if (port->is_waiting && !webhook->is_closing) {
        port->is_waiting = false;
        link_accept(port);
    }
    if (webhook->is_closing && list_is_empty(&webhook->links))
        loop_stop(webhook->loop);
}

static int listen_on(struct port *port, const struct address *address)
{
    struct address instead;
    int code = uv_tcp_bind(&port->tcp, &address->any, 0); /* [::] takes IPv4, too */
    if (code == UV_EAFNOSUPPORT && address_without_ipv6(address, &instead))
        code = uv_tcp_bind(&port->tcp, &instead.any, 0);
    return code == 0 ? uv_listen((uv_stream_t *)&port->tcp, BACKLOG, on_connection) : code;
}

static enum err open_port(struct webhook *webhook, const struct address *address, bool is_tls,
                          char why[WEBHOOK_WHY_MAX])
{
    struct port *port = &webhook->ports[webhook->port_count];
    char text[ADDRESS_TEXT_BYTES];
    *port = (struct port){
        .webhook = webhook,
        .is_tls = is_tls,
        .links_max = is_tls ? WEBHOOK_LINKS_MAX : WEBHOOK_PROBES_MAX,
        .accept = {.ctx = &webhook->context, .hosts = is_tls ? webhook->reviews : webhook->probes}};
    INVARIANT(uv_tcp_init(&webhook->loop->uv, &port->tcp) == 0);
    webhook->port_count++;
    const int code = listen_on(port, address);
    if (code == 0)
        return OK;
    address_text(address, text);
    snprintf(why, WEBHOOK_WHY_MAX, "cannot listen on %s (%s): %s", text,
             is_tls ? "--listen" : "--metrics-listen", uv_strerror(code));
    return ERR_SYSTEM;
}

static enum err open_ports(struct webhook *webhook, char why[WEBHOOK_WHY_MAX])
{
    const struct webhook_options *options = webhook->options;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < options->listen_count; i++)
        e = open_port(webhook, &options->listen[i], true, why);
    for (size_t i = 0; e == OK && i < options->metrics_count; i++)
        e = open_port(webhook, &options->metrics[i], false, why);
    return e;
}

static void close_ports(struct webhook *webhook)
{
    for (size_t i = 0; i < webhook->port_count; i++)
        if (!uv_is_closing((uv_handle_t *)&webhook->ports[i].tcp))
            uv_close((uv_handle_t *)&webhook->ports[i].tcp, NULL);
}

/* ---- time ---- */

/* Whom there was no memory for when they came: no other link need end first. */
static void take_waiting(struct webhook *webhook)
{
    for (size_t i = 0; i < webhook->port_count; i++) {
        struct port *port = &webhook->ports[i];
        if (!port->is_waiting || port->links >= port->links_max || webhook->is_closing)
            continue;
        port->is_waiting = false;
        link_accept(port);
    }
}

static void on_sweep(struct timer *timer, mono_ns now)
{
    struct webhook *webhook = CONTAINER_OF(timer, struct webhook, sweep);
    links_sweep(webhook, now);
    take_waiting(webhook);
    wheel_set(webhook->loop->wheel, timer, mono_add(now, SWEEP_PERIOD));
}

static void stop_taking(struct webhook *webhook, mono_ns now)
{
    webhook->is_closing = true;
    close_ports(webhook);
    links_close_idle(webhook);
    wheel_set(webhook->loop->wheel, &webhook->linger, mono_add(now, FINISH_LIMIT));
    if (list_is_empty(&webhook->links))
        loop_stop(webhook->loop);
}

static void on_linger(struct timer *timer, mono_ns now)
{
    struct webhook *webhook = CONTAINER_OF(timer, struct webhook, linger);
    if (webhook->is_closing)
        loop_stop(webhook->loop); /* what is left is cut */
    else
        stop_taking(webhook, now);
}

void webhook_drain(struct webhook *webhook)
{
    CHECK_OBJ(webhook, WEBHOOK_MAGIC);
    const mono_ns now = webhook->loop->now;
    log_event(LOG_INFO, "stopping");
    if (webhook->is_draining) {
        loop_stop(webhook->loop);
        return;
    }
    webhook->is_draining = true;
    wheel_set(webhook->loop->wheel, &webhook->linger, mono_add(now, webhook->options->linger));
}

/* ---- life ---- */

static void on_watch_closed(struct watch *watch)
{
    struct webhook *webhook = CONTAINER_OF(watch, struct webhook, certificate.watch);
    webhook->open_parts--;
}

enum err webhook_open(const struct webhook_options *options, struct loop *loop,
                      struct webhook **out, char why[WEBHOOK_WHY_MAX])
{
    struct tls_problem problem = {.text = ""};
    struct webhook *webhook = calloc(1, sizeof *webhook);
    INVARIANT(webhook != NULL);
    webhook->magic = WEBHOOK_MAGIC;
    webhook->options = options;
    webhook->loop = loop;
    list_init(&webhook->links);
    timer_init(&webhook->sweep, on_sweep);
    timer_init(&webhook->linger, on_linger);
    enum err e = certificate_open(&webhook->certificate, loop, options->cert_path,
                                  options->key_path, &webhook->tally, &problem);
    if (e != OK) {
        snprintf(why, WEBHOOK_WHY_MAX, "%s: %s",
                 strcmp(problem.field, "keyFile") == 0 ? "--key" : "--cert", problem.text);
        free(webhook);
        return e;
    }
    webhook->open_parts = 1;
    init_h2o(webhook);
    wheel_set(loop->wheel, &webhook->sweep, mono_add(loop->now, SWEEP_PERIOD));
    e = open_ports(webhook, why);
    if (e == OK)
        *out = webhook;
    else
        webhook_free(&webhook);
    return e;
}

void webhook_free(struct webhook **webhook_ref)
{
    struct webhook *webhook = *webhook_ref;
    *webhook_ref = NULL;
    if (webhook == NULL)
        return;
    CHECK_OBJ(webhook, WEBHOOK_MAGIC);
    webhook->is_closing = true;
    wheel_clear(webhook->loop->wheel, &webhook->sweep);
    wheel_clear(webhook->loop->wheel, &webhook->linger);
    close_ports(webhook);
    links_cut(webhook);
    certificate_close(&webhook->certificate, on_watch_closed);
    while (!list_is_empty(&webhook->links) || webhook->open_parts > 0)
        loop_turn(webhook->loop, true);
    loop_turn(webhook->loop, false);
    h2o_context_dispose(&webhook->context);
    h2o_config_dispose(&webhook->config);
    loop_turn(webhook->loop, false);
    webhook->magic = 0;
    free(webhook);
}
