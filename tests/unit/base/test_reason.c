#include "base/reason.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(reason, outside_the_table_aborts, .signal = SIGABRT)
{
    reason_word(REASON_COUNT);
}

Test(reason, none_is_none_and_stands_for_nothing)
{
    cr_assert_str_eq(reason_word(REASON_NONE), "none");
    cr_assert_eq(reason_http_status(REASON_NONE), 0);
    cr_assert_eq(reason_grpc_status(REASON_NONE), 0);
    cr_assert_eq(reason_group(REASON_NONE), REASON_GROUP_NONE);
    cr_assert_str_eq(reason_proxy_status(REASON_NONE), "");
}

Test(reason, has_statuses_as_the_policy_page_says)
{
    static const struct {
        enum reason reason;
        const char *word;
        int http;
        int grpc;
    } rows[] = {
        {REASON_CIRCUIT_OPEN, "circuit_open", 503, 14},
        {REASON_BULKHEAD_FULL, "bulkhead_full", 503, 14},
        {REASON_QUEUE_TIMEOUT, "queue_timeout", 503, 14},
        {REASON_NO_ENDPOINT, "no_endpoint", 503, 14},
        {REASON_CONNECT_REFUSED, "connect_refused", 503, 14},
        {REASON_CONNECT_TIMEOUT, "connect_timeout", 503, 14},
        {REASON_DNS_FAILURE, "dns_failure", 503, 14},
        {REASON_TLS_FAILURE, "tls_failure", 503, 14},
        {REASON_TLS_NAME_MISMATCH, "tls_name_mismatch", 503, 14},
        {REASON_TLS_EXPIRED, "tls_expired", 503, 14},
        {REASON_TLS_UNTRUSTED, "tls_untrusted", 503, 14},
        {REASON_TLS_CLIENT_CERT, "tls_client_cert", 503, 14},
        {REASON_OVERLOADED, "overloaded", 503, 14},
        {REASON_SHUTDOWN, "shutdown", 503, 14},
        {REASON_RATE_LIMITED, "rate_limited", 429, 8},
        {REASON_REQUEST_TIMEOUT, "request_timeout", 504, 4},
        {REASON_ATTEMPT_TIMEOUT, "attempt_timeout", 504, 4},
        {REASON_CONNECTION_RESET, "connection_reset", 502, 14},
        {REASON_PROTOCOL_ERROR, "protocol_error", 502, 13},
        {REASON_LOOP, "loop", 508, 13},
        {REASON_BAD_REQUEST, "bad_request", 400, 13},
        {REASON_HEADER_TIMEOUT, "header_timeout", 408, 4},
        {REASON_BODY_TIMEOUT, "body_timeout", 408, 4},
        {REASON_BODY_TOO_LARGE, "body_too_large", 413, 8},
        {REASON_HEADER_TOO_LARGE, "header_too_large", 431, 13},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_str_eq(reason_word(rows[i].reason), rows[i].word);
        cr_assert_eq(reason_http_status(rows[i].reason), rows[i].http, "%s", rows[i].word);
        cr_assert_eq(reason_grpc_status(rows[i].reason), rows[i].grpc, "%s", rows[i].word);
    }
}

Test(reason, belongs_to_the_groups_of_retry_on)
{
    for (enum reason reason = REASON_NONE; reason < REASON_COUNT; reason++) {
        const char *word = reason_word(reason);
        enum reason_group wanted = REASON_GROUP_NONE;
        if (strncmp(word, "tls_", 4) == 0 || strcmp(word, "connect_refused") == 0 ||
            strcmp(word, "connect_timeout") == 0 || strcmp(word, "dns_failure") == 0)
            wanted = REASON_GROUP_CONNECT_FAILURE;
        else if (strcmp(word, "connection_reset") == 0)
            wanted = REASON_GROUP_RESET;
        else if (strcmp(word, "attempt_timeout") == 0)
            wanted = REASON_GROUP_TIMEOUT;
        else if (strcmp(word, "refused_stream") == 0)
            wanted = REASON_GROUP_REFUSED_STREAM;
        cr_assert_eq(reason_group(reason), wanted, "%s", word);
    }
}

Test(reason, has_a_text_and_a_proxy_status_token)
{
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        const char *text = reason_text(reason);
        cr_assert_gt(strlen(text), 10);
        cr_assert_neq(text[strlen(text) - 1], '.');
        cr_assert_eq(strspn(reason_proxy_status(reason), "abcdefghijklmnopqrstuvwxyz_"),
                     strlen(reason_proxy_status(reason)));
        cr_assert_gt(strlen(reason_proxy_status(reason)), 0);
    }
}
