#include "cli/run_targets.h"

#include "config/load.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define POLICY(name, targets, more)                                                                \
    "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: " name     \
    "}, spec: {targets: [" targets "], timeouts: {connect: 1s}" more "}}\n"
#define PROXY(listeners)                                                                           \
    "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: local}, spec: " \
    "{listeners: [" listeners "]}}\n"

static struct run_targets targets;

static struct policy_set *loaded(const char *text)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    if (policy_set_load_text("t.yaml", text, strlen(text), &set, &diag) != OK)
        diagnostics_print(&diag, stderr);
    diagnostics_fini(&diag);
    cr_assert_not_null(set);
    return set;
}

static void find(const char *text)
{
    struct policy_set *set = loaded(text);
    run_targets_init(&targets, set);
    policy_set_unref(&set);
}

static void expect(size_t i, const char *variable, const char *upstream, const char *url)
{
    cr_assert_lt(i, targets.count);
    cr_assert_str_eq(targets.items[i].variable, variable);
    cr_assert_str_eq(targets.items[i].upstream, upstream);
    cr_assert_str_eq(targets.items[i].url, url);
}

Test(run_variable, is_upper_case_with_underscores)
{
    char name[RUN_VARIABLE_MAX];
    run_variable_name("shop.Payments-v2", 1, name);
    cr_assert_str_eq(name, "OUTRIGGER_SHOP_PAYMENTS_V2_URL");
    run_variable_name("2001:db8::1", 3, name);
    cr_assert_str_eq(name, "OUTRIGGER_2001_DB8__1_3_URL");
}

Test(run_variable, is_cut_when_it_is_too_long)
{
    char base[1000], name[RUN_VARIABLE_MAX];
    memset(base, 'a', sizeof base - 1);
    base[sizeof base - 1] = '\0';
    run_variable_name(base, 4000000000u, name);
    cr_assert_lt(strlen(name), sizeof name);
    cr_assert_str_eq(name + strlen(name) - 15, "_4000000000_URL");
}

Test(run_targets, are_none_without_a_host_that_is_written_out)
{
    find("");
    cr_assert_eq(targets.count, 0);
    find(POLICY("a", "{host: '*'}", "") POLICY("b", "{host: '*.example.com', ports: [80]}", ""));
    cr_assert_eq(targets.count, 0);
}

Test(run_targets, are_one_for_each_port_in_the_order_of_the_file)
{
    find(POLICY("pay", "{host: payments, ports: [8080, 9090]}, {host: '::1', ports: [81]}", ""));
    cr_assert_eq(targets.count, 3);
    expect(0, "OUTRIGGER_PAY_URL", "payments:8080", "");
    expect(1, "OUTRIGGER_PAY_2_URL", "payments:9090", "");
    expect(2, "OUTRIGGER_PAY_3_URL", "[::1]:81", "");
}

Test(run_targets, have_the_usual_port_where_none_is_listed)
{
    find(POLICY("plain", "{host: plain}", "")
             POLICY("safe", "{host: safe}", ", tls: {mode: simple}"));
    expect(0, "OUTRIGGER_PLAIN_URL", "plain:80", "");
    expect(1, "OUTRIGGER_SAFE_URL", "safe:443", "");
}

Test(run_targets, leave_the_usual_port_to_the_document_that_lists_it)
{
    find(POLICY("any", "{host: shop}", "") POLICY("eighty", "{host: shop, ports: [80]}", ""));
    cr_assert_eq(targets.count, 1);
    expect(0, "OUTRIGGER_EIGHTY_URL", "shop:80", "");
}

Test(run_targets, keep_the_name_of_a_document_from_the_numbers_of_another)
{
    find(POLICY("pay", "{host: a, ports: [1, 2]}", "")
             POLICY("pay-2", "{host: b, ports: [1]}", ""));
    expect(0, "OUTRIGGER_PAY_URL", "a:1", "");
    expect(1, "OUTRIGGER_PAY_3_URL", "a:2", "");
    expect(2, "OUTRIGGER_PAY_2_URL", "b:1", "");
}

Test(run_targets, do_not_take_the_variables_of_the_proxy_itself)
{
    find(POLICY("admin", "{host: a, ports: [1]}", "") POLICY("proxy", "{host: b, ports: [1]}", ""));
    expect(0, "OUTRIGGER_ADMIN_2_URL", "a:1", "");
    expect(1, "OUTRIGGER_PROXY_2_URL", "b:1", "");
}

Test(run_targets, use_the_listeners_that_the_files_declare)
{
    find(
        PROXY("{listen: '127.0.0.1:9001', upstream: 'payments:8080'}, "
              "{listen: ':9002', upstream: 'any:7000'}, {listen: '[::]:9003', upstream: 'stock:1'}")
            POLICY("pay", "{host: payments, ports: [8080]}", "") POLICY("any", "{host: any}", ""));
    cr_assert_eq(targets.count, 3);
    expect(0, "OUTRIGGER_PAY_URL", "payments:8080", "http://127.0.0.1:9001");
    expect(1, "OUTRIGGER_ANY_URL", "any:7000", "http://127.0.0.1:9002");
    expect(2, "OUTRIGGER_STOCK_URL", "stock:1", "");
}

Test(run_targets, do_not_use_a_listener_whose_port_nobody_knows)
{
    find(PROXY("{listen: '127.0.0.1:0', upstream: 'a:1'}, {listen: 'unix:/x', upstream: 'b:1'}")
             POLICY("a", "{host: a, ports: [1]}", ""));
    cr_assert_eq(targets.count, 2);
    expect(0, "OUTRIGGER_A_URL", "a:1", "");
    expect(1, "OUTRIGGER_B_URL", "b:1", "unix:/x");
}

Test(run_targets, say_where_no_http_is_spoken)
{
    find(PROXY("{listen: '127.0.0.1:9001', upstream: 'redis:6379', protocol: tcp}")
             POLICY("db", "{host: db, ports: [5432]}, {host: other}", ", protocol: tcp"));
    cr_assert_eq(targets.count, 2);
    expect(0, "OUTRIGGER_DB_URL", "db:5432", "");
    cr_assert_str_eq(targets.items[0].scheme, "tcp");
    expect(1, "OUTRIGGER_REDIS_URL", "redis:6379", "tcp://127.0.0.1:9001");
}

Test(run_targets, count_what_they_have_no_room_for)
{
    static char text[65536];
    size_t len = (size_t)snprintf(text, sizeof text,
                                  "{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, "
                                  "metadata: {name: many}, spec: "
                                  "{retry: {attempts: 1}, targets: [");
    for (int i = 0; i < RUN_TARGETS_MAX + 5; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "{host: h%d, ports: [1]}, ", i);
    snprintf(text + len, sizeof text - len, "]}}\n");
    find(text);
    cr_assert_eq(targets.count, RUN_TARGETS_MAX);
    cr_assert_eq(targets.left_out, 5);
    expect(RUN_TARGETS_MAX - 1, "OUTRIGGER_MANY_200_URL", "h199:1", "");
}

Test(run_targets, are_at_an_address_of_which_no_policy_speaks)
{
    find(POLICY("a", "{host: localhost}", ""));
    cr_assert_str_eq(targets.host, "127.0.0.1");
    find(POLICY("a", "{host: 127.0.0.1, ports: [1]}", ""));
    cr_assert_str_eq(targets.host, "127.0.0.2");
    find(POLICY("a", "{host: '*'}", ""));
    cr_assert_str_eq(targets.host, "127.0.0.2");
}

Test(run_targets, need_a_port_of_ours_where_a_listener_of_the_files_is_elsewhere)
{
    find(PROXY("{listen: '127.0.0.1:9001', upstream: 'a:1'}, {listen: 'unix:/x', upstream: 'b:1'}")
             POLICY("all", "{host: '*'}", ""));
    expect(0, "OUTRIGGER_A_URL", "a:1", "");
    expect(1, "OUTRIGGER_B_URL", "b:1", "unix:/x");
}
