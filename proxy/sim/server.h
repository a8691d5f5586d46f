/* server.h - one endpoint of an upstream: workers, a queue, faults. And a job: one request on its
 * way there and back.
 *
 * First come first served; a worker is busy for the service time of its job, and for as long as the
 * calls take that the job makes itself. A job outlives the attempt that sent it: a server does not
 * know that its caller has gone (unless noticesCancels), and works for nobody. INVARIANT: busy <=
 * concurrency; busy == concurrency while somebody queues, unless the server stands still. */
#ifndef OUTRIGGER_SIM_SERVER_H
#define OUTRIGGER_SIM_SERVER_H

#include "base/list.h"
#include "sim/scenario.h"

struct world;
struct sim_call;
struct server;

enum job_state {
    JOB_FREE = 0,
    JOB_TRAVELLING, /* to the server */
    JOB_QUEUED,
    JOB_WORKING,
    JOB_STANDING, /* worked on by a server that stands still, and due when it goes on */
    JOB_CALLING,  /* waits for a call that it made */
    JOB_ANSWERING /* on its way back */
};

struct job {
    uint32_t epoch;
    enum job_state state;
    struct sim_call *call; /* who waits for the answer; NULL: nobody any more */
    struct server *server;
    struct sidecar *sidecar; /* that sent it: its connection goes back there */
    struct list link;        /* in server->queue, or server->standing */
    struct list house_link;  /* in server->house while it is there */
    struct job *next_free;
    uint64_t luck;
    uint32_t calls_made;
    int status;
    dur_ns retry_after;
    bool is_exhausted_marked;
};

struct server {
    struct world *world;
    const struct scenario_upstream *config;
    uint32_t upstream;       /* index */
    uint32_t number;         /* within the upstream, from 0 */
    uint64_t id;             /* of the endpoint, as the engine knows it: number + 1 */
    struct sidecar *sidecar; /* for its own calls; NULL: it makes none */
    struct list queue;
    struct list standing;
    struct list house; /* all jobs that are there */
    uint32_t queued;
    uint32_t busy;
    uint32_t crashed; /* faults of the kind that are on */
    uint32_t stalled;
    uint64_t generation; /* grows with a crash: connections of an earlier one are dead */
    const struct scenario_fault *brown_out;
    const struct scenario_fault *errors;
    const struct scenario_fault *latency;
    const struct scenario_fault *loss;
    char label[32]; /* "10.0.0.1:80" */
};

void server_init(struct server *server, struct world *world, uint32_t upstream, uint32_t number);

void server_fault(struct server *server, const struct scenario_fault *fault, bool begins);

void server_reached(struct server *server, struct job *job);
/* The request is there. */

void server_served(struct server *server, struct job *job);
/* Its time of service is over. */

void server_child_ended(struct job *job, bool is_good, bool is_exhausted);
/* A call that it made itself has ended. */

void server_abandoned(struct server *server, struct job *job);
/* The caller has gone. */

dur_ns server_one_way(const struct server *server);

#endif
