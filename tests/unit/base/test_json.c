/* Somebody else's bytes inside a JSON string. */
#include "base/json.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *escaped(const char *text, size_t len)
{
    static char whole[256];
    size_t at_out = 0;
    for (size_t at = 0; at < len;) {
        char out[JSON_ESCAPE_MAX];
        size_t out_len;
        at += json_escape(text + at, len - at, out, &out_len);
        memcpy(whole + at_out, out, out_len);
        at_out += out_len;
    }
    whole[at_out] = '\0';
    return whole;
}

#define EXPECT(text, wanted) cr_assert_str_eq(escaped(text, sizeof(text) - 1), wanted)

Test(json, leaves_plain_text_alone)
{
    EXPECT("GET /a?b=c&d", "GET /a?b=c&d");
}

Test(json, escapes_quotes_backslashes_and_controls)
{
    EXPECT("a\"b\\c", "a\\\"b\\\\c");
    EXPECT("\n\r\t", "\\n\\r\\t");
    EXPECT("\0\x01\x1b[31m\x7f", "\\u0000\\u0001\\u001b[31m\\u007f");
}

Test(json, escapes_the_controls_that_terminals_obey)
{
    EXPECT("\xc2\x9b"
           "31m",
           "\\u009b31m");
    EXPECT("\xc2\xa0", "\xc2\xa0");
}

Test(json, keeps_valid_sequences_of_two_three_and_four_bytes)
{
    EXPECT("é€😀", "é€😀");
}

Test(json, replaces_what_is_not_utf8)
{
    EXPECT("\xff", "\xef\xbf\xbd");
    EXPECT("\x80", "\xef\xbf\xbd");
    EXPECT("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT("\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT("\xe2\x82x", "\xef\xbf\xbd\xef\xbf\xbdx");
}
