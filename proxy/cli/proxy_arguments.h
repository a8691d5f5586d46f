/* proxy_arguments.h - what the command line of `outrigger proxy` asks for. Points into argv. */
#ifndef OUTRIGGER_CLI_PROXY_ARGUMENTS_H
#define OUTRIGGER_CLI_PROXY_ARGUMENTS_H

#include "config/load.h"
#include "request/proxy.h"

#define PROXY_PATHS_MAX 64
#define PROXY_SETTINGS_MAX 64

struct proxy_arguments {
    const char *paths[PROXY_PATHS_MAX + 1];
    const char *settings[PROXY_SETTINGS_MAX + 1];
    struct load_sources sources; /* points to the two */
    const char *dns;             /* NULL: resolv.conf's servers */
    const char *relay_dns;       /* the last one, while it is read */
    int dns_sockets[PROXY_DNS_SOCKETS];
    size_t dns_socket_count;
};

int proxy_arguments_read(struct proxy_arguments *arguments, int argc, char **argv);
/* -1: go on; else the exit code: said. `arguments` must not move afterwards. */

#endif
