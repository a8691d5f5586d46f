/* The admin server as its clients see it. The data loop is played by the test. */
#include "admin_driver.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(admin, .init = driver_begin, .fini = driver_end, .timeout = 60);

#define POST(path, body, length)                                                                   \
    "POST " path " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " length "\r\n\r\n" body

/* What it serves */

Test(admin, lists_what_there_is)
{
    driver_start();
    const char *answer = client_ask(GET("/"));
    IS(answer, "200");
    HAS(answer, "GET  /metrics");
    HAS(answer, "POST /circuits/ID");
    HAS(answer, "onnection: close\r\n");
}

Test(admin, serves_metrics_with_gauges_that_the_data_loop_has_just_set)
{
    driver_start();
    const char *answer = client_ask(GET("/metrics"));
    IS(answer, "200");
    HAS(answer, "content-type: text/plain; version=0.0.4; charset=utf-8\r\n");
    HAS(answer, "outrigger_retry_budget_available{target=\"payments:8080\"} 77\n");
    cr_assert_eq(driver.posted[ADMIN_REFRESH_GAUGES], 1);
}

Test(admin, serves_openmetrics_to_those_who_accept_it)
{
    driver_start();
    const char *answer = client_ask("GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\nAccept: "
                                    "application/openmetrics-text;version=1.0.0\r\n\r\n");
    HAS(answer, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n");
    HAS(answer, "\n# EOF\n");
}

Test(admin, serves_what_the_data_loop_says)
{
    driver_start();
    const char *answer = client_ask(GET("/ready"));
    IS(answer, "200");
    HAS(answer, "content-type: application/json\r\n");
    HAS(answer, "\r\n\r\n{\"ready\":true}");
    HAS(client_ask(GET("/policies")), "{\"policies\":[]}");
    HAS(client_ask(GET("/circuits")), "{\"circuits\":[]}");
    HAS(client_ask(GET("/instances")), "{\"instances\":[]}");
}

Test(admin, answers_head_with_the_head_alone)
{
    driver_start();
    const char *answer = client_ask("HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\n");
    IS(answer, "200");
    HAS(answer, "Content-Length: 14\r\n");
    cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    answer = client_ask("HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n");
    HAS(answer, "text/event-stream");
    cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

Test(admin, says_what_there_is_where_there_is_nothing)
{
    driver_start();
    const char *answer = client_ask(GET("/metric"));
    IS(answer, "404");
    HAS(answer, "/metrics");
    IS(client_ask(GET("/metrics/")), "404");
    IS(client_ask(GET("//metrics")), "404");
    IS(client_ask(POST("/circuits/", "action=close", "12")), "404");
}

Test(admin, says_which_methods_a_path_takes)
{
    driver_start();
    const char *answer =
        client_ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    IS(answer, "405");
    HAS(answer, "allow: GET, HEAD\r\n");
    answer = client_ask(GET("/circuits/a"));
    IS(answer, "405");
    HAS(answer, "allow: POST\r\n");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

Test(admin, shows_metrics_ready_and_live_alone_on_a_metrics_listener)
{
    driver.options.listener_count = 2;
    driver.options.listeners[1] = driver.options.listeners[0];
    driver.options.listeners[1].is_metrics_only = true;
    driver_start();
    static const struct {
        const char *request;
        const char *status;
    } cases[] = {{GET("/metrics"), "200"},  {GET("/ready"), "200"},
                 {GET("/live"), "200"},     {GET("/"), "404"},
                 {GET("/circuits"), "404"}, {GET("/events"), "404"},
                 {GET("/policies"), "404"}, {POST("/circuits/a", "action=close", "12"), "404"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = client_connect_to(1);
        client_send(fd, cases[i].request);
        const char *answer = client_read_all(fd);
        cr_assert(strncmp(answer + 9, cases[i].status, 3) == 0, "%s\n%s", cases[i].request, answer);
        cr_assert_null(strstr(answer, "/policies"),
                       "a metrics listener tells of what it does not have");
    }
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

/* Changes */

Test(admin, hands_an_action_to_the_data_loop_and_says_what_changed)
{
    driver_start();
    const char *answer =
        client_ask(POST("/circuits/payments%3A8080/target", "{\"action\":\"force_open\"}", "23"));
    IS(answer, "200");
    HAS(answer, "{\"changed\":\"payments:8080/target\"}");
    cr_assert_str_eq(driver.last_id, "payments:8080/target");
    cr_assert_eq(driver.last_action, ADMIN_FORCE_OPEN);
    IS(client_ask(POST("/circuits/unknown", "action=reset", "12")), "404");
    cr_assert_eq(driver.last_action, ADMIN_RESET);
}

Test(admin, takes_a_chunked_body)
{
    driver_start();
    IS(client_ask(
           "POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
           "7\r\naction=\r\n5\r\nclose\r\n0\r\n\r\n"),
       "200");
    cr_assert_eq(driver.last_action, ADMIN_CLOSE);
}

Test(admin, changes_nothing_for_what_it_does_not_understand)
{
    driver_start();
    HAS(client_ask(POST("/circuits/a", "action=explode", "14")),
        "force_open, close, disable, reset");
    IS(client_ask(POST("/circuits/%00", "action=close", "12")), "400");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

Test(admin, quit_is_asked_of_the_loop_but_not_for_a_web_page)
{
    driver_start();
    IS(client_ask("POST /quit HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.test\r\n"
                  "Content-Length: 0\r\n\r\n"),
       "403");
    cr_assert_eq(driver.posted[ADMIN_QUIT], 0);
    IS(client_ask(POST("/quit", "", "0")), "202");
    cr_assert_eq(driver.posted[ADMIN_QUIT], 1);
    IS(client_ask(GET("/quit")), "405");
}

Test(admin, changes_nothing_for_a_web_page_of_another_origin_or_a_name_that_may_point_anywhere)
{
    driver_start();
    IS(client_ask("POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
                  "Content-Length: 12\r\n\r\naction=close"),
       "403");
    IS(client_ask(
           "POST /circuits/a HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
           "Content-Length: 12\r\n\r\naction=close"),
       "403");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
    IS(client_ask("POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
                  "Content-Length: 12\r\n\r\naction=close"),
       "200");
}

Test(admin, wants_the_token_for_changes_where_there_is_one)
{
    driver.options.token = "secret";
    driver_start();
    const char *answer = client_ask(POST("/circuits/a", "action=close", "12"));
    IS(answer, "401");
    HAS(answer, "www-authenticate: Bearer\r\n");
    IS(client_ask("POST /circuits/a HTTP/1.1\r\nHost: x.example\r\nAuthorization: Bearer secreT\r\n"
                  "Content-Length: 12\r\n\r\naction=close"),
       "401");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
    IS(client_ask("POST /circuits/a HTTP/1.1\r\nHost: x.example\r\nAuthorization: Bearer secret\r\n"
                  "Content-Length: 12\r\n\r\naction=close"),
       "200");
    IS(client_ask(GET("/circuits")), "200");
}

Test(admin, changes_nothing_off_loopback_without_a_token)
{
    cr_assert_eq(address_parse(SPAN("0.0.0.0:0"), &driver.options.listeners[0].address), OK);
    driver_start();
    const char *answer = client_ask(POST("/circuits/a", "action=close", "12"));
    IS(answer, "403");
    HAS(answer, "admin.tokenFile");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

/* A data loop that does not answer */

Test(admin, tells_the_caller_when_the_data_loop_does_not_answer_in_time)
{
    driver.options.loop_limit = 100 * NS_PER_MS;
    driver.play = PLAY_HOLD;
    driver_start();
    const char *answer = client_ask(GET("/circuits"));
    IS(answer, "503");
    HAS(answer, "did not answer in time");
    driver_complete(); /* late: nobody waits any more */
    driver_play(PLAY_ANSWER);
    IS(client_ask(GET("/circuits")), "200");
}

Test(admin, shows_metrics_even_then)
{
    driver.options.loop_limit = 100 * NS_PER_MS;
    driver.play = PLAY_HOLD;
    driver_start();
    metrics_count_attempt(driver.target, OUTCOME_SUCCESS);
    HAS(client_ask(GET("/metrics")),
        "outrigger_attempts_total{target=\"payments:8080\",result=\"success\"} 1\n");
    driver_play(PLAY_FULL);
    HAS(client_ask(GET("/metrics")),
        "outrigger_attempts_total{target=\"payments:8080\",result=\"success\"} 1\n");
}

Test(admin, answers_503_when_the_mailbox_is_full)
{
    driver.play = PLAY_FULL;
    driver_start();
    IS(client_ask(GET("/ready")), "503");
    IS(client_ask(POST("/circuits/a", "action=close", "12")), "503");
    IS(client_ask(GET("/live")), "200");
}

Test(admin, is_live_while_the_loop_is_late_and_no_more_when_it_is_stuck)
{
    driver.options.live_limit = 200 * NS_PER_MS;
    driver.play = PLAY_HOLD;
    driver_start();
    IS(client_ask(GET("/live")), "200");
    driver_wait_posted(1);
    while (strncmp(client_ask(GET("/live")), "HTTP/1.1 503", 12) != 0) {
        cr_assert_eq(driver.posted[ADMIN_PING], 1, "one ping is enough to wait for");
    }
    driver_play(PLAY_ANSWER);
    driver_complete();
    while (strncmp(client_ask(GET("/live")), "HTTP/1.1 200", 12) != 0) {
    }
}

Test(admin, answers_the_caller_once_the_data_loop_has_answered)
{
    driver.play = PLAY_HOLD;
    driver_start();
    int first = client_connect();
    client_send(first, GET("/ready"));
    driver_wait_posted(1);
    driver_complete();
    IS(client_read_all(first), "200");
}

Test(admin, outlives_a_caller_that_leaves_before_the_answer)
{
    driver.play = PLAY_HOLD;
    driver_start();
    for (unsigned i = 0; i < 10; i++) {
        int fd = client_connect();
        client_send(fd, GET("/circuits"));
        driver_wait_posted(i + 1);
        struct linger now = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
    driver_complete();
    driver_play(PLAY_ANSWER);
    IS(client_ask(GET("/circuits")), "200");
}

Test(admin, stops_while_the_data_loop_holds_commands_and_callers_wait)
{
    driver.play = PLAY_HOLD;
    driver_start();
    int first = client_connect();
    int second = client_connect();
    client_send(first, GET("/circuits"));
    client_send(second, GET("/metrics"));
    driver_wait_posted(2);
    admin_stop(&driver.admin);
    cr_assert_null(driver.admin);
    driver_complete(); /* after the end: the commands free themselves */
    close(first);
    close(second);
}

static void *complete_on_and_on(void *is_done)
{
    while (!__atomic_load_n((int *)is_done, __ATOMIC_SEQ_CST)) {
        driver_complete();
    }
    return NULL;
}

Test(admin, works_with_a_data_loop_on_a_thread_of_its_own)
{
    int is_done = 0;
    pthread_t loop;
    driver.play = PLAY_HOLD;
    driver_start();
    cr_assert_eq(pthread_create(&loop, NULL, complete_on_and_on, &is_done), 0);
    for (int i = 0; i < 200; i++) {
        IS(client_ask(GET("/circuits")), "200");
    }
    int last = client_connect();
    client_send(last, GET("/circuits"));
    admin_stop(&driver.admin);
    __atomic_store_n(&is_done, 1, __ATOMIC_SEQ_CST);
    pthread_join(loop, NULL);
    close(last);
}

/* Bad bytes and greedy peers */

Test(admin, refuses_a_request_that_says_twice_where_its_body_ends)
{
    driver_start();
    const char *answer =
        client_ask("POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n"
                   "Content-Length: 12\r\n\r\naction=close");
    IS(answer, "400");
    answer = client_ask("POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                        "Transfer-Encoding: chunked\r\n\r\nc\r\naction=close\r\n0\r\n\r\n");
    IS(answer, "400");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

Test(admin, answers_one_request_a_connection_and_leaves_what_follows_unread)
{
    driver_start();
    const char *answer = client_ask(GET("/ready") POST("/circuits/a", "action=close", "12"));
    IS(answer, "200");
    cr_assert_null(strstr(answer + 1, "HTTP/1.1"));
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

Test(admin, does_not_speak_http2)
{
    driver_start();
    const char *answer = client_ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    cr_assert(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 4", 10) == 0, "%s", answer);
    answer = client_ask(
        "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    IS(answer, "200");
}

Test(admin, refuses_a_body_above_64_kib)
{
    driver_start();
    char *request = calloc(1, ADMIN_BODY_MAX + 200);
    int len = sprintf(request,
                      "POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                      ADMIN_BODY_MAX + 1);
    IS(client_ask(request), "413");
    len = sprintf(request,
                  "POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                  ADMIN_BODY_MAX);
    memset(request + len, 'x', ADMIN_BODY_MAX);
    IS(client_ask(request), "400");
    len = sprintf(
        request,
        "POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
        ADMIN_BODY_MAX + 1);
    memset(request + len, 'x', ADMIN_BODY_MAX + 1);
    const char *answer = client_ask(request);
    cr_assert(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 413", 12) == 0, "%s", answer);
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
    free(request);
}

Test(admin, refuses_a_head_without_end)
{
    driver_start();
    int fd = client_connect();
    client_send(fd, "GET / HTTP/1.1\r\n");
    char line[1025];
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "a: ", 3);
    memcpy(line + 1022, "\r\n", 3);
    for (int i = 0; i < 2000; i++) {
        client_send(fd, line);
    }
    const char *answer = client_read_all(fd);
    cr_assert(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 4", 10) == 0, "%s", answer);
    IS(client_ask(GET("/ready")), "200");
}

Test(admin, takes_32_connections_and_sends_the_next_away)
{
    int fds[ADMIN_MAX_CONNECTIONS];
    driver_start();
    for (int i = 0; i < ADMIN_MAX_CONNECTIONS; i++) {
        fds[i] = client_connect();
    }
    int one_more = client_connect();
    const char *answer = client_read_all(one_more);
    IS(answer, "503");
    close(fds[0]);
    do { /* until the server has seen that there is room again */
        one_more = client_connect();
        client_send(one_more, GET("/ready"));
        answer = client_read_all(one_more);
    } while (strncmp(answer, "HTTP/1.1 200", 12) != 0);
    for (int i = 1; i < ADMIN_MAX_CONNECTIONS; i++) {
        close(fds[i]);
    }
}

Test(admin, cuts_those_who_are_slow_to_ask)
{
    driver.options.request_limit = 200 * NS_PER_MS;
    driver_start();
    int silent = client_connect();
    cr_assert_str_eq(client_read_all(silent), "");
    int halting = client_connect();
    client_send(halting, "GET /ready HT");
    cr_assert_str_eq(client_read_all(halting), "");
    int stingy = client_connect();
    client_send(
        stingy,
        "POST /circuits/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\naction=");
    cr_assert_str_eq(client_read_all(stingy), "");
    cr_assert_eq(driver.posted[ADMIN_CIRCUIT_ACTION], 0);
}

Test(admin, cuts_those_who_are_slow_to_read)
{
    driver.options.request_limit = 300 * NS_PER_MS;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "host%d:80", i);
        metrics_target_get(driver.metrics,
                           name); /* some 10 MB of metrics: more than socket buffers hold */
    }
    driver_start();
    int fd = client_connect();
    client_send(fd, GET("/metrics"));
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    cr_assert_eq(poll(&gone, 1, 10000), 1, "a client that does not read was not cut");
    cr_assert(gone.revents & (POLLRDHUP | POLLHUP | POLLERR));
    close(fd);
    driver.options.request_limit = 0;
    IS(client_ask(GET("/ready")), "200");
}

Test(admin, sends_a_page_of_many_megabytes_whole)
{
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "host%d:80", i);
        metrics_target_get(driver.metrics, name);
    }
    driver_start();
    int fd = client_connect();
    client_send(fd, GET("/metrics"));
    HAS(client_read_all(fd), "process_start_time_seconds ");
}

/* Start and stop */

Test(admin, has_nothing_to_run_without_listeners)
{
    char error[ADMIN_ERROR_SIZE];
    driver.options.listener_count = 0;
    cr_assert_eq(admin_start(&driver.options, &(struct admin_backend){0}, &driver.admin, error),
                 OK);
    cr_assert_null(driver.admin);
}

Test(admin, names_the_address_that_is_in_use_and_what_to_do)
{
    char error[ADMIN_ERROR_SIZE] = "";
    char port[32];
    struct admin *second = NULL;
    driver_start();
    struct admin_options options = driver.options;
    snprintf(port, sizeof(port), "127.0.0.1:%u", admin_port(driver.admin, 0));
    options.listener_count = 2;
    cr_assert_eq(address_parse(SPAN("127.0.0.1:0"), &options.listeners[0].address), OK);
    cr_assert_eq(address_parse(span_of(port), &options.listeners[1].address), OK);
    options.listeners[1].is_metrics_only = true;
    struct events *events = events_new();
    options.events = events;
    cr_assert_eq(admin_start(&options, &(struct admin_backend){0}, &second, error),
                 ERR_ADDRESS_IN_USE);
    cr_assert_null(second);
    HAS(error, port);
    HAS(error, "metrics.listen");
    HAS(error, "choose another port");
    events_free(&events);
    IS(client_ask(GET("/ready")), "200");
}

Test(admin, listens_on_ip_addresses_only)
{
    char error[ADMIN_ERROR_SIZE] = "";
    cr_assert_eq(address_parse(SPAN("unix:/nowhere/x.sock"), &driver.options.listeners[0].address),
                 OK);
    cr_assert_eq(admin_start(&driver.options, &(struct admin_backend){0}, &driver.admin, error),
                 ERR_INVALID);
    HAS(error, "unix:/nowhere/x.sock");
}

Test(admin, stops_and_starts_again)
{
    for (int i = 0; i < 5; i++) {
        driver_start();
        IS(client_ask(GET("/ready")), "200");
        admin_stop(&driver.admin);
    }
}
