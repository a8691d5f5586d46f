/* sim_world.h - calls, an upstream and a config that behave at random, in virtual time, around the
 * engine of call/. After every event sim_check looks at all that must hold (DESIGN section 6).
 *
 * Example: struct sim *sim = sim_new(17); for (...) { sim_step(sim); sim_check(sim); }
 *          sim_drain(sim); sim_free(&sim);
 * The same seed gives the same history on every machine. A broken invariant aborts with its place.
 */
#ifndef OUTRIGGER_TESTS_SIM_SIM_WORLD_H
#define OUTRIGGER_TESTS_SIM_SIM_WORLD_H

#include "base/check.h"
#include "call/call.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_CALLS 40 /* at a time */
#define SIM_RULES 2
#define SIM_KEYS 5   /* against max_keys 3 */
#define SIM_LOG 4096 /* moments of one kind that are remembered */
#define SIM_ENDPOINTS 3

enum upstream { /* what the upstream of a call is at */
                UPSTREAM_NONE = 0,
                UPSTREAM_CONNECTING,
                UPSTREAM_THINKING,
                UPSTREAM_ANSWERING, /* the head is out, the body is not complete */
};

struct sim_snapshot { /* a config; the engine's references alone keep it alive */
    uint32_t refs;
    struct policy policy;
    struct policy rule_policies[SIM_RULES];
    struct plan_rule rules[SIM_RULES];
    struct plan plan;
    char key_header[8];
};

struct sim_call {
    struct call call;
    struct sim *sim;
    struct list link;
    enum upstream upstream;
    const char *key;
    enum replayability replay;
    mono_ns deadline_at; /* as the test reckons it; MONO_NEVER: none that is enforced */
    mono_ns paused_at;   /* MONO_NEVER: not paused */
    uint32_t attempts_seen;
    enum call_step step_seen;
    int relays, replies;
    bool is_reply_due; /* a reply was asked for and not delivered */
    bool is_delivered;
};

struct sim_log { /* a ring of moments */
    mono_ns at[SIM_LOG];
    size_t count;
};

struct sim {
    uint64_t seed;
    struct wheel *wheel;
    struct rng rng;     /* of the behaviour */
    struct rng own_rng; /* of the engine */
    struct call_engine engine;
    struct target_table targets;
    struct target *target;
    struct sim_snapshot *snapshot;
    mono_ns now;
    struct list calls;
    int call_count;
    bool has_reloads;
    bool may_be_over_limit; /* a reload lowered a limit, or a shadow was made to enforce */
    struct retry_budget_config budget;
    struct sim_log firsts;  /* attempts */
    struct sim_log retries; /* decisions */
    uint64_t begun, finished, granted, settled;
    int targets_live, lanes_live, instances_live, seats_live, snapshots_live;
};

struct sim *sim_new(uint64_t seed);
void sim_step(struct sim *sim);
/* One event: a call, something of an upstream or a caller, time, a reload, an operator. */

void sim_drain(struct sim *sim);
/* No new calls, a good upstream: everybody must come to an end. */

void sim_free(struct sim **sim);
/* INVARIANT: nothing of the engine is left. */

void sim_check(struct sim *sim);
/* sim_checks.c: all invariants. */

void sim_check_on_time(const struct sim *sim);
/* Just after the wheel was advanced to now: nothing is still there whose time was over a tick ago.
 */

void sim_note_progress(struct sim_call *call);
/* sim_checks.c: logs what the call began since it was last looked at, and checks that it might. */

void sim_policy(struct sim *sim, struct sim_snapshot *snapshot);
/* sim_policy.c: random numbers in every block. */

static inline bool sim_chance(struct sim *sim, uint64_t percent)
{
    return rng_below(&sim->rng, 100) < percent;
}

#endif
