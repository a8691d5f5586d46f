#include "base/span.h"
#include "net/address.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_round_trip(const char *text)
{
    struct address address;
    char printed[ADDRESS_TEXT_BYTES];
    cr_assert_eq(address_parse(span_of(text), &address), OK, "%s", text);
    address_text(&address, printed);
    cr_assert_str_eq(printed, text);
}

Test(address, prints_what_it_parsed)
{
    expect_round_trip("127.0.0.1:8080");
    expect_round_trip("0.0.0.0:0");
    expect_round_trip("[::1]:65535");
    expect_round_trip("[2001:db8::1]:80");
    expect_round_trip("unix:/run/outrigger/orders.sock");
}

Test(address, refuses_what_is_not_exactly_an_address)
{
    const char *bad[] = {
        "",      "127.0.0.1",    "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x",   "127.0.0.1:-1",
        ":80",   "localhost:80", "::1:80",     "[::1]",           "[127.0.0.1]:80", "[]:80",
        "unix:", "1.2.3:80",     "[::1]]:80",  "1.2.3.4:000080",  "[::1:80"};
    struct address address = {.len = 7};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(address_parse(span_of(bad[i]), &address), ERR_INVALID, "%s", bad[i]);
    }
    cr_assert_eq(address.len, 7u, "an out-parameter stays untouched on an error");
}

Test(address, refuses_bytes_after_a_hidden_end)
{
    struct address address;
    cr_assert_eq(address_parse(SPAN("127.0.0.1\0.evil:80"), &address), ERR_INVALID);
    cr_assert_eq(address_parse(SPAN("unix:/run/a\0b"), &address), ERR_INVALID);
}

Test(address, takes_a_unix_path_of_107_bytes_and_no_longer)
{
    struct address address;
    char text[ADDRESS_TEXT_BYTES] = "unix:";
    char printed[ADDRESS_TEXT_BYTES];
    memset(text + 5, 'x', 108);
    cr_assert_eq(address_parse(span_make(text, 5 + 108), &address), ERR_TOO_LARGE);
    cr_assert_eq(address_parse(span_make(text, 5 + 107), &address), OK);
    address_text(&address, printed);
    cr_assert_eq(strlen(printed), 5u + 107u);
}

Test(address, takes_ip_literals_with_and_without_brackets)
{
    struct address plain;
    struct address bracketed;
    cr_assert_eq(address_from_ip(SPAN("::1"), 80, &plain), OK);
    cr_assert_eq(address_from_ip(SPAN("[::1]"), 80, &bracketed), OK);
    cr_assert(address_equal(&plain, &bracketed));
    cr_assert_eq(address_from_ip(SPAN("10.0.0.1"), 80, &plain), OK);
    cr_assert_eq(address_from_ip(SPAN("10.0.0.01x"), 80, &plain), ERR_INVALID);
    cr_assert_eq(address_from_ip(SPAN("[10.0.0.1]"), 80, &plain), ERR_INVALID);
}

Test(address, treats_a_mapped_ipv4_address_as_ipv4)
{
    struct address mapped;
    struct address plain;
    cr_assert_eq(address_from_ip(SPAN("::ffff:10.0.0.1"), 80, &mapped), OK);
    cr_assert_eq(address_from_ip(SPAN("10.0.0.1"), 80, &plain), OK);
    cr_assert(address_equal(&mapped, &plain));
    cr_assert_eq(address_hash(&mapped), address_hash(&plain));
}

Test(address, has_a_hash_that_tells_ports_and_hosts_apart)
{
    struct address a;
    struct address b;
    struct address c;
    cr_assert_eq(address_parse(SPAN("10.0.0.1:80"), &a), OK);
    cr_assert_eq(address_parse(SPAN("10.0.0.1:81"), &b), OK);
    cr_assert_eq(address_parse(SPAN("10.0.0.2:80"), &c), OK);
    cr_assert(address_hash(&a) != address_hash(&b) && address_hash(&a) != address_hash(&c));
    cr_assert(!address_equal(&a, &b) && !address_equal(&a, &c));
}

Test(address, prints_the_ip_alone_and_names_loopback)
{
    struct address address;
    char text[ADDRESS_TEXT_BYTES];
    cr_assert_eq(address_parse(SPAN("[::1]:80"), &address), OK);
    address_ip_text(&address, text);
    cr_assert_str_eq(text, "::1");
    cr_assert(address_is_loopback(&address));
    cr_assert_eq(address_parse(SPAN("127.9.9.9:80"), &address), OK);
    cr_assert(address_is_loopback(&address));
    cr_assert_eq(address_port(&address), 80);
    cr_assert_eq(address_parse(SPAN("128.0.0.1:80"), &address), OK);
    cr_assert(!address_is_loopback(&address));
    cr_assert_eq(address_parse(SPAN("unix:/x"), &address), OK);
    cr_assert(address_is_loopback(&address));
    cr_assert_eq(address_port(&address), 0);
}

Test(address, prints_unnamed_and_abstract_unix_peers)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct address address;
    char text[ADDRESS_TEXT_BYTES];
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&un, sizeof(sa_family_t), &address), OK);
    address_text(&address, text);
    cr_assert_str_eq(text, "unix:");
    memcpy(un.sun_path, "\0name", 5);
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&un, sizeof(sa_family_t) + 5, &address),
                 OK);
    address_text(&address, text);
    cr_assert_str_eq(text, "unix:@name");
    address.len = 0;
    address_text(&address, text);
    cr_assert_str_eq(text, "none");
}

static bool is_any(const char *text)
{
    struct address address;
    cr_assert_eq(address_parse(span_of(text), &address), OK);
    return address_is_any(&address);
}

Test(address, of_every_interface_is_told_from_others)
{
    const struct address none = {.len = 0};
    cr_expect(is_any("0.0.0.0:80") && is_any("[::]:0"));
    cr_expect(!is_any("127.0.0.1:80") && !is_any("[::1]:80") && !is_any("unix:/x"));
    cr_expect(!address_is_any(&none));
}
