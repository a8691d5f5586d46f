/* world.c - makes the world of a scenario, lets its time pass, and counts. See world.h. */
#include "sim/world.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_CALLS 256
#define SLAB_JOBS 512

/* ---- memory of calls and jobs -------------------------------------------------------------- */

struct slab {
    struct slab *next;
    void *items;
};

static void *slab_new(struct world *world, size_t count, size_t size)
{
    struct slab *slab = malloc(sizeof *slab);
    INVARIANT(slab != NULL);
    slab->items = calloc(count, size);
    INVARIANT(slab->items != NULL);
    slab->next = world->slabs;
    world->slabs = slab;
    return slab->items;
}

struct job *world_job(struct world *world)
{
    if (world->free_jobs == NULL) {
        struct job *jobs = slab_new(world, SLAB_JOBS, sizeof *jobs);
        for (size_t i = 0; i < SLAB_JOBS; i++) {
            jobs[i].next_free = world->free_jobs;
            world->free_jobs = &jobs[i];
        }
    }
    struct job *job = world->free_jobs;
    const uint32_t epoch = job->epoch;
    world->free_jobs = job->next_free;
    *job = (struct job){.epoch = epoch};
    list_init(&job->link);
    list_init(&job->house_link);
    return job;
}

void world_job_free(struct world *world, struct job *job)
{
    job->epoch++;
    job->state = JOB_FREE;
    job->next_free = world->free_jobs;
    world->free_jobs = job;
}

struct sim_call *world_call(struct world *world)
{
    if (world->free_calls == NULL) {
        struct sim_call *calls = slab_new(world, SLAB_CALLS, sizeof *calls);
        for (size_t i = 0; i < SLAB_CALLS; i++) {
            calls[i].next_free = world->free_calls;
            world->free_calls = &calls[i];
        }
    }
    struct sim_call *call = world->free_calls;
    world->free_calls = call->next_free;
    return call;
}

void world_call_free(struct world *world, struct sim_call *call)
{
    call->epoch++;
    call->next_free = world->free_calls;
    world->free_calls = call;
}

/* ---- the policies, as they are or changed -------------------------------------------------- */

static void change(struct policy *policy, const struct policy *original,
                   const struct variant *variant)
{
    *policy = *original;
    if (variant->off & 1u << POLICY_FAMILY_TIMEOUTS)
        policy->timeouts.mode = POLICY_OFF;
    if (variant->off & 1u << POLICY_FAMILY_RETRY)
        policy->retry.mode = POLICY_OFF;
    if (variant->off & 1u << POLICY_FAMILY_CIRCUIT_BREAKER)
        policy->breaker.mode = POLICY_OFF;
    if (variant->off & 1u << POLICY_FAMILY_BULKHEAD)
        policy->bulkhead.mode = POLICY_OFF;
    if (variant->off & 1u << POLICY_FAMILY_RATE_LIMIT)
        policy->rate_limit.mode = POLICY_OFF;
    if (variant->off & 1u << POLICY_FAMILY_OUTLIER)
        policy->outlier.breaker.mode = POLICY_OFF;
    if (variant->attempts != WORLD_KEEP_ATTEMPTS)
        policy->retry.attempts = variant->attempts;
}

static void make_plans(struct world *world)
{
    const struct policy_set *set = world->policies;
    const size_t count = set->document_count;
    struct policy *changed = calloc(count + 1 + set->rule_count, sizeof *changed);
    struct plan_rule *rules = calloc(set->rule_count + 1, sizeof *rules);
    world->plans = calloc(count + 1, sizeof *world->plans);
    INVARIANT(changed != NULL && rules != NULL && world->plans != NULL);
    world->changed = changed;
    world->rules = rules;
    for (size_t i = 0; i <= count; i++) {
        const struct document *document = i < count ? &set->documents[i] : NULL;
        struct plan *plan = &world->plans[i];
        change(changed, document != NULL ? &document->policy : &set->no_policy, &world->variant);
        *plan = (struct plan){.policy_name = document != NULL ? document->name : "",
                              .policy = changed++,
                              .rules = rules,
                              .rule_count = document != NULL ? document->rule_count : 0,
                              .snapshot = world};
        for (size_t k = 0; k < plan->rule_count; k++) {
            change(changed, &document->rules[k].policy, &world->variant);
            *rules++ = (struct plan_rule){document->rules[k].name, changed++};
        }
    }
}

/* ---- samples ------------------------------------------------------------------------------- */

size_t world_bucket(const struct world *world, mono_ns at)
{
    const size_t bucket = (size_t)((at - WORLD_BEGIN) / world->result->bucket);
    return bucket < world->result->bucket_count ? bucket : world->result->bucket_count - 1;
}

static void sample_instance(const struct instance *instance, struct result_bucket *bucket)
{
    if (instance == NULL || instance->breaker_cfg.mode == POLICY_OFF)
        return;
    if (!instance_is_by_endpoint(instance)) {
        bucket->breakers[instance->seat.breaker.state]++;
        return;
    }
    LIST_FOREACH (link, &instance->endpoints.seats)
        bucket->breakers[CONTAINER_OF(link, struct endpoint_seat, link)->seat.breaker.state]++;
}

struct sums {
    double budget, tokens;
    uint32_t budgets, buckets;
};

static void sample_target(const struct world *world, struct target *target,
                          struct result_bucket *bucket, struct sums *sums)
{
    const struct policy *policy = target->lanes[0]->policy;
    sample_instance(target->instance, bucket);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        sample_instance(target->rule_instances[i], bucket);
    if (policy->retry.mode != POLICY_OFF && policy->retry.budget.mode != POLICY_OFF) {
        sums->budget += (double)retry_budget_available(&target->budget, world->now);
        sums->budgets++;
    }
    if (policy->rate_limit.mode != POLICY_OFF) {
        struct room_totals totals = {.queued = 0};
        room_table_totals(target->instance->tokens, world->now, &totals);
        sums->tokens += (double)totals.millitokens / 1000;
        sums->buckets++;
    }
}

static void sample(struct world *world, size_t index)
{
    struct result_bucket *bucket = &world->result->buckets[index];
    struct sums sums = {.budget = 0};
    bucket->in_flight = world->in_flight;
    for (uint32_t i = 0; i < world->sidecar_count; i++) {
        const struct sidecar *sidecar = &world->sidecars[i];
        for (size_t k = 0; k < world->scenario->upstream_count; k++)
            if (sidecar->targets[k] != NULL && sidecar->is_caller)
                sample_target(world, sidecar->targets[k], bucket, &sums);
    }
    bucket->budget_left = sums.budgets > 0 ? sums.budget / sums.budgets : -1;
    bucket->tokens_left = sums.buckets > 0 ? sums.tokens / sums.buckets : -1;
    for (size_t i = 0; i < world->scenario->upstream_count; i++)
        for (uint32_t k = 0; k < world->scenario->upstreams[i].endpoints; k++)
            if (world->services[i].servers[k].queued > bucket->queue)
                bucket->queue = world->services[i].servers[k].queued;
}

static void plan_sample(struct world *world)
{
    const mono_ns at = world->now + world->result->bucket;
    if (at <= world->ends_at)
        agenda_enter(&world->agenda, at, HAPPENS_SAMPLE, NULL, 0);
}

/* ---- making it ------------------------------------------------------------------------------ */

static void make_services(struct world *world)
{
    const struct scenario *scenario = world->scenario;
    world->services = calloc(scenario->upstream_count, sizeof *world->services);
    INVARIANT(world->services != NULL);
    for (uint32_t i = 0; i < scenario->upstream_count; i++) {
        const struct scenario_upstream *config = &scenario->upstreams[i];
        struct service *service = &world->services[i];
        service->first_server = world->server_count;
        service->servers = calloc(config->endpoints, sizeof *service->servers);
        INVARIANT(service->servers != NULL);
        for (uint32_t k = 0; k < config->endpoints; k++)
            server_init(&service->servers[k], world, i, k);
        if (config->call_count > 0)
            service->flows = world_flows(world, NULL, config->calls, config->call_count);
        world->server_count += config->endpoints;
    }
}

static uint32_t count_sidecars(const struct scenario *scenario)
{
    uint32_t count = 0;
    for (size_t i = 0; i < scenario->caller_count; i++)
        count += scenario->callers[i].replicas;
    for (size_t i = 0; i < scenario->upstream_count; i++)
        if (scenario->upstreams[i].call_count > 0)
            count += scenario->upstreams[i].endpoints;
    return count;
}

static void make_stream(struct world *world, size_t index, uint32_t *number)
{
    struct stream_of_calls *stream = &world->streams[index];
    const struct scenario_caller *config = &world->scenario->callers[index];
    stream->config = config;
    stream->flow_count = config->call_count > 0 ? config->call_count : 1;
    stream->flows = world_flows(world, config->upstream, config->calls, config->call_count);
    stream->first_sidecar = *number;
    stream->luck = world->seed * UINT64_C(0xd1342543de82ef95) + index;
    for (size_t i = 0; i < stream->flow_count; i++)
        stream->weights += stream->flows[i].weight;
    for (uint32_t i = 0; i < config->replicas; i++) {
        struct sidecar *sidecar = &world->sidecars[*number];
        sidecar_init(sidecar, world, (*number)++);
        sidecar->is_caller = true;
        for (size_t k = 0; k < stream->flow_count; k++)
            sidecar_reach(sidecar, stream->flows[k].upstream);
    }
}

static void make_sidecars(struct world *world)
{
    const struct scenario *scenario = world->scenario;
    uint32_t number = 0;
    world->sidecar_count = count_sidecars(scenario);
    world->sidecars = calloc(world->sidecar_count, sizeof *world->sidecars);
    world->streams = calloc(scenario->caller_count, sizeof *world->streams);
    INVARIANT(world->sidecars != NULL && world->streams != NULL);
    for (size_t i = 0; i < scenario->caller_count; i++)
        make_stream(world, i, &number);
    for (size_t i = 0; i < scenario->upstream_count; i++) {
        const struct scenario_upstream *config = &scenario->upstreams[i];
        for (uint32_t k = 0; config->call_count > 0 && k < config->endpoints; k++) {
            struct sidecar *sidecar = &world->sidecars[number];
            sidecar_init(sidecar, world, number++);
            world->services[i].servers[k].sidecar = sidecar;
            for (size_t f = 0; f < config->call_count; f++)
                sidecar_reach(sidecar, world->services[i].flows[f].upstream);
        }
    }
}

static struct world *world_new(const struct world_order *order)
{
    struct world *world = calloc(1, sizeof *world);
    INVARIANT(world != NULL);
    world->scenario = order->scenario;
    world->policies = order->policies;
    world->variant = order->variant;
    world->seed = order->seed;
    world->after_event = order->after_event;
    world->now = WORLD_BEGIN;
    world->ends_at = WORLD_BEGIN + order->scenario->duration;
    world->wheel = wheel_new(world->now);
    world->result = result_new(order->scenario, order->policy_name, order->seed);
    INVARIANT(world->result != NULL);
    list_init(&world->ready);
    list_init(&world->open);
    agenda_init(&world->agenda);
    make_plans(world);
    make_services(world);
    make_sidecars(world);
    return world;
}

/* After end_open_calls: the engines are empty. */
static void world_free(struct world *world)
{
    for (uint32_t i = 0; i < world->sidecar_count; i++)
        sidecar_fini(&world->sidecars[i]);
    for (size_t i = 0; i < world->scenario->upstream_count; i++) {
        free(world->services[i].servers);
        free(world->services[i].flows);
    }
    for (size_t i = 0; i < world->scenario->caller_count; i++)
        free(world->streams[i].flows);
    while (world->slabs != NULL) {
        struct slab *slab = world->slabs;
        world->slabs = slab->next;
        free(slab->items);
        free(slab);
    }
    free(world->services);
    free(world->streams);
    free(world->sidecars);
    free(world->plans);
    free(world->rules);
    free(world->changed);
    agenda_fini(&world->agenda);
    wheel_free(&world->wheel);
    free(world);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void fault(struct world *world, const struct scenario_fault *fault, bool begins)
{
    struct service *service = &world->services[fault->upstream_index];
    const uint32_t count = world->scenario->upstreams[fault->upstream_index].endpoints;
    for (uint32_t i = 0; i < count; i++)
        if (fault->endpoint == 0 || fault->endpoint == i + 1)
            server_fault(&service->servers[i], fault, begins);
    sidecar_perform_all(world);
}

static void happen_to_job(const struct entry *entry)
{
    struct job *job = entry->subject;
    if (job->epoch != entry->epoch)
        return;
    switch (entry->what) {
    case HAPPENS_REACHED: server_reached(job->server, job); break;
    case HAPPENS_SERVED: server_served(job->server, job); break;
    case HAPPENS_ANSWERED: sidecar_answered(job); break;
    default: /* BROKEN */ sidecar_broken(job); break;
    }
}

static void happen_to_call(const struct entry *entry)
{
    struct sim_call *call = entry->subject;
    if (call->epoch != entry->epoch)
        return;
    if (entry->what == HAPPENS_CONNECTED)
        sidecar_connected(call);
    else
        sidecar_refused(call);
}

static void happen(struct world *world, const struct entry *entry)
{
    world->result->events++;
    switch (entry->what) {
    case HAPPENS_ARRIVAL: world_arrive(world, entry->subject); break;
    case HAPPENS_CONNECTED:
    case HAPPENS_REFUSED: happen_to_call(entry); break;
    case HAPPENS_FAULT_BEGIN: fault(world, entry->subject, true); break;
    case HAPPENS_FAULT_END: fault(world, entry->subject, false); break;
    case HAPPENS_SAMPLE:
        sample(world, world_bucket(world, world->now - 1));
        plan_sample(world);
        break;
    default: happen_to_job(entry); break;
    }
}

static void begin(struct world *world)
{
    for (size_t i = 0; i < world->scenario->fault_count; i++) {
        struct scenario_fault *next = &world->scenario->faults[i];
        agenda_enter(&world->agenda, WORLD_BEGIN + next->at, HAPPENS_FAULT_BEGIN, next, 0);
        agenda_enter(&world->agenda, WORLD_BEGIN + next->at + next->lasts, HAPPENS_FAULT_END, next,
                     0);
    }
    for (size_t i = 0; i < world->scenario->caller_count; i++)
        world_plan_arrival(world, &world->streams[i]);
    plan_sample(world);
}

/* Until `until`, or until nothing more can happen. */
static void pass_time(struct world *world, mono_ns until)
{
    for (;;) {
        const mono_ns timer = wheel_next(world->wheel);
        const mono_ns moment = agenda_next(&world->agenda);
        const mono_ns next = mono_min(timer, moment);
        if (next > until)
            return;
        world->now = next > world->now ? next : world->now;
        if (timer <= moment) {
            wheel_advance(world->wheel, world->now);
        } else {
            const struct entry entry = agenda_take(&world->agenda);
            happen(world, &entry);
        }
        sidecar_perform_all(world);
        if (world->after_event != NULL)
            world->after_event(world);
    }
}

/* What is still open when its time is over ends unheard, so that the engines are left empty. */
static void end_open_calls(struct world *world)
{
    struct list *first;
    world->result->unfinished = world->in_flight;
    world->is_over = true;
    while ((first = list_first(&world->open)) != NULL) {
        struct sim_call *call = CONTAINER_OF(first, struct sim_call, open_link);
        list_remove(first);
        call_on_cancel(&call->call, world->now);
        sidecar_perform_all(world);
    }
}

struct result *world_run(const struct world_order *order)
{
    struct world *world = world_new(order);
    struct result *result = world->result;
    begin(world);
    pass_time(world, world->ends_at);
    while (world->in_flight > 0 && world->now < world->ends_at + WORLD_GRACE) {
        const mono_ns next = mono_min(wheel_next(world->wheel), agenda_next(&world->agenda));
        if (next > world->ends_at + WORLD_GRACE)
            break;
        pass_time(world, next);
    }
    end_open_calls(world);
    world_free(world);
    result_conclude(result);
    return result;
}
