#include "base/cidrs.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct cidr_set set;

static const char *formatted(const struct cidr *cidr)
{
    static char text[CIDR_TEXT_MAX];
    cidr_format(cidr, text);
    return text;
}

static struct cidr parsed(const char *text)
{
    struct cidr cidr = {.length = 0};
    const char *problem = cidr_parse(span_of(text), &cidr);
    cr_assert_null(problem, "%s %s", text, problem);
    return cidr;
}

static void expect_set(const char *wanted)
{
    char all[1024] = "";
    for (size_t i = 0; i < set.count; i++) {
        const size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s%s", i ? "," : "", formatted(&set.items[i]));
    }
    cr_expect_str_eq(all, wanted, "%s instead of %s", all, wanted);
}

static void add(const char *text)
{
    cr_assert(cidr_set_add(&set, parsed(text)));
}

Test(cidrs, that_are_none_are_refused)
{
    static const char *const bad[] = {
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0/8",
        "010.0.0.0/8",
        "256.0.0.0/8",
        "10.0.0.0 /8",
        "10.0.0.0/ 8",
        "10.0.0.0/8/8",
        "fd00::/129",
        "fd00:::/8",
        "[fd00::]/8",
        "fe80::1%lo/64",
        "fd00::/8 ",
        "/8",
        "::/",
        "example.com",
        "10.0.0.0/8.0",
        "10.0.0.0-10.0.0.9",
        "0x0a000000/8",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999/8",
    };
    struct cidr cidr = {.length = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(cidr_parse(span_of(bad[i]), &cidr) != NULL, "'%s'", bad[i]);
    cr_expect(cidr_parse(SPAN_NONE, &cidr) != NULL);
    cr_expect(cidr_parse(SPAN("10.0.0.0\0/8"), &cidr) != NULL);
    cr_expect_eq(cidr.length, 77);
}

Test(cidrs, with_bits_behind_their_prefix_are_refused)
{
    static const char *const bad[] = {"10.1.0.0/8", "10.0.0.1/31", "128.0.0.0/0",
                                      "fd00::1/64", "fd00::1/127", "8000::/0"};
    struct cidr cidr;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *problem = cidr_parse(span_of(bad[i]), &cidr);
        cr_assert_not_null(problem, "%s", bad[i]);
        cr_expect(strstr(problem, "behind its prefix") != NULL, "%s %s", bad[i], problem);
    }
}

Test(cidrs, of_ipv4_in_the_clothes_of_ipv6_are_refused)
{
    struct cidr cidr;
    const char *problem = cidr_parse(SPAN("::ffff:10.0.0.0/104"), &cidr);
    cr_assert_not_null(problem);
    cr_expect(strstr(problem, "write it as IPv4") != NULL);
    cr_expect_not_null(cidr_parse(SPAN("::ffff:10.0.0.1"), &cidr));
    cr_expect_null(cidr_parse(SPAN("::/0"), &cidr));
}

Test(cidrs, are_written_in_one_way)
{
    static const char *const pairs[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"192.0.2.1", "192.0.2.1/32"},
        {"FD00::/8", "fd00::/8"},
        {"2001:DB8:0:0::1", "2001:db8::1/128"},
        {"::/0", "::/0"},
        {"10.0.0.2/31", "10.0.0.2/31"},
        {"255.255.255.255/32", "255.255.255.255/32"},
        {"64:ff9b::192.0.2.0/120", "64:ff9b::c000:200/120"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct cidr cidr = parsed(pairs[i][0]);
        cr_expect_str_eq(formatted(&cidr), pairs[i][1], "%s", formatted(&cidr));
        cr_expect_eq(cidr.is_ipv6, strchr(pairs[i][0], ':') != NULL);
    }
}

Test(cidrs, stand_in_order_each_once)
{
    add("192.168.0.0/16");
    add("10.0.0.0/8");
    add("172.16.0.0/12");
    add("10.0.0.0/8");
    expect_set("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16");
}

Test(cidrs, within_another_are_not_named)
{
    add("10.0.0.0/8");
    add("10.0.0.0/9");
    add("10.255.255.255");
    add("11.0.0.0/8");
    expect_set("10.0.0.0/8,11.0.0.0/8");
}

Test(cidrs, go_when_a_wider_one_comes)
{
    add("10.1.0.0/16");
    add("10.0.0.0/16");
    add("9.0.0.0/8");
    add("10.255.255.255");
    add("11.0.0.0/8");
    add("10.0.0.0/8");
    expect_set("9.0.0.0/8,10.0.0.0/8,11.0.0.0/8");
    add("0.0.0.0/0");
    expect_set("0.0.0.0/0");
}

Test(cidrs, of_ipv6_are_compared_to_the_last_bit)
{
    add("fd00::/127");
    add("fd00::2");
    add("fd00::1");
    expect_set("fd00::/127,fd00::2/128");
    add("fd00::/126");
    expect_set("fd00::/126");
}

Test(cidrs, beyond_what_there_is_room_for_are_refused)
{
    for (unsigned i = 0; i < CIDR_SET_MAX; i++)
        cr_assert(cidr_set_add(&set, (struct cidr){.length = 32, .bytes = {10, 0, (uint8_t)i, 1}}));
    cr_expect(!cidr_set_add(&set, parsed("9.0.0.0/8")));
    cr_expect_eq(set.count, CIDR_SET_MAX);
    add("10.0.7.1");
    add("10.0.0.0/16");
    expect_set("10.0.0.0/16");
}
