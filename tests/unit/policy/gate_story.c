#include "gate_story.h"

#include <criterion/criterion.h>
#include <string.h>

void gate_story_start(struct gate_story *story)
{
    static const struct rate_limit_config rate = {
        .mode = POLICY_ENFORCE, .requests = 1, .interval = S, .burst = 3};
    static const struct bulkhead_config slots = {
        .mode = POLICY_ENFORCE, .max_requests = 2, .max_connections = 1, .max_streams = 1};
    memset(story, 0, sizeof *story);
    story->now = 100 * S;
    story->breaker_cfg = (struct breaker_config){.mode = POLICY_ENFORCE,
                                                 .consecutive_failures = 2,
                                                 .open_for = 5 * S,
                                                 .max_open_for = 30 * S,
                                                 .half_open_requests = 2};
    for (int i = 0; i < GATE_BREAKERS; i++)
        breaker_init(&story->breakers[i], &story->breaker_cfg, story->now);
    token_bucket_init(&story->bucket, &rate, story->now);
    bulkhead_init(&story->bulkhead, &slots);
    story->gate = (struct gate){.breakers = {&story->breakers[0], &story->breakers[1]},
                                .bucket = &story->bucket,
                                .bucket_mode = POLICY_ENFORCE,
                                .bulkhead = &story->bulkhead,
                                .bulkhead_mode = POLICY_ENFORCE};
    story->question = (struct gate_question){.slot = BULKHEAD_ATTEMPT, .may_probe = true};
    rng_seed(&story->rng, 1);
}

struct gate_verdict gate_story_ask(const struct gate_story *story)
{
    struct gate_story before;
    memcpy(&before, story, sizeof before);
    const struct gate_verdict verdict = gate_ask(&story->gate, &story->question, story->now);
    cr_assert_eq(memcmp(&before, story, sizeof before), 0, "asking changes nothing");
    return verdict;
}

struct permit gate_story_take(struct gate_story *story)
{
    struct permit permit;
    const struct gate_verdict verdict = gate_story_ask(story);
    cr_assert(verdict.may_pass, "%s", reason_word(verdict.reason));
    cr_assert_eq(verdict.not_before, story->now);
    gate_take(&story->gate, &story->question, &permit, story->now);
    cr_assert(permit.is_live && !permit.is_judged);
    return permit;
}

void gate_story_end(struct gate_story *story, struct permit *permit, enum judgement judgement)
{
    permit_judge(permit, judgement, false, 0, &story->rng, story->now);
    permit_release(permit, story->now);
}

void gate_story_shadow_breakers(struct gate_story *story)
{
    story->breaker_cfg.mode = POLICY_SHADOW;
    for (int i = 0; i < GATE_BREAKERS; i++)
        breaker_configure(&story->breakers[i], &story->breaker_cfg, story->now);
}
