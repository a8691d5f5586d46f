/* demo_stage.c - see demo_stage.h. */
#include "cli/demo_stage.h"

#include "base/span.h"
#include "cli/default_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Taken where they are free: easy to remember, and those that the documentation uses. */
#define LISTEN_PORT 15010
#define OUTBOUND_PORT 15001
#define ADMIN_PORT 15020

static const char proxy_config[] = "apiVersion: outrigger.dev/v1alpha1\n"
                                   "kind: ProxyConfig\n"
                                   "metadata: {name: demo}\n"
                                   "spec:\n"
                                   "  outbound: {listen: [\"127.0.0.1:%u\"]}\n"
                                   "  listeners:\n"
                                   "    - {listen: \"127.0.0.1:%u\", upstream: \"127.0.0.1:%u\"}\n"
                                   "  admin: {listen: \"127.0.0.1:%u\"}\n"
                                   "  drain: {mode: refuse, timeout: 1s}\n"
                                   "  log: {format: text}\n";

/* Behind policies/default.yaml, whose last block is `spec`: two paths to try things by hand. */
static const char demo_rules[] =
    "\n"
    "  rules:\n"
    "    - name: broken\n"
    "      matches: [{path: {type: Exact, value: /broken}}]\n"
    "      circuitBreaker: {consecutiveFailures: 3, openFor: 10s, maxOpenFor: 30s}\n"
    "    - name: limited\n"
    "      matches: [{path: {type: Exact, value: /limited}}]\n"
    "      rateLimit: {requests: 3, interval: 10s}\n";

/* `wanted` where nobody listens there, else one that the system picks. */
static uint16_t free_port(uint16_t wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wanted;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address.sin_port = htons(wanted);
    bool is_free = bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0;
    if (!is_free) {
        address.sin_port = 0;
        if (bind(fd, (struct sockaddr *)&address, len) == 0)
            getsockname(fd, (struct sockaddr *)&address, &len);
    }
    close(fd);
    return address.sin_port ? ntohs(address.sin_port) : wanted;
}

enum err demo_stage_init(struct demo_stage *stage, uint16_t upstream)
{
    char config[1024];
    *stage = (struct demo_stage){.listen = free_port(LISTEN_PORT),
                                 .outbound = free_port(OUTBOUND_PORT),
                                 .admin = free_port(ADMIN_PORT)};
    enum err e = run_folder_init(&stage->folder, "demo");
    if (e)
        return e;
    snprintf(config, sizeof config, proxy_config, stage->outbound, stage->listen, upstream,
             stage->admin);
    e = run_folder_write(&stage->folder, "proxy.yaml", config, "");
    return e ? e : run_folder_write(&stage->folder, "demo.yaml", default_policy, demo_rules);
}

enum err demo_stage_spawn(struct demo_stage *stage, uv_loop_t *loop, uv_exit_cb on_exit,
                          void *context)
{
    char log[RUN_PATH_MAX];
    run_folder_path(&stage->folder, "log", log);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    char command[] = "outrigger", proxy[] = "proxy", flag[] = "-c";
    char *arguments[] = {command, proxy, flag, stage->folder.path, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = fd},
        {.flags = UV_INHERIT_FD, .data.fd = fd},
    };
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = arguments,
                                    .exit_cb = on_exit,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    stage->child.data = context;
    int code = uv_spawn(loop, &stage->child, &options);
    close(fd);
    if (code)
        uv_close((uv_handle_t *)&stage->child, NULL); /* initialised even when it did not start */
    return code ? err_from_errno(-code) : OK;
}

void demo_stage_show_log(const struct demo_stage *stage)
{
    char log[RUN_PATH_MAX];
    run_folder_path(&stage->folder, "log", log);
    run_log_show(log);
}

void demo_stage_fini(struct demo_stage *stage)
{
    run_folder_remove(&stage->folder);
}
