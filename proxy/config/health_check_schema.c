/* health_check_schema.c - the fields of the `healthCheck` block, and which of them mean something
 * together; see schema.h for the columns. */
#include "policy/health_check.h"

#include "config/address.h"
#include "config/policy_checks.h"
#include "config/policy_schema.h"

#include <string.h>

#define MAX_PATH_BYTES 4096
#define MAX_HOST_BYTES 260
#define MAX_SERVICE_BYTES 127 /* its length is one byte in the request (protobuf) */
#define MAX_THRESHOLD 100

static const struct word mode_words[] = {
    {"enforce", POLICY_ENFORCE}, {"shadow", POLICY_SHADOW}, {"off", POLICY_OFF}, {NULL, 0}};
static const struct word type_words[] = {
    {"http", HEALTH_CHECK_HTTP}, {"grpc", HEALTH_CHECK_GRPC}, {"tcp", HEALTH_CHECK_TCP}, {NULL, 0}};
static const struct word panic_words[] = {
    {"useAll", HEALTH_PANIC_USE_ALL}, {"refuse", HEALTH_PANIC_REFUSE}, {NULL, 0}};

static const struct field health_check_fields[] = {
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct health_check_config, mode),
     .words = mode_words,
     .preset = "enforce",
     .absent = "off",
     .doc =
         "enforce passes unhealthy endpoints by; shadow checks and tells, but does not; off is as "
         "if the block were not there"},
    {.name = "type",
     .type = FIELD_ENUM,
     FIELD_AT(struct health_check_config, type),
     .words = type_words,
     .preset = "http",
     .doc = "http: GET of `path`; grpc: grpc.health.v1.Health/Check; tcp: a connection, with TLS "
            "where the target has it"},
    {.name = "path",
     .type = FIELD_STRING,
     FIELD_AT(struct health_check_config, path),
     .min = 1,
     .max = MAX_PATH_BYTES,
     .preset = "/",
     .doc = "of http"},
    {.name = "host",
     .type = FIELD_STRING,
     FIELD_AT(struct health_check_config, host),
     .min = 1,
     .max = MAX_HOST_BYTES,
     .doc = "what stands in Host; left out: the target"},
    {.name = "codes",
     .type = FIELD_HTTP_CODES,
     FIELD_AT(struct health_check_config, codes),
     .min = 200,
     .max = 599,
     .preset = "[200]",
     .doc = "of http: statuses that are good"},
    {.name = "service",
     .type = FIELD_STRING,
     FIELD_AT(struct health_check_config, service),
     .max = MAX_SERVICE_BYTES,
     .doc = "of grpc, such as shop.Quotes; left out: the server as a whole"},
    {.name = "interval",
     .type = FIELD_DURATION,
     FIELD_AT(struct health_check_config, interval),
     .min = 100 * NS_PER_MS,
     .max = MAX_DURATION,
     .preset = "10s",
     .doc = "between two checks of an endpoint, 10 percent more or less by chance"},
    {.name = "timeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct health_check_config, timeout),
     .min = NS_PER_MS,
     .max = MAX_DURATION,
     .preset = "1s",
     .doc = "of one check, its connection included"},
    {.name = "unhealthyThreshold",
     .type = FIELD_COUNT,
     FIELD_AT(struct health_check_config, unhealthy_threshold),
     .min = 1,
     .max = MAX_THRESHOLD,
     .preset = "3",
     .unit = "failures in a row",
     .doc = "until a healthy endpoint is unhealthy; the first check of all decides at once"},
    {.name = "healthyThreshold",
     .type = FIELD_COUNT,
     FIELD_AT(struct health_check_config, healthy_threshold),
     .min = 1,
     .max = MAX_THRESHOLD,
     .preset = "2",
     .unit = "good ones in a row",
     .doc = "until an unhealthy endpoint is healthy"},
    {.name = "panic",
     .type = FIELD_ENUM,
     FIELD_AT(struct health_check_config, panic),
     .words = panic_words,
     .preset = "useAll",
     .doc = "when every endpoint is unhealthy: useAll goes on as if they were not, refuse refuses "
            "the call (no_endpoint)"},
};
const struct block health_check_block = {
    .name = "healthCheck",
    BLOCK_FIELDS(health_check_fields),
    .finish = health_check_finish,
    .doc =
        "Asks each endpoint now and then whether it is well, from the first call to the target "
        "until ten minutes after the last. `outlier` judges by the calls themselves, and needs no "
        "traffic of its own."};

static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static void only_of(struct decoder *decoder, const struct node *node, const char *name,
                    const char *type)
{
    if (node_get(node, name) != NULL)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, name, type,
                      "no effect with another type of check");
}

void health_check_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct health_check_config *cfg = out;
    struct address_parts parts;
    if (!is_good)
        return;
    cfg->service = cfg->service ? cfg->service : "";
    if (cfg->type != HEALTH_CHECK_GRPC)
        only_of(decoder, node, "service", "type: grpc");
    if (cfg->type != HEALTH_CHECK_HTTP) {
        only_of(decoder, node, "path", "type: http");
        only_of(decoder, node, "codes", "type: http");
    }
    if (cfg->type == HEALTH_CHECK_TCP)
        only_of(decoder, node, "host", "type: http or grpc");
    if (cfg->path[0] != '/' || !is_visible(cfg->path))
        decode_refuse(decoder, DIAG_BAD_VALUE, node, "path", "such as /healthz",
                      "a path begins with / and has no spaces");
    if (cfg->host != NULL && !host_name_is_valid(span_of(cfg->host)) &&
        address_parse_upstream(span_of(cfg->host), &parts) != NULL)
        decode_refuse(decoder, DIAG_BAD_VALUE, node, "host", "such as payments or payments:8080",
                      "this is not a host");
    if (!is_visible(cfg->service))
        decode_refuse(decoder, DIAG_BAD_VALUE, node, "service", "such as shop.Quotes",
                      "this is not the name of a service");
    if (cfg->timeout > cfg->interval)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "timeout", "interval at most",
                      "a check would last longer than the time between two");
}
