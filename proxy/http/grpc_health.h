/* grpc_health.h - the two messages of grpc.health.v1.Health/Check (health-checking.md of gRPC),
 * each with the five bytes that frame it. Pure. */
#ifndef OUTRIGGER_HTTP_GRPC_HEALTH_H
#define OUTRIGGER_HTTP_GRPC_HEALTH_H

#include "base/span.h"

#include <stddef.h>

#define GRPC_HEALTH_PATH "/grpc.health.v1.Health/Check"
#define GRPC_HEALTH_SERVICE_MAX 127
#define GRPC_HEALTH_REQUEST_MAX (5 + 2 + GRPC_HEALTH_SERVICE_MAX)
#define GRPC_HEALTH_RESPONSE_MAX 64 /* of the answer's body, what is looked at */

size_t grpc_health_request(struct span service, char out[GRPC_HEALTH_REQUEST_MAX]);
/* For a service of at most GRPC_HEALTH_SERVICE_MAX bytes; "": the server as a whole. Its length. */

enum grpc_serving {
    GRPC_SERVING_UNKNOWN = 0,
    GRPC_SERVING = 1,
    GRPC_NOT_SERVING = 2,
    GRPC_SERVICE_UNKNOWN = 3,
};

int grpc_health_status(struct span body);
/* enum grpc_serving, as the answer says it; -1 when `body` is not one whole message. */

const char *grpc_health_word(int status);
/* "not_serving": for a log line. */

#endif
