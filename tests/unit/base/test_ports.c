#include "base/ports.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct port_set set;

static void add(unsigned first, unsigned last)
{
    cr_assert(port_set_add(&set, (struct port_range){(uint16_t)first, (uint16_t)last}));
}

static void expect_ranges(size_t count, const struct port_range *wanted)
{
    cr_assert_eq(set.count, count, "%zu ranges", set.count);
    for (size_t i = 0; i < count; i++)
        cr_expect(set.ranges[i].first == wanted[i].first && set.ranges[i].last == wanted[i].last,
                  "range %zu is %u-%u", i, set.ranges[i].first, set.ranges[i].last);
}

#define EXPECT_RANGES(...)                                                                         \
    expect_ranges(sizeof(struct port_range[]){__VA_ARGS__} / sizeof(struct port_range),            \
                  (struct port_range[]){__VA_ARGS__})

Test(ports, that_are_none_are_refused)
{
    static const char *const bad[] = {"",     "0",   "65536", "http",        "1-",   "-1", "1-2-3",
                                      "9-8",  "1--", "1 -2",  "1- 2",        "0-10", "*",  "22 ",
                                      "0022", "1:2", "+22",   "65535-65536", "-"};
    struct port_range range = {7, 7};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(port_range_parse(span_of(bad[i]), &range) != NULL, "'%s'", bad[i]);
    cr_expect(port_range_parse(SPAN_NONE, &range) != NULL);
    cr_expect(range.first == 7 && range.last == 7);
}

Test(ports, are_one_or_a_range)
{
    struct port_range range;
    cr_assert_null(port_range_parse(SPAN("22"), &range));
    cr_expect(range.first == 22 && range.last == 22);
    cr_assert_null(port_range_parse(SPAN("9000-9010"), &range));
    cr_expect(range.first == 9000 && range.last == 9010);
    cr_assert_null(port_range_parse(SPAN("1-65535"), &range));
    cr_expect(range.first == 1 && range.last == 65535);
    cr_assert_null(port_range_parse(SPAN("8-8"), &range));
    cr_expect(range.first == 8 && range.last == 8);
}

Test(ports, stand_in_order)
{
    add(3306, 3306);
    add(22, 22);
    add(9000, 9010);
    add(443, 443);
    EXPECT_RANGES({22, 22}, {443, 443}, {3306, 3306}, {9000, 9010});
}

Test(ports, that_overlap_or_touch_become_one_range)
{
    add(10, 20);
    add(15, 25);
    EXPECT_RANGES({10, 25});
    add(26, 26);
    EXPECT_RANGES({10, 26});
    add(9, 9);
    EXPECT_RANGES({9, 26});
    add(12, 13);
    EXPECT_RANGES({9, 26});
    add(28, 30);
    EXPECT_RANGES({9, 26}, {28, 30});
    add(27, 27);
    EXPECT_RANGES({9, 30});
}

Test(ports, of_a_wide_range_take_in_all_that_it_covers)
{
    add(65535, 65535);
    for (unsigned port = 10; port < 200; port += 10)
        add(port, port);
    add(15, 185);
    EXPECT_RANGES({10, 10}, {15, 185}, {190, 190}, {65535, 65535});
    add(1, 65535);
    EXPECT_RANGES({1, 65535});
}

Test(ports, beyond_what_there_is_room_for_are_refused)
{
    for (unsigned i = 0; i < PORT_SET_MAX; i++)
        add(10 + 2 * i, 10 + 2 * i);
    cr_expect(!port_set_add(&set, (struct port_range){1, 1}));
    cr_expect_eq(set.count, PORT_SET_MAX);
    cr_expect_eq(set.ranges[0].first, 10);
    add(11, 11); /* joins two */
    cr_expect_eq(set.count, PORT_SET_MAX - 1);
    add(1, 1);
}

/* The set is compared with a bit per port. */
Test(ports, added_at_random_are_the_same_ports)
{
    static bool has[65536];
    srand(20261126);
    for (int i = 0; i < 200; i++) {
        const unsigned first = 1 + (unsigned)rand() % 2000, last = first + (unsigned)rand() % 30;
        add(first, last);
        for (unsigned port = first; port <= last; port++)
            has[port] = true;
        for (size_t r = 1; r < set.count; r++)
            cr_assert(set.ranges[r].first > set.ranges[r - 1].last + 1);
        size_t r = 0;
        for (unsigned port = 1; port < 65536; port++) {
            while (r < set.count && set.ranges[r].last < port)
                r++;
            cr_assert_eq(has[port], r < set.count && set.ranges[r].first <= port, "port %u", port);
        }
    }
}
