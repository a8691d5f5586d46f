/* server.c - see server.h. */
#include "sim/server.h"

#include "base/check.h"
#include "sim/luck.h"
#include "sim/world.h"

#include <stdio.h>

#define NORMAL_P99 2.3263478740408408 /* of a standard normal distribution */
#define SERVICE_MAX (3600 * NS_PER_S)

static void start_work(struct server *server);

void server_init(struct server *server, struct world *world, uint32_t upstream, uint32_t number)
{
    *server = (struct server){.world = world,
                              .config = &world->scenario->upstreams[upstream],
                              .upstream = upstream,
                              .number = number,
                              .id = number + 1};
    list_init(&server->queue);
    list_init(&server->standing);
    list_init(&server->house);
    snprintf(server->label, sizeof server->label, "10.0.%u.%u:%u", upstream, number + 1,
             server->config->address.port);
}

dur_ns server_one_way(const struct server *server)
{
    return server->config->round_trip / 2;
}

static struct result_upstream *counts_of(const struct server *server)
{
    return &server->world->result->upstreams[server->upstream];
}

/* ---- how long it takes -------------------------------------------------------------------- */

static double lognormal(const struct service_time *service, uint64_t *luck)
{
    const double ratio = log((double)service->p99 / (double)service->mean);
    const double sigma = NORMAL_P99 - sqrt(NORMAL_P99 * NORMAL_P99 - 2 * ratio);
    return (double)service->mean * exp(sigma * luck_normal(luck) - sigma * sigma / 2);
}

static double from_histogram(const struct service_time *service, uint64_t *luck)
{
    double weights = 0;
    double from = 0;
    for (size_t i = 0; i < service->step_count; i++)
        weights += service->steps[i].weight;
    double draw = luck_share(luck) * weights;
    for (size_t i = 0; i < service->step_count; i++) {
        const double to = (double)service->steps[i].up_to;
        if (draw < service->steps[i].weight || i + 1 == service->step_count)
            return from + (to - from) * luck_share(luck);
        draw -= service->steps[i].weight;
        from = to;
    }
    return from;
}

static double draw_time(const struct service_time *service, uint64_t *luck)
{
    switch (service->distribution) {
    case SERVICE_EXPONENTIAL: return (double)service->mean * luck_exponential(luck);
    case SERVICE_LOGNORMAL: return lognormal(service, luck);
    case SERVICE_HISTOGRAM: return from_histogram(service, luck);
    default: return (double)service->mean;
    }
}

static dur_ns service_time(const struct server *server, struct job *job)
{
    const struct overload *overload = &server->config->overload;
    double time = draw_time(&server->config->service, &job->luck);
    const uint32_t load = server->queued + server->busy;
    if (load > overload->above)
        time *= 1 + (double)(load - overload->above) * overload->slower_permille / 1000;
    if (server->brown_out != NULL)
        time *= server->brown_out->factor;
    return time < (double)SERVICE_MAX ? (dur_ns)time : SERVICE_MAX;
}

/* ---- a job comes and goes ----------------------------------------------------------------- */

static void answer(struct server *server, struct job *job, int status, dur_ns retry_after)
{
    dur_ns way = server_one_way(server);
    if (server->latency != NULL)
        way += server->latency->add;
    if (list_is_linked(&job->house_link))
        list_remove(&job->house_link);
    if (job->call == NULL) {
        world_job_free(server->world, job);
        return;
    }
    job->state = JOB_ANSWERING;
    job->status = status;
    job->retry_after = retry_after;
    agenda_enter(&server->world->agenda, mono_add(server->world->now, way), HAPPENS_ANSWERED, job,
                 job->epoch);
}

static bool is_over_quota(struct server *server, dur_ns *retry_after)
{
    const struct quota *quota = &server->config->quota;
    struct world *world = server->world;
    struct service *service = &world->services[server->upstream];
    const dur_ns at = world->now - WORLD_BEGIN;
    if (quota->requests == 0)
        return false;
    if (at / quota->interval != service->quota_window) {
        service->quota_window = at / quota->interval;
        service->quota_used = 0;
    }
    if (service->quota_used++ < quota->requests)
        return false;
    const dur_ns left = (service->quota_window + 1) * quota->interval - at;
    *retry_after = quota->has_retry_after ? (left + NS_PER_S - 1) / NS_PER_S * NS_PER_S : 0;
    return true;
}

static void note_queue(struct server *server)
{
    struct world *world = server->world;
    struct result_upstream *counts = counts_of(server);
    struct result_bucket *bucket = &world->result->buckets[world_bucket(world, world->now)];
    if (server->queued > counts->longest_queue)
        counts->longest_queue = server->queued;
    if (server->queued > bucket->queue)
        bucket->queue = server->queued;
}

void server_reached(struct server *server, struct job *job)
{
    dur_ns retry_after = 0;
    if (server->crashed > 0) {
        job->state = JOB_ANSWERING;
        agenda_enter(&server->world->agenda, mono_add(server->world->now, server_one_way(server)),
                     HAPPENS_BROKEN, job, job->epoch);
        return;
    }
    if (is_over_quota(server, &retry_after)) {
        counts_of(server)->throttled++;
        answer(server, job, 429, retry_after);
        return;
    }
    const bool must_wait = server->stalled > 0 || server->busy >= server->config->concurrency;
    if (must_wait && server->queued >= server->config->max_queue) {
        counts_of(server)->shed++;
        answer(server, job, 503, 0);
        return;
    }
    job->state = JOB_QUEUED;
    list_append(&server->queue, &job->link);
    list_append(&server->house, &job->house_link);
    server->queued++;
    start_work(server);
    note_queue(server);
}

static void start_work(struct server *server)
{
    struct world *world = server->world;
    while (server->stalled == 0 && server->busy < server->config->concurrency &&
           server->queued > 0) {
        struct job *job = CONTAINER_OF(list_first(&server->queue), struct job, link);
        list_remove(&job->link);
        server->queued--;
        server->busy++;
        job->state = JOB_WORKING;
        agenda_enter(&world->agenda, mono_add(world->now, service_time(server, job)),
                     HAPPENS_SERVED, job, job->epoch);
    }
}

static void complete(struct server *server, struct job *job, bool is_good)
{
    struct result_upstream *counts = counts_of(server);
    const struct scenario_fault *errors = server->errors;
    counts->served++;
    if (job->call == NULL)
        counts->wasted++;
    server->busy--;
    if (errors != NULL && luck_share(&job->luck) * 1000 < errors->permille)
        answer(server, job, (int)errors->status, errors->retry_after);
    else
        answer(server, job, is_good ? 200 : 503, 0);
    start_work(server);
}

/* Its own calls, one after the other. */
static void call_next(struct server *server, struct job *job)
{
    const struct service *service = &server->world->services[server->upstream];
    job->state = JOB_CALLING;
    sidecar_begin(server->sidecar, &service->flows[job->calls_made++], job, luck_next(&job->luck),
                  0);
}

void server_served(struct server *server, struct job *job)
{
    if (server->stalled > 0) {
        job->state = JOB_STANDING;
        list_append(&server->standing, &job->link);
    } else if (server->config->call_count > 0) {
        call_next(server, job);
    } else {
        complete(server, job, true);
    }
}

void server_child_ended(struct job *job, bool is_good, bool is_exhausted)
{
    struct server *server = job->server;
    if (is_good && job->calls_made < server->config->call_count) {
        call_next(server, job);
        return;
    }
    job->is_exhausted_marked = is_exhausted && server->config->copies_exhausted_mark;
    complete(server, job, is_good);
}

void server_abandoned(struct server *server, struct job *job)
{
    job->call = NULL;
    if (job->state != JOB_QUEUED || !server->config->notices_cancels)
        return;
    list_remove(&job->link);
    list_remove(&job->house_link);
    server->queued--;
    world_job_free(server->world, job);
}

/* ---- faults -------------------------------------------------------------------------------- */

/* What it worked on is lost, and the callers' connections break. A job that waits for a call of its
 * own is let go of by that call. */
static void crash(struct server *server)
{
    struct world *world = server->world;
    server->generation++;
    LIST_FOREACH_SAFE (link, following, &server->house) {
        struct job *job = CONTAINER_OF(link, struct job, house_link);
        if (job->state == JOB_CALLING)
            continue;
        list_remove(&job->house_link);
        if (list_is_linked(&job->link))
            list_remove(&job->link);
        server->busy -= job->state == JOB_WORKING || job->state == JOB_STANDING;
        job->epoch++;
        job->state = JOB_ANSWERING;
        if (job->call != NULL)
            agenda_enter(&world->agenda, mono_add(world->now, server_one_way(server)),
                         HAPPENS_BROKEN, job, job->epoch);
        else
            world_job_free(world, job);
    }
    server->queued = 0;
}

static void go_on(struct server *server)
{
    LIST_FOREACH_SAFE (link, following, &server->standing) {
        struct job *job = CONTAINER_OF(link, struct job, link);
        list_remove(link);
        server_served(server, job);
    }
    start_work(server);
}

void server_fault(struct server *server, const struct scenario_fault *fault, bool begins)
{
    const struct scenario_fault *const now = begins ? fault : NULL;
    switch (fault->kind) {
    case FAULT_CRASH:
        server->crashed += begins ? 1 : -1u;
        if (begins)
            crash(server);
        break;
    case FAULT_STALL:
        server->stalled += begins ? 1 : -1u;
        if (server->stalled == 0)
            go_on(server);
        break;
    case FAULT_BROWN_OUT: server->brown_out = now; break;
    case FAULT_ERRORS: server->errors = now; break;
    case FAULT_LATENCY: server->latency = now; break;
    default: /* CONNECT_LOSS */ server->loss = now; break;
    }
}
