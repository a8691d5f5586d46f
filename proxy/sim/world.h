/* world.h - one run of a scenario: sidecars, servers, calls and time.
 *
 * Every sidecar has an engine of call/ with breakers, buckets, budgets and lines of its own - the
 * very objects of the proxy; this is their second host. All of them share one wheel and one agenda;
 * virtual time jumps from one moment to the next.
 * Deterministic: same scenario, policies and seed, same history. */
#ifndef OUTRIGGER_SIM_WORLD_H
#define OUTRIGGER_SIM_WORLD_H

#include "base/rng.h"
#include "base/wheel.h"
#include "call/call.h"
#include "config/policy_set.h"
#include "sim/agenda.h"
#include "sim/result.h"
#include "sim/server.h"
#include "upstream/balancer.h"

#define WORLD_BEGIN NS_PER_S         /* `now` at the beginning of a scenario */
#define WORLD_GRACE (120 * NS_PER_S) /* that calls get to end after it */
#define WORLD_KEEP_ATTEMPTS UINT32_MAX

struct world;

struct variant {       /* the policies, changed */
    uint32_t off;      /* mask of 1 << enum policy_family: these are switched off */
    uint32_t attempts; /* retry.attempts; WORLD_KEEP_ATTEMPTS: as it is */
    double load;       /* factor on every rate of calls */
};

#define VARIANT_NONE                                                                               \
    (struct variant)                                                                               \
    {                                                                                              \
        .attempts = WORLD_KEEP_ATTEMPTS, .load = 1                                                 \
    }

struct world_order {
    const struct scenario *scenario;
    const struct policy_set *policies;
    const char *policy_name;
    struct variant variant;
    uint64_t seed;
    void (*after_event)(const struct world *world); /* a test's look at it; may be NULL */
};

struct result *world_run(const struct world_order *order);
/* The whole history. Aborts when there is no memory. */

/* ---- for the files of this module ---- */

struct flow { /* calls of one kind from one place: where they go, which lane they take */
    uint32_t upstream;
    size_t lane;
    struct call_facts facts;
    uint64_t body_bytes;
    uint32_t weight;
    const struct call_kind *kind;
};

struct stream_of_calls { /* one caller of the scenario */
    const struct scenario_caller *config;
    struct flow *flows;
    size_t flow_count;
    uint32_t weights;
    uint32_t first_sidecar;
    uint64_t luck;
    uint64_t made;
};

struct link_to { /* from a sidecar to a server */
    struct candidate candidate;
    uint32_t idle; /* connections in the pool */
    uint64_t generation;
    mono_ns used_at;
};

struct sidecar {
    struct world *world;
    uint32_t number;
    bool is_caller; /* beside a caller of the scenario, not beside a service */
    struct list ready_link;
    struct call_engine engine;
    struct rng rng;
    struct target_table table;
    struct target **targets;       /* by upstream; NULL: it does not call that one */
    struct balancer *balancers;    /* by upstream */
    struct link_to *links;         /* by server of the world */
    struct candidate **candidates; /* of the links, for the balancers */
};

struct sim_call {
    struct call call;
    uint32_t epoch;
    struct sidecar *sidecar;
    const struct flow *flow;
    struct job *job;    /* of the attempt that runs */
    struct job *parent; /* the job that makes this call; NULL: an app does */
    struct server *server;
    struct sim_call *next_free;
    struct list open_link; /* world.open */
    struct timer gives_up;
    uint64_t luck;
    mono_ns began_at;
    bool is_reused;    /* the attempt's connection came from the pool */
    uint64_t tried[4]; /* ids of servers, the first few */
    uint32_t tried_count;
};

struct service { /* an upstream */
    struct server *servers;
    struct flow *flows;  /* of its own calls */
    size_t first_server; /* in the order of all servers of the world */
    int64_t quota_window;
    uint32_t quota_used;
};

struct world {
    const struct scenario *scenario;
    const struct policy_set *policies;
    struct variant variant;
    void (*after_event)(const struct world *world);
    mono_ns now;
    mono_ns ends_at;
    uint64_t seed;
    struct wheel *wheel;
    struct agenda agenda;
    struct result *result;
    struct service *services;
    size_t server_count;
    struct stream_of_calls *streams;
    struct sidecar *sidecars;
    uint32_t sidecar_count;
    uint32_t in_flight; /* calls of callers */
    bool is_over;       /* what is still open is let go of, and counts no more */
    struct list open;   /* all calls */
    struct list ready;
    struct policy *changed; /* the policies of the variant, documents and rules in order */
    struct plan *plans;
    struct plan_rule *rules;
    struct job *free_jobs;
    struct sim_call *free_calls;
    struct slab *slabs; /* world.c */
};

struct job *world_job(struct world *world);
void world_job_free(struct world *world, struct job *job);
struct sim_call *world_call(struct world *world);
void world_call_free(struct world *world, struct sim_call *call);
/* From free lists; what is freed keeps its epoch, one higher. */

size_t world_bucket(const struct world *world, mono_ns at);
/* Of the result; the last one for what is later. */

/* flow.c */
struct flow *world_flows(const struct world *world, const char *upstream,
                         const struct call_kind *kinds, size_t count);
/* One for each kind, or one for GET / where there is none; freed by the caller. */

void world_count_flow(struct world *world, const struct flow *flow);
/* A caller makes such a call: it leads to that upstream, and to those that it calls. */

/* arrivals.c */
void world_plan_arrival(struct world *world, struct stream_of_calls *stream);
/* Enters the next one after now, if there is one before the scenario is over. */

void world_arrive(struct world *world, struct stream_of_calls *stream);
/* It is time: a call begins, and the next is planned. */

/* link.c */
void link_begin(struct sidecar *sidecar, uint32_t upstream);
struct link_to *link_to_server(const struct sim_call *call, const struct server *server);
struct server *link_server(const struct sim_call *call, uint64_t id);
uint64_t link_candidate(struct call *call, bool may_probe, mono_ns now);
void link_chosen(struct call *call);
/* What call_host asks. */

struct server *link_next(const struct sim_call *call);
/* Where the attempt goes that begins. */

void link_observe(const struct sim_call *call, enum outcome outcome, dur_ns took);
/* What came of the attempt, for peakEwma. */

void link_warm(struct sidecar *sidecar, const struct seat *seat, mono_ns now);
/* An endpoint is back: its slow start begins. */

/* sidecar.c */
void sidecar_init(struct sidecar *sidecar, struct world *world, uint32_t number);
void sidecar_reach(struct sidecar *sidecar, uint32_t upstream);
/* It will call that upstream: makes the target. */

void sidecar_fini(struct sidecar *sidecar);
void sidecar_begin(struct sidecar *sidecar, const struct flow *flow, struct job *parent,
                   uint64_t luck, dur_ns give_up_after);
void sidecar_connected(struct sim_call *call);
void sidecar_refused(struct sim_call *call);
void sidecar_answered(struct job *job);
void sidecar_broken(struct job *job);
void sidecar_perform_all(struct world *world);

#endif
