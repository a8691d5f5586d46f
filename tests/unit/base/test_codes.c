#include "base/codes.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(code_set, never_has_what_it_cannot_hold)
{
    struct code_set set = {{0}, 0};
    code_set_add_http(&set, -1);
    code_set_add_http(&set, 640);
    code_set_add_grpc(&set, -1);
    code_set_add_grpc(&set, 32);
    for (int status = -700; status < 1400; status++)
        cr_assert_not(code_set_has_http(&set, status), "%d", status);
    for (int code = -40; code < 100; code++)
        cr_assert_not(code_set_has_grpc(&set, code), "%d", code);
}

Test(code_set, has_exactly_what_was_added)
{
    static const int added[] = {0, 63, 64, 429, 503, 639};
    struct code_set set = {{0}, 0};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        code_set_add_http(&set, added[i]);
    code_set_add_grpc(&set, 0);
    code_set_add_grpc(&set, 14);
    int count = 0;
    for (int status = -700; status < 1400; status++)
        count += code_set_has_http(&set, status);
    cr_assert_eq(count, 6);
    cr_assert(code_set_has_http(&set, 503));
    cr_assert(code_set_has_grpc(&set, 0) && code_set_has_grpc(&set, 14));
    cr_assert_not(code_set_has_grpc(&set, 13));
}

Test(method, is_case_sensitive_and_whole)
{
    cr_assert_eq(method_from("get", 3), METHOD_OTHER);
    cr_assert_eq(method_from("GE", 2), METHOD_OTHER);
    cr_assert_eq(method_from("GETS", 4), METHOD_OTHER);
    cr_assert_eq(method_from("", 0), METHOD_OTHER);
    cr_assert_eq(method_from("GETS", 3), METHOD_GET);
}

Test(method, is_found_by_its_word)
{
    for (enum method method = METHOD_OTHER + 1; method < METHOD_COUNT; method++)
        cr_assert_eq(method_from(method_word(method), strlen(method_word(method))), method);
    cr_assert_str_eq(method_word(METHOD_OTHER), "OTHER");
    cr_assert_eq(method_from("OTHER", 5), METHOD_OTHER);
}

Test(method, is_idempotent_as_rfc_9110_says)
{
    uint32_t idempotent = 0;
    for (enum method method = METHOD_OTHER; method < METHOD_COUNT; method++)
        idempotent |= method_is_idempotent(method) ? method_bit(method) : 0;
    cr_assert_eq(idempotent, method_bit(METHOD_GET) | method_bit(METHOD_HEAD) |
                                 method_bit(METHOD_OPTIONS) | method_bit(METHOD_PUT) |
                                 method_bit(METHOD_DELETE) | method_bit(METHOD_TRACE));
}

Test(method, outside_the_enum_has_no_word, .signal = SIGABRT)
{
    method_word(METHOD_COUNT);
}

Test(method, outside_the_enum_aborts, .signal = SIGABRT)
{
    method_is_idempotent(METHOD_COUNT);
}

Test(grpc_code, that_is_unknown_is_none)
{
    cr_assert_eq(grpc_code_from("unavailable", 11), -1);
    cr_assert_eq(grpc_code_from("UNAVAILABL", 10), -1);
    cr_assert_eq(grpc_code_from("", 0), -1);
    cr_assert_str_eq(grpc_code_word(-1), "UNKNOWN");
    cr_assert_str_eq(grpc_code_word(17), "UNKNOWN");
}

Test(grpc_code, has_a_word_and_back)
{
    for (int code = 0; code <= 16; code++)
        cr_assert_eq(grpc_code_from(grpc_code_word(code), strlen(grpc_code_word(code))), code);
    cr_assert_str_eq(grpc_code_word(0), "OK");
    cr_assert_str_eq(grpc_code_word(8), "RESOURCE_EXHAUSTED");
    cr_assert_str_eq(grpc_code_word(14), "UNAVAILABLE");
    cr_assert_str_eq(grpc_code_word(16), "UNAUTHENTICATED");
}

Test(codes, of_a_callers_mistake_are_found)
{
    struct code_set set = {0};
    const int temporary[] = {408, 409, 421, 423, 425, 429, 500, 503, 599};
    for (size_t i = 0; i < sizeof temporary / sizeof *temporary; i++)
        code_set_add_http(&set, temporary[i]);
    cr_assert_eq(code_set_caller_status(&set), 0);
    code_set_add_http(&set, 499);
    cr_assert_eq(code_set_caller_status(&set), 499);
    code_set_add_http(&set, 400);
    cr_assert_eq(code_set_caller_status(&set), 400);
    set.grpc = 1u << 14 | 1u << 8 | 1u << 10;
    cr_assert_eq(code_set_caller_grpc(&set), 0);
    set.grpc |= 1u << 16;
    cr_assert_eq(code_set_caller_grpc(&set), 16);
}
