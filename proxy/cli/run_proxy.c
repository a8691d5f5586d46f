/* run_proxy.c - see run_proxy.h. The process is a fork that calls cmd_proxy: nothing but a program
 * of ours in between could remove the folder when we cannot. */
#include "cli/run_proxy.h"

#include "cli/cmd_proxy.h"
#include "cli/default_policy.h"
#include "config/proxy_overlay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 10           /* between two looks whether it is ready */
#define READY_LIMIT_MS 15000 /* a proxy that is not ready by then will not be */
#define STOP_LIMIT_MS 3000   /* its drain is shorter */
#define EXIT_NOT_STARTED 2

/* ---- configuration ---- */

static enum err reserve_port(struct run_proxy *proxy, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    proxy->reserved[proxy->reserved_count++] = fd;
    inet_pton(AF_INET, proxy->host, &address.sin_addr);
    /* SO_REUSEADDR only after the bind: a port that others have bound with it is not free. With it,
     * the proxy may listen there while nobody else is given the port. */
    if (bind(fd, (const struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return err_from_errno(errno);
    *port = ntohs(address.sin_port);
    return OK;
}

static void release_ports(struct run_proxy *proxy)
{
    for (size_t i = 0; i < proxy->reserved_count; i++)
        close(proxy->reserved[i]);
    proxy->reserved_count = 0;
}

static enum err write_listeners(struct run_proxy *proxy, struct run_targets *targets, FILE *file)
{
    enum err e = OK;
    bool has_any = false;
    for (size_t i = 0; i < targets->count && e == OK; i++) {
        struct run_target *target = &targets->items[i];
        uint16_t port = 0;
        if (target->url[0] != '\0')
            continue;
        e = reserve_port(proxy, &port);
        snprintf(target->url, sizeof target->url, "%s://%s:%u", target->scheme, proxy->host, port);
        fprintf(file, "%s    - {listen: \"%s:%u\", upstream: \"%s\"}\n",
                has_any ? "" : "  listeners:\n", proxy->host, port, target->upstream);
        has_any = true;
    }
    return e;
}

static enum err write_config(struct run_proxy *proxy, struct run_targets *targets)
{
    char *text = NULL;
    size_t len;
    const size_t families = proxy->enclosure ? proxy->enclosure->families : 0;
    const char *caught = families == 0   ? ""
                         : families == 1 ? ", \"fd:3\""
                                         : ", \"fd:3\", \"fd:4\""; /* as be_proxy has them */
    FILE *file = open_memstream(&text, &len);
    if (file == NULL)
        return ERR_NO_MEMORY;
    fprintf(file,
            "apiVersion: outrigger.dev/v1alpha1\n"
            "kind: ProxyConfig\n"
            "metadata: {name: run, annotations: {" OVERLAY_ANNOTATION ": \"true\"}}\n"
            "spec:\n"
            "  outbound: {listen: [\"%s:%u\"%s]}\n"
            "  admin: {listen: \"%s:%u\"}\n"
            "  drain: {mode: refuse, timeout: 500ms}\n"
            "  log: {format: text}\n",
            proxy->host, proxy->outbound, caught, proxy->host, proxy->admin);
    enum err e = write_listeners(proxy, targets, file);
    if (fclose(file) != 0 && e == OK)
        e = ERR_NO_MEMORY;
    if (e == OK)
        e = run_folder_write(&proxy->folder, "run.yaml", text, "");
    free(text);
    if (e == OK && proxy->options->path_count == 0)
        e = run_folder_write(&proxy->folder, "default.yaml", default_policy, "");
    return e;
}

enum err run_proxy_init(struct run_proxy *proxy, const struct run_options *options,
                        const struct run_enclosure *enclosure, struct run_targets *targets)
{
    *proxy = (struct run_proxy){.options = options, .enclosure = enclosure, .host = targets->host};
    enum err e = run_folder_init(&proxy->folder, "run");
    if (e != OK)
        return e;
    if (options->log_file)
        snprintf(proxy->log, sizeof proxy->log, "%s", options->log_file);
    else
        snprintf(proxy->log, sizeof proxy->log, "%s/log", proxy->folder.path);
    e = reserve_port(proxy, &proxy->outbound);
    if (e == OK)
        e = reserve_port(proxy, &proxy->admin);
    return e == OK ? write_config(proxy, targets) : e;
}

/* ---- the process ---- */

static int call_proxy(const struct run_proxy *proxy)
{
    const struct run_options *options = proxy->options;
    char generated[RUN_PATH_MAX], defaults[RUN_PATH_MAX], dns[ENCLOSURE_FAMILIES][4];
    const char *arguments[2 * RUN_PATHS_MAX + 16] = {"proxy", "-c", generated};
    int count = 3;
    run_folder_path(&proxy->folder, "run.yaml", generated);
    run_folder_path(&proxy->folder, "default.yaml", defaults);
    for (size_t i = 0; i < options->path_count; i++) {
        arguments[count++] = "-c";
        arguments[count++] = options->paths[i];
    }
    if (options->path_count == 0) {
        arguments[count++] = "-c";
        arguments[count++] = defaults;
    }
    if (options->dns) {
        arguments[count++] = "--dns";
        arguments[count++] = options->dns;
    }
    for (size_t i = 0; proxy->enclosure && i < proxy->enclosure->families; i++) {
        snprintf(dns[i], sizeof dns[i], "%zu", RUN_FIRST_FD + proxy->enclosure->families + i);
        arguments[count++] = "--relay-dns";
        arguments[count++] = dns[i];
    }
    return cmd_proxy(count, (char **)arguments);
}

/* `count` of them at RUN_FIRST_FD and above; none is closed before it has been copied, since all
 * are lifted out of the way first. A pipe of the user's must end with the command. */
static void keep_only(const int *sockets, size_t count)
{
    int lifted[RUN_PUBLISHED_MAX];
    const int above = RUN_FIRST_FD + RUN_PUBLISHED_MAX;
    for (size_t i = 0; i < count; i++)
        lifted[i] = fcntl(sockets[i], F_DUPFD_CLOEXEC, above);
    for (size_t i = 0; i < count; i++)
        dup2(lifted[i], RUN_FIRST_FD + (int)i);
    close_range(RUN_FIRST_FD + (unsigned)count, ~0U, 0);
}

void run_proxy_become(const char *name, const struct run_proxy *proxy, const int *sockets,
                      size_t count)
{
    const int nothing = open("/dev/null", O_RDONLY);
    const int log = open(proxy->log, O_WRONLY | O_APPEND | O_CLOEXEC);
    setsid();
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    keep_only(sockets, count);
    run_signals_give_back(proxy->signals);
}

_Noreturn static void be_proxy(struct run_proxy *proxy, pid_t parent)
{
    const struct run_enclosure *enclosure = proxy->enclosure;
    int sockets[2 * ENCLOSURE_FAMILIES];
    size_t count = 0;
    for (size_t i = 0; enclosure && i < enclosure->families; i++)
        sockets[count++] = enclosure->outbound[i];
    for (size_t i = 0; enclosure && i < enclosure->families; i++)
        sockets[count++] = enclosure->dns[i];
    run_proxy_become("outrigger-proxy", proxy, sockets, count);
    const int code = getppid() == parent ? call_proxy(proxy) : EXIT_NOT_STARTED;
    if (getppid() != parent)
        run_folder_remove(&proxy->folder);
    exit(code);
}

static bool is_listening(const struct run_proxy *proxy)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(proxy->admin)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, proxy->host, &address.sin_addr);
    const bool is = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is;
}

/* The admin port is the last that it opens. */
static int wait_for_ready(struct run_proxy *proxy)
{
    for (int waited_ms = 0; waited_ms < READY_LIMIT_MS; waited_ms += LOOK_MS) {
        siginfo_t info;
        int status;
        const int number = run_signal_wait(proxy->signals, &info, LOOK_MS);
        if (run_signal_ends(number))
            return 128 + number;
        if (waitpid(proxy->pid, &status, WNOHANG) == proxy->pid) {
            proxy->pid = 0;
            fprintf(stderr, "outrigger run: the proxy did not start; it says:\n");
            run_log_show(proxy->log);
            return EXIT_NOT_STARTED;
        }
        if (is_listening(proxy))
            return 0;
    }
    fprintf(stderr, "outrigger run: the proxy was not ready within %d s; it says:\n",
            READY_LIMIT_MS / 1000);
    run_log_show(proxy->log);
    return EXIT_NOT_STARTED;
}

int run_proxy_start(struct run_proxy *proxy, const struct run_signals *signals)
{
    const pid_t parent = getpid();
    const int log = open(proxy->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        close(log); /* it is there, and may be written */
    } else {
        fprintf(stderr, "outrigger run: the log %s: %s\n", proxy->log, strerror(errno));
        return EXIT_NOT_STARTED;
    }
    proxy->signals = signals;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0)
        be_proxy(proxy, parent);
    if (pid < 0) {
        fprintf(stderr, "outrigger run: no process for the proxy: %s\n", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    proxy->pid = pid;
    const int code = wait_for_ready(proxy);
    release_ports(proxy);
    return code;
}

void run_proxy_note_end(struct run_proxy *proxy, pid_t pid, int status)
{
    if (pid != proxy->pid)
        return; /* in a container we may be who gets the orphans */
    proxy->pid = 0;
    fprintf(stderr,
            "outrigger run: the proxy ended by itself (%s %d): calls to its ports fail from here "
            "on; it says:\n",
            WIFSIGNALED(status) ? "signal" : "exit code",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    run_log_show(proxy->log);
}

void run_proxy_stop(struct run_proxy *proxy)
{
    if (proxy->pid == 0)
        return;
    kill(proxy->pid, SIGTERM);
    for (int waited_ms = 0; waited_ms < STOP_LIMIT_MS; waited_ms += LOOK_MS) {
        siginfo_t info;
        if (waitpid(proxy->pid, NULL, WNOHANG) == proxy->pid) {
            proxy->pid = 0;
            return;
        }
        run_signal_wait(proxy->signals, &info, LOOK_MS);
    }
    kill(proxy->pid, SIGKILL);
    waitpid(proxy->pid, NULL, 0);
    proxy->pid = 0;
}

void run_proxy_fini(struct run_proxy *proxy)
{
    release_ports(proxy);
    run_folder_remove(&proxy->folder);
}
