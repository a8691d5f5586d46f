/* connectionPool and healthCheck: blocks of a document that its rules have not. */
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

static void is_refused(const char *spec, const char *finding)
{
    cr_assert(strstr(spec_findings(spec), finding), "%s\nnot in: %s", finding, spec_findings(spec));
}

Test(upstream_blocks, limit_nothing_when_they_are_left_out)
{
    struct policy_set *set = loaded_spec("");
    const struct document *document = &set->documents[0];
    cr_assert_eq(document->connection_pool.max_connections, UINT32_MAX);
    cr_assert_eq(document->connection_pool.warm, 0u);
    cr_assert_eq(document->health_check.mode, POLICY_OFF);
    cr_assert_str_eq(document->health_check_at, "");
    policy_set_unref(&set);
}

Test(upstream_blocks, are_read_into_their_places)
{
    struct policy_set *set = loaded_spec(
        "connectionPool: {maxConnections: 20, warmConnections: 2}, healthCheck: {path: /healthz, "
        "host: \"a:1\", codes: [200, 204], interval: 5s, timeout: 500ms, unhealthyThreshold: 1, "
        "healthyThreshold: 4, panic: refuse}");
    const struct document *document = &set->documents[0];
    const struct health_check_config *check = &document->health_check;
    cr_assert_eq(document->connection_pool.max_connections, 20u);
    cr_assert_eq(document->connection_pool.warm, 2u);
    cr_assert_eq(check->mode, POLICY_ENFORCE);
    cr_assert_eq(check->type, HEALTH_CHECK_HTTP);
    cr_assert_str_eq(check->path, "/healthz");
    cr_assert_str_eq(check->host, "a:1");
    cr_assert(code_set_has_http(&check->codes, 204) && !code_set_has_http(&check->codes, 201));
    cr_assert_eq(check->interval, 5 * NS_PER_S);
    cr_assert_eq(check->timeout, 500 * NS_PER_MS);
    cr_assert_eq(check->unhealthy_threshold, 1u);
    cr_assert_eq(check->healthy_threshold, 4u);
    cr_assert_eq(check->panic, HEALTH_PANIC_REFUSE);
    cr_assert_str_eq(check->service, "");
    cr_assert(strstr(document->health_check_at, ":1"));
    policy_set_unref(&set);
}

Test(upstream_blocks, have_the_defaults_that_the_reference_shows)
{
    struct policy_set *set = loaded_spec("healthCheck: {}");
    const struct health_check_config *check = &set->documents[0].health_check;
    cr_assert_str_eq(check->path, "/");
    cr_assert_null(check->host);
    cr_assert_eq(check->interval, 10 * NS_PER_S);
    cr_assert_eq(check->timeout, 1 * NS_PER_S);
    cr_assert_eq(check->unhealthy_threshold, 3u);
    cr_assert_eq(check->healthy_threshold, 2u);
    cr_assert_eq(check->panic, HEALTH_PANIC_USE_ALL);
    policy_set_unref(&set);
}

Test(upstream_blocks, refuse_what_cannot_be)
{
    is_refused("connectionPool: {maxConnections: 0}", "spec.connectionPool.maxConnections");
    is_refused("connectionPool: {maxConnections: 1, warmConnections: 2}",
               "spec.connectionPool.warmConnections: more connections than there may be");
    is_refused("healthCheck: {path: healthz}",
               "spec.healthCheck.path: a path begins with / and has no spaces");
    is_refused("healthCheck: {path: \"/a b\"}", "spec.healthCheck.path: a path begins");
    is_refused("healthCheck: {path: \"/\\r\\nX: y\"}", "spec.healthCheck.path: a path begins");
    is_refused("healthCheck: {host: \"a b\"}", "spec.healthCheck.host: this is not a host");
    is_refused("healthCheck: {type: grpc, service: \"a b\"}",
               "spec.healthCheck.service: this is not the name of a service");
    is_refused("healthCheck: {service: a}", "spec.healthCheck.service: no effect");
    is_refused("healthCheck: {type: grpc, path: /a}", "spec.healthCheck.path: no effect");
    is_refused("healthCheck: {type: tcp, codes: [200]}", "spec.healthCheck.codes: no effect");
    is_refused("healthCheck: {type: tcp, host: a}", "spec.healthCheck.host: no effect");
    is_refused("healthCheck: {timeout: 11s}",
               "spec.healthCheck.timeout: a check would last longer");
    is_refused("rules: [{name: a, healthCheck: {}}]", "spec.rules[0].healthCheck: unknown key");
    is_refused("rules: [{name: a, connectionPool: {}}]", "unknown key");
}

Test(upstream_blocks, offer_what_protocol_may_speak)
{
    struct policy_set *set = loaded_spec("tls: {alpn: [h2]}, protocol: grpc");
    cr_assert_eq(set->documents[0].tls.alpn, TLS_PROTOCOL_HTTP2);
    policy_set_unref(&set);
    is_refused("tls: {alpn: [http/1.1]}, protocol: grpc",
               "spec.tls.alpn: what spec.protocol speaks is not among them");
    is_refused("tls: {alpn: [h2]}, protocol: http1",
               "spec.tls.alpn: what spec.protocol speaks is not among them");
    is_refused("tls: {alpn: []}", "spec.tls.alpn: nothing is offered");
    is_refused("tls: {alpn: [h3]}", "spec.tls.alpn[0]: unknown value \"h3\"");
}
