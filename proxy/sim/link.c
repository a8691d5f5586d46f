/* link.c - which endpoint a call of a simulated sidecar goes to: by the balancer of the proxy
 * itself, for each sidecar and upstream. See world.h. */
#include "base/check.h"
#include "call/choice.h"
#include "sim/world.h"

static struct service *service_of(const struct sim_call *call)
{
    return &call->sidecar->world->services[call->flow->upstream];
}

struct link_to *link_to_server(const struct sim_call *call, const struct server *server)
{
    return &call->sidecar->links[service_of(call)->first_server + server->number];
}

struct server *link_server(const struct sim_call *call, uint64_t id)
{
    return &service_of(call)->servers[id - 1];
}

static struct sim_call *from_call(const struct call *call)
{
    return CONTAINER_OF(call, struct sim_call, call);
}

static struct balancer *balancer_of(const struct sim_call *call)
{
    return &call->sidecar->balancers[call->flow->upstream];
}

/* ---- life ---- */

void link_begin(struct sidecar *sidecar, uint32_t upstream)
{
    const struct world *world = sidecar->world;
    const struct load_balancer_config *cfg =
        &sidecar->targets[upstream]->lanes[0]->policy->load_balancer;
    const uint32_t count = world->scenario->upstreams[upstream].endpoints;
    const size_t first = world->services[upstream].first_server;
    struct balancer *balancer = &sidecar->balancers[upstream];
    balancer_init(balancer);
    balancer->cfg = (struct balancer_config){cfg->algorithm, cfg->slow_start};
    for (uint32_t i = 0; i < count; i++) {
        sidecar->candidates[first + i] = &sidecar->links[first + i].candidate;
        candidate_init(sidecar->candidates[first + i], world->services[upstream].servers[i].id);
    }
    balancer_set(balancer, &sidecar->candidates[first], count, &sidecar->rng);
}

/* ---- choosing ---- */

struct asker {
    const struct sim_call *call;
    enum choice_rung rung;
    bool may_probe;
};

static bool may_use(void *context, const struct candidate *candidate)
{
    const struct asker *asker = context;
    return choice_may_use(&asker->call->call, asker->rung, candidate->id, candidate->in_flight,
                          asker->may_probe, asker->call->sidecar->world->now);
}

static uint64_t key_of(const struct call *call)
{
    const struct key_config *key = &call->lane->policy->load_balancer.key;
    return key->kind == KEY_NONE ? 0 : balancer_key(call->engine->host->key(call, key));
}

/* `asker` NULL: every endpoint will do. */
static struct candidate *choose(const struct sim_call *call, struct asker *asker)
{
    const struct balancer_query query = {.rng = &call->sidecar->rng,
                                         .now = call->sidecar->world->now,
                                         .key = key_of(&call->call),
                                         .may_use = asker != NULL ? may_use : NULL,
                                         .context = asker,
                                         .tried = call->tried,
                                         .tried_count = call->tried_count};
    return balancer_pick(balancer_of(call), &query);
}

uint64_t link_candidate(struct call *call, bool may_probe, mono_ns now)
{
    struct asker asker = {.call = from_call(call), .may_probe = may_probe};
    const struct candidate *candidate = NULL;
    (void)now;
    for (; candidate == NULL && asker.rung < CHOICE_RUNGS; asker.rung++)
        if (choice_has_rung(call->lane, asker.rung))
            candidate = choose(asker.call, &asker);
    return candidate != NULL ? candidate->id : CANDIDATE_NONE;
}

void link_chosen(struct call *call)
{
    const struct sim_call *made = from_call(call);
    const struct server *server = link_server(made, call->endpoint_id);
    balancer_take(balancer_of(made), &link_to_server(made, server)->candidate);
}

struct server *link_next(const struct sim_call *call)
{
    if (choice_is_needed(call->call.lane))
        return link_server(call, call->call.endpoint_id);
    struct candidate *candidate = choose(call, NULL);
    balancer_take(balancer_of(call), candidate);
    return link_server(call, candidate->id);
}

/* ---- what came of it ---- */

void link_observe(const struct sim_call *call, enum outcome outcome, dur_ns took)
{
    if (call->server != NULL)
        balancer_observe(balancer_of(call), &link_to_server(call, call->server)->candidate, took,
                         outcome, call->sidecar->world->now);
}

void link_warm(struct sidecar *sidecar, const struct seat *seat, mono_ns now)
{
    const struct endpoint_seat *place = CONTAINER_OF(seat, struct endpoint_seat, seat);
    for (uint32_t i = 0; i < sidecar->world->scenario->upstream_count; i++) {
        struct balancer *balancer = &sidecar->balancers[i];
        if (sidecar->targets[i] == seat->instance->target)
            balancer_warm(balancer, balancer_find(balancer, place->endpoint_id), now);
    }
}
