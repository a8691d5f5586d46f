#include "breaker_story.h"

#include <criterion/criterion.h>

static void note_move(struct breaker *breaker, const struct breaker_transition *transition,
                      void *context)
{
    struct story *story = context;
    cr_assert_eq(breaker, &story->breaker);
    cr_assert_eq(breaker->state, transition->to);
    story->moves[story->move_count++ % MOVES_KEPT] = *transition;
}

void story_start(struct story *story)
{
    *story = (struct story){
        .cfg = {.mode = POLICY_ENFORCE,
                .consecutive_failures = 3,
                .window = 10 * S,
                .min_requests = 20,
                .open_for = 5 * S,
                .max_open_for = 30 * S,
                .half_open_requests = 3},
        .now = 100 * S,
    };
    rng_seed(&story->rng, 1);
    story_restart(story);
}

void story_restart(struct story *story)
{
    story->move_count = 0;
    breaker_init(&story->breaker, &story->cfg, story->now);
    breaker_observe(&story->breaker, note_move, story);
}

void story_call(struct story *story, enum judgement judgement, bool is_slow)
{
    cr_assert(breaker_peek(&story->breaker, true, story->now).may_pass);
    const struct breaker_pass pass = breaker_take(&story->breaker, story->now);
    breaker_judge(&story->breaker, pass, judgement, is_slow, 0, &story->rng, story->now);
}

void story_calls(struct story *story, int count, enum judgement judgement, bool is_slow)
{
    for (int i = 0; i < count; i++)
        story_call(story, judgement, is_slow);
}

void story_trip(struct story *story)
{
    story_calls(story, 3, JUDGED_FAILURE, false);
    cr_assert_eq(story->breaker.state, BREAKER_OPEN);
}

void story_half_open(struct story *story)
{
    story->now = breaker_next_tick(&story->breaker);
    breaker_tick(&story->breaker, story->now);
    cr_assert_eq(story->breaker.state, BREAKER_HALF_OPEN);
}

struct breaker_pass story_probe(struct story *story)
{
    const struct breaker_verdict verdict = breaker_peek(&story->breaker, true, story->now);
    cr_assert(verdict.may_pass && verdict.is_probe);
    return breaker_take(&story->breaker, story->now);
}

void story_judge(struct story *story, struct breaker_pass pass, enum judgement judgement)
{
    breaker_judge(&story->breaker, pass, judgement, false, 0, &story->rng, story->now);
}

bool story_may_pass(const struct story *story)
{
    return breaker_peek(&story->breaker, true, story->now).may_pass;
}
