/* Where addresses come from: places that are written down, names among them, SRV records. */
#include "../net/dns_server.h"
#include "../net/loop_driver.h"
#include "base/log.h"
#include "upstream/discovery.h"

#include <fcntl.h>
#include <stdlib.h>

#define FOUND_MAX 8

struct bench {
    struct loop *loop;
    struct dns_server server;
    struct resolver *resolver;
    struct discovery *discovery;
    char conf[64];
    int calls;
    size_t count;
    size_t literals;
    dur_ns ttl;
    const char *failure;
    char texts[FOUND_MAX][ADDRESS_TEXT_BYTES];
};

static struct bench bench;

static void on_found(void *context, const struct discovered *found)
{
    cr_assert_eq(context, &bench);
    bench.calls++;
    bench.count = found->count;
    bench.literals = found->literal_count;
    bench.ttl = found->ttl;
    bench.failure = found->failure;
    for (size_t i = 0; i < found->count && i < FOUND_MAX; i++)
        address_text(&found->addresses[i], bench.texts[i]);
}

static void open_bench(void)
{
    memset(&bench, 0, sizeof bench);
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    bench.loop = driver_loop();
    dns_server_open(&bench.server, bench.loop);
    dns_write_conf(bench.conf, "nameserver 127.0.0.1\noptions ndots:1\n");
    const struct resolver_options options = {.servers = bench.server.csv,
                                             .resolv_conf = bench.conf,
                                             .query_timeout = 40 * NS_PER_MS,
                                             .tries = 1,
                                             .lookup_timeout = 200 * NS_PER_MS};
    bench.resolver = resolver_new(bench.loop, &options);
}

static void close_bench(void)
{
    discovery_free(&bench.discovery);
    discovery_free(&bench.discovery); /* harmless when there is none */
    resolver_free(&bench.resolver);
    dns_server_close(&bench.server, bench.loop);
    unlink(bench.conf);
    loop_free(&bench.loop);
}

TestSuite(discovery, .init = open_bench, .fini = close_bench);

static void discover(const struct discovery_place *places, size_t count)
{
    const struct discovery_order order = {.places = places, .count = count};
    cr_assert_eq(discovery_new(bench.resolver, &order, on_found, &bench, &bench.discovery), OK);
    cr_assert(discovery_is(bench.discovery, &order));
}

static void discover_srv(const char *name)
{
    const struct discovery_order order = {.srv = name};
    cr_assert_eq(discovery_new(bench.resolver, &order, on_found, &bench, &bench.discovery), OK);
    cr_assert(discovery_is(bench.discovery, &order));
    cr_assert(!discovery_is_fixed(bench.discovery));
}

static void ask(void)
{
    const int before = bench.calls;
    cr_assert_eq(discovery_ask(bench.discovery), OK);
    cr_assert_eq(bench.calls, before, "never from inside the call");
    cr_assert(discovery_is_asking(bench.discovery));
    TURN_UNTIL(bench.loop, bench.calls == before + 1);
    cr_assert(!discovery_is_asking(bench.discovery));
}

static void found(const char *const *texts, size_t count)
{
    cr_assert_eq(bench.count, count, "%zu addresses (%s)", bench.count,
                 bench.failure ? bench.failure : "no failure");
    for (size_t i = 0; i < count; i++) {
        bool is_there = false;
        for (size_t k = 0; k < bench.count; k++)
            is_there |= strcmp(texts[i], bench.texts[k]) == 0;
        cr_assert(is_there, "%s is missing", texts[i]);
    }
}
#define FOUND(...)                                                                                 \
    do {                                                                                           \
        static const char *const texts_[] = {__VA_ARGS__};                                         \
        found(texts_, sizeof texts_ / sizeof *texts_);                                             \
    } while (0)

Test(discovery, of_literals_is_told_at_once_and_asks_nobody)
{
    static const struct discovery_place places[] = {
        {"10.0.0.1", 80}, {"::1", 81}, {"unix:/run/x.sock", 0}};
    discover(places, 3);
    cr_assert(discovery_is_fixed(bench.discovery));
    cr_assert_eq(discovery_tell(bench.discovery), OK);
    cr_assert_eq(bench.calls, 1);
    FOUND("10.0.0.1:80", "[::1]:81", "unix:/run/x.sock");
    cr_assert_eq(bench.literals, 3u);
    cr_assert_eq(bench.ttl, DUR_FOREVER);
    cr_assert_null(bench.failure);
    cr_assert_eq(bench.server.queries, 0u);
}

Test(discovery, of_names_and_literals_puts_the_literals_first)
{
    static const struct discovery_place places[] = {
        {"two.test.", 80}, {"10.9.9.9", 81}, {"a.test.", 82}};
    discover(places, 3);
    cr_assert(!discovery_is_fixed(bench.discovery));
    ask();
    FOUND("10.0.0.1:80", "10.0.0.2:80", "10.9.9.9:81", "10.0.0.1:82");
    cr_assert_eq(bench.literals, 1u);
    cr_assert_str_eq(bench.texts[0], "10.9.9.9:81");
    cr_assert_eq(bench.ttl, DNS_TTL * NS_PER_S);
}

Test(discovery, keeps_what_is_known_of_a_name_that_fails_beside_another)
{
    static const struct discovery_place places[] = {{"a.test.", 80}, {"changing.test.", 81}};
    bench.server.answer[0] = "10.0.0.7";
    discover(places, 2);
    ask();
    FOUND("10.0.0.1:80", "10.0.0.7:81");
    bench.server.answer[0] = NULL;
    ask();
    FOUND("10.0.0.1:80", "10.0.0.7:81");
    cr_assert_not_null(bench.failure, "one of the two failed");
    bench.server.answer[0] = "10.0.0.8";
    ask();
    FOUND("10.0.0.1:80", "10.0.0.8:81");
    cr_assert_null(bench.failure);
}

Test(discovery, of_one_name_leaves_remembering_to_whoever_is_told)
{
    static const struct discovery_place places[] = {{"changing.test.", 81}};
    bench.server.answer[0] = "10.0.0.7";
    discover(places, 1);
    ask();
    FOUND("10.0.0.7:81");
    bench.server.answer[0] = NULL;
    ask();
    cr_assert_eq(bench.count, 0u);
    cr_assert_not_null(bench.failure);
}

Test(discovery, refuses_a_place_that_is_none)
{
    static const struct discovery_place places[] = {{"a.test.", 80}, {"a b", 81}};
    const struct discovery_order order = {.places = places, .count = 2};
    const struct discovery_order srv = {.srv = "a b"};
    cr_assert_eq(discovery_new(bench.resolver, &order, on_found, &bench, &bench.discovery),
                 ERR_INVALID);
    cr_assert_eq(discovery_new(bench.resolver, &srv, on_found, &bench, &bench.discovery),
                 ERR_INVALID);
    cr_assert_null(bench.discovery);
}

Test(discovery, knows_an_order_like_its_own)
{
    static const struct discovery_place places[] = {{"a.test.", 80}, {"10.0.0.1", 81}};
    static const struct discovery_place others[] = {{"a.test.", 80}, {"10.0.0.1", 82}};
    static const struct discovery_place names[] = {{"a.test.", 80}, {"10.0.0.2", 81}};
    const struct discovery_order port = {.places = others, .count = 2};
    const struct discovery_order host = {.places = names, .count = 2};
    const struct discovery_order fewer = {.places = places, .count = 1};
    const struct discovery_order srv = {.srv = "_srv.test."};
    const struct discovery_order other_srv = {.srv = "_other.test."};
    discover(places, 2);
    cr_assert(!discovery_is(bench.discovery, &port));
    cr_assert(!discovery_is(bench.discovery, &host));
    cr_assert(!discovery_is(bench.discovery, &fewer));
    cr_assert(!discovery_is(bench.discovery, &srv));
    discovery_free(&bench.discovery);
    discover_srv("_srv.test.");
    cr_assert(!discovery_is(bench.discovery, &other_srv));
    cr_assert(!discovery_is(bench.discovery, &fewer));
}

Test(discovery, of_srv_takes_hosts_and_ports_of_the_lowest_priority)
{
    const struct dns_srv records[] = {
        {20, 7070, "six.test"}, {10, 8080, "two.test"}, {10, 9090, "a.test"}};
    memcpy(bench.server.srv, records, sizeof records);
    discover_srv("_srv.test.");
    ask();
    FOUND("10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.1:9090");
    cr_assert_eq(bench.literals, 0u);
    cr_assert_eq(bench.ttl, DNS_TTL * NS_PER_S);
    cr_assert_null(bench.failure);
}

Test(discovery, of_srv_goes_to_the_next_priority_when_no_host_of_one_has_an_address)
{
    const struct dns_srv records[] = {{10, 8080, "nx.test"}, {20, 7070, "six.test"}};
    memcpy(bench.server.srv, records, sizeof records);
    discover_srv("_srv.test.");
    ask();
    FOUND("[2001:db8::1]:7070");
    cr_assert_not_null(bench.failure);
}

Test(discovery, of_srv_keeps_the_hosts_while_the_records_fail_and_asks_for_their_addresses)
{
    const struct dns_srv records[] = {{10, 8080, "changing.test"}};
    memcpy(bench.server.srv, records, sizeof records);
    bench.server.answer[0] = "10.0.0.7";
    discover_srv("_srv.test.");
    ask();
    FOUND("10.0.0.7:8080");
    memset(bench.server.srv, 0, sizeof bench.server.srv);
    bench.server.answer[0] = "10.0.0.8";
    ask();
    FOUND("10.0.0.8:8080");
    cr_assert_str_eq(bench.failure, "no such name");
}

Test(discovery, of_srv_keeps_the_addresses_of_a_host_that_is_named_again_and_fails)
{
    const struct dns_srv records[] = {{10, 8080, "changing.test"}, {10, 9090, "a.test"}};
    memcpy(bench.server.srv, records, sizeof records);
    bench.server.answer[0] = "10.0.0.7";
    discover_srv("_srv.test.");
    ask();
    bench.server.answer[0] = NULL;
    bench.server.srv[1].port = 9191;
    ask();
    FOUND("10.0.0.7:8080", "10.0.0.1:9191");
}

Test(discovery, of_srv_that_offers_nothing_says_so)
{
    const struct dns_srv records[] = {{0, 8080, ""}};
    memcpy(bench.server.srv, records, sizeof records);
    discover_srv("_srv.test.");
    ask();
    cr_assert_eq(bench.count, 0u);
    cr_assert_str_eq(bench.failure, "the name has no SRV record");
    discovery_free(&bench.discovery);
    memset(bench.server.srv, 0, sizeof bench.server.srv);
    bench.server.srv[0] = (struct dns_srv){0, 80, "nx.test"};
    discover_srv("_srv.test.");
    ask();
    cr_assert_eq(bench.count, 0u);
    cr_assert_str_eq(bench.failure, "no such name");
}

Test(discovery, may_end_while_it_asks)
{
    static const struct discovery_place places[] = {{"a.test.", 80}, {"silent.test.", 81}};
    bench.server.srv[0] = (struct dns_srv){0, 80, "a.test"};
    discover(places, 2);
    cr_assert_eq(discovery_ask(bench.discovery), OK);
    discovery_free(&bench.discovery);
    discover_srv("_srv.test.");
    cr_assert_eq(discovery_ask(bench.discovery), OK);
    discovery_free(&bench.discovery);
    driver_settle(bench.loop);
    cr_assert_eq(bench.calls, 0);
}
