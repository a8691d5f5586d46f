/* control.c - see control.h. A command that walks the targets keeps its place as a number of a hash
 * chain: targets may come and go between two slices without harm. */
#include "admin/control.h"

#include "admin/policies.h"
#include "base/check.h"
#include "base/log.h"
#include "request/destination.h"

#include <stdio.h>
#include <stdlib.h>

#define LABEL_BYTES 256
#define ROOMS_PER_CHAIN 32 /* rooms of a keyed limit that cost as much as an empty chain */

struct control_work {
    struct list link; /* control.work */
    struct control *control;
    struct admin_command *command;
    uint32_t chain; /* next of the target table */
    bool has_items;
    struct snapshot
        *snapshot; /* ADMIN_POLICIES: what is written, though a reload may come between */
    struct policies_walk policies;
};

/* ---- every breaker of a target ---- */

typedef void (*seat_visitor)(struct control_work *work, struct seat *seat);

static void visit_board(struct control_work *work, struct endpoint_board *board, seat_visitor visit)
{
    LIST_FOREACH_SAFE (link, following, &board->seats)
        visit(work, &CONTAINER_OF(link, struct endpoint_seat, link)->seat);
}

static void visit_instance(struct control_work *work, struct instance *instance, seat_visitor visit)
{
    if (instance == NULL)
        return;
    if (instance->breaker_cfg.mode != POLICY_OFF && !instance_is_by_endpoint(instance))
        visit(work, &instance->seat);
    if (instance->breaker_cfg.mode != POLICY_OFF)
        visit_board(work, &instance->endpoints, visit);
    if (instance_has_outliers(instance))
        visit_board(work, &instance->outliers, visit);
}

static void visit_seats(struct control_work *work, struct target *target, seat_visitor visit)
{
    visit_instance(work, target->instance, visit);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        visit_instance(work, target->rule_instances[i], visit);
}

static void seat_id(const struct seat *seat, char id[ADMIN_ID_MAX + 1])
{
    char label[LABEL_BYTES];
    seat_label(seat, label, sizeof label);
    snprintf(id, ADMIN_ID_MAX + 1, "%s/%s", seat->instance->target->name, label);
}

/* ---- gauges ---- */

static uint32_t permille(uint32_t part, uint32_t of)
{
    return of > 0 ? (uint32_t)((uint64_t)part * 1000 / of) : 0;
}

static void set_breaker(struct metrics_instance *metrics, struct breaker *breaker, mono_ns now)
{
    const struct window_counts counts = window_counts(&breaker->window, now);
    metrics_set_breaker(metrics, breaker->state, permille(counts.failures, counts.calls),
                        permille(counts.slow, counts.calls), breaker_open_time(breaker, now));
}

static void set_board(struct endpoint_board *board, mono_ns now)
{
    LIST_FOREACH (link, &board->seats) {
        struct endpoint_seat *seat = CONTAINER_OF(link, struct endpoint_seat, link);
        set_breaker(seat->seat.user, &seat->seat.breaker, now);
    }
}

static void set_instance(struct instance *instance, mono_ns now)
{
    if (instance == NULL)
        return;
    struct room_totals slots = {0};
    struct room_totals tokens = {0};
    room_table_totals(instance->slots, now, &slots);
    room_table_totals(instance->tokens, now, &tokens);
    set_breaker(instance->user, &instance->seat.breaker, now);
    metrics_set_bulkhead(instance->user, slots.in_flight[BULKHEAD_ATTEMPT],
                         instance->bulkhead_cfg.max_requests, slots.queued);
    metrics_set_tokens(instance->user, tokens.millitokens);
    set_board(&instance->endpoints, now);
    set_board(&instance->outliers, now);
}

static void visit_gauges(struct control_work *work, struct target *target)
{
    const mono_ns now = work->control->proxy->loop->now;
    const struct destination *destination = destination_of(target);
    set_instance(target->instance, now);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        set_instance(target->rule_instances[i], now);
    if (target->lanes[0]->policy->retry.mode != POLICY_OFF) {
        const uint64_t available = retry_budget_available(&target->budget, now);
        metrics_set_retry_budget(destination->metrics,
                                 available == UINT64_MAX ? METRICS_UNLIMITED : available);
    }
}

static void set_connections(struct proxy *proxy)
{
    uint64_t idle = 0;
    LIST_FOREACH (link, &proxy->codec.idle_fronts)
        idle++;
    const uint64_t tunnels = proxy->tunnel_count;
    const uint64_t down = proxy->connection_count;
    const uint64_t up = proxy->pool.open_count;
    const uint64_t up_idle = proxy->pool.idle_count;
    metrics_set_connections(proxy->metrics, SIDE_DOWNSTREAM, CONNECTION_IDLE, idle);
    metrics_set_connections(proxy->metrics, SIDE_DOWNSTREAM, CONNECTION_TUNNEL, tunnels);
    metrics_set_connections(proxy->metrics, SIDE_DOWNSTREAM, CONNECTION_ACTIVE,
                            down > idle + tunnels ? down - idle - tunnels : 0);
    metrics_set_connections(proxy->metrics, SIDE_UPSTREAM, CONNECTION_IDLE, up_idle);
    metrics_set_connections(proxy->metrics, SIDE_UPSTREAM, CONNECTION_TUNNEL, tunnels);
    metrics_set_connections(proxy->metrics, SIDE_UPSTREAM, CONNECTION_ACTIVE,
                            up > up_idle + tunnels ? up - up_idle - tunnels : 0);
}

static void set_lookups(struct proxy *proxy)
{
    const struct resolver_counts counts = resolver_counts(proxy->resolver);
    metrics_set_lookups(proxy->metrics, counts.failed, counts.good);
}

static void set_tls(struct proxy *proxy)
{
    struct tls_stats stats = {.done = 0};
    const struct policy_set *set = proxy->snapshot->set;
    uint64_t unverified = 0;
    if (proxy->tls != NULL)
        tls_engine_stats(proxy->tls, &stats);
    const uint64_t counts[TLS_RESULT_COUNT] = {stats.done - stats.resumed, stats.resumed,
                                               stats.failed, stats.refused};
    metrics_set_handshakes(proxy->metrics, counts);
    for (size_t i = 0; i < set->document_count; i++) {
        const struct tls_config *tls = &set->documents[i].tls;
        unverified += tls->mode != TLS_MODE_OFF && tls->skips_verification;
    }
    metrics_set_tls_unverified(proxy->metrics, unverified);
}

/* ---- circuits ---- */

static void put_time(struct text *out, const char *key, mono_ns at, const struct control_work *work)
{
    char text[LOG_TIME_SIZE];
    struct loop *loop = work->control->proxy->loop;
    text_printf(out, ",\"%s\":", key);
    if (at == MONO_NEVER) {
        text_put(out, "null");
        return;
    }
    log_format_time(loop_wall(loop) + (at - loop->now), text);
    text_json(out, text);
}

static void put_seat(struct control_work *work, struct seat *seat)
{
    struct text *out = &work->command->reply;
    struct breaker *breaker = &seat->breaker;
    const struct instance *instance = seat->instance;
    const struct window_counts counts =
        window_counts(&breaker->window, work->control->proxy->loop->now);
    char id[ADMIN_ID_MAX + 1];
    char label[LABEL_BYTES];
    seat_id(seat, id);
    seat_label(seat, label, sizeof label);
    text_put(out, work->has_items ? ",{\"id\":" : "{\"id\":");
    work->has_items = true;
    text_json(out, id);
    text_put(out, ",\"target\":");
    text_json(out, instance->target->name);
    text_put(out, ",\"instance\":");
    text_json(out, label);
    text_put(out, ",\"policy\":");
    text_json(out, instance->target->policy_name);
    text_printf(out, ",\"state\":\"%s\",\"mode\":\"%s\"", breaker_state_word(breaker->state),
                instance->breaker_cfg.mode == POLICY_SHADOW ? "shadow" : "enforce");
    put_time(out, "since", breaker->entered_at, work);
    text_printf(out, ",\"reason\":\"%s\"", breaker_cause_word(breaker->last.cause));
    text_printf(out,
                ",\"window\":{\"calls\":%u,\"failures\":%u,\"slow\":%u},\"consecutiveFailures\":%u",
                counts.calls, counts.failures, counts.slow, breaker->consecutive);
    put_time(out, "nextProbe", breaker_next_tick(breaker), work);
    text_put(out, ",\"at\":");
    text_json(out, instance->at_text);
    text_char(out, '}');
}

static void act_on_seat(struct control_work *work, struct seat *seat)
{
    static const enum breaker_state states[] = {[ADMIN_FORCE_OPEN] = BREAKER_FORCED_OPEN,
                                                [ADMIN_CLOSE] = BREAKER_CLOSED,
                                                [ADMIN_DISABLE] = BREAKER_DISABLED,
                                                [ADMIN_RESET] = BREAKER_CLOSED};
    char id[ADMIN_ID_MAX + 1];
    struct admin_command *command = work->command;
    seat_id(seat, id);
    if (strcmp(id, command->id) != 0)
        return;
    const enum breaker_state before = seat->breaker.state;
    seat_force(seat, states[command->action], work->control->proxy->loop->now);
    text_put(&command->reply, "{\"id\":");
    text_json(&command->reply, id);
    text_printf(&command->reply, ",\"from\":\"%s\",\"to\":\"%s\"}\n", breaker_state_word(before),
                breaker_state_word(seat->breaker.state));
    work->has_items = true;
}

/* ---- instances ---- */

static void put_breaker(struct text *out, const struct instance *instance)
{
    text_put(out, ",\"circuitBreaker\":");
    if (instance->breaker_cfg.mode == POLICY_OFF)
        text_put(out, "null");
    else
        text_printf(out, "{\"state\":\"%s\",\"endpoints\":%u}",
                    breaker_state_word(instance->seat.breaker.state),
                    instance_is_by_endpoint(instance) ? instance->endpoints.count : 0);
}

static void put_outlier(struct text *out, const struct instance *instance)
{
    text_put(out, ",\"outlier\":");
    if (!instance_has_outliers(instance))
        text_put(out, "null");
    else
        text_printf(out, "{\"endpoints\":%u,\"ejected\":%u}", instance->outliers.count,
                    instance->outliers.ejected);
}

static void put_rooms(struct text *out, const struct instance *instance, mono_ns now)
{
    struct room_totals slots = {0};
    struct room_totals tokens = {0};
    room_table_totals(instance->slots, now, &slots);
    room_table_totals(instance->tokens, now, &tokens);
    text_put(out, ",\"bulkhead\":");
    if (instance->bulkhead_cfg.mode == POLICY_OFF)
        text_put(out, "null");
    else
        text_printf(out, "{\"inFlight\":%llu,\"queued\":%llu}",
                    (unsigned long long)slots.in_flight[BULKHEAD_ATTEMPT],
                    (unsigned long long)slots.queued);
    text_put(out, ",\"rateLimit\":");
    if (instance->rate_cfg.mode == POLICY_OFF) {
        text_put(out, "null");
        return;
    }
    text_printf(out, "{\"queued\":%llu,\"tokens\":", (unsigned long long)tokens.queued);
    text_fixed(out, tokens.millitokens, 3);
    text_char(out, '}');
}

static void put_instance(struct control_work *work, const struct target *target,
                         const struct instance *instance)
{
    struct text *out = &work->command->reply;
    if (instance == NULL)
        return;
    text_put(out, work->has_items ? ",\n{\"target\":" : "\n{\"target\":");
    work->has_items = true;
    text_json(out, target->name);
    text_put(out, ",\"policy\":");
    text_json(out, target->policy_name);
    text_put(out, ",\"instance\":");
    text_json(out, instance->name);
    put_breaker(out, instance);
    put_outlier(out, instance);
    put_rooms(out, instance, work->control->proxy->loop->now);
    text_char(out, '}');
}

static void put_instances(struct control_work *work, const struct target *target)
{
    put_instance(work, target, target->instance);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        put_instance(work, target, target->rule_instances[i]);
}

static void put_ready(struct admin_command *command, const struct proxy *proxy)
{
    const bool is_ready = proxy_is_ready(proxy);
    command->status = is_ready ? 200 : 503;
    text_put(
        &command->reply,
        is_ready
            ? "{\"ready\":true}\n"
            : "{\"ready\":false,\"reason\":\"shutdown\",\"message\":\"the proxy is draining\"}\n");
}

/* Asked twice, it goes on draining: only a second signal cuts what is left. */
static void put_quit(struct admin_command *command, struct proxy *proxy)
{
    if (proxy_is_ready(proxy))
        proxy_drain(proxy);
    command->status = 202;
    text_put(&command->reply, "{\"draining\":true}\n");
}

/* ---- slices ---- */

static void visit_target(struct control_work *work, struct target *target)
{
    switch (work->command->kind) {
    case ADMIN_REFRESH_GAUGES: visit_gauges(work, target); break;
    case ADMIN_CIRCUITS: visit_seats(work, target, put_seat); break;
    case ADMIN_INSTANCES: put_instances(work, target); break;
    default: /* ADMIN_CIRCUIT_ACTION */ visit_seats(work, target, act_on_seat); break;
    }
}

/* A target with keyed limits is as much work as it has rooms. */
static uint32_t instance_cost(const struct instance *instance)
{
    return instance != NULL ? (instance->slots->count + instance->tokens->count) / ROOMS_PER_CHAIN
                            : 0;
}

static uint32_t target_cost(const struct target *target)
{
    uint32_t cost = 1 + instance_cost(target->instance);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        cost += instance_cost(target->rule_instances[i]);
    return cost;
}

static bool run_slice(struct control_work *work)
{
    if (work->snapshot != NULL)
        return policies_write(&work->policies, &work->command->reply, CONTROL_CHUNKS);
    const struct target_table *targets = &work->control->proxy->targets;
    uint32_t done = 0;
    for (; work->chain < targets->chain_count && done < CONTROL_SLICE; work->chain++, done++) {
        struct target *following;
        for (struct target *target = targets->chains[work->chain]; target != NULL;
             target = following) {
            following = target->chain;
            done += target_cost(target);
            visit_target(work, target);
        }
    }
    return work->chain >= targets->chain_count;
}

static void finish(struct control_work *work)
{
    struct admin_command *command = work->command;
    if (command->kind == ADMIN_CIRCUITS || command->kind == ADMIN_INSTANCES)
        text_put(&command->reply, "]}\n");
    if (command->kind == ADMIN_CIRCUIT_ACTION && !work->has_items) {
        command->status = 404;
        text_put(&command->reply, "{\"error\":\"not_found\",\"message\":\"no such circuit: GET "
                                  "/circuits lists their ids\"}\n");
    }
    list_remove(&work->link);
    if (work->snapshot != NULL)
        snapshot_unref(&work->snapshot);
    free(work);
    admin_command_complete(command);
}

static void on_task(struct loop_task *task)
{
    struct control *control = CONTAINER_OF(task, struct control, task);
    struct list *first = list_first(&control->work);
    if (first == NULL)
        return;
    struct control_work *work = CONTAINER_OF(first, struct control_work, link);
    if (run_slice(work))
        finish(work);
    proxy_perform(control->proxy);
    if (!list_is_empty(&control->work))
        loop_defer(control->proxy->loop, &control->task);
}

static void start_walk(struct control *control, struct admin_command *command)
{
    struct control_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        command->status = 503;
        text_put(&command->reply,
                 "{\"error\":\"overloaded\",\"message\":\"no memory for the answer\"}\n");
        admin_command_complete(command);
        return;
    }
    work->control = control;
    work->command = command;
    if (command->kind == ADMIN_CIRCUITS)
        text_put(&command->reply, "{\"circuits\":[");
    if (command->kind == ADMIN_INSTANCES)
        text_put(&command->reply, "{\"instances\":[");
    if (command->kind == ADMIN_POLICIES) {
        work->snapshot = snapshot_ref(control->proxy->snapshot);
        work->policies.set = work->snapshot->set;
    }
    if (command->kind == ADMIN_REFRESH_GAUGES) {
        set_connections(control->proxy);
        set_lookups(control->proxy);
        set_tls(control->proxy);
    }
    list_append(&control->work, &work->link);
    loop_defer(control->proxy->loop, &control->task);
}

static void on_mail(struct mail *mail)
{
    struct admin_command *command = CONTAINER_OF(mail, struct admin_command, mail);
    struct control *control = command->loop_context;
    switch (command->kind) {
    case ADMIN_PING: admin_command_complete(command); break;
    case ADMIN_READY:
        put_ready(command, control->proxy);
        admin_command_complete(command);
        break;
    case ADMIN_QUIT:
        put_quit(command, control->proxy);
        admin_command_complete(command);
        break;
    default: start_walk(control, command); break;
    }
}

static enum err post(void *context, struct admin_command *command)
{
    struct control *control = context;
    command->loop_context = control;
    mail_init(&command->mail, on_mail);
    return mailbox_post(control->mailbox, &command->mail);
}

void control_init(struct control *control, struct proxy *proxy, struct mailbox *mailbox)
{
    *control = (struct control){.proxy = proxy, .mailbox = mailbox};
    list_init(&control->work);
    loop_task_init(&control->task, on_task);
}

void control_fini(struct control *control)
{
    loop_task_cancel(&control->task);
    LIST_FOREACH_SAFE (link, following, &control->work) {
        struct control_work *work = CONTAINER_OF(link, struct control_work, link);
        work->command->status = 503;
        finish(work);
    }
}

struct admin_backend control_backend(struct control *control)
{
    return (struct admin_backend){.post = post, .context = control};
}
