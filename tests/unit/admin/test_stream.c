/* /events as its subscribers see it. */
#include "admin_driver.h"

#include "base/log.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(stream, .init = driver_begin, .fini = driver_end, .timeout = 60);

static const struct event opened = {.target = "payments:8080",
                                    .instance = "target",
                                    .policy = "circuitBreaker",
                                    .from = "closed",
                                    .to = "open",
                                    .reason = "failure_rate"};

Test(stream, carries_events_to_its_subscribers)
{
    log_set_level(LOG_ERROR);
    driver_start();
    int first = client_connect();
    client_send(first, GET("/events"));
    cr_assert(client_read_until(first, "retry: 2000\n\n"));
    HAS(client_got(), "content-type: text/event-stream\r\n");
    events_publish(driver.events, &opened);
    cr_assert(client_read_until(first, "event: transition\ndata: {\"time\":"));
    cr_assert(client_read_until(first, "\"reason\":\"failure_rate\",\"openForMs\":0}\n\n"));
    int second = client_connect();
    client_send(second, GET("/events"));
    cr_assert(client_read_until(second, "retry: 2000\n\n"));
    cr_assert_null(strstr(client_got(), "failure_rate"), "old news");
    events_publish(driver.events, &opened);
    cr_assert(client_read_until(second, "failure_rate"));
    close(first);
    close(second);
}

Test(stream, beats_for_subscribers_and_does_not_cut_them_for_their_age)
{
    driver.options.heartbeat = 50 * NS_PER_MS;
    driver.options.request_limit = 60 * NS_PER_MS;
    driver_start();
    int fd = client_connect();
    client_send(fd, GET("/events"));
    cr_assert(client_read_until(fd, "retry: 2000\n\n"));
    cr_assert(client_read_until(fd, ":\n\n\r\n3\r\n:\n\n\r\n3\r\n:\n\n\r\n3\r\n:\n\n"));
    close(fd);
}

Test(stream, takes_8_subscribers_and_room_comes_back)
{
    int fds[ADMIN_MAX_STREAMS];
    driver.options.heartbeat = 20 * NS_PER_MS;
    driver_start();
    for (int i = 0; i < ADMIN_MAX_STREAMS; i++) {
        fds[i] = client_connect();
        client_send(fds[i], GET("/events"));
        cr_assert(client_read_until(fds[i], "retry"));
    }
    const char *answer = client_ask(GET("/events"));
    IS(answer, "503");
    HAS(answer, "8 clients");
    close(fds[0]);
    for (bool is_in = false; !is_in;) { /* a heartbeat finds the free place */
        int fd = client_connect();
        client_send(fd, GET("/events"));
        is_in = client_read_until(fd, "retry");
        close(fd);
    }
    for (int i = 1; i < ADMIN_MAX_STREAMS; i++) {
        close(fds[i]);
    }
}

Test(stream, cuts_a_subscriber_that_does_not_read_and_spares_the_others)
{
    log_set_level(LOG_ERROR);
    driver.options.heartbeat = 100 * NS_PER_MS;
    driver_start();
    int sleeper = client_connect();
    int small = 4096;
    setsockopt(sleeper, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    client_send(sleeper, GET("/events"));
    cr_assert(client_read_until(sleeper, "retry"));
    int reader = client_connect();
    client_send(reader, GET("/events"));
    cr_assert(client_read_until(reader, "retry"));
    struct pollfd gone = {.fd = sleeper, .events = POLLRDHUP};
    int turns = 0;
    while (poll(&gone, 1, 0) == 0) {
        cr_assert_lt(++turns, 200000, "the sleeper was not cut");
        events_publish(driver.events, &opened);
        struct pollfd ready = {.fd = reader, .events = POLLIN};
        char bytes[65536];
        while (poll(&ready, 1, 0) == 1) {
            cr_assert_gt(recv(reader, bytes, sizeof(bytes), 0), 0, "the reader was cut");
        }
    }
    close(sleeper);
    close(reader);
}

Test(stream, stops_under_subscribers)
{
    driver_start();
    int fd = client_connect();
    client_send(fd, GET("/events"));
    cr_assert(client_read_until(fd, "retry"));
    admin_stop(&driver.admin);
    cr_assert_not(client_read_until(fd, "never"));
    close(fd);
}
