/* gate_story.h - a gate with two breakers, a bucket and a bulkhead, for tests that are stories. */
#ifndef OUTRIGGER_TESTS_UNIT_POLICY_GATE_STORY_H
#define OUTRIGGER_TESTS_UNIT_POLICY_GATE_STORY_H

#include "policy/gate.h"

#define S NS_PER_S
#define MS NS_PER_MS

struct gate_story {
    struct breaker breakers[GATE_BREAKERS];
    struct breaker_config breaker_cfg;
    struct token_bucket bucket;
    struct bulkhead bulkhead;
    struct gate gate;
    struct gate_question question;
    struct rng rng;
    mono_ns now;
};

void gate_story_start(struct gate_story *story);
/* Breakers that open on 2 failures for 5 s and take 2 probes, 3 tokens and one per s, 2 slots; all
 * enforcing; the question is a first attempt's. */

struct gate_verdict gate_story_ask(const struct gate_story *story);
/* Asks, and checks that asking changed nothing. */

struct permit gate_story_take(struct gate_story *story);
/* Asks (must pass) and takes. */

void gate_story_end(struct gate_story *story, struct permit *permit, enum judgement judgement);
/* Judges and releases. */

void gate_story_shadow_breakers(struct gate_story *story);
/* From now on the breakers are in shadow; their state stays. */

#endif
