/* cmd_injector.c - see cmd_injector.h: options, the loop, signals. */
#include "cli/cmd_injector.h"

#include "base/log.h"
#include "cli/inject_set.h"
#include "net/loop.h"
#include "net/tls_engine.h"
#include "webhook/webhook.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LISTEN "[::]:8443"
#define DEFAULT_METRICS "[::]:15021"
#define LINGER (3 * NS_PER_S) /* a stopping pod is sent reviews until all nodes know */
#define LOG_STOP_LIMIT (1 * NS_PER_S)

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger injector --cert FILE --key FILE [--set KEY=VALUE]...\n"
    "\n"
    "The admission webhook: Kubernetes asks it by POST /inject for each new pod, and it answers "
    "with\n"
    "the patch that `outrigger inject` would make.\n"
    "\n"
    "      --cert FILE            the certificate for the service's name, PEM; read again when it\n"
    "      --key FILE             and its key change\n"
    "      --listen ADDRESS       for reviews, by HTTPS; default " DEFAULT_LISTEN "\n"
    "      --metrics-listen ADDR  /ready /live /metrics, plain; default " DEFAULT_METRICS "\n"
    "      --set KEY=VALUE        a default for all pods; `outrigger inject --help` lists the "
    "keys\n"
    "  -h, --help                 this text\n"
    "\n"
    "Example:\n"
    "  $ outrigger injector --cert /certs/tls.crt --key /certs/tls.key --set interception=none\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "outrigger injector: %s%s\nTry: outrigger injector --help\n", problem, what);
    return EXIT_USAGE;
}

/* ---- options ---- */

static int add_address(struct address *list, size_t *count, const char *option, const char *text)
{
    if (*count == WEBHOOK_ADDRESSES_MAX)
        return usage("this option is given too often: ", option);
    if (address_parse(span_of(text), &list[*count]) != OK || list[*count].any.sa_family == AF_UNIX)
        return usage("an address is an IP and a port, such as 0.0.0.0:8443 or [::]:8443, not ",
                     text);
    ++*count;
    return -1;
}

static int take(struct webhook_options *options, struct inject_settings *settings,
                const char *option, const char *value)
{
    if (strcmp(option, "--listen") == 0)
        return add_address(options->listen, &options->listen_count, option, value);
    if (strcmp(option, "--metrics-listen") == 0)
        return add_address(options->metrics, &options->metrics_count, option, value);
    if (strcmp(option, "--set") == 0)
        return inject_set("outrigger injector", settings, value) ? -1 : EXIT_USAGE;
    if (strcmp(option, "--cert") == 0)
        options->cert_path = value;
    else if (strcmp(option, "--key") == 0)
        options->key_path = value;
    else
        return usage("unknown option: ", option);
    return -1;
}

static int read_options(struct webhook_options *options, struct inject_settings *settings, int argc,
                        char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return EXIT_GOOD;
        }
        if (i + 1 == argc)
            return usage("this option is unknown, or needs a value: ", argv[i]);
        const int code = take(options, settings, argv[i], argv[i + 1]);
        if (code >= 0)
            return code;
    }
    if (options->cert_path == NULL || options->key_path == NULL)
        return usage("--cert and --key name the certificate and its key", "");
    int code = -1;
    if (options->listen_count == 0)
        code = add_address(options->listen, &options->listen_count, "--listen", DEFAULT_LISTEN);
    if (code < 0 && options->metrics_count == 0)
        code = add_address(options->metrics, &options->metrics_count, "--metrics-listen",
                           DEFAULT_METRICS);
    return code;
}

/* ---- the process ---- */

static void on_stop(void *context, int signal_number)
{
    (void)signal_number;
    webhook_drain(context);
}

static int run(const struct webhook_options *options)
{
    char why[WEBHOOK_WHY_MAX];
    struct webhook *webhook = NULL;
    struct loop *loop = loop_new(&(struct loop_options){.seed = 0});
    const enum err e = webhook_open(options, loop, &webhook, why);
    if (e == OK) {
        loop_on_signal(loop, SIGTERM, on_stop, webhook);
        loop_on_signal(loop, SIGINT, on_stop, webhook);
        if (log_start(STDERR_FILENO) != OK)
            fprintf(stderr, "outrigger injector: no thread for the log\n");
        log_event(LOG_INFO, "started", LOG_STR("version", OUTRIGGER_VERSION));
        loop_run(loop);
    } else {
        fprintf(stderr, "outrigger injector: %s\n", why);
    }
    webhook_free(&webhook);
    loop_free(&loop);
    log_stop(LOG_STOP_LIMIT);
    return e == OK ? EXIT_GOOD : EXIT_USAGE;
}

int cmd_injector(int argc, char **argv)
{
    struct inject_settings settings;
    if (inject_settings_init(&settings) != OK)
        return usage(err_text(ERR_NO_MEMORY), "");
    struct webhook_options options = {.settings = &settings, .linger = LINGER};
    int code = read_options(&options, &settings, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (code < 0 && tls_start() != OK)
        code = usage("the system gives no randomness, which TLS needs", "");
    else if (code < 0) {
        code = run(&options);
        tls_stop();
    }
    inject_settings_fini(&settings);
    return code;
}
