/* call_host.h - a world in virtual time for the tests of call/: it hosts the engine, and its verbs
 * let a test read as a story.
 *
 * Example: world_start(&w); with_bulkhead(&w.policy, 1, 0, 0); world_open(&w);
 *          struct visit *a = world_call(&w); head(a, 200); deliver(a); cr_assert(is_over(a, ...));
 * world_end checks that nothing is held any more. Actions are performed after every verb, as the
 * proxy does. Single-threaded; INVARIANTs and asserts end the test. */
#ifndef OUTRIGGER_TESTS_UNIT_CALL_CALL_HOST_H
#define OUTRIGGER_TESTS_UNIT_CALL_CALL_HOST_H

#include "call/call.h"

#include <stdbool.h>
#include <stdint.h>

#define MS NS_PER_MS
#define WORLD_RULES 3
#define WORLD_ENDPOINTS 4
#define WORLD_MOVES 32

struct move { /* of a breaker */
    char label[64];
    struct breaker_transition what;
};

struct world {
    struct wheel *wheel;
    struct rng rng;
    struct call_engine engine;
    struct target_table targets;
    mono_ns began_at;
    mono_ns now;

    struct policy policy; /* of the document; what the next world_open or world_reload applies */
    struct policy rule_policies[WORLD_RULES];
    struct plan_rule rules[WORLD_RULES];
    size_t rule_count;
    const char *policy_name;
    struct target *target; /* "payments:80" */

    struct list visits;
    uint64_t endpoints[WORLD_ENDPOINTS]; /* what `candidate` may offer; none: CANDIDATE_UNKNOWN */
    size_t endpoint_count;
    uint32_t in_flight[WORLD_ENDPOINTS]; /* what the balancer knows of endpoints[i] */
    uint32_t left;                       /* mask of ids that are no longer the target's */
    int chosen;                          /* candidates that calls were let pass to */
    int held;                            /* ejections that were not made */
    bool is_reply_slow;                  /* the test says `deliver` for replies too */
    uint32_t snapshot_refs;
    int ready_signals;
    int targets_live, lanes_live, instances_live, seats_live;
    bool refuses_targets; /* the host has no memory for one */

    int settled[OUTCOME_COUNT];
    int retries[RETRY_CAUSE_COUNT];
    int skips[RETRY_SKIP_COUNT];
    int shadows[POLICY_FAMILY_COUNT];
    int waits[2]; /* by enum room_kind */
    dur_ns last_wait;
    dur_ns last_until_head;
    const char *last_shadow;
    struct move moves[WORLD_MOVES];
    int move_count;
};

struct visit { /* one call, and what was seen of it */
    struct call call;
    struct world *world;
    struct list link;
    const char *key;
    enum replayability replay;
    bool is_wire_slow; /* the test says `on_wire`: the attempt's connection takes its time */
    bool is_working;   /* its upstream is at work */
    int starts, aborts, keeps, relays, replies, cuts, finishes;
    bool was_fresh; /* needs_fresh at the last start */
    mono_ns started_at;
    mono_ns over_at;
    bool got_kept; /* the reply was the kept head */
    enum reason got;
    enum fate fate;
};

/* ---- policies ---- */

void policy_none(struct policy *policy);
/* Every block absent. */

void with_breaker(struct policy *policy, uint32_t consecutive);
/* openFor 5 s, maxOpenFor 30 s, 3 probes, no jitter, no rates. */

void with_bulkhead(struct policy *policy, uint32_t max, uint32_t pending, int timeout_ms);
void with_rate(struct policy *policy, uint64_t requests, int interval_ms, uint64_t burst,
               int wait_ms);
void with_retry(struct policy *policy, uint32_t attempts);
/* 503, all groups, back-off of 10 ms without jitter, no budget cap. */

/* ---- the world ---- */

void world_start(struct world *world);
void world_open(struct world *world);
/* Makes the target from world->policy and the rules. */

void world_add_rule(struct world *world, const char *name, uint32_t own);
/* With world->policy as it is now; `own` is a mask of families. */

void world_reload(struct world *world);
void world_advance(struct world *world, int64_t ms);
void world_run_to(struct world *world, mono_ns at);
/* Time passes; timers fire in their ticks, as in the loop. */

void world_jump(struct world *world, dur_ns by);
/* Time passes while the loop is busy: nothing is fired. */

void world_perform(struct world *world);
void world_end(struct world *world);
/* Cancels what is left; asserts that all is given back. */

/* ---- calls ---- */

struct visit *world_call(struct world *world);
/* A GET without a rule. */

struct visit *world_call_rule(struct world *world, size_t rule);
struct visit *world_call_keyed(struct world *world, const char *key);
struct visit *world_call_with(struct world *world, const struct call_facts *facts);
struct visit *world_call_on(struct world *world, struct lane *lane, const struct call_facts *facts,
                            const char *key, bool is_wire_slow);
extern const struct call_facts get_facts;
extern const struct call_facts post_facts;
extern const struct call_facts tunnel_facts;

void head(struct visit *visit, int status);
/* A final head; 5xx is a failure, 429 throttled. */

void head_with(struct visit *visit, struct call_head head);
void body_ends(struct visit *visit);
/* The response is complete: kept where it is being kept, else the attempt ends. */

void deliver(struct visit *visit);
void answer(struct visit *visit, int status);
/* head, body_ends, deliver. */

void fail(struct visit *visit, enum reason reason);
/* A fresh connection, the request sent. */

void fail_with(struct visit *visit, struct call_failure failure);
void on_wire(struct visit *visit);
void breaks(struct visit *visit, enum reason reason);
void cancel(struct visit *visit);
void pause_body(struct visit *visit);
void resume_body(struct visit *visit);
void tunnel_bytes(struct visit *visit);
void tunnel_closes(struct visit *visit);

enum call_step step_of(const struct visit *visit);
bool is_over(const struct visit *visit, enum fate fate);
bool is_refused(const struct visit *visit, enum reason reason);
/* It got a local reply of that reason, without one attempt. */

struct breaker *world_breaker(struct world *world);
uint32_t in_flight(const struct world *world);
uint32_t in_line(const struct world *world);
uint64_t tokens(const struct world *world);
/* Of the target's own rooms (without a key); whole tokens. */

void trip(struct world *world, int failures);
/* So many calls that fail with 500. */

#endif
