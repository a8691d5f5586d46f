#include "cli/call_line.h"

#include <criterion/criterion.h>

static struct call_line call;
static char why[CALL_LINE_WHY_MAX];

static bool parsed(const char *method, const char *url)
{
    return call_line_parse(&call, method, url, why);
}

static void set_up(void)
{
    call = (struct call_line){.port = 0};
    why[0] = '\0';
}

TestSuite(call_line, .init = set_up);

#define IS(span, text) cr_assert(span_is(span, SPAN(text)), "%.*s", SPAN_ARGS(span))

Test(call_line, has_all_parts_of_a_url)
{
    cr_assert(parsed("POST", "http://Payments:8080/v1/charge?a=b&c#top"));
    IS(call.method, "POST");
    IS(call.host, "Payments");
    cr_assert_eq(call.port, 8080);
    IS(call.path, "/v1/charge");
    IS(call.query, "a=b&c");
    cr_assert_not(call.is_grpc);
}

Test(call_line, takes_what_is_left_out)
{
    cr_assert(parsed("GET", "HTTP://[::1]"));
    IS(call.host, "::1");
    cr_assert(call.is_ipv6 && call.port == 80 && call.query.data == NULL);
    IS(call.path, "/");
    cr_assert(parsed("GET", "http://a?x"));
    IS(call.path, "/");
    IS(call.query, "x");
}

Test(call_line, of_a_tunnel_is_a_host_and_a_port)
{
    cr_assert(parsed("CONNECT", "api.example.com:443"));
    IS(call.host, "api.example.com");
    cr_assert_eq(call.port, 443);
    IS(call.path, "");
}

Test(call_line, refuses_with_what_to_write)
{
    static const char *const bad[][3] = {
        {"GET", "payments/v1", "this is no URL"},
        {"GET", "https://a/", "CONNECT payments:443"},
        {"GET", "http:///x", "the host is empty"},
        {"GET", "http://a:99999/", "http://payments:8080/v1/charge"},
        {"GET", "http://a/b c", "%20"},
        {"GE T", "http://a/", "this is no method"},
        {"", "http://a/", "this is no method"},
        {"CONNECT", "http://a:1", "http://payments"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(parsed(bad[i][0], bad[i][1]), "%s %s", bad[i][0], bad[i][1]);
        cr_assert_not_null(strstr(why, bad[i][2]), "%s", why);
    }
}

Test(call_line, reads_headers_as_http_does)
{
    cr_assert(call_line_add_header(&call, "X-Tenant:  a b \t", why));
    IS(call_line_header(&call, SPAN("x-tenant")), "a b");
    cr_assert_null(call_line_header(&call, SPAN("x")).data);
    cr_assert_not(call_line_add_header(&call, "no colon", why));
    cr_assert_not(call_line_add_header(&call, ": x", why));
    for (size_t i = 1; i < CALL_LINE_HEADERS_MAX; i++)
        cr_assert(call_line_add_header(&call, "a: b", why));
    cr_assert_not(call_line_add_header(&call, "a: b", why));
}

Test(call_line, knows_grpc_and_the_callers_limit)
{
    struct timeouts_config timeouts = {.deadline_header = "x-limit-ms"};
    cr_assert(call_line_add_header(&call, "content-type: application/grpc+proto", why));
    cr_assert(call_line_add_header(&call, "grpc-timeout: 2S", why));
    cr_assert(parsed("POST", "http://a/shop.Quotes/Get"));
    cr_assert(call.is_grpc);
    cr_assert_eq(call_line_limit(&call, &timeouts), 2 * NS_PER_S);
    cr_assert(call_line_add_header(&call, "x-limit-ms: 150", why));
    cr_assert_eq(call_line_limit(&call, &timeouts), 150 * NS_PER_MS);
    timeouts.deadline_header = NULL;
    cr_assert_eq(call_line_limit(&call, &timeouts), 2 * NS_PER_S);
}
