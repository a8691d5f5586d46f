#include "config/address.h"
#include "config/ip.h"

#include <criterion/criterion.h>

static const char *listening(const char *text, struct address_parts *parts)
{
    return address_parse_listen(span_of(text), parts);
}

Test(address, that_cannot_be_listened_on_is_named)
{
    struct address_parts parts = {ADDRESS_NAME, SPAN("untouched"), 7};
    static const char *const bad[][2] = {
        {"", "the port is missing"},
        {"127.0.0.1", "the port is missing"},
        {"[::1]", "the port is missing"},
        {"[::1]8080", "the port is missing"},
        {"[::1:8080", "the ] of the IPv6 address is missing"},
        {"::1:8080", "an IPv6 address needs brackets: [::1]:8080"},
        {"[127.0.0.1]:80", "only an IPv6 address stands in brackets"},
        {"[]:80", "only an IPv6 address stands in brackets"},
        {"127.0.0.1:", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:65536", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:080808", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:+80", "the port must be a number from 0 to 65535"},
        {"localhost:80", "listening needs an IP address, not a name"},
        {"1.2.3:80", "listening needs an IP address, not a name"},
        {"1.2.3.256:80", "listening needs an IP address, not a name"},
        {"fd:", "an inherited socket is fd:N, a descriptor from 3 up"},
        {"fd:2", "an inherited socket is fd:N, a descriptor from 3 up"},
        {"fd:-3", "an inherited socket is fd:N, a descriptor from 3 up"},
        {"fd:70000", "an inherited socket is fd:N, a descriptor from 3 up"},
        {"unix:", "a Unix socket needs an absolute path: unix:/run/outrigger/x.sock"},
        {"unix:run/x", "a Unix socket needs an absolute path: unix:/run/outrigger/x.sock"},
        {"unix:/"
         "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90123456789"
         "0123456",
         "the path of a Unix socket may have 107 bytes at most"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *problem = listening(bad[i][0], &parts);
        cr_assert_not_null(problem, "%s", bad[i][0]);
        cr_assert_str_eq(problem, bad[i][1], "%s: %s", bad[i][0], problem);
    }
    cr_assert(span_is(parts.host, SPAN("untouched")));
}

Test(address, to_listen_on_is_taken_apart)
{
    struct address_parts parts;
    cr_assert_null(listening("127.0.0.1:15001", &parts));
    cr_assert(parts.kind == ADDRESS_IPV4 && parts.port == 15001 &&
              span_is(parts.host, SPAN("127.0.0.1")));
    cr_assert_null(listening("[::1]:0", &parts));
    cr_assert(parts.kind == ADDRESS_IPV6 && parts.port == 0 && span_is(parts.host, SPAN("::1")));
    cr_assert_null(listening(":65535", &parts));
    cr_assert(parts.kind == ADDRESS_ANY && parts.port == 65535 && parts.host.len == 0);
    cr_assert_null(listening("unix:/run/x.sock", &parts));
    cr_assert(parts.kind == ADDRESS_UNIX && parts.port == 0 &&
              span_is(parts.host, SPAN("/run/x.sock")));
    cr_assert_null(listening("fd:3", &parts));
    cr_assert(parts.kind == ADDRESS_FD && parts.port == 3 && parts.host.len == 0);
}

Test(address, of_an_upstream_is_a_host_and_a_port)
{
    struct address_parts parts;
    static const char *const bad[] = {
        "payments",      ":80",     "payments:0",   "payments:x", "http://payments:80",
        "unix:/x",       "a..b:80", ".a:80",        "a..:80",     "a b:80",
        "[::1%eth0]:80", "::1:80",  "pay/ments:80", "*:80",       ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not_null(address_parse_upstream(span_of(bad[i]), &parts), "%s", bad[i]);
    cr_assert_null(address_parse_upstream(SPAN("payments:8080"), &parts));
    cr_assert(parts.kind == ADDRESS_NAME && parts.port == 8080);
    cr_assert_null(address_parse_upstream(SPAN("payments.shop.:80"), &parts));
    cr_assert(span_is(parts.host, SPAN("payments.shop.")));
    cr_assert_null(address_parse_upstream(SPAN("10.0.0.1:80"), &parts));
    cr_assert_eq(parts.kind, ADDRESS_IPV4);
    cr_assert_null(address_parse_upstream(SPAN("[fd00::1]:80"), &parts));
    cr_assert_eq(parts.kind, ADDRESS_IPV6);
}

Test(host, name_has_bounded_labels)
{
    char label[65], host[260];
    memset(label, 'a', 64);
    cr_assert(host_name_is_valid(span_make(label, 63)));
    cr_assert_not(host_name_is_valid(span_make(label, 64)));
    memset(host, 'a', sizeof host);
    for (size_t i = 50; i < sizeof host; i += 50)
        host[i] = '.';
    cr_assert(host_name_is_valid(span_make(host, 253)));
    cr_assert_not(host_name_is_valid(span_make(host, 254)));
    cr_assert_not(host_name_is_valid(SPAN("")));
}

Test(address, is_loopback_only_where_no_other_machine_reaches_it)
{
    static const struct address_config outside[] = {
        {.kind = ADDRESS_ANY, .host = ""},         {.kind = ADDRESS_IPV4, .host = "10.0.0.1"},
        {.kind = ADDRESS_IPV4, .host = "0.0.0.0"}, {.kind = ADDRESS_IPV6, .host = "::"},
        {.kind = ADDRESS_IPV6, .host = "::2"},     {.kind = ADDRESS_NAME, .host = "localhost"}};
    static const struct address_config inside[] = {{.kind = ADDRESS_UNIX, .host = "", .path = "/x"},
                                                   {.kind = ADDRESS_IPV4, .host = "127.0.0.1"},
                                                   {.kind = ADDRESS_IPV4, .host = "127.9.9.9"},
                                                   {.kind = ADDRESS_IPV6, .host = "::1"},
                                                   {.kind = ADDRESS_IPV6, .host = "0:0::0001"}};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        cr_assert_not(address_config_is_loopback(&outside[i]), "%s", outside[i].host);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        cr_assert(address_config_is_loopback(&inside[i]), "%s", inside[i].host);
}

Test(ipv4, is_four_decimal_numbers)
{
    uint8_t ip[4] = {9, 9, 9, 9};
    static const char *const bad[] = {"",         "1",          "1.2.3",     "1.2.3.4.5",
                                      "1.2.3.",   ".1.2.3",     "01.2.3.4",  "256.1.1.1",
                                      "1.2.3.4 ", "1.2.3.1000", "0x1.2.3.4", "1..2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(ipv4_parse(span_of(bad[i]), ip), "%s", bad[i]);
    cr_assert_eq(ip[0], 9);
    cr_assert(ipv4_parse(SPAN("0.10.200.255"), ip));
    cr_assert(ip[0] == 0 && ip[1] == 10 && ip[2] == 200 && ip[3] == 255);
}

Test(ipv6, in_a_wrong_form_is_refused)
{
    uint8_t ip[16];
    static const char *const bad[] = {"",
                                      ":",
                                      ":::",
                                      "1",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7::8",
                                      "1::2::3",
                                      ":1:2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7:",
                                      "12345::",
                                      "g::",
                                      "::1%eth0",
                                      "::1.2.3",
                                      "1.2.3.4::",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "[::1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(ipv6_parse(span_of(bad[i]), ip), "%s", bad[i]);
}

Test(ipv6, has_one_spelling)
{
    static const char *const same[][2] = {
        {"::", "::"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"FD00::00AB", "fd00::ab"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"1::", "1::"},
        {"::ffff:1.2.3.4", "::ffff:102:304"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6::8", "1:2:3:4:5:6:0:8"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        uint8_t ip[16];
        char text[IP_TEXT_MAX];
        cr_assert(ipv6_parse(span_of(same[i][0]), ip), "%s", same[i][0]);
        ipv6_format(ip, text);
        cr_assert_str_eq(text, same[i][1], "%s: %s", same[i][0], text);
    }
}
