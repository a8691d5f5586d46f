/* run_publish.c - see run_publish.h. Nothing of what comes in is retried or judged: a policy of
 * ours about calls of the command has no say about calls to it. */
#include "cli/run_publish.h"

#include "cli/cmd_proxy.h"
#include "cli/run_namespace.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG "publish.yaml"
#define CONFIG_BYTES (512 + RUN_PUBLISHED_MAX * 80)
#define LISTEN_BACKLOG 1024

enum { EXIT_NOT_STARTED = 2 };

/* -1 with errno. */
static int listen_on(uint16_t port)
{
    const struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&here, sizeof here) == 0 &&
        listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    const int problem = errno;
    if (fd >= 0)
        close(fd);
    errno = problem;
    return -1;
}

int run_publish_init(struct run_publish *publish, const struct run_options *options)
{
    *publish = (struct run_publish){.options = options};
    for (size_t i = 0; i < options->published_count; i++) {
        const int fd = listen_on(options->published[i]);
        if (fd < 0) {
            fprintf(stderr, "outrigger run: --publish %u: %s; `ss -ltnp` tells who listens there\n",
                    options->published[i], strerror(errno));
            return EXIT_NOT_STARTED;
        }
        publish->sockets[publish->count++] = fd;
    }
    return 0;
}

static enum err write_config(const struct run_publish *publish, const struct run_proxy *proxy)
{
    char text[CONFIG_BYTES];
    size_t len = (size_t)snprintf(text, sizeof text,
                                  "apiVersion: outrigger.dev/v1alpha1\n"
                                  "kind: ProxyConfig\n"
                                  "metadata: {name: publish}\n"
                                  "spec:\n"
                                  "  outbound: {listen: \"\"}\n"
                                  "  admin: {listen: \"\"}\n"
                                  "  drain: {mode: refuse, timeout: 100ms}\n"
                                  "  log: {format: text}\n"
                                  "  listeners:\n");
    for (size_t i = 0; i < publish->count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "    - {listen: \"fd:%u\", upstream: \"localhost:%u\", protocol: "
                                "tcp}\n",
                                RUN_FIRST_FD + (unsigned)i, publish->options->published[i]);
    return run_folder_write(&proxy->folder, CONFIG, text, "");
}

_Noreturn static void be_door(const struct run_publish *publish,
                              const struct run_enclosure *enclosure, const struct run_proxy *proxy,
                              pid_t parent)
{
    char path[RUN_PATH_MAX];
    run_folder_path(&proxy->folder, CONFIG, path);
    char *arguments[] = {(char[]){"proxy"}, (char[]){"-c"}, path};
    if (!run_namespace_join(enclosure->network, enclosure->user)) {
        fprintf(stderr, "outrigger run: the namespace cannot be entered: %s\n", strerror(errno));
        _exit(EXIT_NOT_STARTED);
    }
    run_proxy_become("outrigger-door", proxy, publish->sockets, publish->count);
    exit(getppid() == parent ? cmd_proxy(3, arguments) : EXIT_NOT_STARTED);
}

int run_publish_start(struct run_publish *publish, const struct run_enclosure *enclosure,
                      const struct run_proxy *proxy)
{
    const pid_t parent = getpid();
    if (publish->count == 0)
        return 0;
    const enum err e = write_config(publish, proxy);
    if (e != OK) {
        fprintf(stderr, "outrigger run: %s/" CONFIG ": %s\n", proxy->folder.path, err_text(e));
        return EXIT_NOT_STARTED;
    }
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0)
        be_door(publish, enclosure, proxy, parent);
    if (pid < 0) {
        fprintf(stderr, "outrigger run: no process for --publish: %s\n", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    publish->pid = pid;
    return 0;
}

void run_publish_note_end(struct run_publish *publish, pid_t pid)
{
    if (publish->pid == 0 || pid != publish->pid)
        return;
    publish->pid = 0;
    fprintf(stderr, "outrigger run: published ports are closed from here on: what led there ended "
                    "by itself; its words are in the log\n");
}

void run_publish_stop(struct run_publish *publish)
{
    for (size_t i = 0; i < publish->count; i++)
        close(publish->sockets[i]);
    publish->count = 0;
    if (publish->pid == 0)
        return;
    kill(publish->pid, SIGKILL); /* it has nothing that it would have to put away */
    waitpid(publish->pid, NULL, 0);
    publish->pid = 0;
}
