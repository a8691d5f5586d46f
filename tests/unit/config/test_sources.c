/* What the command line adds to the files: defaults that give way, labels of the pod, settings. */
#include "config/load.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POLICY(name, more)                                                                         \
    "{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: " name          \
    "}, spec: {" more "}}\n---\n"
#define FOR(host) "targets: [{host: " host "}]"

static char folder[64];
static struct policy_set *set;
static struct diagnostics diag;
static struct load_sources sources;
static const char *paths[1], *settings[8];

static const char *file_of(const char *name, const char *text)
{
    static char path[4][128];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    FILE *file = fopen(out, "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return out;
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/outrigger-sources-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    diagnostics_init(&diag);
    sources = (struct load_sources){.paths = paths, .settings = settings};
}

static void tear_down(void)
{
    char command[128];
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(sources, .init = set_up, .fini = tear_down);

static enum err load(const char *text)
{
    paths[0] = file_of("policies.yaml", text);
    sources.path_count = 1;
    const enum err e = policy_set_load(&sources, &set, &diag);
    diagnostics_print(&diag, stderr);
    return e;
}

static const char *chosen(const char *host)
{
    const struct document *document = policy_set_find(set, span_of(host), 80);
    return document ? document->name : "";
}

static void add_setting(const char *text)
{
    settings[sources.setting_count++] = text;
}

/* ---- defaults ---- */

Test(sources, defaults_hold_where_no_other_policy_does)
{
    sources.defaults = file_of("defaults.yaml", POLICY("all", FOR("'*'")) POLICY("db", FOR("db")));
    cr_assert_eq(load(POLICY("own", FOR("payments"))), OK);
    cr_assert_str_eq(chosen("payments"), "own");
    cr_assert_str_eq(chosen("db"), "db");
    cr_assert_str_eq(chosen("other"), "all");
}

Test(sources, defaults_give_way_for_the_same_host_without_an_error)
{
    sources.defaults = file_of("defaults.yaml", POLICY("all", FOR("'*'")));
    cr_assert_eq(load(POLICY("own", FOR("'*'"))), OK);
    cr_assert_str_eq(chosen("other"), "own");
}

Test(sources, a_policy_with_the_name_of_a_default_takes_its_place)
{
    sources.defaults = file_of("defaults.yaml", POLICY("all", FOR("'*'")));
    cr_assert_eq(load(POLICY("all", FOR("payments"))), OK);
    cr_assert_eq(set->document_count, 1);
    cr_assert_str_eq(chosen("other"), "");
}

Test(sources, two_defaults_for_one_host_are_a_tie)
{
    sources.defaults = file_of("defaults.yaml", POLICY("a", FOR("'*'")) POLICY("b", FOR("'*'")));
    cr_assert_eq(load(POLICY("own", FOR("payments"))), ERR_INVALID);
    cr_assert_eq(diag.items[0].code, DIAG_TARGET_TIE);
}

Test(sources, defaults_that_cannot_be_read_are_an_error)
{
    sources.defaults = "/nowhere/defaults.yaml";
    cr_assert_eq(load(POLICY("own", FOR("payments"))), ERR_NOT_FOUND);
    cr_assert_eq(diag.items[0].code, DIAG_UNREADABLE);
}

/* ---- labels of the pod ---- */

#define SELECTOR(text) "selector: {" text "}, "

static bool is_selected(const char *labels, const char *policy)
{
    sources.pod_labels = labels ? file_of("labels", labels) : NULL;
    cr_assert_eq(load(policy), OK);
    return set->document_count == 1;
}

Test(sources, a_selector_of_labels_holds_when_the_pod_has_all_of_them)
{
    cr_assert(is_selected("app=\"web\"\ntier=\"gold\"\n",
                          POLICY("p", SELECTOR("matchLabels: {app: web, tier: gold}") FOR("'*'"))));
}

Test(sources, a_selector_of_labels_does_not_hold_when_one_differs)
{
    cr_assert_not(
        is_selected("app=\"web\"\ntier=\"tin\"\n",
                    POLICY("p", SELECTOR("matchLabels: {app: web, tier: gold}") FOR("'*'"))));
}

Test(sources, a_selector_is_left_out_where_no_labels_are_known)
{
    cr_assert_not(is_selected(NULL, POLICY("p", SELECTOR("matchLabels: {app: web}") FOR("'*'"))));
}

Test(sources, an_empty_selector_holds_for_every_pod)
{
    cr_assert(is_selected(NULL, POLICY("p", SELECTOR("") FOR("'*'"))));
}

Test(sources, expressions_mean_what_they_mean_in_kubernetes)
{
    static const struct {
        const char *expression;
        bool holds;
    } cases[] = {
        {"key: app, operator: In, values: [api, web]", true},
        {"key: app, operator: In, values: [api]", false},
        {"key: no, operator: In, values: [api]", false},
        {"key: app, operator: NotIn, values: [api]", true},
        {"key: app, operator: NotIn, values: [web]", false},
        {"key: no, operator: NotIn, values: [web]", true},
        {"key: app, operator: Exists", true},
        {"key: no, operator: Exists", false},
        {"key: app, operator: DoesNotExist", false},
        {"key: no, operator: DoesNotExist", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, POLICY("p", SELECTOR("matchExpressions: [{%s}]") FOR("'*'")),
                 cases[i].expression);
        cr_assert_eq(is_selected("app=\"web\"\n", text), cases[i].holds, "%s", cases[i].expression);
        policy_set_unref(&set);
    }
}

Test(sources, a_policy_with_a_selector_wins_over_one_without)
{
    sources.pod_labels = file_of("labels", "app=\"web\"");
    cr_assert_eq(load(POLICY("web", SELECTOR("matchLabels: {app: web}") FOR("'*'"))
                          POLICY("all", FOR("'*'"))),
                 OK);
    cr_assert_str_eq(chosen("other"), "web");
}

Test(sources, the_wrong_operator_and_values_are_said)
{
    cr_assert_eq(
        load(POLICY("a", SELECTOR("matchExpressions: [{key: a, operator: in}]") FOR("a"))
                 POLICY("b", SELECTOR("matchExpressions: [{key: a, operator: In}]") FOR("b"))
                     POLICY("c", SELECTOR("matchExpressions: [{key: a, operator: Exists, "
                                          "values: [x]}]") FOR("c"))),
        ERR_INVALID);
    cr_assert_eq(diag.errors, 3);
    cr_assert_str_eq(diag.items[0].path, "spec.selector.matchExpressions[0].operator");
    cr_assert_eq(diag.items[1].code, DIAG_MISSING);
    cr_assert_eq(diag.items[2].code, DIAG_CONTRADICTION);
}

Test(sources, a_file_of_labels_that_is_none_is_said_with_its_line)
{
    static const char *const bad[] = {"app=\"a\"\nnonsense\n", "\n=\"x\"",  "a=\"b", "a=b\n",
                                      "a=\"b\\\"\"",           "a=\"b\"c\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sources.pod_labels = file_of("labels", bad[i]);
        cr_assert_eq(load(""), ERR_INVALID, "%s", bad[i]);
        cr_assert_eq(diag.items[0].line, i < 2 ? 2 : 1);
        diagnostics_fini(&diag);
        diagnostics_init(&diag);
    }
}

Test(sources, the_file_of_labels_is_one_to_watch)
{
    sources.pod_labels = file_of("labels", "app=\"web\"\n");
    cr_assert_eq(load(""), OK);
    cr_assert_eq(set->side_file_count, 1);
    cr_assert_str_eq(set->side_files[0], sources.pod_labels);
}

/* ---- settings ---- */

#define PROXY "{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: p}, spec: "

Test(sources, settings_hold_without_a_proxy_config)
{
    add_setting("metrics.listen=[::]:15021");
    add_setting("opaquePorts=[25, 3306]");
    add_setting("drain.timeout=3s");
    cr_assert_eq(load(""), OK);
    cr_assert_str_eq(set->proxy.metrics.items[0].text, "[::]:15021");
    cr_assert_eq(set->proxy.opaque_ports.count, 2);
    cr_assert_eq(set->proxy.drain.timeout, 3 * NS_PER_S);
    cr_assert(set->proxy.outbound.is_default);
}

Test(sources, settings_hold_over_the_proxy_config_field_by_field)
{
    add_setting("log.level=debug");
    cr_assert_eq(load(PROXY "{log: {level: error, access: all}, detectTimeout: 1s}}"), OK);
    cr_assert_eq(set->proxy.log.level, LOG_DEBUG);
    cr_assert_eq(set->proxy.detect_timeout, NS_PER_S);
    cr_assert_str_eq(set->proxy.name, "p");
}

Test(sources, a_mistake_in_a_setting_is_said_once)
{
    add_setting("log.levle=debug");
    cr_assert_eq(load(PROXY "{log: {access: all}}}"), ERR_INVALID);
    cr_assert_eq(diag.errors, 1);
    cr_assert_str_eq(diag.items[0].file, "--set");
    cr_assert_str_eq(diag.items[0].path, "spec.log.levle");
}

Test(sources, a_setting_without_a_value_or_with_bad_yaml_is_said)
{
    add_setting("log.level");
    add_setting("=debug");
    add_setting("opaquePorts=[1, }]");
    cr_assert_eq(load(""), ERR_INVALID);
    cr_assert_eq(diag.errors, 3);
}

Test(sources, an_address_that_two_listeners_share_is_said_though_one_is_a_setting)
{
    add_setting("metrics.listen=127.0.0.1:9000");
    cr_assert_eq(load(PROXY "{admin: {listen: '127.0.0.1:9000'}}}"), ERR_INVALID);
    cr_assert_eq(diag.items[0].code, DIAG_DUPLICATE_LISTEN);
}
