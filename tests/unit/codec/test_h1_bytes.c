/* The vector loop and its portable twin must agree on every byte at every place. */
#include "codec/h1_bytes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(h1_bytes, every_byte_is_judged_alike_at_every_place)
{
    char bytes[49];
    for (unsigned value = 0; value < 256; value++) {
        bool is_control = (value < 0x20 && value != '\t') || value == 0x7f;
        for (size_t at = 0; at < sizeof(bytes); at++) {
            memset(bytes, 'x', sizeof(bytes));
            bytes[at] = (char)value;
            size_t wanted = is_control ? at : sizeof(bytes);
            cr_expect_eq(h1_find_control(bytes, sizeof(bytes)), wanted, "%u at %zu", value, at);
            cr_expect_eq(h1_find_control_portable(bytes, sizeof(bytes)), wanted, "%u at %zu", value,
                         at);
        }
    }
}

Test(h1_bytes, a_control_behind_a_tab_is_found)
{
    const char bytes[] = "ab\tcdefg\tij\nklmnop\tqrst\x7f";
    cr_expect_eq(h1_find_control(bytes, sizeof(bytes) - 1), 11);
    cr_expect_eq(h1_find_control_portable(bytes, sizeof(bytes) - 1), 11);
    cr_expect_eq(h1_find_control(bytes + 12, sizeof(bytes) - 13), 11);
    cr_expect_eq(h1_find_control_portable(bytes + 12, sizeof(bytes) - 13), 11);
}

Test(h1_bytes, nothing_is_found_in_nothing)
{
    cr_expect_eq(h1_find_control("\n", 0), 0);
    cr_expect_eq(h1_find_control_portable("\n", 0), 0);
}
