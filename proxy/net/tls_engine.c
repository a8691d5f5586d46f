/* tls_engine.c - see tls_engine.h. Invariants: a job is in the line (under the lock), or with a
 * worker, or in the mailbox, or with its owner. A handshake is under way as long as its job is out,
 * even when its stream has closed, so the mailbox has room for every job and a worker's post never
 * fails. */
#include "net/tls_engine.h"

#include "base/check.h"
#include "net/tls_mbed.h"
#include "net/tls_memory.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/gcm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define TLS_ENGINE_MAGIC 0x544c5345U

struct tls_engine {
    uint32_t magic;
    uint32_t handshakes_max;
    struct loop *loop;
    struct tls_stats stats; /* the loop's, but for what workers count, which is under the lock */
    struct mailbox results;
    void (*on_closed)(void *context);
    void *context;
    pthread_t workers[TLS_WORKERS];
    pthread_mutex_t lock; /* guards the following, and waiting .. computed_worst of stats */
    pthread_cond_t has_work;
    struct list line; /* struct tls_job, first in first out */
    bool is_stopping;
    uint8_t in[TLS_SCRATCH_IN];
    uint8_t out[TLS_SCRATCH_OUT];
};

/* ---- the process ---- */

static struct {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context generator;
} chance; /* the process's; mbedTLS locks it */

int tls_random(void *unused, unsigned char *bytes, size_t len)
{
    (void)unused;
    return mbedtls_ctr_drbg_random(&chance.generator, bytes, len);
}

static int try_aes(void)
{
    uint8_t key[16];
    uint8_t block[16];
    uint8_t tag[16];
    mbedtls_gcm_context gcm;
    int status = tls_random(NULL, key, sizeof(key));
    memset(block, 0, sizeof(block));
    mbedtls_gcm_init(&gcm);
    if (status == 0) {
        status = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 128);
    }
    if (status == 0) {
        status = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, sizeof(block), block, 12,
                                           NULL, 0, block, block, sizeof(tag), tag);
    }
    mbedtls_gcm_free(&gcm);
    return status;
}

enum err tls_start(void)
{
    static const unsigned char who[] = "outrigger";
    tls_memory_start();
    if (!tls_mbed_start()) {
        return ERR_SYSTEM;
    }
    mbedtls_entropy_init(&chance.entropy);
    mbedtls_ctr_drbg_init(&chance.generator);
    if (mbedtls_ctr_drbg_seed(&chance.generator, mbedtls_entropy_func, &chance.entropy, who,
                              sizeof(who) - 1) != 0 ||
        try_aes() != 0) {
        tls_stop();
        return ERR_SYSTEM;
    }
    return OK;
}

void tls_stop(void)
{
    mbedtls_ctr_drbg_free(&chance.generator);
    mbedtls_entropy_free(&chance.entropy);
    tls_mbed_stop();
}

/* ---- workers ---- */

static void lock(struct tls_engine *engine)
{
    INVARIANT(pthread_mutex_lock(&engine->lock) == 0);
}

static void unlock(struct tls_engine *engine)
{
    INVARIANT(pthread_mutex_unlock(&engine->lock) == 0);
}

static void compute(struct tls_engine *engine, struct tls_job *job)
{
    const mono_ns begun = (mono_ns)uv_hrtime();
    dur_ns took;
    unlock(engine);
    job->compute(job);
    took = mono_since((mono_ns)uv_hrtime(), begun);
    /* Not under our lock: it wakes the loop, which would wait for the lock at once. */
    INVARIANT(mailbox_post(&engine->results, &job->mail) == OK);
    lock(engine);
    engine->stats.computed += took;
    engine->stats.computed_worst = dur_max(engine->stats.computed_worst, took);
}

static void *work(void *context)
{
    struct tls_engine *engine = context;
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + TLS_NICE); /* this thread's */
    lock(engine);
    while (!engine->is_stopping) {
        struct list *first = list_first(&engine->line);
        if (first == NULL) {
            INVARIANT(pthread_cond_wait(&engine->has_work, &engine->lock) == 0);
            continue;
        }
        struct tls_job *job = CONTAINER_OF(first, struct tls_job, link);
        const dur_ns waited = mono_since((mono_ns)uv_hrtime(), job->queued_at);
        list_remove(&job->link);
        engine->stats.waiting--;
        engine->stats.steps++;
        engine->stats.waited += waited;
        engine->stats.waited_worst = dur_max(engine->stats.waited_worst, waited);
        compute(engine, job);
    }
    unlock(engine);
    return NULL;
}

static void start_workers(struct tls_engine *engine)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    INVARIANT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (int i = 0; i < TLS_WORKERS; i++) {
        INVARIANT(pthread_create(&engine->workers[i], NULL, work, engine) == 0);
    }
    INVARIANT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

struct tls_engine *tls_engine_new(struct loop *loop, const struct tls_engine_options *options)
{
    struct tls_engine *engine = calloc(1, sizeof(*engine));
    INVARIANT(engine != NULL);
    engine->magic = TLS_ENGINE_MAGIC;
    engine->handshakes_max =
        options->handshakes_max > 0 ? options->handshakes_max : TLS_HANDSHAKES_MAX;
    engine->loop = loop;
    list_init(&engine->line);
    INVARIANT(pthread_mutex_init(&engine->lock, NULL) == 0);
    INVARIANT(pthread_cond_init(&engine->has_work, NULL) == 0);
    mailbox_init(&engine->results, loop, engine->handshakes_max);
    start_workers(engine);
    return engine;
}

/* ---- the loop's side ---- */

static void on_result(struct mail *mail)
{
    struct tls_job *job = CONTAINER_OF(mail, struct tls_job, mail);
    job->is_out = false;
    job->done(job);
}

void tls_engine_submit(struct tls_engine *engine, struct tls_job *job)
{
    CHECK_OBJ(engine, TLS_ENGINE_MAGIC);
    INVARIANT(!job->is_out);
    mail_init(&job->mail, on_result);
    list_init(&job->link);
    job->engine = engine;
    job->is_out = true;
    job->queued_at = (mono_ns)uv_hrtime();
    lock(engine);
    list_append(&engine->line, &job->link);
    engine->stats.waiting++;
    unlock(engine);
    INVARIANT(pthread_cond_signal(&engine->has_work) == 0);
}

bool tls_engine_cancel(struct tls_job *job)
{
    struct tls_engine *engine = job->engine;
    bool was_waiting;
    lock(engine);
    was_waiting = list_is_linked(&job->link);
    if (was_waiting) {
        list_remove(&job->link);
        engine->stats.waiting--;
        job->is_out = false;
    }
    unlock(engine);
    return was_waiting;
}

bool tls_engine_admit(struct tls_engine *engine)
{
    CHECK_OBJ(engine, TLS_ENGINE_MAGIC);
    if (engine->stats.under_way >= engine->handshakes_max) {
        engine->stats.refused++;
        return false;
    }
    engine->stats.under_way++;
    return true;
}

void tls_engine_settle(struct tls_engine *engine, bool is_done, bool was_resumed)
{
    INVARIANT(engine->stats.under_way > 0);
    engine->stats.under_way--;
    engine->stats.done += is_done ? 1 : 0;
    engine->stats.failed += is_done ? 0 : 1;
    engine->stats.resumed += is_done && was_resumed ? 1 : 0;
}

void tls_engine_stats(struct tls_engine *engine, struct tls_stats *stats)
{
    CHECK_OBJ(engine, TLS_ENGINE_MAGIC);
    lock(engine);
    *stats = engine->stats;
    engine->stats.waited_worst = 0;
    engine->stats.computed_worst = 0;
    unlock(engine);
}

uint8_t *tls_engine_in(struct tls_engine *engine)
{
    CHECK_OBJ(engine, TLS_ENGINE_MAGIC);
    return engine->in;
}

uint8_t *tls_engine_out(struct tls_engine *engine)
{
    CHECK_OBJ(engine, TLS_ENGINE_MAGIC);
    return engine->out;
}

/* ---- the end ---- */

static void on_mailbox_closed(struct mailbox *box)
{
    struct tls_engine *engine = CONTAINER_OF(box, struct tls_engine, results);
    void (*on_closed)(void *) = engine->on_closed;
    void *context = engine->context;
    INVARIANT(pthread_cond_destroy(&engine->has_work) == 0);
    INVARIANT(pthread_mutex_destroy(&engine->lock) == 0);
    engine->magic = 0;
    free(engine);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

void tls_engine_close(struct tls_engine **engine, void (*on_closed)(void *context), void *context)
{
    struct tls_engine *held = *engine;
    *engine = NULL;
    CHECK_OBJ(held, TLS_ENGINE_MAGIC);
    held->on_closed = on_closed;
    held->context = context;
    lock(held);
    INVARIANT(list_is_empty(&held->line)); /* a stream that still shakes hands has not closed */
    held->is_stopping = true;
    INVARIANT(pthread_cond_broadcast(&held->has_work) == 0);
    unlock(held);
    for (int i = 0; i < TLS_WORKERS; i++) {
        INVARIANT(pthread_join(held->workers[i], NULL) == 0);
    }
    mailbox_close(&held->results, on_mailbox_closed); /* runs what the workers have posted */
}
