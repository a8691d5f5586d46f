/* cmd_wait.c - see cmd_wait.h. */
#include "cli/cmd_wait.h"

#include "base/mono.h"
#include "cli/admin_client.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS (50 * NS_PER_MS)
#define DEFAULT_LIMIT (60 * NS_PER_S)

enum { EXIT_GOOD = 0, EXIT_LATE = 1, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger wait [--timeout DURATION] [--admin URL]\n"
    "\n"
    "Waits until the proxy takes calls: until GET /ready of its admin port answers 200.\n"
    "\n"
    "  --timeout DURATION   give up after this; default 60s\n"
    "  --admin URL          the proxy's admin address; default http://127.0.0.1:15020\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit code: 0 ready; 1 not in time; 2 bad usage.\n"
    "\n"
    "Example:\n"
    "  $ outrigger proxy -c policies/ & outrigger wait --timeout 5s && curl -x localhost:15001 "
    "...\n";

struct options {
    dur_ns limit;
    struct admin_address admin;
};

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "outrigger wait: %s%s\nTry: outrigger wait --help\n", problem, what);
    return EXIT_USAGE;
}

static int read_option(struct options *options, const char *option, const char *value)
{
    char why[ADMIN_CLIENT_WHY_MAX];
    const bool is_timeout = strcmp(option, "--timeout") == 0;
    if (!is_timeout && strcmp(option, "--admin") != 0)
        return usage("unknown option: ", option);
    if (value == NULL)
        return usage("this option needs a value: ", option);
    if (is_timeout && !duration_parse(span_of(value), &options->limit))
        return usage("--timeout takes a duration such as 30s, not ", value);
    if (!is_timeout && !admin_address_parse(value, &options->admin, why))
        return usage("--admin: ", why);
    return -1;
}

static mono_ns clock_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (mono_ns)at.tv_sec * NS_PER_S + (mono_ns)at.tv_nsec;
}

static int wait_until_ready(const struct options *options)
{
    char why[ADMIN_CLIENT_WHY_MAX] = "";
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    const mono_ns start = clock_now();
    do {
        json_t *answer = admin_get(&options->admin, "/ready", why);
        if (answer != NULL) {
            json_decref(answer);
            return EXIT_GOOD;
        }
        nanosleep(&pause, NULL);
    } while (clock_now() - start < options->limit);
    fprintf(stderr, "outrigger wait: not ready in time: %s\n", why);
    return EXIT_LATE;
}

int cmd_wait(int argc, char **argv)
{
    struct options options = {.limit = DEFAULT_LIMIT,
                              .admin = {.host = "127.0.0.1", .port = 15020}};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_GOOD;
        }
        const int code = read_option(&options, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (code >= 0)
            return code;
    }
    return wait_until_ready(&options);
}
