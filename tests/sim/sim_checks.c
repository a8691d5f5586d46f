/* sim_checks.c - what must hold after every event, reckoned from outside: counted over the calls,
 * never read back from the counter that is checked. See sim_world.h. */
#include "sim_world.h"

#define MAX_INSTANCES 128

static enum bulkhead_slot slot_of_line(int line)
{
    return line == SLOT_LINE_TUNNELS ? BULKHEAD_CONNECTION : BULKHEAD_ATTEMPT;
}

/* ---- logs ---- */

static void log_moment(struct sim_log *log, mono_ns at)
{
    log->at[log->count++ % SIM_LOG] = at;
}

/* How many of the log lie in (from, to]. */
static uint64_t moments_in(const struct sim_log *log, mono_ns from, mono_ns to)
{
    const size_t kept = log->count < SIM_LOG ? log->count : SIM_LOG;
    uint64_t count = 0;
    for (size_t i = 0; i < kept; i++)
        count += log->at[i] > from && log->at[i] <= to;
    return count;
}

/* At most max(percent x firsts, minRetryRate x interval) in the interval before the last retry. */
static void check_budget(const struct sim *sim)
{
    if (sim->retries.count == 0 || sim->retries.at[(sim->retries.count - 1) % SIM_LOG] != sim->now)
        return;
    const struct retry_budget_config *cfg = &sim->budget;
    const mono_ns from = sim->now - cfg->interval;
    const uint64_t share = moments_in(&sim->firsts, from, sim->now) * cfg->permille / 1000;
    const uint64_t least = cfg->min_count * (uint64_t)(cfg->interval / cfg->min_interval);
    INVARIANT(moments_in(&sim->retries, from, sim->now) <= (share > least ? share : least));
}

/* At most burst + rate x t tokens leave in any interval of length t that ends now. */
static void check_rate(const struct instance *instance, mono_ns now)
{
    const struct sim_log *log = instance->user;
    const struct rate_limit_config *cfg = &instance->rate_cfg;
    const size_t first = log->count > SIM_LOG ? log->count - SIM_LOG : 0;
    for (size_t i = first; i < log->count; i++) {
        const dur_ns passed = now - log->at[i % SIM_LOG];
        const uint64_t earned = (uint64_t)passed * cfg->requests / (uint64_t)cfg->interval;
        INVARIANT(log->count - i <= cfg->burst + earned);
    }
}

/* ---- what a call began ---- */

static void check_not_open(const struct breaker *breaker, mono_ns now)
{
    const bool is_open = breaker->state == BREAKER_OPEN || breaker->state == BREAKER_FORCED_OPEN;
    INVARIANT(!is_open || breaker->entered_at == now || breaker->cfg.mode == POLICY_SHADOW ||
              breaker->cfg.mode == POLICY_OFF);
}

static void check_start(const struct sim_call *call, bool is_first)
{
    const struct sim *sim = call->sim;
    const struct instance *breaker = call->call.lane->breaker;
    INVARIANT(sim->now < call->deadline_at);
    INVARIANT(is_first || !permit_is_probe(&call->call.permit));
    if (!instance_is_by_endpoint(breaker))
        check_not_open(&breaker->seat.breaker, sim->now);
    else if (call->call.endpoint_seat != NULL)
        check_not_open(&call->call.endpoint_seat->seat.breaker, sim->now);
}

static void note_attempt(struct sim_call *call)
{
    struct sim *sim = call->sim;
    const bool is_first = call->attempts_seen == 0;
    const struct instance *rate = call->call.lane->rate;
    call->attempts_seen++;
    sim->granted++;
    if (is_first)
        log_moment(&sim->firsts, sim->now);
    check_start(call, is_first);
    if (sim->has_reloads || rate->rate_cfg.mode != POLICY_ENFORCE || rate->tokens->count > 0)
        return;
    log_moment(rate->user, sim->now);
    check_rate(rate, sim->now);
}

void sim_note_progress(struct sim_call *call)
{
    const bool is_new = call->attempts_seen < call->call.attempts_run;
    const bool is_retry = call->call.step == CALL_STEP_BACKOFF;
    INVARIANT(call->call.attempts_run - call->attempts_seen <= 1);
    if (is_new)
        note_attempt(call);
    if (is_retry && (is_new || call->step_seen != CALL_STEP_BACKOFF))
        log_moment(&call->sim->retries, call->sim->now);
    call->step_seen = call->call.step;
}

/* ---- one call ---- */

static bool fires_by(const struct call *call, mono_ns at)
{
    return at == MONO_NEVER || (timer_is_set(&call->timer) && call->timer.at <= at);
}

static void check_timer(const struct call *call)
{
    const bool is_paused = call_waits_for_body_since(call) != MONO_NEVER;
    const struct timeouts_config *timeouts = &call->lane->policy->timeouts;
    switch (call->step) {
    case CALL_STEP_QUEUED: INVARIANT(timer_is_set(&call->timer)); break;
    case CALL_STEP_ATTEMPT:
        INVARIANT(fires_by(call, deadline_next(&call->deadline)));
        INVARIANT(is_paused || fires_by(call, call->lease_at));
        INVARIANT(!is_paused || call->engine->body_idle == 0 ||
                  fires_by(call, call_waits_for_body_since(call) + call->engine->body_idle));
        break;
    case CALL_STEP_BACKOFF: INVARIANT(fires_by(call, call->not_before)); break;
    case CALL_STEP_RELAY:
        INVARIANT(timeouts->mode != POLICY_ENFORCE || timeouts->idle == 0 ||
                  fires_by(call, call->touched_at + timeouts->idle));
        break;
    default: break;
    }
}

static void check_call(const struct sim_call *visit)
{
    const struct call *call = &visit->call;
    const bool may_work = call->step == CALL_STEP_ATTEMPT || call->step == CALL_STEP_BACKOFF ||
                          call->step == CALL_STEP_RELAY;
    INVARIANT(call->step != CALL_STEP_ROUTE && call->step != CALL_STEP_ADMIT &&
              call->step != CALL_STEP_JUDGE_HEAD);
    INVARIANT((call->step == CALL_STEP_QUEUED) == (call->line != NULL));
    INVARIANT(call->line == NULL || list_is_linked(&call->line_link));
    INVARIANT(call->permit.is_live == call->is_attempt_live);
    INVARIANT(!call->is_attempt_live || may_work);
    INVARIANT(call->step != CALL_STEP_ATTEMPT || call->is_attempt_live);
    INVARIANT(!call->is_promised || call->line != NULL);
    INVARIANT(call->line != NULL || call->endpoint_seat == NULL || !call->is_settled);
    INVARIANT(call->line != NULL || call->outlier_seat == NULL || !call->is_settled);
    INVARIANT((call->actions != 0) == list_is_linked(&call->ready_link));
    INVARIANT(call->step != CALL_STEP_FINISH || !timer_is_set(&call->timer));
    check_timer(call);
}

static void check_on_time(const struct sim_call *visit, mono_ns a_tick_ago)
{
    const struct call *call = &visit->call;
    const bool is_enforced = call->lane->policy->timeouts.mode == POLICY_ENFORCE;
    const bool is_waiting = call->step == CALL_STEP_QUEUED || call->step == CALL_STEP_ATTEMPT;
    if (is_waiting && call_waits_for_body_since(call) == MONO_NEVER)
        INVARIANT(a_tick_ago < visit->deadline_at);
    if (call->step == CALL_STEP_QUEUED && !visit->sim->has_reloads)
        INVARIANT(a_tick_ago - call->line_joined_at <
                  (call->line == &call->tokens->line
                       ? call->lane->rate->rate_cfg.wait + NS_PER_MS
                       : call->lane->bulkhead->bulkhead_cfg.pending_timeout));
    if (call->step == CALL_STEP_ATTEMPT)
        INVARIANT(!is_enforced || a_tick_ago < deadline_next(&call->deadline));
    if (call->step == CALL_STEP_BACKOFF)
        INVARIANT(a_tick_ago < call->not_before);
}

void sim_check_on_time(const struct sim *sim)
{
    LIST_FOREACH (link, &sim->calls)
        check_on_time(CONTAINER_OF(link, struct sim_call, link), sim->now - NS_PER_MS);
}

/* ---- rooms ---- */

static uint32_t length_of(const struct list *head)
{
    uint32_t length = 0;
    LIST_FOREACH (link, head)
        length++;
    return length;
}

static void check_line(const struct line *line)
{
    INVARIANT(line->length == length_of(&line->calls));
    LIST_FOREACH (link, &line->calls)
        INVARIANT(CONTAINER_OF(link, struct call, line_link)->line == line);
}

/* Returns whether it is over its limit: it may, once that was lowered. */
static bool check_slots(const struct sim *sim, const struct slot_room *room)
{
    const struct bulkhead *bulkhead = &room->bulkhead;
    uint32_t in_flight[BULKHEAD_SLOT_KINDS] = {0, 0, 0};
    uint32_t waiting = 0;
    LIST_FOREACH (link, &sim->calls) {
        const struct call *call = &CONTAINER_OF(link, struct sim_call, link)->call;
        waiting += call->line != NULL && call->slots == room;
        if (call->permit.is_live && call->permit.bulkhead == bulkhead)
            in_flight[call->permit.slot]++;
    }
    INVARIANT(room->waiting == waiting);
    for (int i = 0; i < BULKHEAD_SLOT_KINDS; i++)
        INVARIANT(bulkhead->in_flight[i] == in_flight[i]);
    for (int i = 0; i < SLOT_LINES; i++) {
        check_line(&room->lines[i]);
        INVARIANT(room->lines[i].length == 0 || !bulkhead_has_room(bulkhead, slot_of_line(i)));
    }
    const bool is_over = in_flight[BULKHEAD_ATTEMPT] > bulkhead->limit[BULKHEAD_ATTEMPT] ||
                         in_flight[BULKHEAD_STREAM] > bulkhead->limit[BULKHEAD_STREAM];
    INVARIANT(!is_over || sim->may_be_over_limit);
    return is_over;
}

static void check_tokens(const struct sim *sim, const struct token_room *room)
{
    uint64_t promised = 0;
    uint32_t waiting = 0;
    LIST_FOREACH (link, &sim->calls) {
        const struct call *call = &CONTAINER_OF(link, struct sim_call, link)->call;
        const bool is_here = call->line != NULL && call->tokens == room;
        INVARIANT(!is_here || !call->is_promised || call->line != &room->line);
        waiting += is_here;
        promised += is_here && call->is_promised;
    }
    INVARIANT(room->waiting == waiting && room->promised == promised);
    check_line(&room->line);
    const struct token_bucket *bucket = &room->bucket;
    INVARIANT(bucket->tat - sim->now <= bucket->capacity);
    if (bucket->emission > 0)
        INVARIANT(token_bucket_millitokens(bucket, sim->now) <=
                  (uint64_t)(bucket->capacity / bucket->emission) * 1000);
    if (room->line.length == 0)
        return;
    INVARIANT(timer_is_set(&room->timer));
    INVARIANT(room->timer.at <= token_bucket_when(bucket, promised + 1, sim->now));
}

static bool check_room(const struct sim *sim, const struct room_table *table,
                       const struct keyed_room *room)
{
    if (table->kind == ROOM_SLOTS)
        return check_slots(sim, &room->slots);
    check_tokens(sim, &room->tokens);
    return false;
}

static bool check_table(const struct sim *sim, const struct room_table *table)
{
    bool is_over = check_room(sim, table, table->other);
    INVARIANT(table->count == length_of(&table->by_age));
    INVARIANT(table->count <= table->key.max_keys);
    LIST_FOREACH (link, &table->by_age)
        is_over |= check_room(sim, table, CONTAINER_OF(link, struct keyed_room, age_link));
    return is_over;
}

/* ---- breakers ---- */

/* Probes that are out: granted in this generation, not judged yet. */
static void check_seat(const struct sim *sim, const struct seat *seat)
{
    const struct breaker *breaker = &seat->breaker;
    uint32_t probes = 0;
    LIST_FOREACH (link, &sim->calls) {
        const struct permit *permit = &CONTAINER_OF(link, struct sim_call, link)->call.permit;
        for (int i = 0; i < GATE_BREAKERS; i++)
            probes += permit->is_live && !permit->is_judged && permit->breakers[i] == breaker &&
                      permit->passes[i].is_probe &&
                      permit->passes[i].generation == breaker->generation;
    }
    INVARIANT(breaker->probes_admitted - breaker->probes_succeeded == probes);
    INVARIANT(!list_is_linked(&seat->moved_link));
    INVARIANT(seat->timer.at == breaker_next_tick(breaker));
    if (breaker->state == BREAKER_OPEN || breaker->state == BREAKER_FORCED_OPEN)
        INVARIANT(list_is_empty(&seat->waiting));
    LIST_FOREACH (link, &seat->waiting)
        INVARIANT(CONTAINER_OF(link, struct call, seat_link)->line != NULL);
}

static void check_endpoint_seat(const struct sim *sim, const struct endpoint_seat *seat)
{
    uint32_t users = 0;
    LIST_FOREACH (link, &sim->calls) {
        const struct call *call = &CONTAINER_OF(link, struct sim_call, link)->call;
        users += call->line == NULL && (call->endpoint_seat == seat || call->outlier_seat == seat);
    }
    INVARIANT(seat->users == users);
    check_seat(sim, &seat->seat);
}

static void check_board(const struct sim *sim, const struct endpoint_board *board)
{
    uint32_t ejected = 0;
    LIST_FOREACH (link, &board->seats) {
        const struct endpoint_seat *seat = CONTAINER_OF(link, struct endpoint_seat, link);
        ejected += seat->seat.breaker.state != BREAKER_CLOSED;
        check_endpoint_seat(sim, seat);
    }
    INVARIANT(board->count == length_of(&board->seats));
    INVARIANT(board->ejected == ejected);
}

static bool check_instance(const struct sim *sim, const struct instance *instance)
{
    bool is_over = check_table(sim, instance->slots);
    is_over |= check_table(sim, instance->tokens);
    LIST_FOREACH (link, &instance->retired_tables)
        is_over |= check_table(sim, CONTAINER_OF(link, struct room_table, retired_link));
    check_seat(sim, &instance->seat);
    check_board(sim, &instance->endpoints);
    check_board(sim, &instance->outliers);
    return is_over;
}

/* ---- all ---- */

struct found {
    const struct instance *instances[MAX_INSTANCES];
    size_t count;
};

static void find(struct found *found, const struct instance *instance)
{
    if (instance == NULL)
        return;
    for (size_t i = 0; i < found->count; i++)
        if (found->instances[i] == instance)
            return;
    INVARIANT(found->count < MAX_INSTANCES);
    found->instances[found->count++] = instance;
}

static void find_all(const struct sim *sim, struct found *found)
{
    find(found, sim->target->instance);
    for (size_t i = 0; i + 1 < sim->target->lane_count; i++)
        find(found, sim->target->rule_instances[i]);
    LIST_FOREACH (link, &sim->calls) {
        const struct lane *lane = CONTAINER_OF(link, struct sim_call, link)->call.lane;
        find(found, lane->breaker);
        find(found, lane->bulkhead);
        find(found, lane->rate);
    }
}

void sim_check(struct sim *sim)
{
    struct found found = {.count = 0};
    bool is_over = false;
    LIST_FOREACH (link, &sim->calls) {
        sim_note_progress(CONTAINER_OF(link, struct sim_call, link));
        check_call(CONTAINER_OF(link, struct sim_call, link));
    }
    check_budget(sim);
    find_all(sim, &found);
    for (size_t i = 0; i < found.count; i++)
        is_over |= check_instance(sim, found.instances[i]);
    sim->may_be_over_limit &= is_over;
}
