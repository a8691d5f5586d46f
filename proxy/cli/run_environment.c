/* run_environment.c - see run_environment.h. */
#include "cli/run_environment.h"

#include "config/proxy_variables.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void run_environment_set(const struct run_proxy *proxy, const struct run_targets *targets)
{
    char proxy_url[64], admin_url[64];
    snprintf(proxy_url, sizeof proxy_url, "http://%s:%u", proxy->host, proxy->outbound);
    snprintf(admin_url, sizeof admin_url, "http://%s:%u", proxy->host, proxy->admin);
    const char *const values[] = {[PROXY_VARIABLE_PROXY] = proxy_url,
                                  [PROXY_VARIABLE_ADMIN] = admin_url,
                                  [PROXY_VARIABLE_ON] = "1",
                                  [PROXY_VARIABLE_PASSED] = proxy->host};
    const bool is_users = getenv("NO_PROXY") != NULL || getenv("no_proxy") != NULL;
    for (size_t i = 0; i < PROXY_VARIABLES_COUNT; i++) {
        const struct proxy_variable *variable = &proxy_variables[i];
        if (variable->kind != PROXY_VARIABLE_PASSED || !is_users)
            setenv(variable->name, values[variable->kind], 1);
    }
    for (size_t i = 0; i < targets->count; i++)
        setenv(targets->items[i].variable, targets->items[i].url, 1);
}
