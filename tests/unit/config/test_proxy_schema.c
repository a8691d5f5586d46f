#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *proxy_text(const char *spec)
{
    static char text[16384];
    snprintf(text, sizeof text,
             "{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: x}, spec: "
             "{%s}}\n",
             spec);
    return text;
}

static void expect_ports(const struct port_list *ports)
{
    static const uint16_t wanted[] = {25, 3306, 5432, 6379, 9092};
    cr_assert_eq(ports->count, 5);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(ports->items[i], wanted[i]);
}

static void expect_defaults(const struct proxy_config *proxy)
{
    cr_assert_eq(proxy->outbound.listen.count, 2);
    cr_assert_str_eq(proxy->outbound.listen.items[0].host, "127.0.0.1");
    cr_assert_eq(proxy->outbound.listen.items[0].port, 15001);
    cr_assert_str_eq(proxy->outbound.listen.items[1].host, "::1");
    cr_assert_str_eq(proxy->outbound.listen.items[1].text, "[::1]:15001");
    cr_assert_eq(proxy->outbound.listen.items[1].kind, ADDRESS_IPV6);
    cr_assert(proxy->outbound.is_default && !proxy->outbound.may_host_route);
    cr_assert_eq(proxy->listener_count, 0);
    cr_assert_eq(proxy->admin.listen.count, 1);
    cr_assert_eq(proxy->admin.listen.items[0].port, 15020);
    cr_assert_str_eq(proxy->admin.listen.items[0].host, "127.0.0.1");
    cr_assert_str_eq(proxy->admin.token_file, "");
    cr_assert_eq(proxy->metrics.count, 0);
    cr_assert(proxy->limits.max_connections == 10000 && proxy->limits.max_line_bytes == 16384);
    cr_assert(proxy->limits.max_header_bytes == 65536 && proxy->limits.max_headers == 100);
    cr_assert(proxy->limits.max_series == 100000 && proxy->limits.max_memory_bytes == 0);
    cr_assert_eq(proxy->limits.header_timeout, 10 * NS_PER_S);
    cr_assert_eq(proxy->limits.body_idle_timeout, 60 * NS_PER_S);
    cr_assert(proxy->drain.mode == DRAIN_SERVE && proxy->drain.timeout == 25 * NS_PER_S);
    cr_assert_eq(proxy->detect_timeout, 500 * NS_PER_MS);
    expect_ports(&proxy->opaque_ports);
    cr_assert(proxy->log.format == LOG_FORMAT_AUTO && proxy->log.level == LOG_INFO);
    cr_assert_eq(proxy->log.access, LOG_ACCESS_REFUSALS);
}

Test(proxy_config, has_defaults_without_a_document)
{
    struct policy_set *set = loaded("");
    expect_defaults(&set->proxy);
    cr_assert_str_eq(set->proxy.name, "");
    cr_assert_str_eq(set->proxy.at, "");
    policy_set_unref(&set);
}

Test(proxy_config, has_the_same_defaults_with_an_empty_one)
{
    struct policy_set *set = loaded(proxy_text(""));
    expect_defaults(&set->proxy);
    cr_assert_str_eq(set->proxy.name, "x");
    cr_assert_str_eq(set->proxy.at, "t.yaml:1");
    policy_set_unref(&set);
    set = loaded(proxy_text(
        "outbound: {}, listeners: [], admin: {}, metrics: {}, limits: {}, drain: {}, log: {}"));
    expect_defaults(&set->proxy);
    policy_set_unref(&set);
    set = loaded("{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: x}}");
    expect_defaults(&set->proxy);
    policy_set_unref(&set);
}

Test(proxy_config, is_read_into_its_places)
{
    struct policy_set *set = loaded(proxy_text(
        "outbound: {listen: ':1', allowHostRouting: true}, "
        "listeners: [{listen: '127.0.0.1:9001', upstream: 'Payments.:8080', protocol: http1}, "
        "{listen: ['unix:/run/o.sock', '[::]:3'], upstream: '[FD00::1]:80'}], "
        "admin: {listen: '0.0.0.0:2', tokenFile: /etc/token}, metrics: {listen: ['[::]:4']}, "
        "limits: {maxConnections: 1, maxLineBytes: 256, maxHeaderBytes: 1KiB, maxHeaders: 8, "
        "maxSeries: 1000, "
        "headerTimeout: 0s, bodyIdleTimeout: 1s, maxMemory: 256MiB}, "
        "drain: {mode: refuse, timeout: 0s}, detectTimeout: 0s, opaquePorts: [], "
        "log: {format: json, level: error, access: all}"));
    const struct proxy_config *proxy = &set->proxy;
    cr_assert(proxy->outbound.listen.count == 1 &&
              proxy->outbound.listen.items[0].kind == ADDRESS_ANY);
    cr_assert(!proxy->outbound.is_default && proxy->outbound.may_host_route);
    cr_assert_str_eq(proxy->outbound.listen.items[0].host, "");
    cr_assert_eq(proxy->listener_count, 2);
    const struct listener_config *first = &proxy->listeners[0], *second = &proxy->listeners[1];
    cr_assert(first->listen.count == 1 && first->listen.items[0].port == 9001 &&
              first->protocol == PROTOCOL_HTTP1);
    cr_assert(first->upstream.kind == ADDRESS_NAME && first->upstream.port == 8080);
    cr_assert_str_eq(first->upstream.host, "payments.");
    cr_assert_str_eq(first->upstream.text, "Payments.:8080");
    cr_assert_str_eq(first->at, "t.yaml:1");
    cr_assert(second->listen.count == 2 && second->listen.items[0].kind == ADDRESS_UNIX);
    cr_assert_str_eq(second->listen.items[0].path, "/run/o.sock");
    cr_assert_str_eq(second->upstream.host, "fd00::1");
    cr_assert_eq(second->protocol, PROTOCOL_AUTO);
    cr_assert_str_eq(proxy->admin.token_file, "/etc/token");
    cr_assert(proxy->metrics.count == 1 && proxy->metrics.items[0].port == 4);
    cr_assert(proxy->limits.max_connections == 1 && proxy->limits.max_line_bytes == 256);
    cr_assert(proxy->limits.max_header_bytes == 1024 && proxy->limits.max_headers == 8);
    cr_assert(proxy->limits.max_series == 1000 && proxy->limits.header_timeout == 0);
    cr_assert(proxy->limits.body_idle_timeout == NS_PER_S &&
              proxy->limits.max_memory_bytes == 256 << 20);
    cr_assert(proxy->drain.mode == DRAIN_REFUSE && proxy->drain.timeout == 0);
    cr_assert(proxy->detect_timeout == 0 && proxy->opaque_ports.count == 0);
    cr_assert(proxy->log.format == LOG_FORMAT_JSON && proxy->log.level == LOG_ERROR);
    cr_assert_eq(proxy->log.access, LOG_ACCESS_ALL);
    policy_set_unref(&set);
}

Test(proxy_config, listens_nowhere_when_told_so)
{
    struct policy_set *set = loaded(proxy_text("outbound: {listen: ''}, admin: {listen: []}"));
    cr_assert(set->proxy.outbound.listen.count == 0 && set->proxy.admin.listen.count == 0);
    policy_set_unref(&set);
}

Test(proxy_config, samples_the_access_log_in_each_spelling)
{
    static const struct {
        const char *access;
        uint32_t ppm;
    } cases[] = {{"{sampled: 1%}", 10000},
                 {"{sampled: 12.5}", 125000},
                 {"'sampled: 1%'", 10000},
                 {"sampled:0.0001%", 1},
                 {"{sampled: 100%}", 1000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[64];
        snprintf(spec, sizeof spec, "log: {access: %s}", cases[i].access);
        struct policy_set *set = loaded(proxy_text(spec));
        cr_assert(set->proxy.log.access == LOG_ACCESS_SAMPLED &&
                      set->proxy.log.sampled_ppm == cases[i].ppm,
                  "%s", spec);
        policy_set_unref(&set);
    }
}

static void expect_error(const char *spec, const char *error)
{
    const char *said = findings(proxy_text(spec));
    cr_assert_not_null(strstr(said, error), "%s\n%s", spec, said);
}

Test(proxy_config, refuses_what_cannot_be)
{
    expect_error("log: {access: {sampled: 0%}}",
                 "spec.log.access: expected a percentage such as \"sampled: 1%\", found \"0%\"");
    expect_error("log: {access: {sampled: 101}}", "0.0001 to 100, at most four decimals");
    expect_error("log: {access: {sample: 1}}",
                 "spec.log.access: expected off, refusals, all, or {sampled: 1%}, found a block");
    expect_error("log: {access: sampled}",
                 "unknown value \"sampled\" (allowed: off, refusals, all, sampled: 1%");
    expect_error("admin: {listen: ':15020'}", "spec.admin: :15020 is reachable from other "
                                              "machines, and has no token (name admin.tokenFile");
    expect_error("admin: {listen: ['127.0.0.1:1', '10.0.0.1:1']}", "10.0.0.1:1 is reachable");
    expect_error("listeners: [{listen: '', upstream: 'a:1'}]",
                 "spec.listeners[0].listen: 0 addresses (1 to 16)");
    expect_error("listeners: [{upstream: 'a:1'}]", "\"listen\" is required here");
    expect_error("listeners: [{listen: ':1'}]", "\"upstream\" is required here");
    expect_error(
        "listeners: [{listen: 'localhost:1', upstream: 'a:1'}]",
        "\"localhost:1\": listening needs an IP address, not a name (such as \"127.0.0.1:15001\"");
    expect_error("listeners: [{listen: ':1', upstream: 'https://a:1'}]",
                 "TLS is not available in this version");
    expect_error("listeners: [{listen: ':1', upstream: 'a'}]",
                 "\"a\": the port is missing (such as \"payments:8080\")");
    expect_error("listeners: [{listen: ':1', upstream: 'a:1', tls: {}}]",
                 "spec.listeners[0].tls: not available in this version");
    expect_error("outbound: {listen: {a: b}}",
                 "expected an address such as \"127.0.0.1:15001\", or a list, found a block");
    expect_error("outbound: {listen: [{a: b}]}", "spec.outbound.listen[0]: expected an address");
    expect_error("metrics: {listen: }", "(\"\" switches it off)");
    expect_error("limits: {maxHeaderBytes: 1GiB}", "\"1GiB\" is too large (1KiB to 4MiB)");
    expect_error("limits: {maxMemory: 1MiB}", "\"1MiB\" is too small (16MiB to 1024GiB)");
    expect_error("drain: {mode: drop}", "unknown value \"drop\" (allowed: serve, refuse)");
}

Test(proxy_config, refuses_an_address_for_two_purposes)
{
    expect_error("admin: {listen: '127.0.0.1:15001'}",
                 "spec.admin.listen: 127.0.0.1:15001 is the address of spec.outbound.listen "
                 "already (each needs a port of "
                 "its own) [OUT0304]");
    expect_error("outbound: {listen: '127.0.0.1:15020'}",
                 "spec.outbound.listen: 127.0.0.1:15020 is the address of "
                 "spec.admin.listen already");
    expect_error(
        "listeners: [{listen: 'unix:/a', upstream: 'a:1'}, {listen: 'unix:/a', upstream: 'b:1'}]",
        "spec.listeners[1].listen: unix:/a is the address of spec.listeners[0].listen already");
    cr_assert_str_eq(
        findings(proxy_text("admin: {listen: '127.0.0.1:0'}, metrics: {listen: '127.0.0.1:0'}")),
        "");
}

Test(proxy_config, may_be_given_once)
{
    char text[1024];
    snprintf(text, sizeof text, "%s---\n%s", proxy_text(""), proxy_text(""));
    cr_assert_str_eq(
        findings(text),
        "t.yaml:3:1: a second ProxyConfig; the first is at t.yaml:1 (remove one of them) "
        "[OUT0303]\n");
}

static size_t changes(const char *a, const char *b, const char **names, size_t max)
{
    struct policy_set *running = loaded(proxy_text(a)), *wanted = loaded(proxy_text(b));
    size_t count = proxy_config_restarts(&running->proxy, &wanted->proxy, names, max);
    policy_set_unref(&running);
    policy_set_unref(&wanted);
    return count;
}

Test(proxy_config, knows_which_changes_need_a_restart)
{
    static const struct {
        const char *name, *spec;
    } cases[] = {{"outbound", "outbound: {listen: ':1'}"},
                 {"outbound", "outbound: {listen: ['127.0.0.1:15001', '[::1]:15002']}"},
                 {"outbound", "outbound: {allowHostRouting: true}"},
                 {"listeners", "listeners: [{listen: ':1', upstream: 'a:1'}]"},
                 {"admin", "admin: {tokenFile: /x}"},
                 {"metrics", "metrics: {listen: ':1'}"},
                 {"limits", "limits: {maxHeaders: 99}"},
                 {"limits", "limits: {maxMemory: 16MiB}"},
                 {"drain", "drain: {timeout: 1s}"},
                 {"detectTimeout", "detectTimeout: 1s"},
                 {"opaquePorts", "opaquePorts: [25, 3306, 5432, 6379, 9093]"}};
    const char *names[8];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(changes("", cases[i].spec, names, 8), 1, "%s", cases[i].spec);
        cr_assert_str_eq(names[0], cases[i].name);
    }
    cr_assert_eq(changes("", "log: {level: debug, access: all, format: json}", names, 8), 0);
    cr_assert_eq(changes("listeners: [{listen: ':1', upstream: 'a:1'}]",
                         "listeners: [{listen: ':1', upstream: 'a:1', protocol: http1}]", names, 8),
                 1);
    cr_assert_eq(changes("", "drain: {timeout: 1s}, detectTimeout: 1s, opaquePorts: []", names, 1),
                 3);
    cr_assert_str_eq(names[0], "drain");
}

Test(memory, limit_of_the_cgroup_is_a_plausible_number)
{
    uint64_t limit = cgroup_memory_limit();
    cr_assert(limit == 0 || (limit > 1 << 20 && limit < UINT64_C(1) << 60));
}
