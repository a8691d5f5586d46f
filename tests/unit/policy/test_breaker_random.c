/* A breaker under random calls, results, reloads and operators, with the promises of its states
 * checked after every event. */
#include "policy/breaker.h"

#include "breaker_story.h"
#include "unit/base/seed.h"

#include <criterion/criterion.h>

#define LIVE 40
#define STEPS 60000

static struct story story;
static struct breaker *const breaker = &story.breaker;
static struct breaker_pass live[LIVE];
static int live_count;
static uint32_t generation;
static uint32_t probes_out; /* admitted in this episode and not given back */
static int visits[BREAKER_STATE_COUNT];

static bool happens(uint64_t one_in)
{
    return rng_below(&story.rng, one_in) == 0;
}

static void note_generation(void)
{
    if (breaker->generation == generation)
        return;
    generation = breaker->generation;
    probes_out = 0;
    visits[breaker->state]++;
}

static void ask(void)
{
    const bool may_probe = !happens(4);
    const struct breaker_verdict verdict = breaker_peek(breaker, may_probe, story.now);
    if (!verdict.may_pass) {
        breaker_note_refusal(breaker, story.now);
        return;
    }
    cr_assert_neq(breaker->state, BREAKER_OPEN);
    cr_assert_neq(breaker->state, BREAKER_FORCED_OPEN);
    cr_assert_eq(verdict.is_probe, breaker->state == BREAKER_HALF_OPEN);
    cr_assert(may_probe || !verdict.is_probe);
    if (live_count < LIVE) {
        live[live_count++] = breaker_take(breaker, story.now);
        probes_out += verdict.is_probe;
    }
}

static void settle_one(void)
{
    const int i = (int)rng_below(&story.rng, (uint64_t)live_count);
    const struct breaker_pass pass = live[i];
    const bool is_probe = pass.is_probe && pass.generation == breaker->generation;
    const enum judgement judgement =
        happens(2) ? JUDGED_SUCCESS : (enum judgement)rng_below(&story.rng, JUDGED_NOT + 1);
    live[i] = live[--live_count];
    if (pass.is_probe && happens(10)) {
        breaker_probe_expired(breaker, pass, &story.rng, story.now);
    } else {
        probes_out -= is_probe && judgement == JUDGED_NOT;
        story_judge(&story, pass, judgement);
    }
    cr_assert(pass.generation == generation || breaker->generation == generation,
              "an old result moved it");
    cr_assert(!is_probe || judgement != JUDGED_FAILURE || breaker->state == BREAKER_OPEN);
}

static void disturb(void)
{
    static const enum breaker_state words[] = {BREAKER_FORCED_OPEN, BREAKER_CLOSED, BREAKER_CLOSED,
                                               BREAKER_DISABLED};
    if (happens(2)) {
        breaker_force(breaker, words[rng_below(&story.rng, 4)], story.now);
        return;
    }
    story.cfg.mode = happens(5) ? POLICY_FORCE_OPEN : POLICY_ENFORCE;
    story.cfg.window_calls = happens(2) ? 30 : 0;
    breaker_configure(breaker, &story.cfg, story.now);
}

static void check(void)
{
    note_generation();
    cr_assert_leq(probes_out, story.cfg.half_open_requests);
    cr_assert(breaker->state != BREAKER_HALF_OPEN || breaker->probes_admitted == probes_out);
    cr_assert_leq(breaker->probes_succeeded, breaker->probes_admitted);
    cr_assert_eq(breaker->reopen_at == MONO_NEVER, breaker->state != BREAKER_OPEN);
    cr_assert_lt(breaker->ramp_credit_permille, 1000);
    cr_assert(breaker->window.sum.failures <= breaker->window.sum.calls &&
              breaker->window.sum.slow <= breaker->window.sum.calls);
    cr_assert(breaker->state != BREAKER_OPEN || breaker->reopen_at - breaker->entered_at <= 36 * S);
}

Test(breaker, keeps_its_promises_whatever_happens)
{
    story_start(&story);
    story.rng = seeded_rng("breaker at random");
    story.cfg.failure_permille = 600;
    story.cfg.slow_permille = 900;
    story.cfg.open_jitter_permille = 200;
    story.cfg.ramp_up = 2 * S;
    story_restart(&story);
    generation = breaker->generation;
    for (int step = 0; step < STEPS; step++) {
        story.now += (dur_ns)rng_below(&story.rng, 300 * MS);
        breaker_tick(breaker, story.now);
        check();
        ask();
        if (live_count > 0 && happens(2))
            settle_one();
        check();
        if (happens(300))
            disturb();
        check();
    }
    for (int state = 0; state < BREAKER_STATE_COUNT; state++)
        cr_assert_gt(visits[state], 5, "%s", breaker_state_word((enum breaker_state)state));
}
