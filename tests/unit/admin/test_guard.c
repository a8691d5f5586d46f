/* Who gets in, and what is understood. */
#include "admin/guard.h"

#include <criterion/criterion.h>
#include <string.h>

#define LETS_IN(head) cr_assert(guard_framing_is_plain(SPAN(head)), "%s", head)
#define KEEPS_OUT(head) cr_assert_not(guard_framing_is_plain(SPAN(head)), "%s", head)

Test(guard, keeps_out_two_ways_of_saying_where_a_body_ends)
{
    KEEPS_OUT("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n");
    KEEPS_OUT("POST / HTTP/1.1\r\ncontent-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    KEEPS_OUT(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y\r\nTRANSFER-ENCODING: gzip\r\n\r\n");
    KEEPS_OUT("POST / HTTP/1.1\nContent-Length: 5\nContent-Length: 6\n\n");
}

Test(guard, keeps_out_folded_and_broken_lines)
{
    KEEPS_OUT("POST / HTTP/1.1\r\nX: y\r\n Content-Length: 5\r\n\r\n");
    KEEPS_OUT("POST / HTTP/1.1\r\nX: y\r\n\tz\r\n\r\n");
    KEEPS_OUT("POST / HTTP/1.1\r\nno colon\r\n\r\n");
}

Test(guard, lets_in_one_way_or_none_and_does_not_read_the_body)
{
    LETS_IN("GET / HTTP/1.1\r\n\r\n");
    LETS_IN("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    LETS_IN("POST / HTTP/1.1\r\nContent-Length: 34\r\n\r\nContent-Length: 5\r\nContent-Length: 5");
    LETS_IN("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
}

Test(guard, takes_addresses_and_localhost_for_local_and_no_other_name)
{
    cr_assert(guard_host_is_local(SPAN("127.0.0.1:15020")));
    cr_assert(guard_host_is_local(SPAN("10.1.2.3")));
    cr_assert(guard_host_is_local(SPAN("[::1]:15020")));
    cr_assert(guard_host_is_local(SPAN("LocalHost:15020")));
    cr_assert_not(guard_host_is_local(SPAN("evil.example:15020")));
    cr_assert_not(guard_host_is_local(SPAN("localhost.evil.example")));
    cr_assert_not(guard_host_is_local(SPAN("127.0.0.1.evil.example")));
    cr_assert_not(guard_host_is_local(SPAN("[::1")));
    cr_assert_not(guard_host_is_local(SPAN("")));
    cr_assert_not(guard_host_is_local(SPAN_NONE));
    char longer[400];
    memset(longer, 'a', sizeof(longer));
    cr_assert_not(guard_host_is_local(span_make(longer, sizeof(longer))));
}

Test(guard, knows_its_own_origin)
{
    cr_assert(guard_origin_is_own(SPAN("http://localhost:15020"), SPAN("localhost:15020")));
    cr_assert_not(guard_origin_is_own(SPAN("http://evil.example"), SPAN("localhost:15020")));
    cr_assert_not(guard_origin_is_own(SPAN("http://localhost:3000"), SPAN("localhost:15020")));
    cr_assert_not(guard_origin_is_own(SPAN("https://localhost:15020"), SPAN("localhost:15020")));
    cr_assert_not(guard_origin_is_own(SPAN("null"), SPAN("localhost:15020")));
    cr_assert_not(guard_origin_is_own(SPAN(""), SPAN("")));
}

Test(guard, wants_the_whole_token)
{
    cr_assert(guard_token_matches(SPAN("Bearer secret"), "secret"));
    cr_assert(guard_token_matches(SPAN("bearer secret"), "secret"));
    cr_assert_not(guard_token_matches(SPAN("Bearer secre"), "secret"));
    cr_assert_not(guard_token_matches(SPAN("Bearer secrets"), "secret"));
    cr_assert_not(guard_token_matches(SPAN("Bearer secretsecret"), "secret"));
    cr_assert_not(guard_token_matches(SPAN("Bearer "), "secret"));
    cr_assert_not(guard_token_matches(SPAN("Basic secret"), "secret"));
    cr_assert_not(guard_token_matches(SPAN_NONE, "secret"));
    cr_assert_not(guard_token_matches(SPAN("Bearer "), ""));
}

static void reads(struct span body, enum admin_action wanted)
{
    enum admin_action action = wanted == ADMIN_RESET ? ADMIN_CLOSE : ADMIN_RESET;
    cr_assert_eq(guard_read_action(body, &action), OK, "%.*s", SPAN_ARGS(body));
    cr_assert_eq(action, wanted);
}

Test(guard, reads_an_action_from_json_and_from_a_form)
{
    reads(SPAN("{\"action\":\"force_open\"}"), ADMIN_FORCE_OPEN);
    reads(SPAN(" { \"action\" : \"close\" }\r\n"), ADMIN_CLOSE);
    reads(SPAN("action=disable"), ADMIN_DISABLE);
    reads(SPAN("action=reset\r\n"), ADMIN_RESET);
}

Test(guard, understands_no_other_body)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "{}",
                                         "{\"action\"}",
                                         "{\"action\":}",
                                         "{\"action\":1}",
                                         "{\"action\":\"close\"",
                                         "{\"action\":\"close}",
                                         "{\"action\":\"close\"}x",
                                         "{\"action\":\"close\",\"action\":\"reset\"}",
                                         "{\"act\":\"close\"}",
                                         "{\"action\":\"explode\"}",
                                         "action=",
                                         "action=explode",
                                         "action=close&x=1",
                                         "close",
                                         "[\"action\"]"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        enum admin_action action = ADMIN_RESET;
        cr_assert_eq(guard_read_action(span_of(bodies[i]), &action), ERR_INVALID, "%s", bodies[i]);
        cr_assert_eq(action, ADMIN_RESET);
    }
    enum admin_action action;
    cr_assert_eq(guard_read_action(span_make("\0action=close", 13), &action), ERR_INVALID);
}

Test(guard, decodes_an_id)
{
    char id[ADMIN_ID_MAX + 1];
    cr_assert_eq(guard_decode_id(SPAN("payments:8080/rule%3Acharge%2fx"), id), OK);
    cr_assert_str_eq(id, "payments:8080/rule:charge/x");
}

Test(guard, decodes_no_bad_id)
{
    char id[ADMIN_ID_MAX + 1] = "before";
    char longer[ADMIN_ID_MAX + 1];
    memset(longer, 'a', sizeof(longer));
    cr_assert_eq(guard_decode_id(SPAN(""), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(SPAN("a%"), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(SPAN("a%4"), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(SPAN("a%zz"), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(SPAN("a%00b"), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(span_make("a\0b", 3), id), ERR_INVALID);
    cr_assert_eq(guard_decode_id(span_make(longer, sizeof(longer)), id), ERR_TOO_LARGE);
    cr_assert_str_eq(id, "before");
    cr_assert_eq(guard_decode_id(span_make(longer, ADMIN_ID_MAX), id), OK);
    cr_assert_eq(strlen(id), ADMIN_ID_MAX);
}
