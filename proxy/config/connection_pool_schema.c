/* connection_pool_schema.c - the fields of the `connectionPool` block; see schema.h for the
 * columns. */
#include "config/connection_pool_config.h"

#include "config/policy_checks.h"
#include "config/policy_schema.h"

#define MAX_CONNECTIONS 1000000
#define MAX_WARM 100

static const struct word unlimited_words[] = {{"unlimited", -1}, {NULL, 0}};

static const struct field connection_pool_fields[] = {
    {.name = "maxConnections",
     .type = FIELD_COUNT,
     FIELD_AT(struct connection_pool_config, max_connections),
     .min = 1,
     .max = MAX_CONNECTIONS,
     .preset = "unlimited",
     .words = unlimited_words,
     .unit = "connections to an endpoint",
     .doc = "in use or idle, of all kinds; an endpoint that has as many gets no call that needs "
            "another one while others have room, and with none left the call is refused as "
            "overloaded"},
    {.name = "warmConnections",
     .type = FIELD_COUNT,
     FIELD_AT(struct connection_pool_config, warm),
     .max = MAX_WARM,
     .preset = "0",
     .unit = "idle connections to an endpoint",
     .doc = "kept ready until ten minutes after the last call to the target, so that calls need "
            "not wait for TCP and TLS; of HTTP/2 one, which calls share"},
};
const struct block connection_pool_block = {
    .name = "connectionPool",
    BLOCK_FIELDS(connection_pool_fields),
    .finish = connection_pool_finish,
    .doc = "How many connections there are to each endpoint. How long one lives: "
           "timeouts.poolIdle and poolMaxAge."};

void connection_pool_finish(struct decoder *decoder, const struct node *node, void *out,
                            bool is_good)
{
    const struct connection_pool_config *cfg = out;
    if (is_good && cfg->warm > cfg->max_connections)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "warmConnections",
                      "maxConnections at most", "more connections than there may be");
}
