/* flow.c - where the calls of one kind go: upstream, document, rule, and what the engine is to know
 * of them. See world.h. */
#include "base/check.h"
#include "http/message.h"
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

static struct span header_of(const void *context, struct span name)
{
    const struct call_kind *kind = context;
    for (size_t i = 0; i < kind->header_count; i++)
        if (span_is(span_of(kind->headers[i].name), name))
            return kind->headers[i].value;
    return SPAN_NONE;
}

static bool is_listed(const struct retry_config *retry, const struct call_kind *kind,
                      enum method method)
{
    if (method != METHOD_OTHER)
        return (retry->methods & method_bit(method)) != 0;
    for (const char *const *name = retry->other_methods; name != NULL && *name != NULL; name++)
        if (span_is(span_of(*name), kind->method))
            return true;
    return false;
}

static struct span path_of(const struct call_kind *kind, struct span *query)
{
    const char *mark = memchr(kind->path.data, '?', kind->path.len);
    *query = SPAN_NONE;
    if (mark == NULL)
        return kind->path;
    const size_t len = (size_t)(mark - kind->path.data);
    *query = span_make(mark + 1, kind->path.len - len - 1);
    return span_make(kind->path.data, len);
}

static struct flow flow_of(const struct world *world, uint32_t upstream,
                           const struct call_kind *kind)
{
    const struct address_config *address = &world->scenario->upstreams[upstream].address;
    const struct document *document =
        policy_set_find(world->policies, span_of(address->host), address->port);
    struct match_input input = {.method = kind->method, .header = header_of, .context = kind};
    input.path = path_of(kind, &input.query);
    const struct rule *rule = document != NULL ? document_match(document, &input) : NULL;
    const struct policy *policy = rule != NULL       ? &rule->policy
                                  : document != NULL ? &document->policy
                                                     : &world->policies->no_policy;
    const enum method method = method_from(kind->method.data, kind->method.len);
    const bool has_key = policy->retry.honours_idempotency_key &&
                         header_of(kind, SPAN("idempotency-key")).data != NULL;
    return (struct flow){
        .upstream = upstream,
        .lane = rule != NULL ? rule->index + 1 : 0,
        .body_bytes = kind->body_bytes,
        .weight = kind->weight,
        .kind = kind,
        .facts = {.method = method,
                  .is_method_listed = has_key || is_listed(&policy->retry, kind, method),
                  .is_idempotent = has_key || method_is_idempotent(method),
                  .caller_deadline = DUR_FOREVER}};
}

static const struct call_kind plain_call = {
    .weight = 1, .method = {.data = "GET", .len = 3}, .path = {.data = "/", .len = 1}};

struct flow *world_flows(const struct world *world, const char *upstream,
                         const struct call_kind *kinds, size_t count)
{
    const size_t made = count > 0 ? count : 1;
    struct flow *flows = calloc(made, sizeof *flows);
    INVARIANT(flows != NULL);
    for (size_t i = 0; i < made; i++) {
        const struct call_kind *kind = count > 0 ? &kinds[i] : &plain_call;
        const char *name = kind->upstream != NULL ? kind->upstream : upstream;
        flows[i] = flow_of(world, scenario_upstream_index(world->scenario, name), kind);
    }
    return flows;
}

static void count_upstream(struct world *world, uint32_t upstream)
{
    const struct scenario_upstream *config = &world->scenario->upstreams[upstream];
    world->result->upstreams[upstream].calls++;
    for (size_t i = 0; i < config->call_count; i++)
        count_upstream(world, world->services[upstream].flows[i].upstream);
}

void world_count_flow(struct world *world, const struct flow *flow)
{
    count_upstream(world, flow->upstream);
}
