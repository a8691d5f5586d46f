/* A text that grows up to its limit. */
#include "telemetry/text.h"

#include <criterion/criterion.h>
#include <string.h>

static struct text text;

static void begin(void)
{
    text_init(&text, 1 << 20);
}

static void end(void)
{
    text_fini(&text);
}

#define EXPECT(wanted)                                                                             \
    cr_assert(span_is(text_span(&text), SPAN(wanted)), "%.*s", SPAN_ARGS(text_span(&text)));       \
    text.len = 0

Test(text, takes_no_memory_while_empty, .init = begin, .fini = end)
{
    cr_assert_null(text.data);
    cr_assert_eq(text_span(&text).len, 0);
    cr_assert_not_null(text_span(&text).data);
}

Test(text, breaks_at_its_limit_and_takes_nothing_more)
{
    text_init(&text, 5);
    text_put(&text, "12345");
    cr_assert_not(text.is_broken);
    text_char(&text, '6');
    cr_assert(text.is_broken);
    text_put(&text, "");
    text_put(&text, "7");
    cr_assert_eq(text.len, 5);
    text_fini(&text);
    cr_assert_not(text.is_broken);
    text_put(&text, "again");
    EXPECT("again");
    text_fini(&text);
}

Test(text, grows_past_its_first_size, .init = begin, .fini = end)
{
    for (int i = 0; i < 10000; i++) {
        text_put(&text, "0123456789");
    }
    cr_assert_eq(text.len, 100000);
    cr_assert(memcmp(text.data + 99990, "0123456789", 10) == 0);
}

Test(text, writes_numbers_at_their_ends, .init = begin, .fini = end)
{
    text_uint(&text, 0);
    EXPECT("0");
    text_uint(&text, UINT64_MAX);
    EXPECT("18446744073709551615");
    text_int(&text, INT64_MIN);
    EXPECT("-9223372036854775808");
    text_int(&text, INT64_MAX);
    EXPECT("9223372036854775807");
}

Test(text, writes_fractions_exactly_and_without_needless_zeros, .init = begin, .fini = end)
{
    text_fixed(&text, 0, 9);
    EXPECT("0");
    text_fixed(&text, 1500, 3);
    EXPECT("1.5");
    text_fixed(&text, 5, 3);
    EXPECT("0.005");
    text_fixed(&text, 2000, 3);
    EXPECT("2");
    text_fixed(&text, 7, 0);
    EXPECT("7");
    text_fixed(&text, UINT64_MAX, 9);
    EXPECT("18446744073.709551615");
}

Test(text, prints_what_is_longer_than_its_scratch, .init = begin, .fini = end)
{
    char longer[600];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    text_printf(&text, "%s!", longer);
    cr_assert_eq(text.len, 600);
    cr_assert_eq(text.data[599], '!');
}

Test(text, does_not_print_past_its_limit)
{
    char longer[600];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    text_init(&text, 300);
    text_printf(&text, "%s", longer);
    cr_assert(text.is_broken);
    cr_assert_eq(text.len, 0);
    text_fini(&text);
}

Test(text, quotes_json, .init = begin, .fini = end)
{
    text_json(&text, "a\"b\n\xff");
    EXPECT("\"a\\\"b\\n\xef\xbf\xbd\"");
    text_json(&text, NULL);
    EXPECT("null");
    text_json(&text, "");
    EXPECT("\"\"");
}
