/* run_environment.c - see run_environment.h. */
#include "cli/run_environment.h"

#include "config/proxy_variables.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_PREFIX "OUTRIGGER_"

static bool has_entry(const char *list, const char *entry)
{
    const size_t len = strlen(entry);
    while (*list != '\0') {
        list += strspn(list, ", ");
        const size_t item = strcspn(list, ", ");
        if (item == len && strncmp(list, entry, len) == 0)
            return true;
        list += item;
    }
    return false;
}

/* Clients split at commas, some at spaces as well; "*" is for all hosts, but only if it is alone.
 */
static void add_to_list(const char *variable, const char *host)
{
    char *longer = NULL;
    const char *list = getenv(variable);
    if (list == NULL || *list == '\0') {
        setenv(variable, host, 1);
        return;
    }
    if (strcmp(list, "*") == 0 || has_entry(list, host) ||
        asprintf(&longer, "%s,%s", list, host) < 0)
        return;
    setenv(variable, longer, 1);
    free(longer);
}

/* Some clients know one spelling, some the other; who has set one means both. */
static void except(const char *host)
{
    const char *upper = getenv("NO_PROXY"), *lower = getenv("no_proxy");
    if (upper == NULL && lower != NULL)
        setenv("NO_PROXY", lower, 1);
    if (lower == NULL && upper != NULL)
        setenv("no_proxy", upper, 1);
    add_to_list("NO_PROXY", host);
    add_to_list("no_proxy", host);
}

/* What names us, and what names a proxy only where that is wanted. */
static bool is_set(enum proxy_variable_kind kind, const char *name, bool has_proxy)
{
    return has_proxy ? kind != PROXY_VARIABLE_PASSED
                     : strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
}

void run_environment_set(const struct run_proxy *proxy, const struct run_targets *targets,
                         bool has_proxy)
{
    char proxy_url[64], admin_url[64];
    snprintf(proxy_url, sizeof proxy_url, "http://%s:%u", proxy->host, proxy->outbound);
    snprintf(admin_url, sizeof admin_url, "http://%s:%u", proxy->host, proxy->admin);
    const char *const values[] = {[PROXY_VARIABLE_PROXY] = proxy_url,
                                  [PROXY_VARIABLE_ADMIN] = admin_url,
                                  [PROXY_VARIABLE_ON] = "1"};
    for (size_t i = 0; i < PROXY_VARIABLES_COUNT; i++) {
        const struct proxy_variable *variable = &proxy_variables[i];
        if (is_set(variable->kind, variable->name, has_proxy))
            setenv(variable->name, values[variable->kind], 1);
    }
    if (has_proxy)
        except(proxy->host);
    for (size_t i = 0; i < targets->count; i++)
        setenv(targets->items[i].variable, targets->items[i].url, 1);
}
