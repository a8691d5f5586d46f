#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define OVERLAY                                                                                    \
    "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: run, "          \
    "annotations: {outrigger.dev/overlay: 'true'}}, spec: {outbound: {listen: '127.0.0.1:41'}, "   \
    "admin: {listen: '127.0.0.1:42'}, listeners: [{listen: '127.0.0.1:43', upstream: 'a:1'}], "    \
    "drain: {mode: refuse, timeout: 1s}, log: {format: text}}}\n"

static struct policy_set *loaded_beside(const char *spec)
{
    static char text[4096];
    snprintf(text, sizeof text,
             OVERLAY "---\n{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: "
                     "{name: files}, spec: {%s}}\n",
             spec);
    return loaded(text);
}

static void expect_list(const struct address_list *list, unsigned first, unsigned second)
{
    cr_assert_eq(list->count, second ? 2 : 1);
    cr_assert_eq(list->items[0].port, first);
    if (second)
        cr_assert_eq(list->items[1].port, second);
}

Test(proxy_overlay, takes_the_place_of_the_defaults)
{
    struct policy_set *set = loaded(OVERLAY);
    expect_list(&set->proxy.outbound.listen, 41, 0);
    expect_list(&set->proxy.admin.listen, 42, 0);
    cr_assert_eq(set->proxy.listener_count, 1);
    cr_assert_eq(set->proxy.log.format, LOG_FORMAT_TEXT);
    cr_assert_str_eq(set->proxy.name, "run");
    cr_assert_not(set->proxy.outbound.is_default);
    policy_set_unref(&set);
}

Test(proxy_overlay, adds_to_what_the_files_name_and_keeps_the_rest)
{
    struct policy_set *set = loaded_beside(
        "outbound: {listen: '127.0.0.1:1'}, admin: {listen: '127.0.0.1:2'}, limits: {maxHeaders: "
        "9}, listeners: [{listen: '127.0.0.1:3', upstream: 'b:1'}], log: {format: json}");
    expect_list(&set->proxy.outbound.listen, 1, 41);
    expect_list(&set->proxy.admin.listen, 2, 42);
    cr_assert_eq(set->proxy.listener_count, 2);
    expect_list(&set->proxy.listeners[0].listen, 3, 0);
    expect_list(&set->proxy.listeners[1].listen, 43, 0);
    cr_assert(set->proxy.limits.max_headers == 9 && set->proxy.log.format == LOG_FORMAT_JSON);
    cr_assert(set->proxy.drain.mode == DRAIN_REFUSE && set->proxy.drain.timeout == NS_PER_S);
    cr_assert_str_eq(set->proxy.name, "files");
    policy_set_unref(&set);
}

Test(proxy_overlay, replaces_defaults_beside_files_that_name_no_address)
{
    struct policy_set *set = loaded_beside("limits: {maxHeaders: 9}");
    expect_list(&set->proxy.outbound.listen, 41, 0);
    expect_list(&set->proxy.admin.listen, 42, 0);
    cr_assert_eq(set->proxy.log.format, LOG_FORMAT_AUTO);
    policy_set_unref(&set);
}

Test(proxy_overlay, is_there_once)
{
    cr_assert_str_neq(findings(OVERLAY OVERLAY OVERLAY), "");
}
