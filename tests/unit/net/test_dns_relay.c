#include "net/dns_relay.h"

#include "loop_driver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define QUERY "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"
#define ANSWER "\x12\x34\x81\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1 and so on"
#define OTHER_ID "\x12\x35\x81\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"
#define QUERY_LEN (sizeof QUERY - 1)

struct scene { /* caller -> relay -> server */
    struct loop *loop;
    struct dns_relay *relay;
    struct address relay_at, server_at;
    int caller, server;
    struct sockaddr_in asker; /* of the query that the server read last */
};

static int bound(struct address *at)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert(bind(fd, (struct sockaddr *)&here, len) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&here, &len) == 0);
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&here, len, at), OK);
    return fd;
}

static struct scene scene_new(void)
{
    struct scene scene = {.loop = driver_loop()};
    struct address caller_at;
    const int fd = bound(&scene.relay_at);
    scene.server = bound(&scene.server_at);
    scene.caller = bound(&caller_at);
    cr_assert(connect(scene.caller, &scene.relay_at.any, scene.relay_at.len) == 0);
    cr_assert_eq(dns_relay_new(scene.loop, fd, &scene.server_at, &scene.relay), OK);
    return scene;
}

static void scene_end(struct scene *scene)
{
    dns_relay_free(&scene->relay);
    loop_free(&scene->loop);
    close(scene->caller);
    close(scene->server);
}

static void ask(const struct scene *scene)
{
    cr_assert(send(scene->caller, QUERY, QUERY_LEN, 0) == (ssize_t)QUERY_LEN);
}

static bool server_has(struct scene *scene)
{
    char packet[512];
    socklen_t len = sizeof scene->asker;
    const ssize_t got =
        recvfrom(scene->server, packet, sizeof packet, 0, (struct sockaddr *)&scene->asker, &len);
    cr_assert(got < 0 || (got == QUERY_LEN && memcmp(packet, QUERY, QUERY_LEN) == 0));
    return got >= 0;
}

static void server_says(const struct scene *scene, const char *packet, size_t len)
{
    cr_assert(sendto(scene->server, packet, len, 0, (const struct sockaddr *)&scene->asker,
                     sizeof scene->asker) == (ssize_t)len);
}

static ssize_t caller_has(const struct scene *scene, char packet[512])
{
    return recv(scene->caller, packet, 512, 0);
}

Test(dns_relay, brings_a_query_there_and_the_answer_back_as_they_are)
{
    struct scene scene = scene_new();
    char packet[512];
    ssize_t got;
    ask(&scene);
    TURN_UNTIL(scene.loop, server_has(&scene));
    server_says(&scene, ANSWER, sizeof ANSWER - 1);
    TURN_UNTIL(scene.loop, (got = caller_has(&scene, packet)) >= 0);
    cr_expect(got == sizeof ANSWER - 1 && memcmp(packet, ANSWER, sizeof ANSWER - 1) == 0);
    scene_end(&scene);
}

Test(dns_relay, lets_nothing_pass_that_does_not_answer_the_query)
{
    struct scene scene = scene_new();
    struct address other_at;
    char packet[512];
    ssize_t got;
    const int other = bound(&other_at);
    ask(&scene);
    TURN_UNTIL(scene.loop, server_has(&scene));
    cr_assert(sendto(other, ANSWER, sizeof ANSWER - 1, 0, (struct sockaddr *)&scene.asker,
                     sizeof scene.asker) > 0);
    server_says(&scene, OTHER_ID, sizeof OTHER_ID - 1);
    server_says(&scene, "", 0);
    driver_settle(scene.loop);
    cr_expect(caller_has(&scene, packet) < 0);
    server_says(&scene, ANSWER, sizeof ANSWER - 1);
    TURN_UNTIL(scene.loop, (got = caller_has(&scene, packet)) >= 0);
    cr_expect_eq(got, (ssize_t)sizeof ANSWER - 1);
    close(other);
    scene_end(&scene);
}

Test(dns_relay, drops_what_is_no_query)
{
    struct scene scene = scene_new();
    char packet[512];
    cr_assert(send(scene.caller, "", 0, 0) == 0);
    cr_assert(send(scene.caller, ANSWER, sizeof ANSWER - 1, 0) > 0);
    driver_settle(scene.loop);
    cr_expect(!server_has(&scene) && caller_has(&scene, packet) < 0);
    scene_end(&scene);
}

Test(dns_relay, says_that_a_server_is_not_there)
{
    struct scene scene = scene_new();
    char packet[512];
    ssize_t got;
    close(scene.server);
    scene.server = open("/dev/null", O_RDONLY);
    ask(&scene);
    TURN_UNTIL(scene.loop, (got = caller_has(&scene, packet)) >= 0);
    cr_expect(got == QUERY_LEN && (packet[3] & 15) == 2);
    scene_end(&scene);
}

Test(dns_relay, has_a_bound_beyond_which_queries_fail)
{
    struct scene scene = scene_new();
    char packet[512];
    size_t asked = 0;
    for (size_t i = 0; i < DNS_RELAY_MAX; i++) {
        ask(&scene);
        TURN_UNTIL(scene.loop, server_has(&scene));
        asked++;
    }
    cr_expect(caller_has(&scene, packet) < 0 && asked == DNS_RELAY_MAX);
    ask(&scene);
    TURN_UNTIL(scene.loop, caller_has(&scene, packet) >= 0);
    cr_expect((packet[3] & 15) == 2);
    server_says(&scene, ANSWER, sizeof ANSWER - 1); /* one is done, so there is room */
    TURN_UNTIL(scene.loop, caller_has(&scene, packet) >= 0);
    ask(&scene);
    TURN_UNTIL(scene.loop, server_has(&scene));
    scene_end(&scene);
}

Test(dns_relay, is_not_made_of_what_is_no_udp_socket)
{
    struct loop *loop = driver_loop();
    struct dns_relay *relay = NULL;
    const int stream = socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDONLY);
    int pair[2];
    cr_assert(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    cr_expect_eq(dns_relay_new(loop, 1000, NULL, &relay), ERR_NOT_FOUND);
    cr_expect_eq(dns_relay_new(loop, stream, NULL, &relay), ERR_INVALID);
    cr_expect_eq(dns_relay_new(loop, file, NULL, &relay), ERR_INVALID);
    cr_expect_eq(dns_relay_new(loop, pair[0], NULL, &relay), ERR_INVALID);
    cr_expect(relay == NULL && close(stream) == 0 && close(file) == 0);
    close(pair[0]);
    close(pair[1]);
    loop_free(&loop);
}
