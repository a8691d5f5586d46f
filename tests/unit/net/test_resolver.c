#include "base/check.h"
#include "base/log.h"
#include "dns_server.h"
#include "loop_driver.h"
#include "net/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct result {
    int calls;
    size_t count;
    dur_ns ttl;
    char failure[128];
    char texts[RESOLVER_MAX_ADDRESSES][ADDRESS_TEXT_BYTES];
};

struct bench {
    struct loop *loop;
    struct dns_server server;
    struct resolver *resolver;
    char conf[64];
};

static void on_answer(void *context, const struct resolver_answer *answer)
{
    struct result *result = context;
    result->calls++;
    result->count = answer->count;
    result->ttl = answer->ttl;
    snprintf(result->failure, sizeof(result->failure), "%s",
             answer->failure != NULL ? answer->failure : "");
    for (size_t i = 0; i < answer->count; i++) {
        address_text(&answer->addresses[i], result->texts[i]);
    }
}

static void bench_open(struct bench *bench, const char *conf)
{
    bench->loop = driver_loop();
    dns_server_open(&bench->server, bench->loop);
    dns_write_conf(bench->conf, conf);
    const struct resolver_options options = {.servers = bench->server.csv,
                                             .resolv_conf = bench->conf,
                                             .query_timeout = 40 * NS_PER_MS,
                                             .tries = 1,
                                             .lookup_timeout = 150 * NS_PER_MS};
    bench->resolver = resolver_new(bench->loop, &options);
}

static void bench_close(struct bench *bench)
{
    if (bench->resolver != NULL) {
        resolver_free(&bench->resolver);
    }
    dns_server_close(&bench->server, bench->loop);
    unlink(bench->conf);
    loop_free(&bench->loop);
}

#define PLAIN_CONF "nameserver 127.0.0.1\noptions ndots:1\n"

static struct resolver_lookup *begin(struct bench *bench, const char *name, struct result *result)
{
    struct resolver_lookup *lookup = NULL;
    memset(result, 0, sizeof(*result));
    cr_assert_eq(resolver_lookup(bench->resolver, span_of(name), 8080, on_answer, result, &lookup),
                 OK, "%s", name);
    cr_assert_eq(result->calls, 0, "never from inside the call");
    return lookup;
}

static void resolve(struct bench *bench, const char *name, struct result *result)
{
    begin(bench, name, result);
    TURN_UNTIL(bench->loop, result->calls == 1);
}

Test(resolver, answers_literals_without_dns)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "10.1.2.3", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(result.texts[0], "10.1.2.3:8080");
    cr_assert_eq(result.ttl, DUR_FOREVER);
    resolve(&bench, "[::1]", &result);
    cr_assert_str_eq(result.texts[0], "[::1]:8080");
    cr_assert_eq(bench.server.queries, 0u);
    bench_close(&bench);
}

Test(resolver, refuses_what_cannot_be_a_host_name)
{
    char long_label[80];
    char long_name[300];
    const char *bad[] = {"",     ".",           "a..b",  ".a", "a b",      "a/b",    "a\tb",
                         "a:80", "caf\xc3\xa9", "a.b..", "*",  long_label, long_name};
    struct bench bench;
    struct result result = {.calls = 0};
    struct resolver_lookup *lookup = NULL;
    memset(long_label, 'x', 64);
    long_label[64] = '\0';
    for (size_t i = 0; i < 254; i++) {
        long_name[i] = i % 2 ? '.' : 'a';
    }
    long_name[254] = '\0';
    bench_open(&bench, PLAIN_CONF);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(
            resolver_lookup(bench.resolver, span_of(bad[i]), 80, on_answer, &result, &lookup),
            ERR_INVALID, "%s", bad[i]);
    }
    cr_assert_eq(resolver_lookup(bench.resolver, SPAN("a\0b"), 80, on_answer, &result, &lookup),
                 ERR_INVALID);
    cr_assert_null(lookup);
    cr_assert(resolver_is_name(span_make(long_name, 253)));
    cr_assert(resolver_is_name(SPAN("my_service-1.example.com.")));
    bench_close(&bench);
}

Test(resolver, answers_with_addresses_and_their_ttl)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "a.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(result.texts[0], "10.0.0.1:8080");
    cr_assert_eq(result.ttl, DNS_TTL * NS_PER_S);
    resolve(&bench, "six.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(result.texts[0], "[2001:db8::1]:8080");
    bench_close(&bench);
}

Test(resolver, takes_the_least_ttl_of_an_alias_and_its_target)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "alias.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_eq(result.ttl, 3 * NS_PER_S);
    bench_close(&bench);
}

Test(resolver, starts_without_a_resolv_conf_and_finds_it_later)
{
    struct bench bench;
    struct result result;
    log_set_level(LOG_ERROR);
    bench_open(&bench, "nameserver 127.0.0.1\nsearch one.test\noptions ndots:5\n");
    resolver_free(&bench.resolver);
    char hidden[80];
    snprintf(hidden, sizeof(hidden), "%s.hidden", bench.conf);
    cr_assert(rename(bench.conf, hidden) == 0);
    const struct resolver_options options = {.servers = bench.server.csv,
                                             .resolv_conf = bench.conf};
    bench.resolver = resolver_new(bench.loop, &options);
    resolve(&bench, "a.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert(rename(hidden, bench.conf) == 0);
    bench.loop->now = mono_add(bench.loop->now, 6 * NS_PER_S);
    resolve(&bench, "both", &result);
    cr_assert_str_eq(bench.server.last_name, "both.one.test.");
    bench_close(&bench);
}

Test(resolver, puts_ipv4_before_ipv6)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "both.test.", &result);
    cr_assert_eq(result.count, 2u);
    cr_assert_str_eq(result.texts[0], "10.0.0.1:8080");
    cr_assert_str_eq(result.texts[1], "[2001:db8::1]:8080");
    bench_close(&bench);
}

Test(resolver, names_an_address_once)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "many.test.", &result);
    cr_assert_eq(result.count, 10u);
    bench_close(&bench);
}

Test(resolver, says_why_it_failed)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "nx.test.", &result);
    cr_assert_eq(result.count, 0u);
    cr_assert_str_eq(result.failure, "no such name");
    resolve(&bench, "fail.test.", &result);
    cr_assert_str_eq(result.failure,
                     "no name server could be reached, or all of them failed or refused");
    resolve(&bench, "silent.test.", &result);
    cr_assert_not_null(strstr(result.failure, "did not answer in time"), "%s", result.failure);
    bench_close(&bench);
}

Test(resolver, does_not_let_a_silent_query_hold_up_a_good_one)
{
    struct bench bench;
    struct result silent;
    struct result good;
    bench_open(&bench, PLAIN_CONF);
    begin(&bench, "silent.test.", &silent);
    resolve(&bench, "a.test.", &good);
    cr_assert_eq(good.count, 1u);
    cr_assert_eq(silent.calls, 0);
    TURN_UNTIL(bench.loop, silent.calls == 1);
    bench_close(&bench);
}

Test(resolver, answers_with_a_when_the_server_drops_aaaa_queries)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    const struct resolver_options patient = {.servers = bench.server.csv,
                                             .resolv_conf = bench.conf,
                                             .query_timeout = 60 * NS_PER_S,
                                             .tries = 1};
    resolver_free(&bench.resolver);
    bench.resolver = resolver_new(bench.loop, &patient);
    resolve(&bench, "halfsilent.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(result.texts[0], "10.0.0.1:8080");
    bench_close(&bench); /* c-ares still owes the AAAA answer: nothing leaks */
}

Test(resolver, ends_a_lookup_by_its_own_clock_when_the_server_is_dead)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    const struct resolver_options options = {.servers = bench.server.csv,
                                             .resolv_conf = bench.conf,
                                             .query_timeout = 60 * NS_PER_S,
                                             .lookup_timeout = 30 * NS_PER_MS};
    resolver_free(&bench.resolver);
    bench.resolver = resolver_new(bench.loop, &options);
    resolve(&bench, "silent.test.", &result);
    cr_assert_eq(result.count, 0u);
    cr_assert_not_null(strstr(result.failure, "did not answer in time"), "%s", result.failure);
    bench_close(&bench);
}

Test(resolver, never_calls_back_a_cancelled_lookup)
{
    struct bench bench;
    struct result literal;
    struct result name;
    struct result silent;
    bench_open(&bench, PLAIN_CONF);
    struct resolver_lookup *lookups[] = {begin(&bench, "10.0.0.9", &literal),
                                         begin(&bench, "a.test.", &name),
                                         begin(&bench, "silent.test.", &silent)};
    for (size_t i = 0; i < 3; i++) {
        resolver_cancel(&lookups[i]);
        cr_assert_null(lookups[i]);
    }
    struct result marker;
    resolve(&bench, "silent.test.", &marker); /* all of theirs would have come by now */
    cr_assert_eq(literal.calls + name.calls + silent.calls, 0);
    bench_close(&bench);
}

Test(resolver, drops_lookups_without_a_callback_when_it_is_freed)
{
    struct bench bench;
    struct result literal;
    struct result silent;
    bench_open(&bench, PLAIN_CONF);
    begin(&bench, "10.0.0.9", &literal);
    begin(&bench, "silent.test.", &silent);
    resolver_free(&bench.resolver);
    driver_settle(bench.loop);
    cr_assert_eq(literal.calls + silent.calls, 0);
    bench_close(&bench);
}

Test(resolver, bounds_the_lookups_in_flight)
{
    static struct result results[RESOLVER_MAX_LOOKUPS];
    struct bench bench;
    struct resolver_lookup *lookup = NULL;
    bench_open(&bench, PLAIN_CONF);
    for (size_t i = 0; i < RESOLVER_MAX_LOOKUPS; i++) {
        begin(&bench, "10.0.0.1", &results[i]);
    }
    cr_assert_eq(
        resolver_lookup(bench.resolver, SPAN("10.0.0.1"), 80, on_answer, &results[0], &lookup),
        ERR_FULL);
    TURN_UNTIL(bench.loop, results[RESOLVER_MAX_LOOKUPS - 1].calls == 1);
    struct result again;
    resolve(&bench, "10.0.0.1", &again);
    bench_close(&bench);
}

Test(resolver, reads_etc_hosts_before_it_asks_a_server)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "localhost", &result);
    cr_assert(result.count >= 1);
    cr_assert_str_eq(result.texts[0], "127.0.0.1:8080");
    cr_assert_eq(bench.server.queries, 0u);
    bench_close(&bench);
}

Test(resolver, uses_the_search_list)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, "nameserver 127.0.0.1\nsearch shop.svc.test\noptions ndots:5\n");
    resolve(&bench, "a", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(bench.server.last_name, "a.shop.svc.test.");
    bench_close(&bench);
}

Test(resolver, reads_resolv_conf_again_when_it_has_changed)
{
    struct bench bench;
    struct result result;
    struct result silent;
    char other[64];
    log_set_level(LOG_ERROR);
    bench_open(&bench, "nameserver 127.0.0.1\nsearch one.test\noptions ndots:5\n");
    resolve(&bench, "a", &result);
    cr_assert_str_eq(bench.server.last_name, "a.one.test.");
    begin(&bench, "silent", &silent);
    dns_write_conf(other, "nameserver 127.0.0.1\nsearch two.test\noptions ndots:5\n");
    cr_assert(rename(other, bench.conf) == 0);
    resolve(&bench, "a", &result);
    cr_assert_str_eq(bench.server.last_name, "a.one.test.", "it looks every few seconds only");
    bench.loop->now = mono_add(bench.loop->now, 6 * NS_PER_S);
    resolve(&bench, "a", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(bench.server.last_name, "a.two.test.");
    TURN_UNTIL(bench.loop, silent.calls == 1); /* in flight over the change */
    bench_close(&bench);
}

Test(resolver, stops_at_the_first_search_domain_that_has_either_family)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, "nameserver 127.0.0.1\nsearch one.test two.test\noptions ndots:5\n");
    resolve(&bench, "a", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_eq(bench.server.queries, 2u,
                 "A and AAAA of a.one.test; an AAAA of another domain is another host");
    bench_close(&bench);
}

Test(resolver, keeps_the_a_answer_when_aaaa_fails)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "halffail.test.", &result);
    cr_assert_eq(result.count, 1u);
    cr_assert_str_eq(result.texts[0], "10.0.0.1:8080");
    bench_close(&bench);
}

Test(resolver, asks_by_tcp_when_the_answer_is_too_long_for_udp_and_caps_it)
{
    struct bench bench;
    struct result result;
    bench_open(&bench, PLAIN_CONF);
    resolve(&bench, "crowd.test.", &result);
    cr_assert_eq(result.count, (size_t)RESOLVER_MAX_ADDRESSES);
    cr_assert_str_eq(result.texts[RESOLVER_MAX_ADDRESSES - 1], "10.2.0.255:8080");
    cr_assert(bench.server.tcp_queries > 0);
    bench_close(&bench);
}
