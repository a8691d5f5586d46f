/* run_environment.c - see run_environment.h. */
#include "cli/run_environment.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const proxy_variables[] = {"HTTP_PROXY",  "http_proxy", "HTTPS_PROXY",
                                              "https_proxy", "grpc_proxy", "OUTRIGGER_PROXY_URL"};

void run_environment_set(const struct run_proxy *proxy, const struct run_targets *targets)
{
    char url[64];
    snprintf(url, sizeof url, "http://%s:%u", proxy->host, proxy->outbound);
    for (size_t i = 0; i < sizeof proxy_variables / sizeof *proxy_variables; i++)
        setenv(proxy_variables[i], url, 1);
    snprintf(url, sizeof url, "http://%s:%u", proxy->host, proxy->admin);
    setenv("OUTRIGGER_ADMIN_URL", url, 1);
    setenv("NODE_USE_ENV_PROXY", "1", 1);
    if (getenv("NO_PROXY") == NULL && getenv("no_proxy") == NULL) {
        setenv("NO_PROXY", proxy->host, 1);
        setenv("no_proxy", proxy->host, 1);
    }
    for (size_t i = 0; i < targets->count; i++)
        setenv(targets->items[i].variable, targets->items[i].url, 1);
}
