/* tls_engine.h - the threads on which handshakes compute, the line in front of them, and the
 * scratch memory of the loop's TLS streams. One for each loop that speaks TLS.
 *
 * A full handshake costs milliseconds of arithmetic. The loop waits for sockets; a worker gets one
 * step of one handshake, with all bytes that it needs, and never waits for a peer. First come,
 * first served; a connection has at most one step in the line.
 *
 * Example: if (tls_start() != OK) ...         // main, before the first thread
 *          struct tls_engine *engine = tls_engine_new(loop, &(struct tls_engine_options){0});
 *          ... stream_connect_tls ...
 *          tls_engine_close(engine, on_closed); // when its streams have closed
 *          tls_stop();
 *
 * Everything here is for the loop's thread, but tls_start and tls_stop. */
#ifndef OUTRIGGER_NET_TLS_ENGINE_H
#define OUTRIGGER_NET_TLS_ENGINE_H

#include "base/err.h"
#include "base/list.h"
#include "base/mono.h"
#include "net/loop.h"
#include "net/mailbox.h"

#include <stdbool.h>
#include <stdint.h>

#define TLS_WORKERS 2
#define TLS_NICE 10 /* of workers: the loop does not wait where it shares a processor with them */
#define TLS_HANDSHAKES_MAX 512 /* some 50 KiB each while they last */

struct tls_engine;

struct tls_engine_options {
    uint32_t handshakes_max; /* under way at once; 0: TLS_HANDSHAKES_MAX */
};

/* Since the start, unless said otherwise. For metrics; read them when asked. */
struct tls_stats {
    uint32_t under_way; /* now: between TCP's connect and the end of the handshake */
    uint32_t waiting;   /* now: steps in the line for a worker */
    uint64_t done;
    uint64_t resumed; /* of `done` */
    uint64_t failed;
    uint64_t refused; /* because handshakes_max were under way */
    uint64_t steps;
    dur_ns waited;         /* by steps, in the line, in sum */
    dur_ns waited_worst;   /* since the last tls_engine_stats */
    dur_ns computed;       /* by workers, in sum */
    dur_ns computed_worst; /* a step, since the last tls_engine_stats */
};

/* One step, embedded in its owner. */
struct tls_job {
    struct mail mail;
    struct list link; /* in the line */
    struct tls_engine *engine;
    mono_ns queued_at;
    bool is_out;                          /* between submit and done */
    void (*compute)(struct tls_job *job); /* on a worker */
    void (*done)(struct tls_job *job);    /* in the loop, later */
};

enum err MUST_CHECK tls_start(void);
/* Once, before any other thread exists: seeds the generator, and lets mbedTLS find out about the
 * processor's AES while nobody races with it (CVE-2025-52496). ERR_SYSTEM when the system gives no
 * randomness. */

void tls_stop(void);

struct tls_engine *tls_engine_new(struct loop *loop, const struct tls_engine_options *options);
/* Starts the workers, in which all signals are blocked. Aborts when the system gives none (start of
 * the process). */

void tls_engine_close(struct tls_engine **engine, void (*on_closed)(void *context), void *context);
/* Once no stream uses it (steps whose stream has closed may still run: they are waited for). Then
 * on_closed (may be NULL) comes from the loop. */

void tls_engine_stats(struct tls_engine *engine, struct tls_stats *stats);

/* ---- for tls_connect.c and tls_stream.c ---- */

bool tls_engine_admit(struct tls_engine *engine);
/* One more handshake is under way; false when there are too many. Each that was admitted is settled
 * once, by the next. */

void tls_engine_settle(struct tls_engine *engine, bool is_done, bool was_resumed);

void tls_engine_submit(struct tls_engine *engine, struct tls_job *job);
bool tls_engine_cancel(struct tls_job *job);
/* True: the job was in the line and is out of it, `done` will not come. False: a worker has it, or
 * it is on its way back. */

uint8_t *tls_engine_in(struct tls_engine *engine);
uint8_t *tls_engine_out(struct tls_engine *engine);
/* Scratch for the records of one call of recv (TLS_SCRATCH_IN bytes) or sendv (TLS_SCRATCH_OUT). */

#define TLS_SCRATCH_IN (LOOP_READ_BYTES + 16640) /* a read, behind the part of a record */
#define TLS_SCRATCH_OUT 16640                    /* a record */

#endif
