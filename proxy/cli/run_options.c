/* run_options.c - see run_options.h. */
#include "cli/run_options.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger run [-c FILE|DIR]... [--] COMMAND [ARGUMENT]...\n"
    "       outrigger run --demo [--once | --stay]\n"
    "\n"
    "Runs COMMAND with a proxy of its own, which has the policies of the given files (none:\n"
    "safe defaults; changes are applied at once) and lives on free ports of this machine for as\n"
    "long as COMMAND does. Its calls get there by variables:\n"
    "\n"
    "  HTTP_PROXY, HTTPS_PROXY, grpc_proxy   are set: most HTTP and gRPC clients heed them\n"
    "  OUTRIGGER_<NAME>_URL                  a base URL for each target that a policy names, for\n"
    "                                        clients that do not\n"
    "  OUTRIGGER_ADMIN_URL                   /metrics, /circuits, /events of the proxy\n"
    "\n"
    "or, with --transparent, by themselves (more: outrigger run --transparent --help).\n"
    "\n"
    "  -c, --config FILE|DIR   may be given several times\n"
    "      --log FILE          where the proxy logs to, appended (a file that goes at the end)\n"
    "      --dns SERVERS       ask these name servers (\"127.0.0.1:5353\")\n"
    "      --publish PORT      with --transparent: a port of COMMAND that this machine shall "
    "reach\n"
    "  -q, --quiet             do not say at the start what was set up\n"
    "      --demo              watch a circuit breaker open, refuse, probe and close, instead;\n"
    "                          --once: end after the story, --stay: run on\n"
    "  -h, --help              this text\n"
    "\n"
    "Signals go to COMMAND; Ctrl-C twice within 2 s ends it for sure. Exit code: COMMAND's (128+n\n"
    "for signal n), 127 not found, 126 cannot be run, 2 bad usage, files or proxy.\n"
    "\n"
    "Example:\n"
    "  $ outrigger run -c policies/ npm start\n";

static const char transparent_help[] =
    "Usage: outrigger run --transparent [--publish PORT]... [-c FILE|DIR]... [--] COMMAND...\n"
    "\n"
    "Runs COMMAND in a network namespace of its own (Linux; no root where the kernel gives user\n"
    "namespaces to everybody). Whatever it and its children call by TCP comes to the proxy, which\n"
    "dials where they wanted to go: no client needs to know of it, no variable is set that names "
    "a\n"
    "proxy, and policies choose by Host, SNI or address.\n"
    "\n"
    "  name queries (UDP and TCP, port 53)   are asked of the same servers, or of --dns\n"
    "  localhost, where nobody in there      is this machine's: databases on it are reached\n"
    "    listens on the port                 (TCP only)\n"
    "  localhost, where somebody does        is COMMAND's own\n"
    "  ports that COMMAND listens on         cannot be called from this machine, but for those of\n"
    "                                        --publish PORT (127.0.0.1:PORT; up to 16)\n"
    "  everything else of UDP (QUIC, NTP,    has no way out, and is refused at once\n"
    "    statsd, mDNS), ping\n"
    "  other users                           are nobody in there, unless you are root: sudo, su\n"
    "                                        and ping do not work\n"
    "\n"
    "Signals, exit code and all else are as without it; exit code 2 and the reason, before "
    "COMMAND\n"
    "starts, where the kernel does not allow it. Needs outrigger-init beside outrigger.\n"
    "\n"
    "Example:\n"
    "  $ outrigger run --transparent --publish 3000 -c policies/ npm start\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr,
            "outrigger run: %s%s\nTry: outrigger run -c policies/ npm start   (or: outrigger run "
            "--demo, outrigger run --help)\n",
            problem, what);
    return EXIT_USAGE;
}

static const char **value_of(struct run_options *options, const char *option)
{
    if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0)
        return &options->paths[options->path_count++]; /* one beyond the limit has room */
    if (strcmp(option, "--log") == 0)
        return &options->log_file;
    if (strcmp(option, "--publish") == 0)
        return &options->publish;
    return strcmp(option, "--dns") == 0 ? &options->dns : NULL;
}

static bool *flag_of(struct run_options *options, const char *option)
{
    if (strcmp(option, "--demo") == 0)
        return &options->is_demo;
    if (strcmp(option, "--once") == 0)
        return &options->is_once;
    if (strcmp(option, "--stay") == 0)
        return &options->is_stay;
    if (strcmp(option, "--transparent") == 0)
        return &options->is_transparent;
    const bool is_quiet = strcmp(option, "-q") == 0 || strcmp(option, "--quiet") == 0;
    return is_quiet ? &options->is_quiet : NULL;
}

static int check(const struct run_options *options)
{
    if (!options->is_demo && (options->is_once || options->is_stay))
        return usage("--once and --stay go with --demo", "");
    if (options->is_demo && (options->command || options->path_count > 0))
        return usage("--demo brings its own policies and calls; it runs no command", "");
    if (options->published_count > 0 && !options->is_transparent)
        return usage("--publish goes with --transparent: without it all ports can be called", "");
    if (options->is_demo && options->is_transparent)
        return usage("--transparent is for a command, not for --demo", "");
    if (!options->is_demo && options->command == NULL)
        return usage("say what to run", "");
    return -1;
}

/* What is wrong; NULL: taken. */
static const char *take_published(struct run_options *options)
{
    uint32_t port;
    if (!number_parse(span_of(options->publish), 1, UINT16_MAX, &port))
        return "--publish takes a port, 1 to 65535: ";
    if (options->published_count == RUN_PUBLISHED_MAX)
        return "at most 16 ports can be published, and this is one too many: ";
    options->published[options->published_count++] = (uint16_t)port;
    options->publish = NULL;
    return NULL;
}

int run_options_read(struct run_options *options, int argc, char **argv)
{
    *options = (struct run_options){.path_count = 0};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(options->is_transparent ? transparent_help : help, stdout);
            return 0;
        }
        bool *flag = flag_of(options, argv[i]);
        const char **value = flag ? NULL : value_of(options, argv[i]);
        if (flag)
            *flag = true;
        else if (value == NULL)
            return usage("unknown option: ", argv[i]);
        else if (i + 1 == argc)
            return usage("this option needs a value: ", argv[i]);
        else
            *value = argv[++i];
        const char *problem = options->publish ? take_published(options) : NULL;
        if (problem)
            return usage(problem, options->publish);
        if (options->path_count > RUN_PATHS_MAX)
            return usage("too many -c options; put the files into one folder", "");
    }
    if (i < argc)
        options->command = argv + i;
    return check(options);
}
