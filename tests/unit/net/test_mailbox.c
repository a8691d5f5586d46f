#include "base/check.h"
#include "loop_driver.h"
#include "net/mailbox.h"

#include <pthread.h>
#include <time.h>

#define THREADS 4
#define MAILS_PER_THREAD 500

struct letter {
    struct mail mail;
    int *log;
    int *log_len;
    int number;
    struct mailbox *closes;
    dur_ns takes;
};

static int has_closed;

static void on_closed(struct mailbox *box)
{
    (void)box;
    has_closed++;
}

static void busy(dur_ns length)
{
    uint64_t until = uv_hrtime() + (uint64_t)length;
    while (uv_hrtime() < until) {
    }
}

static void on_letter(struct mail *mail)
{
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    letter->log[(*letter->log_len)++] = letter->number;
    if (letter->closes != NULL) {
        mailbox_close(letter->closes, on_closed);
    }
    busy(letter->takes);
}

static void letter_init(struct letter *letter, int number, int *log, int *log_len)
{
    *letter = (struct letter){.number = number, .log = log, .log_len = log_len};
    mail_init(&letter->mail, on_letter);
}

static void close_box(struct mailbox *box, struct loop *loop)
{
    int before = has_closed;
    mailbox_close(box, on_closed);
    TURN_UNTIL(loop, has_closed == before + 1);
}

Test(mailbox, runs_mails_in_the_order_of_posting_and_not_inside_post)
{
    struct loop *loop = driver_loop();
    struct mailbox box;
    struct letter letters[3];
    int log[3];
    int len = 0;
    mailbox_init(&box, loop, 8);
    for (int i = 0; i < 3; i++) {
        letter_init(&letters[i], i, log, &len);
        cr_assert_eq(mailbox_post(&box, &letters[i].mail), OK);
    }
    cr_assert_eq(len, 0);
    TURN_UNTIL(loop, len == 3);
    cr_assert(log[0] == 0 && log[1] == 1 && log[2] == 2);
    close_box(&box, loop);
    loop_free(&loop);
}

Test(mailbox, refuses_more_than_it_holds_until_some_have_run)
{
    struct loop *loop = driver_loop();
    struct mailbox box;
    struct letter letters[3];
    int log[8];
    int len = 0;
    mailbox_init(&box, loop, 2);
    for (int i = 0; i < 3; i++) {
        letter_init(&letters[i], i, log, &len);
    }
    cr_assert_eq(mailbox_post(&box, &letters[0].mail), OK);
    cr_assert_eq(mailbox_post(&box, &letters[1].mail), OK);
    cr_assert_eq(mailbox_post(&box, &letters[2].mail), ERR_FULL);
    TURN_UNTIL(loop, len == 2);
    cr_assert_eq(mailbox_post(&box, &letters[2].mail), OK);
    TURN_UNTIL(loop, len == 3);
    close_box(&box, loop);
    loop_free(&loop);
}

Test(mailbox, runs_about_a_millisecond_of_mails_a_turn)
{
    struct loop *loop = driver_loop();
    struct mailbox box;
    struct letter letters[4];
    int log[4];
    int len = 0;
    mailbox_init(&box, loop, 8);
    for (int i = 0; i < 4; i++) {
        letter_init(&letters[i], i, log, &len);
        letters[i].takes = 2 * NS_PER_MS;
        cr_assert_eq(mailbox_post(&box, &letters[i].mail), OK);
    }
    for (int turn = 1; turn <= 4; turn++) {
        loop_turn(loop, true);
        cr_assert_eq(len, turn);
    }
    close_box(&box, loop);
    loop_free(&loop);
}

Test(mailbox, runs_what_it_accepted_before_it_closes_and_refuses_afterwards)
{
    struct loop *loop = driver_loop();
    struct mailbox box;
    struct letter letters[3];
    int log[3];
    int len = 0;
    mailbox_init(&box, loop, 8);
    for (int i = 0; i < 3; i++) {
        letter_init(&letters[i], i, log, &len);
    }
    cr_assert_eq(mailbox_post(&box, &letters[0].mail), OK);
    cr_assert_eq(mailbox_post(&box, &letters[1].mail), OK);
    mailbox_close(&box, on_closed);
    cr_assert_eq(len, 2);
    cr_assert_eq(mailbox_post(&box, &letters[2].mail), ERR_FULL);
    TURN_UNTIL(loop, has_closed == 1);
    loop_free(&loop);
}

Test(mailbox, may_be_closed_by_one_of_its_mails)
{
    struct loop *loop = driver_loop();
    struct mailbox box;
    struct letter letters[3];
    int log[3];
    int len = 0;
    mailbox_init(&box, loop, 8);
    for (int i = 0; i < 3; i++) {
        letter_init(&letters[i], i, log, &len);
        cr_assert_eq(mailbox_post(&box, &letters[i].mail), OK);
    }
    letters[0].closes = &box;
    TURN_UNTIL(loop, has_closed == 1);
    cr_assert_eq(len, 3);
    loop_free(&loop);
}

struct writer {
    pthread_t thread;
    struct mailbox *box;
    struct letter letters[MAILS_PER_THREAD];
    int log[MAILS_PER_THREAD];
    int len;
};

static void *write_letters(void *context)
{
    struct writer *writer = context;
    for (int i = 0; i < MAILS_PER_THREAD; i++) {
        letter_init(&writer->letters[i], i, writer->log, &writer->len);
        while (mailbox_post(writer->box, &writer->letters[i].mail) != OK) {
            sched_yield();
        }
    }
    return NULL;
}

Test(mailbox, loses_and_reorders_nothing_of_many_writers)
{
    static struct writer writers[THREADS];
    struct loop *loop = driver_loop();
    struct mailbox box;
    mailbox_init(&box, loop, 64);
    for (int i = 0; i < THREADS; i++) {
        writers[i].box = &box;
        cr_assert(pthread_create(&writers[i].thread, NULL, write_letters, &writers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        TURN_UNTIL(loop, writers[i].len == MAILS_PER_THREAD);
        cr_assert(pthread_join(writers[i].thread, NULL) == 0);
        for (int k = 0; k < MAILS_PER_THREAD; k++) {
            cr_assert_eq(writers[i].log[k], k);
        }
    }
    close_box(&box, loop);
    loop_free(&loop);
}
