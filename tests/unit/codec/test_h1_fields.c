/* Field lines without a start line, as trailers are. */
#include "codec/h1_head.h"

#include <criterion/criterion.h>

Test(h1_fields, lines_become_headers_with_ids)
{
    struct header scratch[2];
    uint32_t count = 0;
    struct h1_result r = h1_parse_fields(SPAN("a: 1\r\ngrpc-status: 0\r\n"), 2, scratch, &count);
    cr_assert_eq(r.step, H1_DONE);
    cr_expect_eq(count, 2);
    cr_expect_eq(scratch[1].id, HEADER_GRPC_STATUS);
    cr_expect(span_is(scratch[1].value, SPAN("0")));
    cr_expect_eq(h1_parse_fields(SPAN(""), 2, scratch, &count).step, H1_DONE);
    cr_expect_eq(count, 0);
}

Test(h1_fields, more_than_the_scratch_holds_is_refused)
{
    struct header scratch[2];
    uint32_t count = 7;
    struct h1_result r = h1_parse_fields(SPAN("a: 1\r\nb: 2\r\nc: 3\r\n"), 2, scratch, &count);
    cr_expect_eq(r.reason, REASON_HEADER_TOO_LARGE);
    cr_expect_eq(count, 7, "an out-parameter is untouched on error");
}

Test(h1_fields, malformed_lines_are_refused)
{
    const char *bad[] = {"a: 1", "a : 1\r\n", ": 1\r\n", "a\r\n", " a: 1\r\n", "\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct header scratch[2];
        uint32_t count = 0;
        struct h1_result r = h1_parse_fields(span_of(bad[i]), 2, scratch, &count);
        cr_expect_eq(r.step, H1_ERROR, "%s", bad[i]);
        cr_expect_eq(r.reason, REASON_BAD_REQUEST, "%s", bad[i]);
    }
}
