#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define DOCUMENT(name, namespace, targets)                                                         \
    "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: "                 \
    "{name: " name namespace "}, "                                                                 \
                             "spec: {targets: [" targets "]}}\n"
#define IN(namespace) ", namespace: " namespace

static const char *found(const struct policy_set *set, const char *host, uint16_t port)
{
    const struct document *document = policy_set_find(set, span_of(host), port);
    return document ? document->name : "none";
}

#define EXPECT(host, port, name) cr_assert_str_eq(found(set, host, port), name, "%s:%d", host, port)

Test(lookup, finds_nothing_where_nothing_is_said)
{
    struct policy_set *set = loaded("");
    EXPECT("payments", 80, "none");
    EXPECT("", 0, "none");
    EXPECT(".", 80, "none");
    cr_assert_eq(set->document_count, 0);
    policy_set_unref(&set);
    cr_assert_null(set);
    policy_set_unref(&set);
}

Test(lookup, prefers_exact_then_longer_wildcard_then_star)
{
    struct policy_set *set =
        loaded(DOCUMENT("star", "", "{host: '*'}") DOCUMENT("wide", "", "{host: '*.example.com'}")
                   DOCUMENT("narrow", "", "{host: '*.api.example.com'}")
                       DOCUMENT("exact", "", "{host: a.api.example.com}"));
    EXPECT("a.api.example.com", 80, "exact");
    EXPECT("b.api.example.com", 80, "narrow");
    EXPECT("x.b.api.example.com", 80, "narrow");
    EXPECT("api.example.com", 80, "wide");
    EXPECT("x.a.api.example.com", 80, "narrow");
    EXPECT("example.com", 80, "star");
    EXPECT("notexample.com", 80, "star");
    EXPECT("com", 80, "star");
    EXPECT("", 80, "star");
    policy_set_unref(&set);
}

Test(lookup, prefers_a_listed_port_on_the_same_host_only)
{
    struct policy_set *set = loaded(
        DOCUMENT("star443", "", "{host: '*', ports: [443]}") DOCUMENT("star", "", "{host: '*'}")
            DOCUMENT("wild443", "", "{host: '*.b', ports: [443, 8443]}")
                DOCUMENT("wild", "", "{host: '*.b'}") DOCUMENT("exact", "", "{host: a.b}")
                    DOCUMENT("only80", "", "{host: c.b, ports: [80]}"));
    EXPECT("a.b", 443, "exact");
    EXPECT("x.b", 443, "wild443");
    EXPECT("x.b", 8443, "wild443");
    EXPECT("x.b", 80, "wild");
    EXPECT("c.b", 80, "only80");
    EXPECT("c.b", 443, "wild443");
    EXPECT("c.b", 81, "wild");
    EXPECT("other", 443, "star443");
    EXPECT("other", 1, "star");
    policy_set_unref(&set);
}

Test(lookup, ignores_case_one_trailing_dot_and_brackets)
{
    struct policy_set *set = loaded(
        DOCUMENT("name", "", "{host: Pay.Example.COM.}") DOCUMENT("v4", "", "{host: 10.0.0.1}")
            DOCUMENT("v6", "", "{host: 'FD00:0::1'}") DOCUMENT("wild", "", "{host: '*.W.com'}"));
    EXPECT("pay.example.com", 80, "name");
    EXPECT("PAY.EXAMPLE.COM.", 80, "name");
    EXPECT("pay.example.com..", 80, "none");
    EXPECT("10.0.0.1", 80, "v4");
    EXPECT("fd00::1", 80, "v6");
    EXPECT("[fd00:0:0::0001]", 80, "v6");
    EXPECT("A.w.COM", 80, "wild");
    policy_set_unref(&set);
}

Test(lookup, cannot_be_tricked_into_the_inside_of_the_table)
{
    struct policy_set *set = loaded(DOCUMENT("wild", "", "{host: '*.b.c'}")
                                        DOCUMENT("star80", "", "{host: '*', ports: [80]}"));
    EXPECT(".b.c", 81, "none");
    EXPECT("*.b.c", 81, "wild");
    EXPECT("*", 81, "none");
    EXPECT("b.c", 81, "none");
    policy_set_unref(&set);
}

Test(lookup, bears_hosts_of_any_length)
{
    struct policy_set *set =
        loaded(DOCUMENT("wild", "", "{host: '*.b.c'}") DOCUMENT("star", "", "{host: '*'}"));
    char host[4096];
    memset(host, '.', sizeof host);
    cr_assert_str_eq(policy_set_find(set, span_make(host, sizeof host), 80)->name, "star");
    for (size_t i = 0; i < sizeof host; i += 2)
        host[i] = 'a';
    cr_assert_str_eq(policy_set_find(set, span_make(host, sizeof host), 80)->name, "star");
    cr_assert_str_eq(policy_set_find(set, span_make(host, 255), 80)->name, "star");
    memcpy(host + 251, ".b.c", 4);
    cr_assert_str_eq(policy_set_find(set, span_make(host, 255), 80)->name, "wild");
    cr_assert_str_eq(policy_set_find(set, SPAN_NONE, 80)->name, "star");
    policy_set_unref(&set);
}

Test(service, of_one_label_has_four_spellings_with_a_namespace)
{
    struct policy_set *set = loaded(DOCUMENT("pay", IN("Shop"), "{host: Payments, ports: [8080]}")
                                        DOCUMENT("bare", "", "{host: orders}"));
    EXPECT("payments", 8080, "pay");
    EXPECT("payments.shop", 8080, "pay");
    EXPECT("payments.shop.svc", 8080, "pay");
    EXPECT("payments.shop.svc.cluster.local", 8080, "pay");
    EXPECT("payments.shop.svc.cluster.local.", 8080, "pay");
    EXPECT("payments.shop.svc", 80, "none");
    EXPECT("payments.other", 8080, "none");
    EXPECT("payments.shop.svc.cluster", 8080, "none");
    EXPECT("x.payments.shop", 8080, "none");
    EXPECT("orders", 1, "bare");
    EXPECT("orders.shop", 1, "none");
    policy_set_unref(&set);
}

Test(service, is_no_address_no_longer_name_and_no_star)
{
    struct policy_set *set =
        loaded(DOCUMENT("p", IN("shop"), "{host: '::1'}, {host: a.b}, {host: '*'}"));
    cr_assert_str_eq(found(set, "::1", 80), "p");
    cr_assert_str_eq(found(set, "a.b.shop", 80), "p");
    policy_set_unref(&set);
    set = loaded(DOCUMENT("p", IN("shop"), "{host: '::1'}, {host: a.b}"));
    EXPECT("a.b.shop", 80, "none");
    EXPECT("::1.shop", 80, "none");
    policy_set_unref(&set);
}

Test(tie, of_hosts_names_both_places)
{
    cr_assert_str_eq(
        findings(DOCUMENT("one", "", "{host: a.b}") DOCUMENT("two", "", "{host: A.B}")),
        "t.yaml:4:109: spec.targets: a.b is a target of \"one\" at t.yaml:2 already (name a longer "
        "host or a "
        "port in one of them) [OUT0301]\n");
}

Test(tie, is_per_port)
{
    cr_assert_str_eq(findings(DOCUMENT("one", "", "{host: a, ports: [1, 2]}") DOCUMENT(
                         "two", "", "{host: a, ports: [3, 2]}") DOCUMENT("three", "", "{host: a}")),
                     "t.yaml:4:109: spec.targets: a port 2 is a target of \"one\" at t.yaml:2 "
                     "already (name a longer host "
                     "or a port in one of them) [OUT0301]\n");
}

Test(tie, of_wildcards_and_stars_is_refused)
{
    const char *said = findings(DOCUMENT("one", "", "{host: '*.a'}, {host: '*'}")
                                    DOCUMENT("two", "", "{host: '*.A'}, {host: '*'}"));
    cr_assert_not_null(strstr(said, "*.a is a target of \"one\""), "%s", said);
    cr_assert_not_null(strstr(said, "* is a target of \"one\""), "%s", said);
}

Test(tie, of_two_spellings_is_said_once)
{
    const char *said = findings(DOCUMENT("one", IN("shop"), "{host: pay}")
                                    DOCUMENT("two", IN("shop"), "{host: pay}"));
    cr_assert_not_null(strstr(said, "pay is a target of"));
    cr_assert_null(strstr(said, "pay.shop"), "%s", said);
    said = findings(DOCUMENT("one", IN("shop"), "{host: pay}")
                        DOCUMENT("two", "", "{host: pay.shop.svc}"));
    cr_assert_not_null(strstr(said, "pay.shop.svc is a target of"), "%s", said);
}

Test(tie, within_one_document_is_none)
{
    struct policy_set *set = loaded(
        DOCUMENT("one", IN("shop"), "{host: pay}, {host: pay.shop}, {host: PAY, ports: [1, 1]}"));
    EXPECT("pay.shop", 1, "one");
    policy_set_unref(&set);
}

Test(names, are_unique_in_a_namespace)
{
    cr_assert_str_eq(
        findings(DOCUMENT("one", "", "{host: a}") DOCUMENT("one", IN("x"), "{host: b}")), "");
    cr_assert_str_eq(
        findings(DOCUMENT("one", IN("x"), "{host: a}") DOCUMENT("one", IN("x"), "{host: b}")),
        "t.yaml:4:1: metadata.name: \"one\" is the name of the document at t.yaml:2 already "
        "(circuits and "
        "metrics are told apart by namespace and name) [OUT0302]\n");
}

Test(lookup, is_right_with_thousands_of_hosts)
{
    enum { HOSTS = 3000 };
    size_t size = HOSTS * 220, len = 0;
    char *text = malloc(size);
    for (int i = 0; i < HOSTS; i++)
        len += (size_t)snprintf(
            text + len, size - len,
            "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: "
            "d%d}, spec: {targets: [{host: h%d.x}]}}\n",
            i, i);
    struct policy_set *set = loaded(text);
    for (int i = 0; i < HOSTS; i++) {
        char host[16], name[16];
        snprintf(host, sizeof host, "h%d.x", i);
        snprintf(name, sizeof name, "d%d", i);
        EXPECT(host, 80, name);
    }
    EXPECT("h3000.x", 80, "none");
    policy_set_unref(&set);
    free(text);
}

Test(policy_set, lives_until_the_last_reference_goes)
{
    struct policy_set *set = loaded(""), *other = policy_set_ref(set);
    policy_set_unref(&set);
    cr_assert_null(set);
    cr_assert_eq(other->refs, 1);
    policy_set_unref(&other);
}
