/* admin_driver.h - an admin server with a data loop that a test plays, and a client of raw bytes.
 */
#ifndef OUTRIGGER_TESTS_ADMIN_DRIVER_H
#define OUTRIGGER_TESTS_ADMIN_DRIVER_H

#include "admin/admin.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum play {
    PLAY_ANSWER, /* the data loop answers at once */
    PLAY_HOLD,   /* it keeps the command until driver_complete */
    PLAY_FULL,   /* its mailbox takes nothing */
};

struct driver {
    struct metrics *metrics;
    struct events *events;
    struct metrics_target *target;
    struct admin_options options;
    struct admin *admin;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t has_posted;
    enum play play;
    struct admin_command *held[64];
    unsigned held_count;
    unsigned posted[ADMIN_QUIT + 1]; /* by kind */
    char last_id[ADMIN_ID_MAX + 1];
    enum admin_action last_action;
};

extern struct driver driver;

void driver_begin(void);
/* Registry, events, and options with one listener on any loopback port; nothing runs yet. */

void driver_start(void);
void driver_end(void);
/* Stops and frees everything. */

void driver_play(enum play play);
void driver_wait_posted(unsigned held);
/* Until the data loop holds so many commands. */

void driver_complete(void);
/* The data loop answers all that it holds. */

int client_connect(void);
int client_connect_to(size_t listener);
void client_send(int fd, const char *bytes);
const char *client_read_all(int fd);
/* Until the server closes, which fails the test after 10 s; "" for a reset. Closes `fd`. */

bool client_read_until(int fd, const char *wanted);
/* Reads on until `wanted` has come; false when the server closes first. */

const char *client_got(void);
const char *client_ask(const char *request);
/* Connects, sends, and returns the whole answer. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HAS(answer, what)                                                                          \
    cr_assert_not_null(strstr(answer, what), "no \"%s\" in:\n%s", what, answer)
#define IS(answer, status)                                                                         \
    cr_assert(strncmp(answer, "HTTP/1.1 " status, 12) == 0, "not %s but:\n%s", status, answer)

#endif
