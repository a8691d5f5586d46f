#include "init/ruleset.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void expect_text(const struct options *options, const char *wanted)
{
    char *text = ruleset_text(options);
    cr_assert_not_null(text);
    cr_expect_str_eq(text, wanted, "%s", text);
    free(text);
}

#define REPLACE "add table inet outrigger\ndelete table inet outrigger\n"

Test(ruleset, replaces_its_table_and_nothing_else)
{
    const struct options options = {.port = 15001, .uid = 2102};
    expect_text(&options, REPLACE "table inet outrigger {\n"
                                  "    chain output {\n"
                                  "        type nat hook output priority -100; policy accept;\n"
                                  "        meta skuid 2102 return\n"
                                  "        oif \"lo\" return\n"
                                  "        ip daddr 127.0.0.0/8 return\n"
                                  "        ip6 daddr ::1 return\n"
                                  "        meta l4proto tcp redirect to :15001\n"
                                  "    }\n"
                                  "}\n");
}

Test(ruleset, has_a_set_for_each_list_and_redirects_last)
{
    struct options options = {.port = 4140, .uid = 0, .mark = 0x539};
    port_set_add(&options.skipped_ports, (struct port_range){22, 22});
    port_set_add(&options.skipped_ports, (struct port_range){9000, 9010});
    port_set_add(&options.included_ports, (struct port_range){1, 65535});
    cidr_set_add(&options.skipped_ipv4, (struct cidr){.length = 8, .bytes = {10}});
    cidr_set_add(&options.skipped_ipv4, (struct cidr){.length = 32, .bytes = {192, 0, 2, 1}});
    cidr_set_add(&options.skipped_ipv6, (struct cidr){true, 8, {0xfd}});
    expect_text(&options, REPLACE "table inet outrigger {\n"
                                  "    set skipped_ports {\n"
                                  "        type inet_service\n"
                                  "        flags interval\n"
                                  "        elements = { 22, 9000-9010 }\n"
                                  "    }\n"
                                  "    set included_ports {\n"
                                  "        type inet_service\n"
                                  "        flags interval\n"
                                  "        elements = { 1-65535 }\n"
                                  "    }\n"
                                  "    set skipped_ipv4 {\n"
                                  "        type ipv4_addr\n"
                                  "        flags interval\n"
                                  "        elements = { 10.0.0.0/8, 192.0.2.1/32 }\n"
                                  "    }\n"
                                  "    set skipped_ipv6 {\n"
                                  "        type ipv6_addr\n"
                                  "        flags interval\n"
                                  "        elements = { fd00::/8 }\n"
                                  "    }\n"
                                  "    chain output {\n"
                                  "        type nat hook output priority -100; policy accept;\n"
                                  "        meta skuid 0 return\n"
                                  "        meta mark 0x00000539 return\n"
                                  "        oif \"lo\" return\n"
                                  "        ip daddr 127.0.0.0/8 return\n"
                                  "        ip6 daddr ::1 return\n"
                                  "        ip daddr @skipped_ipv4 return\n"
                                  "        ip6 daddr @skipped_ipv6 return\n"
                                  "        tcp dport @skipped_ports return\n"
                                  "        tcp dport != @included_ports return\n"
                                  "        meta l4proto tcp redirect to :4140\n"
                                  "    }\n"
                                  "}\n");
}

Test(ruleset, of_a_removal_is_harmless_where_there_is_no_table)
{
    const struct options options = {.port = 15001, .uid = 2102, .is_removal = true};
    expect_text(&options, REPLACE);
}

#define CAUGHT(port)                                                                               \
    "    chain caught {\n"                                                                         \
    "        meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:" port " accept\n"          \
    "        meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:" port " accept\n"             \
    "    }\n"
#define LOOPBACK(more)                                                                             \
    "    chain loopback {\n"                                                                       \
    "        socket transparent 0 accept\n" more "        goto caught\n"                           \
    "    }\n"
#define PREROUTING                                                                                 \
    "    chain prerouting {\n"                                                                     \
    "        type filter hook prerouting priority -150; policy accept;\n"                          \
    "        ip daddr 192.0.0.8 accept\n"                                                          \
    "        ip6 daddr fd6f:7574:7269::1 accept\n"                                                 \
    "        ip daddr 127.0.0.0/8 goto loopback\n"                                                 \
    "        ip6 daddr ::1 goto loopback\n"                                                        \
    "        meta l4proto tcp goto caught\n"                                                       \
    "        udp dport 53 accept\n"                                                                \
    "        reject\n"                                                                             \
    "    }\n"

Test(ruleset, of_an_enclosure_catches_all_but_what_its_programs_listen_for)
{
    const struct options options = {.port = 40000, .is_enclosure = true};
    expect_text(&options,
                REPLACE "table inet outrigger {\n" CAUGHT("40000") LOOPBACK("") PREROUTING "}\n");
}

Test(ruleset, of_an_enclosure_keeps_its_own_ports)
{
    struct options options = {.port = 1, .is_enclosure = true};
    port_set_add(&options.own_ports, (struct port_range){3000, 3000});
    expect_text(&options,
                REPLACE "table inet outrigger {\n"
                        "    set own_ports {\n"
                        "        type inet_service\n"
                        "        flags interval\n"
                        "        elements = { 3000 }\n"
                        "    }\n" CAUGHT("1") LOOPBACK("        tcp dport @own_ports accept\n")
                            PREROUTING "}\n");
}
