/* proxy_variables.c - see proxy_variables.h. */
#include "config/proxy_variables.h"

const struct proxy_variable proxy_variables[PROXY_VARIABLES_COUNT] = {
    {"HTTP_PROXY", PROXY_VARIABLE_PROXY},          {"http_proxy", PROXY_VARIABLE_PROXY},
    {"HTTPS_PROXY", PROXY_VARIABLE_PROXY},         {"https_proxy", PROXY_VARIABLE_PROXY},
    {"grpc_proxy", PROXY_VARIABLE_PROXY},          {"OUTRIGGER_PROXY_URL", PROXY_VARIABLE_PROXY},
    {"OUTRIGGER_ADMIN_URL", PROXY_VARIABLE_ADMIN}, {"NODE_USE_ENV_PROXY", PROXY_VARIABLE_ON},
    {"NO_PROXY", PROXY_VARIABLE_PASSED},           {"no_proxy", PROXY_VARIABLE_PASSED},
};
