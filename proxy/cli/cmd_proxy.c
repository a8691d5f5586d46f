/* cmd_proxy.c - the process around the proxy: options, files, loop, admin server, signals, the end.
 */
#include "cli/cmd_proxy.h"

#include "admin/admin.h"
#include "admin/control.h"
#include "base/check.h"
#include "base/log.h"
#include "base/pages.h"
#include "cli/proxy_arguments.h"
#include "config/load.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "request/proxy.h"
#include "request/reload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAILBOX_CAPACITY 256
#define LOG_STOP_LIMIT (1 * NS_PER_S)
#define TOKEN_BYTES 512
#define SPARE_DESCRIPTORS 64 /* listeners, libraries, logs */

struct process {
    struct proxy_arguments arguments;
    struct loop *loop;
    struct metrics *metrics;
    struct events *events;
    struct proxy *proxy;
    struct mailbox mailbox;
    struct control control;
    struct reload reload;
    struct admin *admin;
    int open_parts; /* mailbox and watch: closed in the loop */
};

/* ---- start ---- */

static struct snapshot *load(const struct process *process)
{
    struct policy_set *set = NULL;
    struct tls_clients *tls = NULL;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    enum err e = policy_set_load(&process->arguments.sources, &set, &diagnostics);
    if (e == OK)
        e = tls_clients_load(set, &diagnostics, &tls);
    diagnostics_print(&diagnostics, stderr);
    if (e != OK)
        fprintf(stderr, "outrigger proxy: not started: %s\n",
                diagnostics.errors > 0
                    ? "mend the files named above (outrigger check tells the same)"
                    : err_text(e));
    diagnostics_fini(&diagnostics);
    return e == OK ? snapshot_new(&set, &tls) : NULL;
}

/* Descriptors: two for each connection. The soft limit is raised as far as it may be; what it then
 * allows is said. */
static void raise_descriptor_limit(const struct limits_config *limits)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)limits->max_connections * 2 + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted - SPARE_DESCRIPTORS)
        log_event(LOG_WARN, "few_descriptors",
                  LOG_TEXT("limits.maxConnections needs more descriptors than the process may "
                           "open: raise `ulimit -n`, "
                           "or lower it"),
                  LOG_UINT("may", limit.rlim_cur), LOG_UINT("wanted", wanted));
}

static bool read_token(const char *path, char token[TOKEN_BYTES])
{
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(token, TOKEN_BYTES, file) == NULL) {
        fprintf(stderr, "outrigger proxy: spec.admin.tokenFile %s: %s\n", path,
                file ? "it is empty; write a token into it" : strerror(errno));
        if (file != NULL)
            fclose(file);
        return false;
    }
    fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    return true;
}

static bool add_listeners(struct admin_options *options, const struct address_list *list,
                          bool is_metrics_only)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct address_config *at = &list->items[i];
        char text[ADDRESS_TEXT_MAX];
        snprintf(text, sizeof text, at->kind == ADDRESS_ANY ? "0.0.0.0%s" : "%s", at->text);
        if (options->listener_count == ADMIN_LISTENERS_MAX) {
            fprintf(stderr, "outrigger proxy: more than %d admin and metrics addresses\n",
                    ADMIN_LISTENERS_MAX);
            return false;
        }
        struct admin_listener *listener = &options->listeners[options->listener_count++];
        listener->is_metrics_only = is_metrics_only;
        if (address_parse(span_of(text), &listener->address) != OK) {
            fprintf(stderr, "outrigger proxy: %s: not an address that can be listened on\n",
                    at->text);
            return false;
        }
    }
    return true;
}

static bool start_admin(struct process *process)
{
    const struct proxy_config *cfg = &process->proxy->snapshot->set->proxy;
    struct admin_options options = {.metrics = process->metrics, .events = process->events};
    char token[TOKEN_BYTES];
    char why[ADMIN_ERROR_SIZE];
    if (cfg->admin.token_file[0] != '\0') {
        if (!read_token(cfg->admin.token_file, token))
            return false;
        options.token = token;
    }
    if (!add_listeners(&options, &cfg->admin.listen, false) ||
        !add_listeners(&options, &cfg->metrics, true))
        return false;
    const struct admin_backend backend = control_backend(&process->control);
    if (admin_start(&options, &backend, &process->admin, why) == OK)
        return true;
    fprintf(stderr, "outrigger proxy: %s\n", why);
    return false;
}

/* ---- signals ---- */

static void on_stop(void *context, int signal_number)
{
    struct process *process = context;
    (void)signal_number;
    proxy_drain(process->proxy);
}

static void on_reload(void *context, int signal_number)
{
    struct process *process = context;
    (void)signal_number;
    reload_now(&process->reload);
}

/* ---- the end ---- */

static struct process *the_process; /* for the two closed callbacks below, which carry no context */

static void on_mailbox_closed(struct mailbox *mailbox)
{
    (void)mailbox;
    the_process->open_parts--;
}

static void on_watch_closed(struct watch *watch)
{
    (void)watch;
    the_process->open_parts--;
}

/* With the loop libuv's handlers go, and a late signal would end the process in its own way. The
 * other threads take none. */
static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static void stop(struct process *process, bool has_reload)
{
    the_process = process;
    admin_stop(&process->admin);
    if (has_reload) {
        process->open_parts++;
        reload_stop(&process->reload, on_watch_closed);
    }
    process->open_parts++;
    mailbox_close(&process->mailbox, on_mailbox_closed);
    while (process->open_parts > 0)
        loop_turn(process->loop, true);
    block_signals();
    control_fini(&process->control);
    proxy_free(&process->proxy);
    loop_free(&process->loop);
    metrics_free(&process->metrics);
    events_free(&process->events);
    log_stop(LOG_STOP_LIMIT);
}

static void say_started(const struct process *process)
{
    LIST_FOREACH (link, &process->proxy->entrances) {
        const struct entrance *entrance = CONTAINER_OF(link, struct entrance, link);
        char text[ADDRESS_TEXT_BYTES];
        address_text(listener_address(&entrance->listener), text);
        log_event(LOG_INFO, "listening", LOG_STR("address", text),
                  LOG_STR("upstream", entrance->upstream[0] ? entrance->upstream : NULL));
    }
    const struct policy_set *set = process->proxy->snapshot->set;
    log_event(LOG_INFO, "started", LOG_STR("version", OUTRIGGER_VERSION),
              LOG_UINT("policies", set->document_count), LOG_UINT("rules", set->rule_count),
              LOG_STR("config", set->hash));
}

static int run(struct process *process, struct snapshot *snapshot)
{
    char why[LISTENER_TEXT_BYTES];
    const struct loop_options loop_options = {.seed = 0};
    const struct proxy_options options = {.metrics = process->metrics,
                                          .events = process->events,
                                          .dns_servers = process->arguments.dns,
                                          .dns_sockets = process->arguments.dns_sockets,
                                          .dns_socket_count = process->arguments.dns_socket_count};
    bool has_reload = false;
    int code = 2;

    process->loop = loop_new(&loop_options);
    mailbox_init(&process->mailbox, process->loop, MAILBOX_CAPACITY);
    process->proxy = proxy_new(process->loop, &options, snapshot);
    control_init(&process->control, process->proxy, &process->mailbox);
    if (proxy_listen(process->proxy, why) != OK ||
        proxy_relay_dns(process->proxy, &options, why) != OK) {
        fprintf(stderr, "outrigger proxy: %s\n", why);
        goto out;
    }
    if (!start_admin(process))
        goto out;
    has_reload = true;
    if (reload_start(&process->reload, process->proxy, &process->mailbox,
                     &process->arguments.sources) != OK) {
        fprintf(stderr, "outrigger proxy: no memory to watch the files\n");
        has_reload = false;
        goto out;
    }
    loop_on_signal(process->loop, SIGTERM, on_stop, process);
    loop_on_signal(process->loop, SIGINT, on_stop, process);
    loop_on_signal(process->loop, SIGHUP, on_reload, process);
    if (log_start(STDERR_FILENO) != OK)
        fprintf(stderr, "outrigger proxy: no thread for the log; lines are written by the loop\n");
    say_started(process);
    pages_give_back();
    loop_run(process->loop);
    code = 0;
out:
    stop(process, has_reload);
    return code;
}

int cmd_proxy(int argc, char **argv)
{
    struct process process = {.loop = NULL};
    const int code = proxy_arguments_read(&process.arguments, argc, argv);
    if (code >= 0)
        return code;
    signal(SIGPIPE, SIG_IGN);
    if (tls_start() != OK) {
        fprintf(stderr, "outrigger proxy: the system gives no randomness, which TLS needs\n");
        return 2;
    }
    struct snapshot *snapshot = load(&process);
    if (snapshot == NULL)
        return 2;
    raise_descriptor_limit(&snapshot->set->proxy.limits);
    process.metrics = metrics_new(snapshot->set->proxy.limits.max_series, OUTRIGGER_VERSION, "",
                                  (uint64_t)getpid() ^ (uint64_t)time(NULL) << 20);
    process.events = events_new();
    metrics_set_config_hash(process.metrics, snapshot->set->hash);
    metrics_note_reload(process.metrics, true);
    const int result = run(&process, snapshot);
    snapshot_unref(&snapshot);
    tls_stop();
    return result;
}
