/* admin_client.h - asks a running proxy's admin port, and waits for the answer: for commands that
 * need to know what runs.
 *
 * Example: json_t *policies = admin_get(&admin, "/policies", why); json_decref(policies).
 * Blocking, bounded in time and size; single-threaded. */
#ifndef OUTRIGGER_CLI_ADMIN_CLIENT_H
#define OUTRIGGER_CLI_ADMIN_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ADMIN_CLIENT_WHY_MAX 512

struct admin_address {
    char host[64]; /* an IP address */
    uint16_t port;
};

bool admin_address_parse(const char *url, struct admin_address *address,
                         char why[ADMIN_CLIENT_WHY_MAX]);
/* "http://127.0.0.1:15020", "127.0.0.1:15020", "http://[::1]:15020/", "http://localhost:15020". */

json_t *admin_get(const struct admin_address *address, const char *path,
                  char why[ADMIN_CLIENT_WHY_MAX]);
/* The object that the path answers with; NULL, and `why` with what to do, if there is none. */

#endif
