#include "http/grpc.h"

#include <criterion/criterion.h>

Test(grpc, content_type_is_grpc_with_its_subtypes_and_nothing_else)
{
    cr_expect(grpc_is_content_type(SPAN("application/grpc")));
    cr_expect(grpc_is_content_type(SPAN("Application/GRPC+proto")));
    cr_expect(grpc_is_content_type(SPAN("application/grpc;charset=utf-8")));
    cr_expect_not(grpc_is_content_type(SPAN("application/grpc-web")));
    cr_expect_not(grpc_is_content_type(SPAN("application/grp")));
    cr_expect_not(grpc_is_content_type(SPAN("text/plain")));
    cr_expect_not(grpc_is_content_type(SPAN_NONE));
}

Test(grpc, status_is_a_number_that_grpc_defines_or_unknown)
{
    cr_expect_eq(grpc_status_from(SPAN_NONE), -1);
    cr_expect_eq(grpc_status_from(SPAN("0")), 0);
    cr_expect_eq(grpc_status_from(SPAN("16")), 16);
    cr_expect_eq(grpc_status_from(SPAN("17")), 2);
    cr_expect_eq(grpc_status_from(SPAN("")), 2);
    cr_expect_eq(grpc_status_from(SPAN("-1")), 2);
    cr_expect_eq(grpc_status_from(SPAN("OK")), 2);
    cr_expect_eq(grpc_status_from(SPAN("18446744073709551616")), 2);
}

Test(grpc, timeout_is_read_in_every_unit)
{
    cr_expect_eq(grpc_timeout_from(SPAN("7n")), 7);
    cr_expect_eq(grpc_timeout_from(SPAN("7u")), 7 * NS_PER_US);
    cr_expect_eq(grpc_timeout_from(SPAN("100m")), 100 * NS_PER_MS);
    cr_expect_eq(grpc_timeout_from(SPAN("7S")), 7 * NS_PER_S);
    cr_expect_eq(grpc_timeout_from(SPAN("7M")), 420 * NS_PER_S);
    cr_expect_eq(grpc_timeout_from(SPAN("7H")), 25200 * NS_PER_S);
    cr_expect_eq(grpc_timeout_from(SPAN("0m")), 0);
    cr_expect_eq(grpc_timeout_from(SPAN("99999999H")), DUR_FOREVER);
}

Test(grpc, malformed_timeout_is_none)
{
    const char *bad[] = {"", "m", "5", "5x", "5s", "-5m", "+5m", " 5m", "5 m", "123456789m", "5mm"};
    cr_expect_eq(grpc_timeout_from(SPAN_NONE), DUR_FOREVER);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(grpc_timeout_from(span_of(bad[i])), DUR_FOREVER, "'%s'", bad[i]);
}

static void expect_written(dur_ns timeout, const char *wanted)
{
    char buf[GRPC_TIMEOUT_MAX];
    size_t len = grpc_timeout_write(timeout, buf);
    cr_expect(span_is(span_make(buf, len), span_of(wanted)), "%.*s, not %s", (int)len, buf, wanted);
    cr_expect_leq(grpc_timeout_from(span_make(buf, len)), timeout, "%s is longer", wanted);
}

Test(grpc, timeout_is_written_as_exactly_as_eight_digits_allow)
{
    expect_written(0, "0n");
    expect_written(99999999, "99999999n");
    expect_written(100000000, "100000u");
    expect_written(1500 * NS_PER_MS, "1500000u");
    expect_written(100 * NS_PER_S, "100000m");
    expect_written(INT64_C(100000000) * NS_PER_S + 5, "1666666M");
    expect_written(INT64_MAX - 1, "2562047H");
}

Test(grpc, pushback_says_wait_or_never)
{
    cr_expect_eq(grpc_pushback_from(SPAN_NONE), 0);
    cr_expect_eq(grpc_pushback_from(SPAN("250")), 250 * NS_PER_MS);
    cr_expect_eq(grpc_pushback_from(SPAN("0")), 1);
    cr_expect_eq(grpc_pushback_from(SPAN("-1")), DUR_FOREVER);
    cr_expect_eq(grpc_pushback_from(SPAN("")), DUR_FOREVER);
    cr_expect_eq(grpc_pushback_from(SPAN("soon")), DUR_FOREVER);
    cr_expect_eq(grpc_pushback_from(SPAN("2147483647")), INT64_C(2147483647) * NS_PER_MS);
    cr_expect_eq(grpc_pushback_from(SPAN("2147483648")), DUR_FOREVER);
}
