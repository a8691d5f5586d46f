#include "codec/h1_head.h"
#include "http/hop.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MAX_HEADERS 8

static const struct h1_limits limits = {1000, 1000, MAX_HEADERS};

struct parsed {
    struct header scratch[MAX_HEADERS];
    struct message msg;
    char head[1000];
};

static const struct message *with_fields(struct parsed *parsed, const char *fields)
{
    int len =
        snprintf(parsed->head, sizeof(parsed->head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    struct h1_result r = h1_parse_request(span_make(parsed->head, (size_t)len), &limits,
                                          parsed->scratch, &parsed->msg);
    cr_assert_eq(r.step, H1_DONE, "%s", r.detail ? r.detail : "");
    return &parsed->msg;
}

Test(hop, own_pseudonym_in_via_is_a_loop)
{
    const struct {
        const char *fields;
        bool is_loop;
    } cases[] = {
        {"", false},
        {"Via: 1.1 outrigger-1f2e\r\n", true},
        {"Via: 1.1 OUTRIGGER-1F2E\r\n", true},
        {"Via: HTTP/1.1   outrigger-1f2e\t(comment)\r\n", true},
        {"Via: 1.0 fred, 1.1 outrigger-1f2e (Apache), 1.1 x\r\n", true},
        {"Via: 1.0 fred\r\nvia: 1.1 outrigger-1f2e\r\n", true},
        {"Via: 1.1 outrigger-1f2\r\n", false},
        {"Via: 1.1 outrigger-1f2e0\r\n", false},
        {"Via: outrigger-1f2e x\r\n", false},
        {"Via: outrigger-1f2e\r\n", false},
        {"Via: 1.1 fred (outrigger-1f2e)\r\n", false},
        {"Via:\r\n", false},
        {"X-Via: 1.1 outrigger-1f2e\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed parsed;
        const struct message *msg = with_fields(&parsed, cases[i].fields);
        cr_expect_eq(hop_is_loop(msg, SPAN("outrigger-1f2e")), cases[i].is_loop, "%s",
                     cases[i].fields);
    }
}

Test(hop, keep_alive_timeout_is_read_or_absent)
{
    const struct {
        const char *fields;
        uint32_t seconds;
    } cases[] = {
        {"", 0},
        {"Keep-Alive: timeout=5, max=100\r\n", 5},
        {"Keep-Alive: max=100, Timeout=75\r\n", 75},
        {"Keep-Alive: timeout=0\r\n", 0},
        {"Keep-Alive: timeout=\r\n", 0},
        {"Keep-Alive: timeout=x\r\n", 0},
        {"Keep-Alive: timeout=-5\r\n", 0},
        {"Keep-Alive: max=100\r\n", 0},
        {"Keep-Alive: 300\r\n", 0},
        {"Keep-Alive: timeout=86399\r\n", 86399},
        {"Keep-Alive: timeout=4294967301\r\n", 86400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed parsed;
        const struct message *msg = with_fields(&parsed, cases[i].fields);
        cr_expect_eq(hop_keep_alive_seconds(msg), cases[i].seconds, "%s", cases[i].fields);
    }
}

Test(hop, trailers_are_accepted_only_by_that_word)
{
    const struct {
        const char *fields;
        bool is_accepted;
    } cases[] = {
        {"", false},
        {"TE: trailers\r\n", true},
        {"TE: gzip;q=0.5, Trailers\r\n", true},
        {"TE: gzip\r\nte: trailers\r\n", true},
        {"TE: trailersx\r\n", false},
        {"TE:\r\n", false},
        {"Accept: trailers\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed parsed;
        const struct message *msg = with_fields(&parsed, cases[i].fields);
        cr_expect_eq(hop_accepts_trailers(msg), cases[i].is_accepted, "%s", cases[i].fields);
    }
}

Test(hop, options_are_gathered_from_all_connection_fields)
{
    struct parsed parsed;
    struct hop_options options;
    with_fields(&parsed,
                "Connection: Close, x-a\r\nX-A: 1\r\nconnection: Keep-Alive,UPGRADE ,te\r\n");
    cr_expect_null(hop_read_connection(&parsed.msg, &options));
    cr_expect(options.is_close && options.is_keep_alive && options.is_upgrade && options.is_te);
    with_fields(&parsed, "X: close\r\n");
    cr_expect_null(hop_read_connection(&parsed.msg, &options));
    cr_expect_not(options.is_close || options.is_keep_alive || options.is_upgrade || options.is_te);
}

Test(hop, fields_that_pass_are_those_for_everybody)
{
    struct parsed parsed;
    const struct message *msg = with_fields(
        &parsed,
        "Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 0\r\nx-outrigger-reason: a\r\n");
    const bool is_cut[] = {false, true, true, false, true, true};
    cr_assert_eq(msg->header_count, 6);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(hop_is_cut(&msg->headers[i]), is_cut[i], "field %zu", i);
}
