/* policy_checks.c - see policy_checks.h. */
#include "config/policy_checks.h"

#include "config/address.h"
#include "config/policy_schema.h"
#include "config/scalar.h"

#include <string.h>

#define LEAST_EMISSION_NS                                                                          \
    1000 /* a bucket counts whole ns per token: below 1 us the rounding would show */
#define LONGEST_FILL (INT64_C(365) * 24 * 3600 * NS_PER_S)

/* A cap below what it caps. */
static bool is_capped(const struct node *node, const char *name, dur_ns least, dur_ns *cap)
{
    if (*cap >= least)
        return true;
    if (node_get(node, name))
        return false;
    *cap = least;
    return true;
}

void timeouts_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct timeouts_config *cfg = out;
    (void)node;
    if (!is_good || cfg->mode != POLICY_OFF)
        return;
    *cfg = (struct timeouts_config){0};
    block_decode(decoder, &timeouts_block, NULL, false, cfg);
}

void retry_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct retry_config *cfg = out;
    if (is_good && !is_capped(node, "maxBackoff", cfg->backoff.base, &cfg->backoff.max))
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "maxBackoff",
                      "at least backoff, or left out", "shorter than backoff");
}

static void finish_window(struct decoder *decoder, const struct node *node,
                          struct breaker_config *cfg)
{
    if (cfg->window_calls == 0 || cfg->min_requests <= cfg->window_calls)
        return;
    const struct node *rate = node_get(node, "failureRate");
    if (node_get(rate, "minRequests") == NULL) {
        cfg->min_requests = cfg->window_calls;
        return;
    }
    size_t mark = path_push(decoder, "failureRate");
    decode_refuse(decoder, DIAG_CONTRADICTION, rate, "minRequests", "at most calls",
                  "more than the window of `calls` can ever hold");
    path_pop(decoder, mark);
}

void breaker_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct breaker_config *cfg = out;
    if (!is_good)
        return;
    if (!is_capped(node, "maxOpenFor", cfg->open_for, &cfg->max_open_for))
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "maxOpenFor",
                      "at least openFor, or left out", "shorter than openFor");
    finish_window(decoder, node, cfg);
}

void outlier_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct breaker_config *cfg = &((struct outlier_config *)out)->breaker;
    if (!is_good)
        return;
    if (!is_capped(node, "maxEjectFor", cfg->open_for, &cfg->max_open_for))
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "maxEjectFor",
                      "at least ejectFor, or left out", "shorter than ejectFor");
    finish_window(decoder, node, cfg);
}

void breaker_window_check(struct decoder *decoder, const struct node *layer,
                          const struct breaker_config *cfg)
{
    const struct node *rate = node_get(layer, "failureRate");
    if (cfg->window_calls == 0 || node_get(rate, "window") == NULL)
        return;
    size_t mark = path_push(decoder, "failureRate");
    decode_refuse(decoder, DIAG_CONTRADICTION, rate, "window",
                  "name one of them; calls: 0 looks back over `window`",
                  "no effect, because `calls` is set");
    path_pop(decoder, mark);
}

void rate_limit_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct rate_limit_config *cfg = out;
    if (!is_good ||
        cfg->requests == 0) /* 0: a rule without it, below which its document has none either */
        return;
    if (node_get(node, "burst") == NULL)
        cfg->burst = cfg->requests;
    int64_t emission = cfg->interval / (int64_t)cfg->requests;
    if (emission < LEAST_EMISSION_NS)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "requests", "at most 1000 per millisecond",
                      "too many for the interval");
    else if (dur_mul(emission, (int64_t)cfg->burst) > LONGEST_FILL)
        decode_refuse(decoder, DIAG_CONTRADICTION, node,
                      node_get(node, "burst") ? "burst" : "requests",
                      "fewer, or a shorter interval",
                      "at this rate the bucket takes more than a year to fill");
}

void grpc_match_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct match *match = out;
    match->is_grpc = true;
    if (is_good && match->grpc_service.data == NULL && match->grpc_method.data == NULL)
        decode_error(decoder, DIAG_MISSING, node, "name one of them, or both",
                     "neither service nor method is named");
}

static void path_check(struct decoder *decoder, const struct node *path, struct match *match)
{
    const struct node *value = node_get(path, "value");
    size_t mark = path_push(decoder, "path.value");
    if (match->path.len == 0 || match->path.data[0] != '/')
        decode_error(decoder, DIAG_BAD_VALUE, value ? value : path, "such as /v1/charge",
                     "a path starts with /");
    else if (memchr(match->path.data, '?', match->path.len) ||
             memchr(match->path.data, '#', match->path.len))
        decode_error(decoder, DIAG_BAD_VALUE, value, "the query goes under queryParams",
                     "a path has no ? and no #");
    path_pop(decoder, mark);
    if (match->path_type != PATH_MATCH_PREFIX)
        return;
    while (match->path.len > 0 && match->path.data[match->path.len - 1] == '/')
        match->path.len--;
}

void match_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct match *match = out;
    const struct node *path = node_get(node, "path");
    if (path == NULL) {
        match->path_type = PATH_MATCH_NONE;
        match->path = SPAN_NONE;
    }
    if (!is_good)
        return;
    if (path)
        path_check(decoder, path, match);
    if (match->is_grpc && path)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "path", "remove one of them",
                      "`grpc` says what the path is");
    if (match->is_grpc && match->method.data)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "method", "remove it",
                      "gRPC calls are always POST");
}

void rule_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct rule *rule = out;
    (void)is_good;
    rule->at = decode_at(decoder, node->line);
}

void target_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct document_target *target = out;
    (void)decoder;
    (void)is_good;
    const struct node *host = node_get(node, "host");
    target->line = host ? host->line : node->line;
    target->column = host ? host->column : node->column;
    target->length = host ? host->length : node->length;
}

void metadata_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    const struct document *document = out;
    if (!is_good || document->namespace == NULL || strchr(document->namespace, '.') == NULL)
        return;
    size_t mark = path_push(decoder, "namespace");
    decode_error(decoder, DIAG_BAD_VALUE, node_get(node, "namespace"), "such as shop",
                 "a namespace has no dots");
    path_pop(decoder, mark);
}
