/* breaker_story.h - a breaker with a clock and a log of its moves, for tests that are stories. */
#ifndef OUTRIGGER_TESTS_UNIT_POLICY_BREAKER_STORY_H
#define OUTRIGGER_TESTS_UNIT_POLICY_BREAKER_STORY_H

#include "policy/breaker.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define MOVES_KEPT 16

struct story {
    struct breaker breaker;
    struct breaker_config cfg;
    struct rng rng;
    mono_ns now;
    struct breaker_transition moves[MOVES_KEPT];
    int move_count;
};

void story_start(struct story *story);
/* CLOSED at 100 s: opens on 3 failures in a row for 5 s, up to 30 s, 3 probes, no jitter. */

void story_restart(struct story *story);
/* The same with story->cfg as it is now. */

void story_call(struct story *story, enum judgement judgement, bool is_slow);
/* Peeks (must pass), takes and judges. */

void story_calls(struct story *story, int count, enum judgement judgement, bool is_slow);

void story_trip(struct story *story);
/* Three failures: OPEN. */

void story_half_open(struct story *story);
/* From OPEN: waits until reopen_at, ticks. */

struct breaker_pass story_probe(struct story *story);
/* Peeks (must be a probe) and takes. */

void story_judge(struct story *story, struct breaker_pass pass, enum judgement judgement);

bool story_may_pass(const struct story *story);
/* Would a first attempt pass now? */

#endif
