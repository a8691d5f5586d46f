/* The two messages of gRPC's health check, byte for byte. */
#include "http/grpc_health.h"

#include <criterion/criterion.h>
#include <string.h>

#define STATUS(bytes) grpc_health_status(SPAN(bytes))

Test(grpc_health, asks_for_the_server_as_a_whole_with_an_empty_message)
{
    char out[GRPC_HEALTH_REQUEST_MAX];
    cr_assert_eq(grpc_health_request(SPAN(""), out), 5u);
    cr_assert_arr_eq(out, "\0\0\0\0\0", 5);
}

Test(grpc_health, asks_for_a_service_by_name)
{
    char out[GRPC_HEALTH_REQUEST_MAX];
    char longest[GRPC_HEALTH_SERVICE_MAX];
    cr_assert_eq(grpc_health_request(SPAN("shop"), out), 11u);
    cr_assert_arr_eq(out, "\0\0\0\0\6\x0a\4shop", 11);
    memset(longest, 'x', sizeof longest);
    cr_assert_eq(grpc_health_request(span_make(longest, sizeof longest), out), sizeof out);
    cr_assert_arr_eq(out, "\0\0\0\0\x81\x0a\x7fx", 8);
}

Test(grpc_health, reads_the_status)
{
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\1"), GRPC_SERVING);
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\2"), GRPC_NOT_SERVING);
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\3"), GRPC_SERVICE_UNKNOWN);
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\x7f"), 127, "of a later version");
    cr_assert_eq(STATUS("\0\0\0\0\0"), GRPC_SERVING_UNKNOWN, "a default is not written");
}

Test(grpc_health, takes_no_other_bytes_for_a_status)
{
    cr_assert_eq(STATUS(""), -1);
    cr_assert_eq(STATUS("\0\0\0\0"), -1);
    cr_assert_eq(STATUS("\1\0\0\0\2\x08\1"), -1, "compressed");
    cr_assert_eq(STATUS("\0\0\0\0\3\x08\1"), -1, "cut");
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\1\0"), -1, "more than one message");
    cr_assert_eq(STATUS("\0\0\0\1\2\x08\1"), -1);
    cr_assert_eq(STATUS("\0\0\0\0\2\x10\1"), -1, "another field");
    cr_assert_eq(STATUS("\0\0\0\0\2\x08\x80"), -1, "a varint without an end");
    cr_assert_eq(STATUS("\0\0\0\0\3\x08\1\0"), -1);
}

Test(grpc_health, has_a_word_for_each_status)
{
    cr_assert_str_eq(grpc_health_word(GRPC_SERVING), "serving");
    cr_assert_str_eq(grpc_health_word(GRPC_SERVING_UNKNOWN), "unknown");
    cr_assert_str_eq(grpc_health_word(GRPC_NOT_SERVING), "not_serving");
    cr_assert_str_eq(grpc_health_word(GRPC_SERVICE_UNKNOWN), "service_unknown");
    cr_assert_str_eq(grpc_health_word(-1), "malformed_answer");
}
