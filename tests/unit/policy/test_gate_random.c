/* Calls at random through a gate in random modes, with the promises of the policy page checked
 * after every event: permits granted = settled + live, in flight <= limit, tokens in [0, burst], an
 * OPEN breaker admits nothing. */
#include "policy/gate.h"

#include "gate_story.h"
#include "unit/base/seed.h"

#include <criterion/criterion.h>

#define LIVE 64
#define STEPS 40000
#define BURST 3

static struct gate_story story;
static struct permit live[LIVE];
static int live_count;
static long granted;
static long settled;
static long refused[REASON_COUNT];
static long shadowed;

static bool happens(uint64_t one_in)
{
    return rng_below(&story.rng, one_in) == 0;
}

static enum policy_mode any_mode(void)
{
    static const enum policy_mode modes[] = {POLICY_OFF, POLICY_ENFORCE, POLICY_ENFORCE,
                                             POLICY_SHADOW};
    return modes[rng_below(&story.rng, 4)];
}

/* Only bulkhead_convert (an upgraded call) goes above a limit, and only that of connections. */
static void check(void)
{
    uint32_t held = 0;
    for (int i = 0; i < live_count; i++)
        held += live[i].bulkhead != NULL;
    uint32_t in_flight = 0;
    for (int slot = 0; slot < BULKHEAD_SLOT_KINDS; slot++)
        in_flight += story.bulkhead.in_flight[slot];
    cr_assert_eq(in_flight, held);
    cr_assert_leq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT],
                  story.bulkhead.limit[BULKHEAD_ATTEMPT]);
    cr_assert_leq(story.bulkhead.in_flight[BULKHEAD_STREAM], story.bulkhead.limit[BULKHEAD_STREAM]);
    cr_assert_leq(token_bucket_millitokens(&story.bucket, story.now), BURST * 1000);
    cr_assert_eq(granted, settled + live_count);
    for (int i = 0; i < GATE_BREAKERS; i++)
        cr_assert_leq(story.breakers[i].probes_admitted, story.breaker_cfg.half_open_requests);
}

static void ask(void)
{
    story.question.may_probe = !happens(3);
    story.question.slot = happens(6) ? BULKHEAD_CONNECTION : BULKHEAD_ATTEMPT;
    story.question.tokens_promised = happens(5) ? rng_below(&story.rng, 4) : 0;
    story.question.is_slot_promised = happens(10);
    const struct gate_verdict verdict = gate_story_ask(&story);
    shadowed += verdict.shadow_refusals != 0;
    if (!verdict.may_pass) {
        refused[verdict.reason]++;
        cr_assert_gt(verdict.not_before, story.now);
        gate_note_refusal(&story.gate, &verdict, story.now);
        return;
    }
    if (live_count == LIVE)
        return;
    struct permit *permit = &live[live_count++];
    gate_take(&story.gate, &story.question, permit, story.now);
    granted++;
    for (int i = 0; i < GATE_BREAKERS; i++) {
        const struct breaker *breaker = permit->breakers[i];
        cr_assert(breaker == NULL ||
                  (breaker->state != BREAKER_OPEN && breaker->state != BREAKER_FORCED_OPEN));
    }
}

static void judge(struct permit *permit)
{
    if (permit_is_probe(permit) && happens(10))
        permit_expire_probe(permit, &story.rng, story.now);
    else
        permit_judge(permit, (enum judgement)rng_below(&story.rng, JUDGED_NOT + 1), happens(3),
                     (dur_ns)rng_below(&story.rng, 3) * S, &story.rng, story.now);
}

static void go_on(void)
{
    const int i = (int)rng_below(&story.rng, (uint64_t)live_count);
    struct permit *permit = &live[i];
    if (happens(6))
        permit_move_to_stream(permit);
    if (happens(20))
        permit_move_to_connection(permit);
    if (!permit->is_judged) {
        judge(permit);
        return;
    }
    permit_release(permit, story.now);
    settled++;
    live[i] = live[--live_count];
}

static void reload(void)
{
    for (int i = 0; i < GATE_BREAKERS; i++) {
        story.breaker_cfg.mode = any_mode();
        breaker_configure(&story.breakers[i], &story.breaker_cfg, story.now);
        story.gate.breakers[i] = happens(4) ? NULL : &story.breakers[i];
    }
    story.gate.bucket_mode = any_mode();
    story.gate.bulkhead_mode = any_mode();
}

Test(gate, keeps_its_promises_whatever_happens)
{
    gate_story_start(&story);
    story.rng = seeded_rng("gate at random");
    story.breaker_cfg.open_for = 500 * MS;
    story.breaker_cfg.ramp_up = 100 * MS;
    reload();
    for (int step = 0; step < STEPS; step++) {
        story.now += (dur_ns)rng_below(&story.rng, 300 * MS);
        for (int i = 0; i < GATE_BREAKERS; i++)
            breaker_tick(&story.breakers[i], story.now);
        ask();
        check();
        if (live_count > 0)
            go_on();
        check();
        if (happens(100))
            reload();
    }
    cr_assert_gt(granted, 1000);
    cr_assert_gt(shadowed, 100);
    cr_assert(refused[REASON_CIRCUIT_OPEN] > 100 && refused[REASON_RATE_LIMITED] > 100 &&
              refused[REASON_BULKHEAD_FULL] > 100);
}
