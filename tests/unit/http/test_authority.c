#include "http/authority.h"

#include <criterion/criterion.h>

static void expect_valid(const char *text, const char *host, uint16_t port, bool is_ipv6)
{
    struct authority authority = {.port = 1};
    const char *fault = authority_parse(span_of(text), &authority);
    cr_assert_null(fault, "%s: %s", text, fault ? fault : "");
    cr_expect(span_is(authority.host, span_of(host)), "%s: host %.*s", text,
              SPAN_ARGS(authority.host));
    cr_expect_eq(authority.port, port, "%s", text);
    cr_expect_eq(authority.is_ipv6, is_ipv6, "%s", text);
}

Test(authority, valid_ones_are_taken_apart)
{
    expect_valid("a", "a", 0, false);
    expect_valid("a.example:8080", "a.example", 8080, false);
    expect_valid("A_b-c~d.:1", "A_b-c~d.", 1, false);
    expect_valid("10.0.0.1:00080", "10.0.0.1", 80, false);
    expect_valid("[::]:65535", "::", 65535, true);
    expect_valid("[::1]", "::1", 0, true);
    expect_valid("[1::]", "1::", 0, true);
    expect_valid("[1:2:3:4:5:6:7:8]:80", "1:2:3:4:5:6:7:8", 80, true);
    expect_valid("[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7::", 0, true);
    expect_valid("[::2:3:4:5:6:7:8]", "::2:3:4:5:6:7:8", 0, true);
    expect_valid("[2001:DB8::a:b]", "2001:DB8::a:b", 0, true);
    expect_valid("[::ffff:192.168.0.255]", "::ffff:192.168.0.255", 0, true);
    expect_valid("[1:2:3:4:5:6:1.2.3.4]", "1:2:3:4:5:6:1.2.3.4", 0, true);
    expect_valid("[::1.2.3.4]", "::1.2.3.4", 0, true);
}

Test(authority, invalid_ones_are_refused_and_leave_the_result_alone)
{
    const char *bad[] = {
        "",
        ":80",
        "a:",
        "a:0",
        "a:65536",
        "a:000080",
        "a:-1",
        "a:80x",
        "a:80:80",
        "a b",
        "a,b",
        "a@b",
        "a/b",
        "a%2e",
        "a;b",
        "a$b",
        "a\\b",
        "a\tb",
        "\xc3\xa9",
        "[",
        "[]",
        "[:]",
        "[:::]",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[::1]80",
        "[::1]:0",
        "[1]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:8::]",
        "[::1:2:3:4:5:6:7:8]",
        "[1::2::3]",
        "[1:2:3:4:5:6:7:]",
        "[:1:2:3:4:5:6:7]",
        "[12345::]",
        "[g::]",
        "[::1%25lo]",
        "[::1.2.3]",
        "[::1.2.3.4.5]",
        "[::1.2.3.256]",
        "[::1.2.3.0004]",
        "[::1.2.3.]",
        "[::1.2.3.4:5]",
        "[1:2:3:4:5:6:7:1.2.3.4]",
        "[v1.x]",
        "[a.example]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct authority authority = {.port = 77};
        cr_expect_not_null(authority_parse(span_of(bad[i]), &authority), "%s", bad[i]);
        cr_expect_eq(authority.port, 77, "%s", bad[i]);
    }
}

Test(authority, host_is_no_longer_than_a_name_can_be)
{
    char text[AUTHORITY_HOST_MAX + 1];
    struct authority authority;
    memset(text, 'a', sizeof(text));
    cr_expect_null(authority_parse(span_make(text, AUTHORITY_HOST_MAX), &authority));
    cr_expect_not_null(authority_parse(span_make(text, sizeof(text)), &authority));
}
