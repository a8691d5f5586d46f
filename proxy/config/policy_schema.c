/* policy_schema.c - the fields of a ResiliencePolicy around its six blocks (policy_families.c),
 * one row each (POLICY section 1); see schema.h for the columns. */
#include "config/policy_schema.h"

#include "config/policy_checks.h"

#define MAX_TARGETS 256
#define MAX_RULES 256 /* asked one after the other for every call */
#define MAX_MATCHES 64
#define MAX_FIELDS_MATCHED 16
#define MAX_PATH_BYTES 4096

static const struct word path_words[] = {{"Exact", PATH_MATCH_EXACT},
                                         {"PathPrefix", PATH_MATCH_PREFIX},
                                         {"RegularExpression", WORD_LATER},
                                         {NULL, 0}};
static const struct word exact_words[] = {
    {"Exact", 0}, {"RegularExpression", WORD_LATER}, {NULL, 0}};
static const struct word protocol_words[] = {{"auto", PROTOCOL_AUTO},   {"http1", PROTOCOL_HTTP1},
                                             {"http2", PROTOCOL_HTTP2}, {"grpc", PROTOCOL_GRPC},
                                             {"tcp", PROTOCOL_TCP},     {NULL, 0}};
static const struct word api_words[] = {{API_VERSION, 0}, {NULL, 0}};
static const struct word kind_words[] = {{KIND_POLICY, 0}, {NULL, 0}};

#define LATER_ROW(word, text)                                                                      \
    {                                                                                              \
        .name = word, .type = FIELD_LATER, .doc = text                                             \
    }
#define LATER_ROWS                                                                                 \
    LATER_ROW("hedge", "a second attempt when the first is slow"),                                 \
        LATER_ROW("adaptive", "a limit that finds itself"),                                        \
        LATER_ROW("priority", "who is refused first"),                                             \
        LATER_ROW("idempotency", "repeated calls get the first answer"),                           \
        LATER_ROW("coalesce", "equal calls share one attempt"),                                    \
        LATER_ROW("fallback", "an answer for refused and failed calls"),                           \
        LATER_ROW("fault", "failures on purpose"),                                                 \
        LATER_ROW("deadLetter", "failed calls are kept"),                                          \
        LATER_ROW("store", "limits shared in Redis")

/* ---- rules -------------------------------------------------------------------------------- */

static const struct field path_fields[] = {
    {.name = "type",
     .type = FIELD_ENUM,
     FIELD_AT(struct match, path_type),
     .words = path_words,
     .preset = "PathPrefix",
     .doc = "PathPrefix goes by whole elements: /v1/charge matches /v1/charge/x, not /v1/charges"},
    {.name = "value",
     .type = FIELD_TEXT,
     FIELD_AT(struct match, path),
     .min = 1,
     .max = MAX_PATH_BYTES,
     .preset = "/",
     .doc = "starts with /, without query; compared byte by byte"},
};
static const struct block path_block = {
    .name = "path", BLOCK_FIELDS(path_fields), .doc = "The path of the call."};

static const struct field header_match_fields[] = {
    {.name = "name",
     .type = FIELD_HEADER_NAME,
     FIELD_AT(struct name_value, name),
     .is_required = true,
     .max = 256,
     .doc = "name of the header, in any case"},
    {.name = "value",
     .type = FIELD_TEXT,
     FIELD_AT(struct name_value, value),
     .is_required = true,
     .max = 4096,
     .doc = "its value, compared byte by byte"},
    {.name = "type",
     .type = FIELD_ENUM,
     .words = exact_words,
     .preset = "Exact",
     .doc = "how the value is compared"},
};
static const struct block header_match_block = {.name = "headers",
                                                BLOCK_FIELDS(header_match_fields),
                                                .item_size = sizeof(struct name_value),
                                                .doc = "A header of the call."};

static const struct field query_match_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct name_value, name),
     .is_required = true,
     .min = 1,
     .max = 256,
     .doc = "name of the parameter"},
    {.name = "value",
     .type = FIELD_TEXT,
     FIELD_AT(struct name_value, value),
     .is_required = true,
     .max = 4096,
     .doc = "its value as sent, percent-encoding and all; the first of several counts"},
    {.name = "type",
     .type = FIELD_ENUM,
     .words = exact_words,
     .preset = "Exact",
     .doc = "how the value is compared"},
};
static const struct block query_match_block = {.name = "queryParams",
                                               BLOCK_FIELDS(query_match_fields),
                                               .item_size = sizeof(struct name_value),
                                               .doc = "A parameter of the query."};

static const struct field grpc_fields[] = {
    {.name = "service",
     .type = FIELD_TEXT,
     FIELD_AT(struct match, grpc_service),
     .min = 1,
     .max = 1024,
     .doc = "full name of the service, such as shop.Quotes; left out: any"},
    {.name = "method",
     .type = FIELD_TEXT,
     FIELD_AT(struct match, grpc_method),
     .min = 1,
     .max = 1024,
     .doc = "name of the method, such as Get; left out: any"},
};
static const struct block grpc_block = {.name = "grpc",
                                        BLOCK_FIELDS(grpc_fields),
                                        .finish = grpc_match_finish,
                                        .doc = "A gRPC method. Matches gRPC calls only."};

static const struct field match_fields[] = {
    {.name = "path", .type = FIELD_BLOCK, .block = &path_block, .doc = "the path of the call"},
    {.name = "method",
     .type = FIELD_METHOD_NAME,
     FIELD_AT(struct match, method),
     .doc = "the method of the call"},
    {.name = "headers",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct match, headers),
     .aux = offsetof(struct match, header_count),
     .block = &header_match_block,
     .max = MAX_FIELDS_MATCHED,
     .doc = "headers that the call has, all of them"},
    {.name = "queryParams",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct match, query_params),
     .aux = offsetof(struct match, query_param_count),
     .block = &query_match_block,
     .max = MAX_FIELDS_MATCHED,
     .doc = "query parameters that the call has, all of them"},
    {.name = "grpc",
     .type = FIELD_BLOCK,
     .block = &grpc_block,
     .doc = "the gRPC method of the call"},
};
static const struct block match_block = {.name = "matches",
                                         BLOCK_FIELDS(match_fields),
                                         .finish = match_finish,
                                         .item_size = sizeof(struct match),
                                         .doc =
                                             "What a call must be like: all that is named holds."};

#define FAMILY_ROWS(manual)                                                                        \
    {.name = "timeouts",                                                                           \
     .type = FIELD_BLOCK,                                                                          \
     .is_manual = manual,                                                                          \
     .block = &timeouts_block,                                                                     \
     .offset = offsetof(struct document, policy.timeouts),                                         \
     .doc = "how long things may take"},                                                           \
        {.name = "retry",                                                                          \
         .type = FIELD_BLOCK,                                                                      \
         .is_manual = manual,                                                                      \
         .block = &retry_block,                                                                    \
         .offset = offsetof(struct document, policy.retry),                                        \
         .doc = "which failed attempts are made again"},                                           \
        {.name = "circuitBreaker",                                                                 \
         .type = FIELD_BLOCK,                                                                      \
         .is_manual = manual,                                                                      \
         .block = &breaker_block,                                                                  \
         .offset = offsetof(struct document, policy.breaker),                                      \
         .doc = "stops calling what keeps failing"},                                               \
        {.name = "bulkhead",                                                                       \
         .type = FIELD_BLOCK,                                                                      \
         .is_manual = manual,                                                                      \
         .block = &bulkhead_block,                                                                 \
         .offset = offsetof(struct document, policy.bulkhead),                                     \
         .doc = "bounds what is in flight"},                                                       \
        {.name = "rateLimit",                                                                      \
         .type = FIELD_BLOCK,                                                                      \
         .is_manual = manual,                                                                      \
         .block = &rate_limit_block,                                                               \
         .offset = offsetof(struct document, policy.rate_limit),                                   \
         .doc = "bounds how many attempts per time"},                                              \
    {                                                                                              \
        .name = "outlier", .type = FIELD_BLOCK, .is_manual = manual, .block = &outlier_block,      \
        .offset = offsetof(struct document, policy.outlier),                                       \
        .doc = "passes by endpoints that fail while others do not"                                 \
    }

static const struct field rule_fields[] = {
    {.name = "name",
     .type = FIELD_NAME,
     FIELD_AT(struct rule, name),
     .is_required = true,
     .doc = "unique in the document; the label `rule` of metrics"},
    {.name = "matches",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct rule, matches),
     .aux = offsetof(struct rule, match_count),
     .block = &match_block,
     .max = MAX_MATCHES,
     .doc = "any of them; left out or empty: every call"},
    FAMILY_ROWS(true),
    LATER_ROWS,
};
static const struct block rule_block = {
    .name = "rules",
    BLOCK_FIELDS(rule_fields),
    .finish = rule_finish,
    .item_size = sizeof(struct rule),
    .doc = "Other numbers for some calls. The first rule that matches wins; its fields are laid "
           "over the document's."};

/* ---- the document ------------------------------------------------------------------------- */

static const struct field target_fields[] = {
    {.name = "host",
     .type = FIELD_HOST,
     FIELD_AT(struct document_target, host),
     .is_required = true,
     .doc = "a name, \"*.example.com\" for all names below it, \"*\" for every host, or an IP "
            "address"},
    {.name = "ports",
     .type = FIELD_PORTS,
     FIELD_AT(struct document_target, ports),
     .max = 64,
     .doc = "left out or empty: every port"},
};
static const struct block target_block = {.name = "targets",
                                          BLOCK_FIELDS(target_fields),
                                          .finish = target_finish,
                                          .item_size = sizeof(struct document_target),
                                          .doc = "Which destinations the document is for."};

static const struct field policy_spec_fields[] = {
    {.name = "targets",
     .type = FIELD_BLOCKS,
     .is_required = true,
     .offset = offsetof(struct document, targets),
     .aux = offsetof(struct document, target_count),
     .block = &target_block,
     .min = 1,
     .max = MAX_TARGETS,
     .doc = "which destinations the document is for"},
    {.name = "selector",
     .type = FIELD_BLOCK,
     .block = &selector_block,
     .offset = offsetof(struct document, selector),
     .doc = "for which pods the document is"},
    {.name = "protocol",
     .type = FIELD_ENUM,
     FIELD_AT(struct document, protocol),
     .words = protocol_words,
     .doc = "what the upstream speaks; left out: as the listener says"},
    {.name = "discovery",
     .type = FIELD_BLOCK,
     .block = &discovery_block,
     .offset = offsetof(struct document, discovery),
     .doc = "where the addresses of the targets come from"},
    {.name = "healthCheck",
     .type = FIELD_BLOCK,
     .block = &health_check_block,
     .offset = offsetof(struct document, health_check),
     .doc = "asks each endpoint now and then whether it is well"},
    {.name = "connectionPool",
     .type = FIELD_BLOCK,
     .block = &connection_pool_block,
     .offset = offsetof(struct document, connection_pool),
     .doc = "how many connections there are to an endpoint"},
    {.name = "tls",
     .type = FIELD_BLOCK,
     .block = &tls_block,
     .offset = offsetof(struct document, tls),
     .doc = "encrypts connections to the upstream"},
    FAMILY_ROWS(false),
    {.name = "loadBalancer",
     .type = FIELD_BLOCK,
     .block = &load_balancer_block,
     .offset = offsetof(struct document, policy.load_balancer),
     .preset = "{}",
     .doc = "how an endpoint is chosen"},
    {.name = "rules",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct document, rules),
     .aux = offsetof(struct document, rule_count),
     .block = &rule_block,
     .max = MAX_RULES,
     .doc = "other numbers for some calls"},
    LATER_ROWS,
};
static const struct block policy_spec_block = {
    .name = "spec", BLOCK_FIELDS(policy_spec_fields), .doc = "How to treat a destination."};

static const struct field policy_metadata_fields[] = {
    {.name = "name",
     .type = FIELD_NAME,
     FIELD_AT(struct document, name),
     .is_required = true,
     .doc = "unique in its namespace"},
    {.name = "namespace",
     .type = FIELD_NAME,
     FIELD_AT(struct document, namespace),
     .doc = "a host of one label, such as payments, then also means payments.NAMESPACE and so on"},
    {.name = "labels", .type = FIELD_LABELS, .doc = "as Kubernetes has them; not used"},
    {.name = "annotations", .type = FIELD_LABELS, .doc = "as Kubernetes has them; not used"},
};
static const struct block policy_metadata_block = {.name = "metadata",
                                                   BLOCK_FIELDS(policy_metadata_fields),
                                                   .finish = metadata_finish,
                                                   .doc = "What the document is called."};

static const struct field policy_document_fields[] = {
    {.name = "apiVersion",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = api_words,
     .doc = "always " API_VERSION},
    {.name = "kind",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = kind_words,
     .doc = "always " KIND_POLICY},
    {.name = "metadata",
     .type = FIELD_BLOCK,
     .is_required = true,
     .block = &policy_metadata_block,
     .doc = "what the document is called"},
    {.name = "spec",
     .type = FIELD_BLOCK,
     .is_required = true,
     .block = &policy_spec_block,
     .doc = "how to treat a destination"},
};
const struct block policy_document_block = {.name = KIND_POLICY,
                                            BLOCK_FIELDS(policy_document_fields),
                                            .doc = "How to treat a destination."};
