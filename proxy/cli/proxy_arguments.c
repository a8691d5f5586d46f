/* proxy_arguments.c - see proxy_arguments.h. */
#include "cli/proxy_arguments.h"

#include "base/number.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const char help[] =
    "Usage: outrigger proxy [-c FILE|DIR]...\n"
    "\n"
    "Runs the proxy with the policies of the given files and folders (every *.yaml in them).\n"
    "Policies are read again when the files change, and on SIGHUP; SIGTERM drains and ends.\n"
    "\n"
    "  -c, --config FILE|DIR   may be given several times; none: the defaults\n"
    "      --set FIELD=VALUE   a field of the ProxyConfig's spec, over what the files say:\n"
    "                          --set log.level=debug --set 'opaquePorts=[25, 3306]'\n"
    "      --defaults FILE     policies that give way to those of -c for the same host and port\n"
    "      --pod-labels FILE   labels of the pod, as a downwardAPI volume has them, for policies\n"
    "                          with a selector (without it these are left out)\n"
    "      --dns SERVERS       ask these name servers (\"127.0.0.1:5353\") instead of "
    "resolv.conf's\n"
    "      --relay-dns FD      a UDP socket that the process was started with: name queries that\n"
    "                          come in there are asked of the servers that they are for\n"
    "  -h, --help              this page\n"
    "\n"
    "Example:\n"
    "  outrigger proxy -c policies/default.yaml\n"
    "  curl -x http://127.0.0.1:15001 http://localhost:8080/     # a call through it\n"
    "  curl http://127.0.0.1:15020/metrics                       # what it saw\n"
    "\n"
    "Check files first: outrigger check policies/\n";

static int usage_error(const char *what, const char *argument)
{
    fprintf(stderr, "outrigger proxy: %s%s%s\nTry: outrigger proxy --help\n", what,
            argument ? ": " : "", argument ? argument : "");
    return EXIT_USAGE;
}

/* Where the value of that option goes; NULL: there is no such option. */
static const char **value_of(struct proxy_arguments *arguments, const char *option)
{
    struct load_sources *sources = &arguments->sources;
    if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0)
        return &arguments->paths[sources->path_count++]; /* one beyond the limit has room */
    if (strcmp(option, "--set") == 0)
        return &arguments->settings[sources->setting_count++];
    if (strcmp(option, "--defaults") == 0)
        return &sources->defaults;
    if (strcmp(option, "--pod-labels") == 0)
        return &sources->pod_labels;
    if (strcmp(option, "--relay-dns") == 0)
        return &arguments->relay_dns;
    return strcmp(option, "--dns") == 0 ? &arguments->dns : NULL;
}

/* False: it is no descriptor that somebody could have left us, or one too many. */
static bool take_dns_socket(struct proxy_arguments *arguments)
{
    uint32_t fd;
    if (arguments->dns_socket_count == PROXY_DNS_SOCKETS ||
        !number_parse(span_of(arguments->relay_dns), STDERR_FILENO + 1, INT_MAX, &fd))
        return false;
    arguments->dns_sockets[arguments->dns_socket_count++] = (int)fd;
    arguments->relay_dns = NULL;
    return true;
}

int proxy_arguments_read(struct proxy_arguments *arguments, int argc, char **argv)
{
    *arguments = (struct proxy_arguments){.dns = NULL};
    arguments->sources.paths = arguments->paths;
    arguments->sources.settings = arguments->settings;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
        const char **value = value_of(arguments, argv[i]);
        if (value == NULL)
            return usage_error("unknown option", argv[i]);
        if (i + 1 == argc)
            return usage_error("this option needs a value", argv[i]);
        *value = argv[++i];
        if (arguments->relay_dns && !take_dns_socket(arguments))
            return usage_error("--relay-dns takes a descriptor from 3 up, at most twice",
                               arguments->relay_dns);
        if (arguments->sources.path_count > PROXY_PATHS_MAX)
            return usage_error("too many -c options; put the files into one folder", NULL);
        if (arguments->sources.setting_count > PROXY_SETTINGS_MAX)
            return usage_error("too many --set options; write a ProxyConfig", NULL);
    }
    return -1;
}
