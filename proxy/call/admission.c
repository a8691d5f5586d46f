/* admission.c - the gate's questions, the lines, and who is served when. See admission.h and
 * room.h. */
#include "call/admission.h"

#include "base/check.h"
#include "call/choice.h"
#include "call/steps.h"
#include "call/verdict.h"

#define DUE_TICK                                                                                   \
    NS_PER_MS /* a token that falls due in the last tick of `wait` is served in the one after */

static struct slot_room *permit_room(const struct permit *permit)
{
    return permit->bulkhead ? CONTAINER_OF(permit->bulkhead, struct slot_room, bulkhead) : NULL;
}

static enum slot_line line_of(const struct call *call)
{
    return call->facts.is_tunnel || call->facts.is_upgrade ? SLOT_LINE_TUNNELS : SLOT_LINE_CALLS;
}

static bool is_first(const struct call *call)
{
    return call->attempts_run == 0;
}

/* ---- what the call has to pass ---- */

struct door { /* what is asked in one event, and taken in the same one */
    struct gate gate;
    struct gate_question question;
    struct choice choice;
};

static void choose_rooms(struct call *call, mono_ns now)
{
    const struct call_host *host = call->engine->host;
    struct room_table *slots = call->lane->bulkhead->slots;
    struct room_table *tokens = call->lane->rate->tokens;
    const struct span slot_key = slots->key.kind ? host->key(call, &slots->key) : SPAN_NONE;
    const struct span token_key = tokens->key.kind ? host->key(call, &tokens->key) : SPAN_NONE;

    call->slots = &room_table_find(slots, slot_key, now)->slots;
    call->tokens = &room_table_find(tokens, token_key, now)->tokens;
}

/* Modes are those of the live instances, so a reload reaches calls that already wait. */
static void fill_gate(struct call *call, struct gate *gate)
{
    const struct instance *breaker = call->lane->breaker;
    const struct instance *bulkhead = call->lane->bulkhead;
    const struct instance *rate = call->lane->rate;

    *gate = (struct gate){{NULL, NULL}, NULL, POLICY_OFF, NULL, POLICY_OFF};
    call->endpoint_id = CANDIDATE_UNKNOWN;
    if (breaker->breaker_cfg.mode != POLICY_OFF && !instance_is_by_endpoint(breaker))
        gate->breakers[0] = (struct breaker *)&breaker->seat.breaker;
    if (rate->rate_cfg.mode != POLICY_OFF) {
        gate->bucket = &call->tokens->bucket;
        gate->bucket_mode = rate->rate_cfg.mode;
    }
    if (bulkhead->bulkhead_cfg.mode != POLICY_OFF) {
        gate->bulkhead = &call->slots->bulkhead;
        gate->bulkhead_mode = bulkhead->bulkhead_cfg.mode;
    }
}

/* Where endpoints have breakers the balancer offers one that may be used. False: there is none. */
static bool choose_endpoint(struct call *call, struct door *door, mono_ns now)
{
    const struct choice *choice = &door->choice;
    if (!choice_is_needed(call->lane))
        return true;
    if (!choice_make(call, door->question.may_probe, &door->choice, now))
        return false;
    if (choice->breaker != NULL)
        door->gate.breakers[0] = &choice->breaker->seat.breaker;
    if (choice->outlier != NULL)
        door->gate.breakers[1] = &choice->outlier->seat.breaker;
    return true;
}

static struct gate_verdict ask(struct call *call, struct door *door, mono_ns now)
{
    fill_gate(call, &door->gate);
    if (!choose_endpoint(call, door, now))
        return (struct gate_verdict){.may_pass = false,
                                     .reason = REASON_CIRCUIT_OPEN,
                                     .not_before = choice_next_probe(call->lane)};
    return gate_ask(&door->gate, &door->question, now);
}

static struct door door_of(const struct call *call)
{
    return (struct door){
        .question.slot =
            line_of(call) == SLOT_LINE_TUNNELS ? BULKHEAD_CONNECTION : BULKHEAD_ATTEMPT,
        .question.may_probe = is_first(call),
    };
}

/* ---- lines ---- */

static void stand_behind_breaker(struct call *call)
{
    struct instance *instance = call->lane->breaker;
    const enum policy_mode mode = instance->breaker_cfg.mode;
    if (mode != POLICY_OFF && mode != POLICY_SHADOW && !instance_is_by_endpoint(instance))
        list_append(&instance->seat.waiting, &call->seat_link);
}

/* The rooms of a call that waits are pinned: the other one may be empty, and must not be evicted
 * under it. */
static void join(struct call *call, struct line *line, mono_ns now)
{
    INVARIANT(call->line == NULL);
    list_init(&call->line_link);
    list_init(&call->seat_link);
    line_join(line, &call->line_link);
    call->slots->waiting++;
    call->tokens->waiting++;
    call->line = line;
    call->line_joined_at = now;
    stand_behind_breaker(call);
}

static void join_slots(struct call *call, mono_ns now)
{
    if (call->lane->rate->rate_cfg.mode == POLICY_ENFORCE) {
        call->tokens->promised++;
        call->is_promised = true;
    }
    join(call, &call->slots->lines[line_of(call)], now);
}

static void rearm_tokens(struct token_room *room, mono_ns now)
{
    const bool is_awaited = room->line.length > 0;
    wheel_set(room->engine->wheel, &room->timer,
              is_awaited ? token_bucket_when(&room->bucket, room->promised + 1, now) : MONO_NEVER);
}

static void join_tokens(struct call *call, mono_ns now)
{
    join(call, &call->tokens->line, now);
    rearm_tokens(call->tokens, now);
}

/* In the place of its links. */
static void begin_attempts(struct call *call)
{
    call->endpoint_seat = call->outlier_seat = NULL;
    call->attempt_at = call->head_at = 0;
    call->lease_at = MONO_NEVER;
}

static void leave_line(struct call *call, mono_ns now)
{
    const bool is_token_line = call->line == &call->tokens->line;
    call->engine->host->on_waited(call, is_token_line ? ROOM_TOKENS : ROOM_SLOTS,
                                  mono_since(now, call->line_joined_at));
    line_leave(call->line, &call->line_link);
    call->slots->waiting--;
    call->tokens->waiting--;
    list_remove(&call->seat_link);
    call->line = NULL;
    begin_attempts(call);
}

static void drop_promise(struct call *call)
{
    if (!call->is_promised)
        return;
    INVARIANT(call->tokens->promised > 0);
    call->tokens->promised--;
    call->is_promised = false;
}

/* Who waits for a token was told on arrival when it would be due. A reload can make it late, or a
 * promised token that waits for its slot in a bucket that holds no more. */
struct gate_verdict admission_overdue(const struct call *call, mono_ns now)
{
    const struct token_room *tokens = call->tokens;
    const bool is_token_line = call->line == &tokens->line;
    const dur_ns most = is_token_line ? dur_add(call->lane->rate->rate_cfg.wait, DUE_TICK)
                                      : call->lane->bulkhead->bulkhead_cfg.pending_timeout;
    const mono_ns at = mono_add(call->line_joined_at, most);
    struct gate_verdict verdict = {.may_pass = now < at, .not_before = at};
    if (verdict.may_pass)
        return verdict;
    verdict.reason = is_token_line ? REASON_RATE_LIMITED : REASON_QUEUE_TIMEOUT;
    verdict.not_before =
        is_token_line
            ? token_bucket_when(&tokens->bucket, tokens->promised + tokens->line.length, now)
            : MONO_NEVER;
    return verdict;
}

void admission_leave(struct call *call, mono_ns now)
{
    INVARIANT(call->line != NULL);
    struct token_room *tokens = call->tokens;
    struct slot_room *slots = call->slots;
    leave_line(call, now);
    drop_promise(call);
    call->tokens = NULL;
    call->slots = NULL;
    admission_serve_tokens(tokens, now);
    admission_serve_slots(slots, now);
}

/* ---- verdicts ---- */

static void pass(struct call *call, const struct door *door, mono_ns now)
{
    gate_take(&door->gate, &door->question, &call->permit, now);
    choice_take(call, &door->choice);
    call->tokens = NULL;
    call->slots = NULL;
    if (is_first(call))
        retry_budget_note_first(&call->lane->target->budget, now);
}

/* `asked`: the gate that said so; NULL where none was asked, and the verdict blames no breaker. */
static enum admission refuse(struct call *call, const struct gate *asked,
                             const struct gate_verdict *verdict, mono_ns now)
{
    gate_note_refusal(asked, verdict, now);
    call->refusal = *verdict; /* in the place of the rooms */
    return ADMISSION_REFUSED;
}

/* The head of the line is asked at once; the newcomer's place is behind all who wait and all who
 * have a promise. */
static bool token_wait_fits(const struct call *call, mono_ns due, mono_ns now)
{
    const dur_ns wait = call->lane->rate->rate_cfg.wait;
    return mono_until(now, due) <= dur_min(wait, mono_until(now, verdict_deadline(call)));
}

static bool may_join_slots(const struct call *call)
{
    const struct bulkhead_config *cfg = &call->lane->bulkhead->bulkhead_cfg;
    return cfg->pending_timeout > 0 && call->slots->lines[line_of(call)].length < cfg->max_pending;
}

static void note_shadow(struct call *call, const struct gate_verdict *verdict)
{
    static const struct {
        enum policy_family family;
        enum reason reason;
    } rows[] = {{POLICY_FAMILY_CIRCUIT_BREAKER, REASON_CIRCUIT_OPEN},
                {POLICY_FAMILY_RATE_LIMIT, REASON_RATE_LIMITED},
                {POLICY_FAMILY_BULKHEAD, REASON_BULKHEAD_FULL},
                {POLICY_FAMILY_OUTLIER, REASON_CIRCUIT_OPEN}};
    for (size_t i = 0; verdict->shadow_refusals != 0 && i < sizeof rows / sizeof *rows; i++)
        if (verdict->shadow_refusals >> rows[i].family & 1)
            call->engine->host->on_shadow(call, rows[i].family, reason_word(rows[i].reason));
}

enum admission admission_ask(struct call *call, bool may_wait, mono_ns now)
{
    choose_rooms(call, now);
    if (call->tokens->line.length > 0) /* who fell due since the last tick goes first */
        admission_serve_tokens(call->tokens, now);
    struct door door = door_of(call);
    door.question.tokens_promised = call->tokens->promised + call->tokens->line.length;
    door.question.is_slot_promised = call->slots->lines[line_of(call)].length > 0;
    const struct gate_verdict verdict = ask(call, &door, now);
    note_shadow(call, &verdict);
    if (verdict.may_pass) {
        pass(call, &door, now);
        return ADMISSION_PASSED;
    }
    if (may_wait && verdict.reason == REASON_RATE_LIMITED &&
        token_wait_fits(call, verdict.not_before, now)) {
        join_tokens(call, now);
        return ADMISSION_WAITS;
    }
    if (may_wait && verdict.reason == REASON_BULKHEAD_FULL && may_join_slots(call)) {
        join_slots(call, now);
        return ADMISSION_WAITS;
    }
    return refuse(call, &door.gate, &verdict, now);
}

void admission_release_permit(struct permit *permit, mono_ns now)
{
    struct slot_room *room = permit_room(permit);
    permit_release(permit, now);
    if (room != NULL)
        admission_serve_slots(room, now);
}

void admission_release(struct call *call, mono_ns now)
{
    if (call->permit.is_live)
        admission_release_permit(&call->permit, now);
}

/* ---- serving ---- */

static void admit_waiting(struct call *call, const struct door *door, mono_ns now)
{
    struct token_room *tokens = call->tokens;
    leave_line(call, now);
    drop_promise(call);
    pass(call, door, now);
    rearm_tokens(tokens, now); /* a limit that is off now took nothing for the promise */
    steps_run(call, CALL_EVENT_ADMITTED, now);
}

static void refuse_waiting(struct call *call, const struct gate *asked,
                           const struct gate_verdict *verdict, mono_ns now)
{
    struct token_room *tokens = call->tokens;
    leave_line(call, now);
    drop_promise(call);
    refuse(call, asked, verdict, now);
    rearm_tokens(tokens, now); /* its promise may be the token of the next in line */
    steps_run(call, CALL_EVENT_REFUSED, now);
}

/* True: its deadline has passed, its own timer is about to say so; nobody is admitted after it. */
static bool refuse_late(struct call *call, mono_ns now)
{
    const struct gate_verdict verdict = {.reason = REASON_REQUEST_TIMEOUT,
                                         .not_before = MONO_NEVER};
    const bool is_late = now >= verdict_deadline(call);
    if (is_late)
        refuse_waiting(call, NULL, &verdict, now);
    return is_late;
}

/* True: the head of this line is settled, look at the next one. */
static bool serve_slot_head(struct call *call, mono_ns now)
{
    if (refuse_late(call, now))
        return true;
    struct door door = door_of(call);
    const struct gate_verdict verdict = ask(call, &door, now);
    if (verdict.may_pass) {
        admit_waiting(call, &door, now);
        return true;
    }
    if (verdict.reason == REASON_BULKHEAD_FULL)
        return false;
    if (verdict.reason == REASON_RATE_LIMITED && token_wait_fits(call, verdict.not_before, now)) {
        leave_line(call,
                   now); /* a reload took the token that was promised: back to the token line */
        drop_promise(call);
        join_tokens(call, now);
        return true;
    }
    refuse_waiting(call, &door.gate, &verdict, now);
    return true;
}

void admission_serve_slots(struct slot_room *room, mono_ns now)
{
    for (int i = 0; i < SLOT_LINES; i++) {
        struct list *head;
        while ((head = list_first(&room->lines[i].calls)) != NULL)
            if (!serve_slot_head(CONTAINER_OF(head, struct call, line_link), now))
                break;
    }
}

static bool serve_token_head(struct call *call, mono_ns now)
{
    if (refuse_late(call, now))
        return true;
    struct door door = door_of(call);
    door.question.tokens_promised = call->tokens->promised;
    door.question.is_slot_promised = call->slots->lines[line_of(call)].length > 0;
    const struct gate_verdict verdict = ask(call, &door, now);
    if (verdict.may_pass) {
        admit_waiting(call, &door, now);
        return true;
    }
    if (verdict.reason == REASON_RATE_LIMITED)
        return false;
    if (verdict.reason == REASON_BULKHEAD_FULL && may_join_slots(call)) {
        leave_line(call, now);
        join_slots(call, now);
        steps_run(call, CALL_EVENT_MOVED, now);
        return true;
    }
    refuse_waiting(call, &door.gate, &verdict, now);
    return true;
}

void admission_serve_tokens(struct token_room *room, mono_ns now)
{
    struct list *head;
    while ((head = list_first(&room->line.calls)) != NULL)
        if (!serve_token_head(CONTAINER_OF(head, struct call, line_link), now))
            break;
    rearm_tokens(room, now);
}

void admission_refuse_waiting(struct seat *seat, mono_ns now)
{
    const struct gate_verdict verdict = {.may_pass = false,
                                         .reason = REASON_CIRCUIT_OPEN,
                                         .not_before = breaker_next_tick(&seat->breaker)};
    struct list *head;
    while ((head = list_first(&seat->waiting)) != NULL)
        refuse_waiting(CONTAINER_OF(head, struct call, seat_link), NULL, &verdict, now);
}

void admission_serve_permit_room(const struct permit *permit, mono_ns now)
{
    struct slot_room *room = permit_room(permit);
    if (room != NULL)
        admission_serve_slots(room, now);
}
