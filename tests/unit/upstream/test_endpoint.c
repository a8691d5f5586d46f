#include "../net/dns_server.h"
#include "../net/loop_driver.h"
#include "base/check.h"
#include "base/log.h"
#include "upstream/endpoint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct loop *loop;
    struct dns_server server;
    struct resolver *resolver;
    struct endpoint_set *set;
    char conf[64];
    int left;
    int freed;
    struct endpoint *last_left;
};

struct waiter {
    struct endpoint_wait wait;
    int calls;
    enum reason reason;
    struct waiter *cancels;
};

static void on_left(void *context, struct endpoint *endpoint)
{
    struct bench *bench = context;
    bench->left++;
    bench->last_left = endpoint;
    cr_assert(!endpoint->is_listed && endpoint->set == NULL);
}

static void on_free(void *context, struct endpoint *endpoint)
{
    (void)endpoint;
    ((struct bench *)context)->freed++;
}

static void on_ready(struct endpoint_wait *wait, enum reason reason)
{
    struct waiter *waiter = CONTAINER_OF(wait, struct waiter, wait);
    waiter->calls++;
    waiter->reason = reason;
    if (waiter->cancels != NULL) {
        endpoint_wait_cancel(&waiter->cancels->wait);
    }
}

static void bench_open(struct bench *bench, const char *host)
{
    memset(bench, 0, sizeof(*bench));
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    bench->loop = driver_loop();
    dns_server_open(&bench->server, bench->loop);
    dns_write_conf(bench->conf, "nameserver 127.0.0.1\noptions ndots:1\n");
    const struct resolver_options options = {.servers = bench->server.csv,
                                             .resolv_conf = bench->conf,
                                             .query_timeout = 40 * NS_PER_MS,
                                             .tries = 1,
                                             .lookup_timeout = 100 * NS_PER_MS};
    bench->resolver = resolver_new(bench->loop, &options);
    const struct endpoint_hooks hooks = {.context = bench, .on_left = on_left, .on_free = on_free};
    cr_assert_eq(
        endpoint_set_new(bench->loop, bench->resolver, span_of(host), 80, &hooks, &bench->set), OK);
}

static void bench_close(struct bench *bench)
{
    if (bench->set != NULL) {
        endpoint_set_free(&bench->set);
    }
    resolver_free(&bench->resolver);
    dns_server_close(&bench->server, bench->loop);
    unlink(bench->conf);
    loop_free(&bench->loop);
}

static void wait_for(struct bench *bench, struct waiter *waiter)
{
    *waiter = (struct waiter){.calls = 0};
    endpoint_wait_init(&waiter->wait, on_ready);
    endpoint_set_wait(bench->set, &waiter->wait);
    cr_assert_eq(waiter->calls, 0, "never from inside the call");
}

static void use_first(struct bench *bench, struct waiter *waiter)
{
    cr_assert(!endpoint_set_use(bench->set));
    wait_for(bench, waiter);
    TURN_UNTIL(bench->loop, waiter->calls == 1);
}

/* A use at a later time; the lookup that it starts is brought to its end. */
static void use_again_at(struct bench *bench, mono_ns at)
{
    uint64_t before = bench->set->counts.lookups;
    bench->loop->now = at;
    (void)endpoint_set_use(bench->set);
    cr_assert_eq(bench->set->counts.lookups, before + 1);
    TURN_UNTIL(bench->loop, !discovery_is_asking(bench->set->discovery));
}

Test(endpoint, knows_a_literal_and_a_unix_path_without_dns)
{
    struct bench bench;
    struct endpoint_set *set;
    bench_open(&bench, "10.0.0.9");
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->balancer.count, 1u);
    cr_assert_str_eq(endpoint_at(bench.set, 0)->text, "10.0.0.9:80");
    cr_assert_eq(endpoint_set_new(bench.loop, NULL, SPAN("unix:/run/x.sock"), 0, NULL, &set), OK);
    cr_assert(endpoint_set_use(set));
    cr_assert_str_eq(endpoint_at(set, 0)->text, "unix:/run/x.sock");
    endpoint_set_free(&set);
    cr_assert_eq(endpoint_set_new(bench.loop, bench.resolver, SPAN("[::1]"), 80, NULL, &set), OK);
    cr_assert_str_eq(endpoint_at(set, 0)->text, "[::1]:80");
    endpoint_set_free(&set);
    bench.loop->now = mono_add(bench.loop->now, 3600 * NS_PER_S);
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.server.queries, 0u);
    bench_close(&bench);
}

Test(endpoint, refuses_a_host_that_is_none)
{
    struct bench bench;
    struct endpoint_set *set = NULL;
    bench_open(&bench, "10.0.0.9");
    cr_assert_eq(endpoint_set_new(bench.loop, bench.resolver, SPAN("a b"), 80, NULL, &set),
                 ERR_INVALID);
    cr_assert_eq(endpoint_set_new(bench.loop, bench.resolver, SPAN(""), 80, NULL, &set),
                 ERR_INVALID);
    cr_assert_eq(endpoint_set_new(bench.loop, bench.resolver, SPAN("unix:"), 80, NULL, &set),
                 ERR_INVALID);
    cr_assert_null(set);
    bench_close(&bench);
}

Test(endpoint, asks_dns_at_the_first_use_once_for_all_that_wait)
{
    struct bench bench;
    struct waiter first;
    struct waiter second;
    bench_open(&bench, "two.test.");
    driver_settle(bench.loop);
    cr_assert_eq(bench.set->counts.lookups, 0u, "not before it is used");
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &first);
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &second);
    TURN_UNTIL(bench.loop, first.calls == 1 && second.calls == 1);
    cr_assert_eq(first.reason, REASON_NONE);
    cr_assert_eq(second.reason, REASON_NONE);
    cr_assert_eq(bench.set->counts.lookups, 1u);
    cr_assert_eq(bench.set->balancer.count, 2u);
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->counts.lookups, 1u);
    bench_close(&bench);
    cr_assert_eq(bench.freed, 2);
}

Test(endpoint, does_not_call_a_wait_that_was_cancelled_even_by_its_neighbour)
{
    struct bench bench;
    struct waiter first;
    struct waiter second;
    struct waiter third;
    bench_open(&bench, "a.test.");
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &first);
    wait_for(&bench, &second);
    wait_for(&bench, &third);
    first.cancels = &second;
    endpoint_wait_cancel(&third.wait);
    TURN_UNTIL(bench.loop, first.calls == 1);
    driver_settle(bench.loop);
    cr_assert_eq(second.calls + third.calls, 0);
    endpoint_wait_cancel(&first.wait);
    bench_close(&bench);
}

Test(endpoint, asks_again_when_the_ttl_has_passed_and_it_is_used_and_not_before)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "a.test.");
    use_first(&bench, &waiter);
    dur_ns interval = mono_until(bench.loop->now, bench.set->refresh_at);
    cr_assert(interval >= DNS_TTL * NS_PER_S * 89 / 100 &&
              interval <= DNS_TTL * NS_PER_S * 111 / 100);
    bench.loop->now = bench.set->refresh_at - 1;
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->counts.lookups, 1u);
    bench.loop->now = bench.set->refresh_at;
    cr_assert(endpoint_set_use(bench.set), "calls go on with what is known");
    cr_assert_eq(bench.set->counts.lookups, 2u);
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->counts.lookups, 2u, "one lookup at a time");
    TURN_UNTIL(bench.loop, !discovery_is_asking(bench.set->discovery));
    cr_assert_eq(bench.set->counts.changes, 1u);
    bench_close(&bench);
}

Test(endpoint, keeps_the_object_and_the_id_of_an_address_that_stays)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "changing.test.");
    bench.server.answer[0] = "10.0.0.1";
    bench.server.answer[1] = "10.0.0.2";
    use_first(&bench, &waiter);
    const bool is_first = strcmp(endpoint_at(bench.set, 0)->text, "10.0.0.1:80") == 0;
    struct endpoint *stays = endpoint_at(bench.set, is_first ? 1 : 0);
    struct endpoint *leaves = endpoint_ref(endpoint_at(bench.set, is_first ? 0 : 1));
    uint64_t id = leaves->candidate.id;
    cr_assert_str_eq(stays->text, "10.0.0.2:80");
    cr_assert(stays->candidate.warm_since == 0 && leaves->candidate.warm_since == 0);
    bench.server.answer[0] = "10.0.0.3";
    use_again_at(&bench, bench.set->refresh_at);
    cr_assert_eq(bench.set->balancer.count, 2u);
    const bool stays_first = endpoint_at(bench.set, 0) == stays;
    cr_assert(stays_first || endpoint_at(bench.set, 1) == stays);
    cr_assert_eq(endpoint_at(bench.set, stays_first ? 1 : 0)->candidate.warm_since, bench.loop->now,
                 "who comes later starts slowly");
    cr_assert_eq(stays->candidate.warm_since, 0);
    cr_assert_eq(bench.left, 1);
    cr_assert_eq(bench.last_left, leaves);
    cr_assert_eq(bench.freed, 0, "a connection still holds it");
    cr_assert_null(endpoint_fallback(leaves));
    endpoint_connected(leaves);
    endpoint_unref(&leaves);
    cr_assert_eq(bench.freed, 1);
    bench.server.answer[1] = "10.0.0.1";
    use_again_at(&bench, bench.set->refresh_at);
    cr_assert(endpoint_at(bench.set, 0)->candidate.id == id ||
                  endpoint_at(bench.set, 1)->candidate.id == id,
              "the same address, the same id");
    bench_close(&bench);
}

Test(endpoint, keeps_old_addresses_while_dns_fails)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "changing.test.");
    bench.server.answer[0] = "10.0.0.1";
    use_first(&bench, &waiter);
    bench.server.answer[0] = NULL;
    use_again_at(&bench, bench.set->refresh_at);
    cr_assert_eq(bench.set->counts.failures, 1u);
    cr_assert_not_null(bench.set->failure);
    cr_assert_eq(bench.set->balancer.count, 1u);
    cr_assert(endpoint_set_use(bench.set));
    use_again_at(&bench, mono_add(bench.set->refresh_at, 3600 * NS_PER_S));
    cr_assert(endpoint_set_use(bench.set), "however long it lasts");
    bench.server.answer[0] = "10.0.0.1";
    use_again_at(&bench, bench.set->refresh_at);
    cr_assert_null(bench.set->failure);
    cr_assert_eq(bench.left, 0);
    bench_close(&bench);
}

Test(endpoint, fails_waits_when_there_never_was_an_address_and_asks_again_after_a_second)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "nx.test.");
    use_first(&bench, &waiter);
    cr_assert_eq(waiter.reason, REASON_DNS_FAILURE);
    cr_assert(!endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->counts.lookups, 1u, "a name that fails is not asked for by every call");
    wait_for(&bench, &waiter);
    TURN_UNTIL(bench.loop, waiter.calls == 1);
    cr_assert_eq(waiter.reason, REASON_DNS_FAILURE);
    bench.loop->now = mono_add(bench.set->refresh_at, 1);
    cr_assert(!endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->counts.lookups, 2u);
    bench_close(&bench);
}

static void ignore_answer(void *context, const struct resolver_answer *answer)
{
    (void)context;
    (void)answer;
}

Test(endpoint, fails_waits_while_the_resolver_is_full)
{
    struct bench bench;
    struct waiter waiter;
    struct resolver_lookup *lookup;
    bench_open(&bench, "a.test.");
    for (int i = 0; i < RESOLVER_MAX_LOOKUPS; i++) {
        cr_assert_eq(
            resolver_lookup(bench.resolver, SPAN("10.0.0.1"), 80, ignore_answer, NULL, &lookup),
            OK);
    }
    use_first(&bench, &waiter);
    cr_assert_eq(waiter.reason, REASON_DNS_FAILURE);
    use_again_at(&bench, mono_add(bench.set->refresh_at, 1));
    cr_assert(endpoint_set_use(bench.set));
    bench_close(&bench);
}

Test(endpoint, waits_for_news_when_the_answer_is_long_overdue)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "changing.test.");
    bench.server.answer[0] = "10.0.0.1";
    use_first(&bench, &waiter);
    bench.server.answer[0] = "10.0.0.2";
    bench.loop->now = mono_add(bench.set->refresh_at, 30 * NS_PER_S + 1);
    cr_assert(!endpoint_set_use(bench.set), "10.0.0.1 may be somebody else's by now");
    wait_for(&bench, &waiter);
    cr_assert(timer_is_set(&bench.set->patience));
    TURN_UNTIL(bench.loop, waiter.calls == 1);
    cr_assert_str_eq(endpoint_at(bench.set, 0)->text, "10.0.0.2:80");
    cr_assert(!timer_is_set(&bench.set->patience));
    bench_close(&bench);
}

Test(endpoint, loses_patience_and_goes_on_with_old_addresses)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "a.test.");
    use_first(&bench, &waiter);
    bench.loop->now = mono_add(bench.set->refresh_at, 60 * NS_PER_S);
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &waiter);
    wheel_clear(bench.loop->wheel, &bench.set->patience);
    bench.set->patience.on_fire(&bench.set->patience,
                                bench.loop->now); /* as if its second had passed first */
    cr_assert(endpoint_set_use(bench.set));
    loop_turn(bench.loop, false);
    cr_assert_eq(waiter.calls, 1);
    cr_assert_eq(waiter.reason, REASON_NONE);
    bench_close(&bench);
}

Test(endpoint, uses_ipv4_and_falls_back_to_ipv6_only_when_a_connect_is_refused)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "local.test.");
    use_first(&bench, &waiter);
    cr_assert_eq(bench.set->member_count, 2u);
    cr_assert_eq(bench.set->balancer.count, 1u);
    struct endpoint *four = endpoint_at(bench.set, 0);
    cr_assert_str_eq(four->text, "127.0.0.1:80");
    struct endpoint *six = endpoint_fallback(four);
    cr_assert_str_eq(six->text, "[::1]:80");
    cr_assert_eq(endpoint_at(bench.set, 0), four, "asking changes nothing");
    endpoint_connected(six);
    cr_assert_eq(bench.set->balancer.count, 1u);
    cr_assert_eq(endpoint_at(bench.set, 0), six);
    cr_assert_eq(endpoint_fallback(six), four);
    use_again_at(&bench, bench.set->refresh_at);
    cr_assert_eq(endpoint_at(bench.set, 0), six, "what works stays in use");
    bench_close(&bench);
}

Test(endpoint, has_no_fallback_when_there_is_one_family)
{
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "two.test.");
    use_first(&bench, &waiter);
    cr_assert_null(endpoint_fallback(endpoint_at(bench.set, 0)));
    bench_close(&bench);
}

Test(endpoint, outlives_its_set_while_somebody_holds_it)
{
    struct bench bench;
    bench_open(&bench, "10.0.0.9");
    struct endpoint *held = endpoint_ref(endpoint_at(bench.set, 0));
    endpoint_set_free(&bench.set);
    cr_assert_eq(bench.left, 1);
    cr_assert_eq(bench.freed, 0);
    cr_assert_str_eq(held->text, "10.0.0.9:80");
    endpoint_unref(&held);
    cr_assert_null(held);
    cr_assert_eq(bench.freed, 1);
    bench_close(&bench);
}

Test(endpoint, drops_its_lookup_when_it_is_freed)
{
    struct bench bench;
    bench_open(&bench, "silent.test.");
    cr_assert(!endpoint_set_use(bench.set));
    endpoint_set_free(&bench.set);
    driver_settle(bench.loop);
    bench_close(&bench);
}

static void follow(struct bench *bench, const struct discovery_place *places, size_t count)
{
    const struct discovery_order order = {.places = places, .count = count};
    cr_assert_eq(endpoint_set_follow(bench->set, places != NULL ? &order : NULL), OK);
}

Test(endpoint, uses_all_addresses_that_are_written_down_whatever_their_family)
{
    static const struct discovery_place places[] = {
        {"10.0.0.1", 80}, {"::1", 80}, {"unix:/run/x", 0}};
    struct bench bench;
    bench_open(&bench, "two.test.");
    follow(&bench, places, 3);
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.set->balancer.count, 3u);
    for (size_t i = 0; i < 3; i++)
        cr_assert_null(endpoint_fallback(endpoint_at(bench.set, i)));
    bench.loop->now = mono_add(bench.loop->now, 3600 * NS_PER_S);
    cr_assert(endpoint_set_use(bench.set));
    cr_assert_eq(bench.server.queries, 0u);
    bench_close(&bench);
}

Test(endpoint, uses_one_family_of_a_name_beside_what_is_written_down)
{
    static const struct discovery_place places[] = {{"local.test.", 80}, {"fd00::1", 80}};
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "two.test.");
    follow(&bench, places, 2);
    use_first(&bench, &waiter);
    cr_assert_eq(bench.set->member_count, 3u);
    cr_assert_eq(bench.set->balancer.count, 2u, "127.0.0.1 and fd00::1, not ::1");
    bench_close(&bench);
}

Test(endpoint, keeps_the_objects_that_the_old_and_the_new_order_name)
{
    static const struct discovery_place before[] = {{"10.0.0.1", 80}, {"10.0.0.2", 80}};
    static const struct discovery_place after[] = {{"10.0.0.3", 80}, {"10.0.0.2", 80}};
    struct bench bench;
    bench_open(&bench, "two.test.");
    follow(&bench, before, 2);
    const bool is_first = strcmp(endpoint_at(bench.set, 0)->text, "10.0.0.2:80") == 0;
    const struct endpoint *stays = endpoint_at(bench.set, is_first ? 0 : 1);
    follow(&bench, before, 2);
    cr_assert_eq(bench.left, 0, "an order like the one in force changes nothing");
    follow(&bench, after, 2);
    cr_assert_eq(bench.left, 1);
    cr_assert(endpoint_at(bench.set, 0) == stays || endpoint_at(bench.set, 1) == stays);
    bench_close(&bench);
}

Test(endpoint, waits_for_dns_when_it_is_to_follow_it_again)
{
    static const struct discovery_place places[] = {{"10.0.0.9", 80}};
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "two.test.");
    follow(&bench, places, 1);
    cr_assert(endpoint_set_use(bench.set));
    follow(&bench, NULL, 0);
    use_first(&bench, &waiter);
    cr_assert_eq(waiter.reason, REASON_NONE);
    cr_assert_eq(bench.set->balancer.count, 2u);
    cr_assert_eq(bench.left, 1);
    bench_close(&bench);
}

Test(endpoint, answers_who_waits_by_the_order_that_came_meanwhile)
{
    static const struct discovery_place names[] = {{"a.test.", 80}, {"two.test.", 81}};
    static const struct discovery_place literal[] = {{"10.0.0.9", 80}};
    struct bench bench;
    struct waiter first;
    struct waiter second;
    bench_open(&bench, "silent.test.");
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &first);
    follow(&bench, names, 2);
    TURN_UNTIL(bench.loop, first.calls == 1);
    cr_assert_eq(first.reason, REASON_NONE);
    cr_assert_eq(bench.set->balancer.count, 3u);
    follow(&bench, NULL, 0);
    cr_assert(!endpoint_set_use(bench.set));
    wait_for(&bench, &second);
    follow(&bench, literal, 1);
    TURN_UNTIL(bench.loop, second.calls == 1);
    cr_assert_eq(second.reason, REASON_NONE);
    cr_assert_eq(bench.set->balancer.count, 1u);
    bench_close(&bench);
}

Test(endpoint, notes_a_failure_beside_addresses_that_it_has)
{
    static const struct discovery_place places[] = {{"nx.test.", 80}, {"10.0.0.9", 80}};
    struct bench bench;
    struct waiter waiter;
    bench_open(&bench, "two.test.");
    follow(&bench, places, 2);
    use_first(&bench, &waiter);
    cr_assert_eq(waiter.reason, REASON_NONE);
    cr_assert_eq(bench.set->counts.failures, 1u);
    cr_assert_not_null(bench.set->failure);
    cr_assert_eq(bench.set->balancer.count, 1u);
    cr_assert(endpoint_set_use(bench.set));
    bench_close(&bench);
}
