#include "http/local_reply.h"

#include "codec/h1_head.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define NOV_1994 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MAX_HEADERS 16

static const struct h1_limits limits = {4096, 4096, MAX_HEADERS};

struct answer {
    char bytes[LOCAL_REPLY_MAX + 1];
    size_t len;
    struct header scratch[MAX_HEADERS];
    struct message msg;
    struct span body;
};

/* Writes the reply, and reads it as a client would. */
static void answer(struct answer *answer, const struct local_reply *reply)
{
    struct h1_scan scan;
    enum method method = reply->is_head ? METHOD_HEAD : METHOD_GET;
    cr_assert_eq(local_reply_write(reply, answer->bytes, LOCAL_REPLY_MAX, &answer->len), OK);
    answer->bytes[answer->len] = '\0';
    h1_scan_init(&scan, MESSAGE_RESPONSE);
    cr_assert_eq(h1_scan_head(&scan, answer->bytes, answer->len, &limits).step, H1_DONE);
    struct h1_result r = h1_parse_response(h1_scan_span(&scan, answer->bytes), &limits, method,
                                           false, answer->scratch, &answer->msg);
    cr_assert_eq(r.step, H1_DONE, "%s", r.detail ? r.detail : "");
    answer->body = span_make(answer->bytes + scan.at, answer->len - scan.at);
}

static void expect_field(const struct answer *answer, const char *name, const char *value)
{
    const struct header *header = message_find_name(&answer->msg, span_of(name));
    if (!value) {
        cr_expect_null(header, "%s", name);
        return;
    }
    cr_assert_not_null(header, "%s is missing", name);
    cr_expect(span_is(header->value, span_of(value)), "%s: %.*s, not %s", name,
              SPAN_ARGS(header->value), value);
}

Test(local_reply, names_reason_policy_place_and_time)
{
    static struct answer a;
    const struct rate_state rate = {.quota = 200, .window = NS_PER_S, .reset = NS_PER_S / 2};
    const struct local_reply reply = {.reason = REASON_RATE_LIMITED,
                                      .target = SPAN("payments:8080"),
                                      .policy = SPAN("shop/payments"),
                                      .rule = SPAN("charge"),
                                      .at = SPAN("pay.yaml:12"),
                                      .request_id = SPAN("abc"),
                                      .retry_after = 1500 * NS_PER_MS + 1,
                                      .rate = &rate,
                                      .wall_s = NOV_1994};
    answer(&a, &reply);
    cr_expect_eq(a.msg.status, 429);
    cr_expect(span_is(a.msg.status_text, SPAN("Too Many Requests")));
    expect_field(&a, "date", "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_field(&a, "x-outrigger-reason", "rate_limited");
    expect_field(&a, "retry-after", "2");
    expect_field(&a, "ratelimit", "\"default\";r=0;t=1");
    expect_field(&a, "ratelimit-policy", "\"default\";q=200;w=1");
    expect_field(&a, "content-type", "application/json");
    expect_field(&a, "connection", NULL);
    expect_field(&a, "x-outrigger-retries", NULL);
    cr_expect_eq(a.msg.content_length, a.body.len);
    cr_expect(span_is(a.body, SPAN("{\"error\":\"rate_limited\",\"target\":\"payments:8080\","
                                   "\"policy\":\"shop/payments\",\"rule\":\"charge\","
                                   "\"at\":\"pay.yaml:12\",\"retryAfterMs\":1501,"
                                   "\"requestId\":\"abc\"}\n")),
              "%.*s", SPAN_ARGS(a.body));
}

Test(local_reply, what_is_not_known_is_null_or_absent)
{
    static struct answer a;
    answer(&a, &(struct local_reply){.reason = REASON_CIRCUIT_OPEN});
    cr_expect_eq(a.msg.status, 503);
    expect_field(&a, "retry-after", NULL);
    expect_field(&a, "ratelimit", NULL);
    cr_expect(span_is(a.body, SPAN("{\"error\":\"circuit_open\",\"target\":null,\"policy\":null,"
                                   "\"rule\":null,\"at\":null,\"retryAfterMs\":null,"
                                   "\"requestId\":null}\n")));
    answer(&a, &(struct local_reply){.reason = REASON_CIRCUIT_OPEN, .retry_after = DUR_FOREVER});
    expect_field(&a, "retry-after", NULL);
}

Test(local_reply, every_reason_makes_an_answer_with_its_status_and_proxy_status)
{
    static struct answer a;
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        char proxy_status[512];
        answer(&a, &(struct local_reply){.reason = reason});
        cr_expect_eq(a.msg.status, reason_http_status(reason));
        expect_field(&a, "x-outrigger-reason", reason_word(reason));
        snprintf(proxy_status, sizeof(proxy_status), "outrigger; error=%s; details=\"%s\"",
                 reason_proxy_status(reason), reason_text(reason));
        expect_field(&a, "proxy-status", proxy_status);
    }
}

Test(local_reply, detail_and_name_go_into_proxy_status_quoted)
{
    static struct answer a;
    answer(&a, &(struct local_reply){.reason = REASON_BAD_REQUEST,
                                     .proxy = SPAN("outrigger-1f2e"),
                                     .detail = "a \"b\" \\ \xc3\xa9\r\n\x7f"});
    expect_field(&a, "proxy-status",
                 "outrigger-1f2e; error=http_request_error; details=\"a \\\"b\\\" \\\\ ?????\"");
}

Test(local_reply, head_gets_the_length_and_no_body)
{
    static struct answer get;
    static struct answer head;
    struct local_reply reply = {.reason = REASON_SHUTDOWN, .is_last = true};
    answer(&get, &reply);
    reply.is_head = true;
    answer(&head, &reply);
    cr_expect_eq(head.body.len, 0);
    cr_expect_eq(head.msg.content_length, get.body.len);
    cr_expect_not(head.msg.is_keep_alive);
}

Test(local_reply, connection_says_what_the_caller_must_know)
{
    static struct answer a;
    answer(&a, &(struct local_reply){
                   .reason = REASON_OVERLOADED, .is_last = true, .is_keep_alive_said = true});
    expect_field(&a, "connection", "close");
    answer(&a, &(struct local_reply){.reason = REASON_OVERLOADED, .is_keep_alive_said = true});
    expect_field(&a, "connection", "keep-alive");
}

Test(local_reply, exhausted_retries_are_marked)
{
    static struct answer a;
    answer(&a,
           &(struct local_reply){.reason = REASON_CONNECT_REFUSED, .is_retries_exhausted = true});
    expect_field(&a, "x-outrigger-retries", "exhausted");
}

Test(local_reply, strings_are_escaped_for_json)
{
    static struct answer a;
    answer(&a, &(struct local_reply){.reason = REASON_LOOP,
                                     .target = SPAN("a\"b\\c/\xc3\xa9"),
                                     .policy = SPAN("\x01\n\0"),
                                     .rule = SPAN("\xff\xc3"),
                                     .at = SPAN("")});
    cr_expect(span_is(a.body, SPAN("{\"error\":\"loop\",\"target\":\"a\\\"b\\\\c/\xc3\xa9\","
                                   "\"policy\":\"\\u0001\\n\\u0000\","
                                   "\"rule\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"at\":\"\","
                                   "\"retryAfterMs\":null,\"requestId\":null}\n")),
              "%.*s", SPAN_ARGS(a.body));
}

Test(local_reply, longest_strings_fit_into_the_maximum)
{
    static struct answer a;
    static char evil[2 * LOCAL_REPLY_TEXT_MAX];
    static char quotes[2 * LOCAL_REPLY_TEXT_MAX];
    const struct rate_state rate = {UINT64_MAX, DUR_FOREVER, UINT64_MAX, DUR_FOREVER};
    const struct span text = {evil, sizeof(evil)};
    memset(evil, 1, sizeof(evil));
    memset(quotes, '"', sizeof(quotes) - 1);
    answer(&a, &(struct local_reply){.reason = REASON_HEADER_TOO_LARGE,
                                     .detail = quotes,
                                     .target = text,
                                     .policy = text,
                                     .rule = text,
                                     .at = text,
                                     .request_id = text,
                                     .retry_after = DUR_FOREVER - 1,
                                     .rate = &rate,
                                     .is_last = true,
                                     .is_retries_exhausted = true,
                                     .wall_s = INT64_MAX});
    cr_expect_gt(a.body.len, 5 * 6 * LOCAL_REPLY_TEXT_MAX);
}

Test(local_reply, too_small_a_buffer_is_said_at_every_size)
{
    static char buf[LOCAL_REPLY_MAX];
    const struct local_reply reply = {.reason = REASON_CIRCUIT_OPEN, .retry_after = NS_PER_S};
    size_t len = 0;
    cr_assert_eq(local_reply_write(&reply, buf, sizeof(buf), &len), OK);
    for (size_t cap = 0; cap < len; cap++) {
        char *exact = malloc(cap + 1);
        size_t untouched = 7;
        cr_assert_not_null(exact);
        cr_expect_eq(local_reply_write(&reply, exact + 1, cap, &untouched), ERR_TOO_LARGE);
        cr_expect_eq(untouched, 7);
        free(exact);
    }
}

static void expect_grpc(struct local_reply reply, const char *fields)
{
    char buf[LOCAL_REPLY_MAX];
    size_t len;
    reply.is_grpc = true;
    cr_assert_eq(local_reply_status(&reply), 200);
    cr_assert_eq(local_reply_lines(&reply, buf, sizeof buf, &len), OK);
    buf[len] = '\0';
    cr_expect_not_null(strstr(buf, fields), "%s", buf);
    cr_expect_not_null(strstr(buf, "content-type: application/grpc\r\n"));
    cr_assert_eq(local_reply_body(&reply, buf, sizeof buf, &len), OK);
    cr_expect_eq(len, 0);
}

Test(local_reply, grpc_gets_the_same_refusal_in_its_own_words)
{
    expect_grpc((struct local_reply){.reason = REASON_CIRCUIT_OPEN},
                "grpc-status: 14\r\ngrpc-message: circuit_open\r\ncontent-type");
    expect_grpc((struct local_reply){.reason = REASON_RATE_LIMITED, .retry_after = NS_PER_MS + 1},
                "grpc-status: 8\r\ngrpc-message: rate_limited\r\ngrpc-retry-pushback-ms: 2\r\n");
}

Test(local_reply, a_grpc_stream_is_ended_by_trailers_that_name_the_reason)
{
    char buf[LOCAL_REPLY_MAX];
    size_t len;
    const struct local_reply reply = {.reason = REASON_IDLE_TIMEOUT};
    cr_assert_eq(local_reply_trailers(&reply, buf, sizeof buf, &len), OK);
    buf[len] = '\0';
    cr_expect_eq(strncmp(buf, "grpc-status: 4\r\ngrpc-message: idle_timeout\r\n", 42), 0, "%s",
                 buf);
    cr_expect_not_null(strstr(buf, "x-outrigger-reason: idle_timeout\r\n"));
    cr_expect_eq(local_reply_trailers(&reply, buf, 20, &len), ERR_TOO_LARGE);
}
