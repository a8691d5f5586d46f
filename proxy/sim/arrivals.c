/* arrivals.c - when the callers of a scenario call: at a rate that may change, by chance or evenly.
 * See world.h. */
#include "sim/luck.h"
#include "sim/world.h"

static double rate_at(const struct stream_of_calls *stream, dur_ns at, double factor)
{
    return scenario_rate(stream->config, at) * factor;
}

/* The next point of the load after `at`; DUR_FOREVER: none. */
static dur_ns next_point(const struct scenario_caller *caller, dur_ns at)
{
    for (size_t i = 0; i < caller->load_count; i++)
        if (caller->load[i].at > at)
            return caller->load[i].at;
    return DUR_FOREVER;
}

/* When the rate, summed up from `at` on, has reached `area` calls; DUR_FOREVER: never. Between two
 * points it is a straight line, so the sum is a parabola. */
static dur_ns when_summed(const struct stream_of_calls *stream, dur_ns at, double area,
                          double factor)
{
    for (;;) {
        const dur_ns point = next_point(stream->config, at);
        const double rate = rate_at(stream, at, factor);
        if (point == DUR_FOREVER)
            return rate > 0 ? at + (dur_ns)(area / rate * (double)NS_PER_S) : DUR_FOREVER;
        const double span = (double)(point - at) / (double)NS_PER_S;
        const double slope = (rate_at(stream, point - 1, factor) - rate) / span;
        const double whole = rate * span + slope * span * span / 2;
        if (whole < area) {
            area -= whole;
            at = point;
            continue;
        }
        const double root = rate * rate + 2 * slope * area;
        const double took = 2 * area / (rate + sqrt(root > 0 ? root : 0));
        return at + (dur_ns)(took * (double)NS_PER_S);
    }
}

void world_plan_arrival(struct world *world, struct stream_of_calls *stream)
{
    const double area =
        stream->config->arrivals == ARRIVALS_POISSON ? luck_exponential(&stream->luck) : 1;
    const dur_ns at = when_summed(stream, world->now - WORLD_BEGIN, area, world->variant.load);
    if (at < world->scenario->duration)
        agenda_enter(&world->agenda, WORLD_BEGIN + at, HAPPENS_ARRIVAL, stream, 0);
}

static const struct flow *draw_flow(const struct stream_of_calls *stream, uint64_t *luck)
{
    if (stream->flow_count == 1)
        return stream->flows;
    uint64_t draw = luck_next(luck) % stream->weights;
    const struct flow *flow = stream->flows;
    while (draw >= flow->weight)
        draw -= (flow++)->weight;
    return flow;
}

void world_arrive(struct world *world, struct stream_of_calls *stream)
{
    const uint64_t number = stream->made++;
    uint64_t luck = stream->luck;
    const struct flow *flow = draw_flow(stream, &luck);
    const uint64_t replica = stream->config->arrivals == ARRIVALS_POISSON
                                 ? luck_next(&luck) % stream->config->replicas
                                 : number % stream->config->replicas;
    world->result->calls++;
    world->result->buckets[world_bucket(world, world->now)].offered++;
    world->in_flight++;
    world_count_flow(world, flow);
    sidecar_begin(&world->sidecars[stream->first_sidecar + replica], flow, NULL, luck_next(&luck),
                  stream->config->give_up_after);
    world_plan_arrival(world, stream);
}
