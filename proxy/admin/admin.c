/* admin.c - the life of the admin server: listeners, clients, the sweep, the thread (see admin.h).
 *
 * libh2o has a timeout for requests, none for writes, and does not see a caller leave. So every
 * client has a deadline of its own from accept on, and the sweep shuts the socket of one that is
 * past it: libh2o's read or write then fails and it cleans up in its own time. The sweep's timer
 * runs only while something has a deadline. */
#include "admin/admin_own.h"
#include "base/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define ADMIN_MAGIC 0x41444d4eu
#define BACKLOG 64
#define SWEEP_MAX_MS 250
#define STOP_LIMIT_S 3 /* longer than any answer takes to fail once its socket is shut */

static const char full_answer[] =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

mono_ns admin_now(const struct admin *admin)
{
    return (mono_ns)uv_now(&admin->loop) * NS_PER_MS;
}

/* Clients */

struct client *admin_client_of(struct admin *admin, h2o_req_t *req)
{
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    LIST_FOREACH (node, &admin->clients) {
        struct client *client = CONTAINER_OF(node, struct client, link);
        if (client->tcp.data == socket) {
            return client;
        }
    }
    return NULL;
}

void admin_cut(struct client *client)
{
    uv_os_fd_t fd;
    if (!uv_is_closing((uv_handle_t *)&client->tcp) &&
        uv_fileno((uv_handle_t *)&client->tcp, &fd) == 0) {
        struct linger at_once = {.l_onoff =
                                     1}; /* or the kernel would keep for it what it does not read */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        shutdown(fd, SHUT_RDWR);
    }
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = CONTAINER_OF(handle, struct client, tcp);
    struct admin *admin = client->port->admin;
    list_remove(&client->link);
    admin->client_count--;
    free(client);
    if (admin->is_closing && admin->client_count == 0) {
        uv_stop(&admin->loop);
    }
}

static void refuse_client(struct client *client)
{
    uv_buf_t answer = uv_buf_init((char *)full_answer, sizeof(full_answer) - 1);
    (void)uv_try_write((uv_stream_t *)&client->tcp, &answer,
                       1); /* a courtesy: it is closed all the same */
    uv_close((uv_handle_t *)&client->tcp, on_client_closed);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct admin_port *port = CONTAINER_OF(server, struct admin_port, tcp);
    struct admin *admin = port->admin;
    struct client *client = status == 0 ? calloc(1, sizeof(*client)) : NULL;
    if (!client) {
        return;
    }
    client->port = port;
    client->deadline = mono_add(admin_now(admin), admin->options.request_limit);
    list_append(&admin->clients, &client->link);
    admin->client_count++;
    uv_tcp_init(&admin->loop, &client->tcp);
    bool has_room = admin->client_count <= admin->options.max_connections;
    if (uv_accept(server, (uv_stream_t *)&client->tcp) != 0) {
        uv_close((uv_handle_t *)&client->tcp, on_client_closed);
    } else if (!has_room) {
        refuse_client(client);
    } else {
        admin_wake_sweep(admin);
        h2o_accept(&port->accept,
                   h2o_uv_socket_create((uv_stream_t *)&client->tcp, on_client_closed));
    }
}

/* The sweep */

static void on_sweep(uv_timer_t *timer)
{
    struct admin *admin = CONTAINER_OF(timer, struct admin, sweep);
    mono_ns now = admin_now(admin);
    exchange_expire(admin, now);
    stream_beat(admin, now);
    LIST_FOREACH_SAFE (node, following, &admin->clients) {
        struct client *client = CONTAINER_OF(node, struct client, link);
        if (now >= client->deadline) {
            admin_cut(client);
        }
    }
    if (admin->client_count == 0) {
        uv_timer_stop(timer);
    }
}

void admin_wake_sweep(struct admin *admin)
{
    dur_ns shortest = dur_min(dur_min(admin->options.request_limit, admin->options.loop_limit),
                              admin->options.heartbeat);
    uint64_t every_ms = (uint64_t)(shortest / NS_PER_MS / 8);
    every_ms = every_ms < 1 ? 1 : every_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : every_ms;
    if (!uv_is_active((uv_handle_t *)&admin->sweep)) {
        uv_timer_start(&admin->sweep, on_sweep, every_ms, every_ms);
    }
}

/* Start */

static void fill_defaults(struct admin_options *options)
{
    options->request_limit = options->request_limit ? options->request_limit : ADMIN_REQUEST_LIMIT;
    options->loop_limit = options->loop_limit ? options->loop_limit : ADMIN_LOOP_LIMIT;
    options->heartbeat = options->heartbeat ? options->heartbeat : ADMIN_HEARTBEAT;
    options->live_limit = options->live_limit ? options->live_limit : ADMIN_LIVE_LIMIT;
    options->max_connections =
        options->max_connections ? options->max_connections : ADMIN_MAX_CONNECTIONS;
    options->max_streams = options->max_streams ? options->max_streams : ADMIN_MAX_STREAMS;
}

static h2o_hostconf_t *add_host(struct admin *admin, bool is_metrics_only)
{
    h2o_iovec_t name = is_metrics_only ? h2o_iovec_init(H2O_STRLIT("metrics"))
                                       : h2o_iovec_init(H2O_STRLIT("admin"));
    h2o_hostconf_t *host = h2o_config_register_host(&admin->config, name, 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = routes_on_request;
    handler->admin = admin;
    handler->is_metrics_only = is_metrics_only;
    return host;
}

static void init_h2o(struct admin *admin)
{
    h2o_config_init(&admin->config);
    admin->config.server_name = h2o_iovec_init(H2O_STRLIT("outrigger"));
    admin->config.max_request_entity_size = ADMIN_BODY_MAX;
    admin->config.http1.upgrade_to_http2 = 0; /* its HTTP/2 has no defence against rapid resets */
    admin->everything[0] = add_host(admin, false);
    admin->metrics_only[0] = add_host(admin, true);
    h2o_context_init(&admin->context, &admin->loop, &admin->config);
}

static void on_port_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct admin_port, tcp));
}

static enum err open_port(struct admin *admin, size_t index, char error[ADMIN_ERROR_SIZE])
{
    const struct admin_listener *wanted = &admin->options.listeners[index];
    char text[ADDRESS_TEXT_BYTES];
    address_text(&wanted->address, text);
    if (wanted->address.any.sa_family != AF_INET && wanted->address.any.sa_family != AF_INET6) {
        snprintf(error, ADMIN_ERROR_SIZE,
                 "%s: admin.listen and metrics.listen take IP addresses only", text);
        return ERR_INVALID;
    }
    struct admin_port *port = calloc(1, sizeof(*port));
    INVARIANT(port != NULL);
    port->admin = admin;
    port->is_metrics_only = wanted->is_metrics_only;
    port->is_loopback = address_is_loopback(&wanted->address);
    port->accept.ctx = &admin->context;
    port->accept.hosts = wanted->is_metrics_only ? admin->metrics_only : admin->everything;
    uv_tcp_init(&admin->loop, &port->tcp);
    struct address instead;
    int code = uv_tcp_bind(&port->tcp, &wanted->address.any, 0);
    if (code == UV_EAFNOSUPPORT && address_without_ipv6(&wanted->address, &instead)) {
        code = uv_tcp_bind(&port->tcp, &instead.any, 0);
    }
    code = code == 0 ? uv_listen((uv_stream_t *)&port->tcp, BACKLOG, on_connection) : code;
    if (code != 0) {
        enum err e = err_from_errno(-code);
        snprintf(error, ADMIN_ERROR_SIZE, "cannot listen on %s (%s.listen): %s", text,
                 wanted->is_metrics_only ? "metrics" : "admin",
                 e == ERR_SYSTEM ? uv_strerror(code) : err_text(e));
        uv_close((uv_handle_t *)&port->tcp, on_port_closed);
        return e;
    }
    admin->ports[index] = port;
    return OK;
}

static void close_ports(struct admin *admin)
{
    for (size_t i = 0; i < admin->options.listener_count; i++) {
        if (admin->ports[i]) {
            uv_close((uv_handle_t *)&admin->ports[i]->tcp,
                     NULL); /* clients still look at it: freed with the whole */
        }
    }
}

static void on_wake(uv_async_t *wake)
{
    struct admin *admin = CONTAINER_OF(wake, struct admin, wake);
    if (admin->is_closing) {
        return;
    }
    exchange_collect(admin);
    stream_publish(admin);
    if (!__atomic_load_n(&admin->is_stopping, __ATOMIC_SEQ_CST)) {
        return;
    }
    admin->is_closing = true;
    close_ports(admin);
    desk_close(admin);
    LIST_FOREACH (node, &admin->clients) {
        admin_cut(CONTAINER_OF(node, struct client, link));
    }
    stream_end(admin);
    if (admin->client_count == 0) {
        uv_stop(&admin->loop);
    }
}

static void dispose(struct admin *admin)
{
    uv_timer_stop(&admin->sweep);
    uv_close((uv_handle_t *)&admin->sweep, NULL);
    uv_close((uv_handle_t *)&admin->wake, NULL);
    h2o_context_dispose(&admin->context);
    h2o_config_dispose(&admin->config);
    uv_run(&admin->loop, UV_RUN_DEFAULT);
    INVARIANT(uv_loop_close(&admin->loop) == 0);
    for (size_t i = 0; i < admin->options.listener_count; i++) {
        free(admin->ports[i]);
    }
    free(admin->token);
    admin->magic = 0;
    free(admin);
}

static void *thread_main(void *pointer)
{
    struct admin *admin = pointer;
    uv_run(&admin->loop, UV_RUN_DEFAULT);
    dispose(admin);
    return NULL;
}

static void wake_for_event(void *context)
{
    uv_async_send(&((struct admin *)context)->wake);
}

static struct admin *make(const struct admin_options *options, const struct admin_backend *backend)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    INVARIANT(admin != NULL);
    admin->magic = ADMIN_MAGIC;
    admin->options = *options;
    admin->backend = *backend;
    fill_defaults(&admin->options);
    admin->token = options->token ? strdup(options->token) : NULL;
    INVARIANT(!options->token || admin->token);
    list_init(&admin->clients);
    list_init(&admin->exchanges);
    list_init(&admin->subscribers);
    INVARIANT(uv_loop_init(&admin->loop) == 0);
    INVARIANT(uv_async_init(&admin->loop, &admin->wake, on_wake) == 0);
    INVARIANT(uv_timer_init(&admin->loop, &admin->sweep) == 0);
    admin->desk = desk_new(&admin->wake);
    init_h2o(admin);
    return admin;
}

static enum err start_thread(struct admin *admin)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before); /* signals are the data loop's; SIGPIPE comes as EPIPE */
    int code = pthread_create(&admin->thread, NULL, thread_main, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? OK : ERR_SYSTEM;
}

enum err admin_start(const struct admin_options *options, const struct admin_backend *backend,
                     struct admin **admin, char error[ADMIN_ERROR_SIZE])
{
    INVARIANT(options->listener_count <= ADMIN_LISTENERS_MAX);
    if (options->listener_count == 0) {
        return OK;
    }
    struct admin *made = make(options, backend);
    enum err e = OK;
    for (size_t i = 0; e == OK && i < options->listener_count; i++) {
        e = open_port(made, i, error);
    }
    if (e == OK) {
        events_set_waker(options->events, wake_for_event, made);
        e = start_thread(made);
        if (e != OK) {
            snprintf(error, ADMIN_ERROR_SIZE,
                     "cannot start the admin thread: raise the limit on processes (ulimit -u)");
            events_set_waker(options->events, NULL, NULL);
        }
    }
    if (e != OK) {
        made->is_closing = true;
        close_ports(made);
        desk_close(made);
        dispose(made);
        return e;
    }
    *admin = made;
    return OK;
}

uint16_t admin_port(const struct admin *admin, size_t listener)
{
    struct address bound = {.len = sizeof(bound.un)};
    int len = (int)bound.len;
    CHECK_OBJ(admin, ADMIN_MAGIC);
    INVARIANT(listener < admin->options.listener_count);
    INVARIANT(uv_tcp_getsockname(&admin->ports[listener]->tcp, &bound.any, &len) == 0);
    return address_port(&bound);
}

void admin_stop(struct admin **admin)
{
    struct admin *gone = *admin;
    *admin = NULL;
    if (!gone) {
        return;
    }
    CHECK_OBJ(gone, ADMIN_MAGIC);
    struct timespec until;
    pthread_t thread = gone->thread;
    events_set_waker(gone->options.events, NULL, NULL);
    __atomic_store_n(&gone->is_stopping, 1, __ATOMIC_SEQ_CST);
    uv_async_send(&gone->wake);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_LIMIT_S;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        pthread_detach(thread);
    }
}
