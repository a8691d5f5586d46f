/* proxy_variables.h - the environment variables by which a program finds the proxy beside it: those
 * of `outrigger run` and of pods without interception are the same ones, from this one table.
 *
 * HTTP_PROXY and HTTPS_PROXY in both spellings, grpc_proxy, NODE_USE_ENV_PROXY (Node heeds the
 * others from 22.21 on only with it), OUTRIGGER_PROXY_URL, OUTRIGGER_ADMIN_URL, and NO_PROXY in
 * both spellings. Constant data; any thread. */
#ifndef OUTRIGGER_CONFIG_PROXY_VARIABLES_H
#define OUTRIGGER_CONFIG_PROXY_VARIABLES_H

#include <stddef.h>

enum proxy_variable_kind {
    PROXY_VARIABLE_PROXY, /* the URL of the outbound port */
    PROXY_VARIABLE_ADMIN, /* the URL of the admin port */
    PROXY_VARIABLE_ON,    /* "1" */
    PROXY_VARIABLE_PASSED /* hosts that are called without the proxy */
};

struct proxy_variable {
    const char *name;
    enum proxy_variable_kind kind;
};

#define PROXY_VARIABLES_COUNT 10
extern const struct proxy_variable proxy_variables[PROXY_VARIABLES_COUNT];

#endif
