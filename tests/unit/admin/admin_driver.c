/* admin_driver.c - see admin_driver.h. */
#include "admin_driver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

struct driver driver;
static char got[1 << 20];
static size_t got_len;

static void answer(struct admin_command *command)
{
    switch (command->kind) {
    case ADMIN_READY: text_put(&command->reply, "{\"ready\":true}"); break;
    case ADMIN_POLICIES: text_put(&command->reply, "{\"policies\":[]}"); break;
    case ADMIN_CIRCUITS: text_put(&command->reply, "{\"circuits\":[]}"); break;
    case ADMIN_INSTANCES: text_put(&command->reply, "{\"instances\":[]}"); break;
    case ADMIN_CIRCUIT_ACTION:
        command->status = strcmp(command->id, "unknown") == 0 ? 404 : 200;
        text_put(&command->reply, "{\"changed\":");
        text_json(&command->reply, command->id);
        text_put(&command->reply, "}");
        break;
    case ADMIN_QUIT: command->status = 202; break;
    case ADMIN_REFRESH_GAUGES: metrics_set_retry_budget(driver.target, 77); break;
    case ADMIN_PING: break;
    }
    admin_command_complete(command);
}

static enum err post(void *context, struct admin_command *command)
{
    (void)context;
    pthread_mutex_lock(&driver.lock);
    enum play play = driver.play;
    driver.posted[command->kind]++;
    driver.last_action = command->action;
    memcpy(driver.last_id, command->id, sizeof(driver.last_id));
    if (play == PLAY_HOLD) {
        driver.held[driver.held_count++] = command;
        pthread_cond_signal(&driver.has_posted);
    }
    pthread_mutex_unlock(&driver.lock);
    if (play == PLAY_ANSWER) {
        answer(command);
    }
    return play == PLAY_FULL ? ERR_FULL : OK;
}

void driver_begin(void)
{
    memset(&driver, 0, sizeof(driver));
    pthread_mutex_init(&driver.lock, NULL);
    pthread_cond_init(&driver.has_posted, NULL);
    driver.metrics = metrics_new(100000, "1.2.3", "abc", 1);
    driver.events = events_new();
    driver.target = metrics_target_get(driver.metrics, "payments:8080");
    driver.options.metrics = driver.metrics;
    driver.options.events = driver.events;
    driver.options.listener_count = 1;
    cr_assert_eq(address_parse(SPAN("127.0.0.1:0"), &driver.options.listeners[0].address), OK);
}

void driver_start(void)
{
    char error[ADMIN_ERROR_SIZE] = "";
    struct admin_backend backend = {post, NULL};
    cr_assert_eq(admin_start(&driver.options, &backend, &driver.admin, error), OK, "%s", error);
    cr_assert_not_null(driver.admin);
}

void driver_end(void)
{
    admin_stop(&driver.admin);
    driver_complete();
    events_free(&driver.events);
    metrics_free(&driver.metrics);
}

void driver_play(enum play play)
{
    pthread_mutex_lock(&driver.lock);
    driver.play = play;
    pthread_mutex_unlock(&driver.lock);
}

void driver_wait_posted(unsigned held)
{
    pthread_mutex_lock(&driver.lock);
    while (driver.held_count < held) {
        pthread_cond_wait(&driver.has_posted, &driver.lock);
    }
    pthread_mutex_unlock(&driver.lock);
}

void driver_complete(void)
{
    pthread_mutex_lock(&driver.lock);
    struct admin_command *held[64];
    unsigned count = driver.held_count;
    memcpy(held, driver.held, sizeof(held));
    driver.held_count = 0;
    pthread_mutex_unlock(&driver.lock);
    for (unsigned i = 0; i < count; i++) {
        answer(held[i]);
    }
}

int client_connect_to(size_t listener)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(admin_port(driver.admin, listener))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    got_len = 0;
    got[0] = '\0';
    return fd;
}

int client_connect(void)
{
    return client_connect_to(0);
}

void client_send(int fd, const char *bytes)
{
    size_t len = strlen(bytes);
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0) {
            return; /* the server has closed already: what it said can still be read */
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Some more bytes; false at the end. */
static bool read_more(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, PATIENCE_MS), 1,
                 "nothing came, and the connection stayed open; so far:\n%s", got);
    if (got_len > sizeof(got) / 2) {
        got_len = 0; /* only the end matters to whoever reads so much */
    }
    ssize_t n = recv(fd, got + got_len, sizeof(got) - 1 - got_len, 0);
    if (n > 0) {
        got_len += (size_t)n;
        got[got_len] = '\0';
    }
    return n > 0;
}

const char *client_read_all(int fd)
{
    while (read_more(fd)) {
    }
    close(fd);
    return got;
}

bool client_read_until(int fd, const char *wanted)
{
    while (!strstr(got, wanted)) {
        if (!read_more(fd)) {
            return false;
        }
    }
    return true;
}

const char *client_got(void)
{
    return got;
}

const char *client_ask(const char *request)
{
    int fd = client_connect();
    client_send(fd, request);
    return client_read_all(fd);
}
