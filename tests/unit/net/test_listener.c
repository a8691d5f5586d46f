#include "base/check.h"
#include "base/log.h"
#include "loop_driver.h"
#include "net/listener.h"
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct door {
    struct listener listener;
    int fds[256];
    int count;
    int refused;
    int limit;
    bool closes_itself;
    bool has_closed;
    struct address last_peer;
};

static void on_closed(struct listener *listener)
{
    CONTAINER_OF(listener, struct door, listener)->has_closed = true;
}

static void on_accept(struct listener *listener, int fd, const struct address *peer)
{
    struct door *door = listener->options.context;
    door->fds[door->count++] = fd;
    door->last_peer = *peer;
    if (door->closes_itself) {
        listener_close(listener, on_closed);
    }
}

static bool may_accept(struct listener *listener)
{
    const struct door *door = listener->options.context;
    return door->count < door->limit;
}

static void on_refuse(struct listener *listener, int fd)
{
    struct door *door = listener->options.context;
    door->refused++;
    cr_assert(write(fd, "full", 4) == 4);
    close(fd);
}

static void door_open(struct door *door, struct loop *loop, const char *text)
{
    char why[LISTENER_TEXT_BYTES] = "";
    struct address at;
    const struct listener_options options = {
        .context = door, .on_accept = on_accept, .may_accept = may_accept, .on_refuse = on_refuse};
    memset(door, 0, sizeof(*door));
    door->limit = 256;
    cr_assert_eq(address_parse(span_of(text), &at), OK);
    cr_assert_eq(listener_open(&door->listener, loop, &at, &options, why), OK, "%s", why);
}

static void door_close(struct door *door, struct loop *loop)
{
    listener_close(&door->listener, on_closed);
    TURN_UNTIL(loop, door->has_closed);
    for (int i = 0; i < door->count; i++) {
        close(door->fds[i]);
    }
}

static int dial(const struct address *to)
{
    int fd = tcp_socket(to->any.sa_family);
    cr_assert(fd >= 0);
    cr_assert(connect(fd, &to->any, to->len) == 0 || errno == EINPROGRESS);
    return fd;
}

static enum err try_open(struct loop *loop, const char *text, char why[LISTENER_TEXT_BYTES])
{
    struct listener listener;
    struct address at;
    const struct listener_options options = {.on_accept = on_accept};
    cr_assert_eq(address_parse(span_of(text), &at), OK);
    return listener_open(&listener, loop, &at, &options, why);
}

Test(listener, reports_the_port_that_the_system_chose_and_accepts_on_it)
{
    struct loop *loop = driver_loop();
    struct door door;
    int on = 0;
    socklen_t len = sizeof(on);
    door_open(&door, loop, "127.0.0.1:0");
    const struct address *at = listener_address(&door.listener);
    cr_assert(address_port(at) != 0);
    int client = dial(at);
    TURN_UNTIL(loop, door.count == 1);
    cr_assert(fcntl(door.fds[0], F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(door.fds[0], F_GETFD) & FD_CLOEXEC);
    cr_assert(getsockopt(door.fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0,
              "inherited");
    cr_assert(address_is_loopback(&door.last_peer) && address_port(&door.last_peer) != 0);
    cr_assert_eq(door.listener.counts.accepted, 1u);
    close(client);
    door_close(&door, loop);
    loop_free(&loop);
}

static enum err try_adopt(struct listener *listener, struct loop *loop, int fd,
                          char why[LISTENER_TEXT_BYTES])
{
    const struct listener_options options = {.on_accept = on_accept};
    return listener_adopt(listener, loop, fd, &options, why);
}

Test(listener, takes_over_a_socket_that_listens_already)
{
    struct loop *loop = driver_loop();
    struct door door = {.limit = 256};
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char why[LISTENER_TEXT_BYTES];
    const struct listener_options options = {
        .context = &door, .on_accept = on_accept, .may_accept = may_accept};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0 && listen(fd, 1) == 0);
    cr_assert_eq(listener_adopt(&door.listener, loop, fd, &options, why), OK, "%s", why);
    const struct address *at = listener_address(&door.listener);
    cr_assert(address_is_loopback(at) && address_port(at) != 0);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    int client = dial(at);
    TURN_UNTIL(loop, door.count == 1);
    cr_assert(fcntl(door.fds[0], F_GETFL) & O_NONBLOCK);
    close(client);
    door_close(&door, loop);
    cr_assert(fcntl(fd, F_GETFD) < 0, "it was closed");
    loop_free(&loop);
}

Test(listener, takes_nothing_over_that_does_not_listen_and_leaves_it_open)
{
    struct loop *loop = driver_loop();
    struct listener listener;
    char why[LISTENER_TEXT_BYTES] = "";
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0), file = open("/dev/null", O_RDONLY);
    int plain = socket(AF_INET, SOCK_STREAM, 0), own = tcp_socket(AF_INET);
    cr_expect_eq(listen(own, 1), 0);
    cr_expect_eq(try_adopt(&listener, loop, 1000, why), ERR_NOT_FOUND);
    cr_expect(strstr(why, "fd:1000: there is no such descriptor") != NULL, "%s", why);
    cr_expect_eq(try_adopt(&listener, loop, own, why), ERR_INVALID);
    cr_expect(strstr(why, "has opened that one itself") != NULL, "%s", why);
    cr_expect_eq(try_adopt(&listener, loop, datagrams, why), ERR_INVALID);
    cr_expect_eq(try_adopt(&listener, loop, file, why), ERR_INVALID);
    cr_expect_eq(try_adopt(&listener, loop, plain, why), ERR_INVALID);
    cr_expect(strstr(why, "it is no listening socket") != NULL, "%s", why);
    cr_expect(close(datagrams) == 0 && close(file) == 0 && close(plain) == 0 && close(own) == 0);
    loop_free(&loop);
}

static bool has_ipv6(void)
{
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = tcp_socket(AF_INET6);
    bool is_bound = fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_bound;
}

Test(listener, accepts_ipv6_on_a_socket_of_its_own)
{
    struct loop *loop = driver_loop();
    struct door six;
    struct door four;
    char text[64];
    if (!has_ipv6()) {
        loop_free(&loop);
        cr_skip_test("this host has no IPv6");
    }
    door_open(&six, loop, "[::]:0");
    snprintf(text, sizeof(text), "0.0.0.0:%u",
             (unsigned)address_port(listener_address(&six.listener)));
    door_open(&four, loop, text); /* would be in use if the other were not IPv6 only */
    door_close(&six, loop);
    door_close(&four, loop);
    loop_free(&loop);
}

Test(listener, says_what_to_do_when_the_port_is_in_use)
{
    struct loop *loop = driver_loop();
    struct door door;
    char why[LISTENER_TEXT_BYTES] = "";
    char text[ADDRESS_TEXT_BYTES];
    door_open(&door, loop, "127.0.0.1:0");
    address_text(listener_address(&door.listener), text);
    cr_assert_eq(try_open(loop, text, why), ERR_ADDRESS_IN_USE);
    cr_assert_not_null(strstr(why, text), "%s", why);
    cr_assert_not_null(strstr(why, "choose another"), "%s", why);
    door_close(&door, loop);
    loop_free(&loop);
}

Test(listener, says_that_an_address_is_not_of_this_host)
{
    struct loop *loop = driver_loop();
    char why[LISTENER_TEXT_BYTES] = "";
    cr_assert_eq(try_open(loop, "192.0.2.1:8080", why), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(why, "192.0.2.1:8080"), "%s", why);
    cr_assert_eq(try_open(loop, "unix:/nonexistent/folder/socket", why), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(why, "create it first"), "%s", why);
    loop_free(&loop);
}

Test(listener, says_that_it_has_no_permission)
{
    struct loop *loop = driver_loop();
    char why[LISTENER_TEXT_BYTES] = "";
    uid_t user = geteuid();
    if (user == 0) {
        cr_assert(seteuid(65534) == 0);
    }
    cr_assert_eq(try_open(loop, "unix:/usr/outrigger.sock", why), ERR_ACCESS);
    cr_assert(seteuid(user) == 0);
    cr_assert_not_null(strstr(why, "/usr/outrigger.sock"), "%s", why);
    loop_free(&loop);
}

Test(listener, accepts_a_batch_a_turn_so_that_a_flood_starves_nobody)
{
    struct loop *loop = driver_loop();
    struct door door;
    int clients[LISTENER_BATCH + 10];
    door_open(&door, loop, "127.0.0.1:0");
    for (int i = 0; i < LISTENER_BATCH + 10; i++) {
        clients[i] = dial(listener_address(&door.listener));
    }
    loop_turn(loop, true);
    cr_assert_eq(door.count, LISTENER_BATCH);
    loop_turn(loop, true);
    cr_assert_eq(door.count, LISTENER_BATCH + 10);
    for (int i = 0; i < LISTENER_BATCH + 10; i++) {
        close(clients[i]);
    }
    door_close(&door, loop);
    loop_free(&loop);
}

Test(listener, hands_what_is_over_the_limit_to_be_refused)
{
    struct loop *loop = driver_loop();
    struct door door;
    char got[5] = "";
    door_open(&door, loop, "127.0.0.1:0");
    door.limit = 1;
    int first = dial(listener_address(&door.listener));
    TURN_UNTIL(loop, door.count == 1);
    int second = dial(listener_address(&door.listener));
    TURN_UNTIL(loop, door.refused == 1);
    cr_assert(recv(second, got, 4, 0) == 4);
    cr_assert_str_eq(got, "full");
    cr_assert_eq(door.listener.counts.refused_by_limit, 1u);
    door.listener.options.on_refuse = NULL;
    int third = dial(listener_address(&door.listener));
    TURN_UNTIL(loop, recv(third, got, 4, MSG_DONTWAIT) == 0);
    cr_assert_eq(door.count, 1);
    close(first);
    close(second);
    close(third);
    door_close(&door, loop);
    loop_free(&loop);
}

/* Takes every descriptor up to a limit just above those in use. */
static void use_up_descriptors(int fds[64], int *count, struct rlimit *before)
{
    int highest = dup(0);
    cr_assert(getrlimit(RLIMIT_NOFILE, before) == 0);
    struct rlimit low = {.rlim_cur = (rlim_t)highest + 8, .rlim_max = before->rlim_max};
    cr_assert(setrlimit(RLIMIT_NOFILE, &low) == 0);
    close(highest);
    for (*count = 0; *count < 64; (*count)++) {
        fds[*count] = dup(0);
        if (fds[*count] < 0) {
            cr_assert_eq(errno, EMFILE);
            return;
        }
    }
    cr_assert_fail("descriptors did not run out");
}

Test(listener, refuses_pauses_and_recovers_when_descriptors_run_out)
{
    struct loop *loop = driver_loop();
    struct door door;
    struct rlimit before;
    int fds[64];
    int count;
    int clients[3];
    char byte;
    log_set_level(LOG_ERROR);
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    door_open(&door, loop, "127.0.0.1:0");
    for (int i = 0; i < 3; i++) {
        clients[i] = tcp_socket(AF_INET);
    }
    use_up_descriptors(fds, &count, &before);
    for (int i = 0; i < 2; i++) {
        cr_assert(connect(clients[i], &door.listener.bound.any, door.listener.bound.len) == 0 ||
                  errno == EINPROGRESS);
    }
    TURN_UNTIL(loop, door.listener.counts.refused_by_fds == 2);
    cr_assert_eq(door.count, 0);
    cr_assert(recv(clients[0], &byte, 1, 0) <= 0, "the caller sees an end");
    cr_assert(recv(clients[1], &byte, 1, 0) <= 0);
    cr_assert_eq(door.listener.counts.pauses, 1u);
    cr_assert(timer_is_set(&door.listener.resume));
    cr_assert(door.listener.spare_fd >= 0, "the spare is back");
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    cr_assert(setrlimit(RLIMIT_NOFILE, &before) == 0);
    cr_assert(connect(clients[2], &door.listener.bound.any, door.listener.bound.len) == 0 ||
              errno == EINPROGRESS);
    driver_settle(loop);
    cr_assert_eq(door.count, 0, "it pauses: no spin");
    TURN_UNTIL(loop, door.count == 1);
    cr_assert_eq(door.listener.counts.pauses, 1u);
    for (int i = 0; i < 3; i++) {
        close(clients[i]);
    }
    door_close(&door, loop);
    loop_free(&loop);
}

Test(listener, stops_accepting_for_a_drain_but_keeps_the_address)
{
    struct loop *loop = driver_loop();
    struct door door;
    door_open(&door, loop, "127.0.0.1:0");
    listener_stop_accepting(&door.listener);
    int client = dial(listener_address(&door.listener));
    driver_settle(loop);
    cr_assert_eq(door.count, 0);
    close(client);
    door_close(&door, loop);
    loop_free(&loop);
}

Test(listener, may_be_closed_by_its_accept_callback)
{
    struct loop *loop = driver_loop();
    struct door door;
    door_open(&door, loop, "127.0.0.1:0");
    door.closes_itself = true;
    int first = dial(listener_address(&door.listener));
    int second = dial(listener_address(&door.listener));
    TURN_UNTIL(loop, door.has_closed);
    cr_assert_eq(door.count, 1);
    close(door.fds[0]);
    close(first);
    close(second);
    loop_free(&loop);
}

static void unix_path(char text[64])
{
    snprintf(text, 64, "unix:/tmp/outrigger-listener-XXXXXX");
    cr_assert_not_null(mkdtemp(text + 5));
    strcat(text, "/s");
}

static void remove_folder(char text[64])
{
    *strrchr(text, '/') = '\0';
    cr_assert(rmdir(text + 5) == 0, "the socket file was removed");
}

Test(listener, makes_a_unix_socket_of_the_mode_asked_for_and_removes_it)
{
    struct loop *loop = driver_loop();
    struct door door;
    struct stat file;
    char text[64];
    umask(022);
    unix_path(text);
    door_open(&door, loop, text);
    cr_assert(stat(text + 5, &file) == 0 && S_ISSOCK(file.st_mode));
    cr_assert_eq(file.st_mode & 0777, LISTENER_UNIX_MODE);
    int client = dial(listener_address(&door.listener));
    TURN_UNTIL(loop, door.count == 1);
    close(client);
    door_close(&door, loop);
    remove_folder(text);
    loop_free(&loop);
}

Test(listener, replaces_a_stale_socket_file_but_not_a_live_one_nor_another_kind_of_file)
{
    struct loop *loop = driver_loop();
    struct door door;
    struct address at;
    char text[64];
    char why[LISTENER_TEXT_BYTES];
    unix_path(text);
    cr_assert_eq(address_parse(span_of(text), &at), OK);
    int stale = tcp_socket(AF_UNIX);
    cr_assert(bind(stale, &at.any, at.len) == 0);
    close(stale); /* the file stays, as after a kill */
    door_open(&door, loop, text);
    cr_assert_eq(try_open(loop, text, why), ERR_ADDRESS_IN_USE);
    door_close(&door, loop);
    int file = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    cr_assert_eq(try_open(loop, text, why), ERR_ADDRESS_IN_USE);
    cr_assert(unlink(text + 5) == 0, "it was left alone");
    remove_folder(text);
    loop_free(&loop);
}

Test(listener, leaves_a_socket_file_that_somebody_else_put_there)
{
    struct loop *loop = driver_loop();
    struct door door;
    struct address at;
    char text[64];
    unix_path(text);
    cr_assert_eq(address_parse(span_of(text), &at), OK);
    door_open(&door, loop, text);
    cr_assert(unlink(text + 5) == 0);
    int other = tcp_socket(AF_UNIX);
    cr_assert(bind(other, &at.any, at.len) == 0);
    door_close(&door, loop);
    cr_assert(unlink(text + 5) == 0, "it was left alone");
    close(other);
    remove_folder(text);
    loop_free(&loop);
}
