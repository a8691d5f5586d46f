/* connection_pool_config.h - the `connectionPool` block of a policy: how many connections there are
 * to an endpoint. Plain values. */
#ifndef OUTRIGGER_CONFIG_CONNECTION_POOL_CONFIG_H
#define OUTRIGGER_CONFIG_CONNECTION_POOL_CONFIG_H

#include <stdint.h>

struct connection_pool_config {
    uint32_t max_connections; /* UINT32_MAX: no limit */
    uint32_t warm;            /* idle ones that are kept ready */
};

#endif
