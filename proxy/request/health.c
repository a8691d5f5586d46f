/* health.c - see health.h. A check is WAITING for its next turn, or RUNNING an attempt of its own
 * within its timeout; one timer serves both. */
#include "request/health.h"

#include "base/check.h"
#include "base/log.h"
#include "base/reason.h"
#include "codec/h1_head.h"
#include "http/classify.h"
#include "http/grpc.h"
#include "http/grpc_health.h"
#include "request/destination.h"
#include "request/proxy.h"
#include "request/route.h"
#include "upstream/attempt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 8192
#define HEAD_FIELDS 8
#define WHY_MAX 64
#define JITTER_PERCENT 10

struct health_checks { /* of a target */
    struct proxy *proxy;
    struct target *target;
    struct health_check_config cfg; /* its texts are copies */
    char *at;
    struct list list; /* struct check */
};

struct check { /* of an endpoint */
    struct list link;
    struct health_checks *owner;
    struct endpoint *endpoint; /* a reference; endpoint->check is this */
    struct metrics_instance *metrics;
    struct health_state state;
    struct timer timer;
    struct attempt attempt;
    int status;      /* of the answer's head; 0: none yet */
    int grpc_status; /* -1: none yet */
    char body[GRPC_HEALTH_RESPONSE_MAX];
    size_t body_len; /* what came, also beyond `body` */
};

static struct check *check_of(struct attempt *attempt)
{
    return CONTAINER_OF(attempt, struct check, attempt);
}

static struct loop *loop_of(const struct check *check)
{
    return check->owner->proxy->loop;
}

/* ---- what came of it ---- */

static void set_unhealthy(struct check *check, bool is_unhealthy)
{
    struct candidate *candidate = &check->endpoint->candidate;
    const bool was_unhealthy = candidate->is_unhealthy;
    candidate->is_unhealthy = is_unhealthy && check->owner->cfg.mode == POLICY_ENFORCE;
    if (was_unhealthy && !candidate->is_unhealthy && check->endpoint->set != NULL)
        balancer_warm(&check->endpoint->set->balancer, candidate, loop_of(check)->now);
}

static void tell(struct check *check, enum health before, const char *why)
{
    const struct health_checks *owner = check->owner;
    char instance[ADDRESS_TEXT_BYTES + 32];
    snprintf(instance, sizeof instance, "target/healthCheck:%s", check->endpoint->text);
    const struct event event = {
        .wall_ns = loop_wall(loop_of(check)),
        .target = owner->target->name,
        .instance = instance,
        .policy = "healthCheck",
        .from = health_word(before),
        .to = health_word(check->state.health),
        .reason = why,
        .at = owner->at,
        .is_warning = check->state.health == UNHEALTHY,
    };
    events_publish(owner->proxy->events, &event);
}

static void wait_for_next(struct check *check)
{
    struct loop *loop = loop_of(check);
    const dur_ns interval = check->owner->cfg.interval;
    const dur_ns most = interval / 100 * JITTER_PERCENT;
    wheel_set(loop->wheel, &check->timer,
              mono_add(loop->now, interval + rng_between(&loop->rng, -most, most)));
}

/* The attempt is over. */
static void conclude(struct check *check, bool is_good, const char *why)
{
    const struct destination *destination = destination_of(check->owner->target);
    const enum health before = check->state.health;
    metrics_count_health_check(destination->metrics, is_good ? HEALTH_SUCCESS : HEALTH_FAILURE);
    wait_for_next(check);
    if (!health_note(&check->state, &check->owner->cfg, is_good))
        return;
    set_unhealthy(check, !is_good);
    metrics_set_healthy(check->metrics, is_good);
    tell(check, before, why);
}

static void conclude_http(struct check *check)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "status_%d", check->status);
    conclude(check, code_set_has_http(&check->owner->cfg.codes, check->status), why);
}

static void conclude_grpc(struct check *check)
{
    char why[WHY_MAX];
    const size_t len = check->body_len;
    const int serving =
        grpc_health_status(span_make(check->body, len < sizeof check->body ? len : 0));
    if (check->status != 200)
        snprintf(why, sizeof why, "status_%d", check->status);
    else if (check->grpc_status != 0)
        snprintf(why, sizeof why, "grpc_%s", grpc_code_word(check->grpc_status));
    else
        snprintf(why, sizeof why, "%s", grpc_health_word(serving));
    conclude(check, check->status == 200 && check->grpc_status == 0 && serving == GRPC_SERVING,
             why);
}

/* ---- what the endpoint says ---- */

static void on_interim(struct attempt *attempt, struct message *msg)
{
    (void)attempt;
    (void)msg;
}

static void on_head(struct attempt *attempt, struct message *msg)
{
    struct check *check = check_of(attempt);
    check->status = msg->status;
    if (message_has(msg, HEADER_GRPC_STATUS))
        check->grpc_status = grpc_status_from(message_value(msg, HEADER_GRPC_STATUS));
}

static void on_body(struct attempt *attempt, struct span bytes)
{
    struct check *check = check_of(attempt);
    const size_t room = sizeof check->body;
    if (check->body_len < room) {
        const size_t left = room - check->body_len;
        memcpy(check->body + check->body_len, bytes.data, bytes.len < left ? bytes.len : left);
    }
    check->body_len += bytes.len;
}

static void on_end(struct attempt *attempt, struct span trailers)
{
    struct check *check = check_of(attempt);
    const struct timeouts_config *timeouts = &check->owner->target->lanes[0]->policy->timeouts;
    const struct pool_stay stay = {timeouts->pool_idle, timeouts->pool_max_age};
    if (check->grpc_status < 0)
        check->grpc_status = grpc_status_in(trailers);
    attempt_release(attempt, &stay);
    if (check->owner->cfg.type == HEALTH_CHECK_GRPC)
        conclude_grpc(check);
    else
        conclude_http(check);
}

/* What we ran out of ourselves proves nothing. */
static void on_failed(struct attempt *attempt, enum reason reason, const char *detail)
{
    struct check *check = check_of(attempt);
    (void)detail;
    attempt_abort(attempt);
    if (reason == REASON_OVERLOADED)
        wait_for_next(check);
    else
        conclude(check, false, reason_word(reason));
}

static void on_writable(struct attempt *attempt)
{
    (void)attempt;
}

static void on_endpoint(struct attempt *attempt)
{
    (void)attempt;
}

/* ---- asking ---- */

static const char *host_of(const struct check *check)
{
    const char *host = check->owner->cfg.host;
    return host ? host : check->owner->target->name;
}

static int write_http(const struct check *check, char head[HEAD_MAX])
{
    return snprintf(head, HEAD_MAX,
                    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: outrigger-health-check\r\n"
                    "Accept: */*\r\n\r\n",
                    check->owner->cfg.path, host_of(check));
}

static int write_grpc(const struct check *check, size_t body_len, char head[HEAD_MAX])
{
    char timeout[GRPC_TIMEOUT_MAX];
    grpc_timeout_write(check->owner->cfg.timeout, timeout);
    return snprintf(head, HEAD_MAX,
                    "POST " GRPC_HEALTH_PATH " HTTP/1.1\r\nHost: %s\r\n"
                    "User-Agent: outrigger-health-check\r\nContent-Type: application/grpc\r\n"
                    "TE: trailers\r\ngrpc-timeout: %s\r\nContent-Length: %zu\r\n\r\n",
                    host_of(check), timeout, body_len);
}

static void send_check(struct check *check)
{
    char head[HEAD_MAX];
    char body[GRPC_HEALTH_REQUEST_MAX];
    struct header fields[HEAD_FIELDS];
    struct message msg;
    const struct request_edit edit = {.attempt = 0};
    const struct h1_limits limits = {
        .max_line_bytes = HEAD_MAX, .max_header_bytes = HEAD_MAX, .max_headers = HEAD_FIELDS};
    const bool is_grpc = check->owner->cfg.type == HEALTH_CHECK_GRPC;
    const size_t len = is_grpc ? grpc_health_request(span_of(check->owner->cfg.service), body) : 0;
    const int head_len = is_grpc ? write_grpc(check, len, head) : write_http(check, head);
    INVARIANT(head_len > 0 && head_len < HEAD_MAX);
    const struct h1_result parsed =
        h1_parse_request(span_make(head, (size_t)head_len), &limits, fields, &msg);
    INVARIANT(parsed.step == H1_DONE); /* the schema let only such hosts and paths pass */
    back_send_request(check->attempt.back, &msg, &edit);
    if (is_grpc)
        back_send_body(check->attempt.back, span_make(body, len));
    back_send_end(check->attempt.back, SPAN_NONE);
    back_flush(check->attempt.back);
}

static void on_ready(struct attempt *attempt)
{
    struct check *check = check_of(attempt);
    if (check->owner->cfg.type != HEALTH_CHECK_TCP) {
        send_check(check);
        return;
    }
    attempt_abort(attempt);
    conclude(check, true, "connected");
}

static const struct attempt_handler handler = {
    .on_ready = on_ready,
    .on_interim = on_interim,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_writable = on_writable,
    .on_endpoint = on_endpoint,
};

/* Which HTTP a check by GET speaks: what calls would, where the policy says it. */
static enum route_http http_of(const struct destination *destination)
{
    const struct document *document = destination->document;
    const enum protocol protocol = document ? document->protocol : PROTOCOL_UNSET;
    if (protocol == PROTOCOL_HTTP2 || protocol == PROTOCOL_GRPC)
        return ROUTE_HTTP2;
    if (protocol == PROTOCOL_HTTP1 || destination->tls == NULL)
        return ROUTE_HTTP1;
    return route_by_alpn(document);
}

static void start(struct check *check)
{
    const struct destination *destination = destination_of(check->owner->target);
    const enum health_check_type type = check->owner->cfg.type;
    const enum route_http http = type == HEALTH_CHECK_GRPC ? ROUTE_HTTP2 : http_of(destination);
    const bool is_tcp = type == HEALTH_CHECK_TCP;
    const struct attempt_order order = {
        .endpoints = destination->endpoints,
        .repeat = REPEAT_FREE,
        .is_tunnel = is_tcp,
        .is_http2 = !is_tcp && http == ROUTE_HTTP2,
        .negotiates = !is_tcp && http == ROUTE_ALPN,
        .stays = true,
        .tls = destination_tls(destination),
    };
    check->status = 0;
    check->grpc_status = -1;
    check->body_len = 0;
    wheel_set(loop_of(check)->wheel, &check->timer,
              mono_add(loop_of(check)->now, check->owner->cfg.timeout));
    attempt_start_at(&check->attempt, &order, check->endpoint); /* else the timer tries again */
}

static void on_timer(struct timer *timer, mono_ns now)
{
    struct check *check = CONTAINER_OF(timer, struct check, timer);
    (void)now;
    if (!attempt_is_on(&check->attempt)) {
        start(check);
        return;
    }
    attempt_abort(&check->attempt);
    conclude(check, false, "timeout");
}

/* ---- endpoints ---- */

static void check_new(struct health_checks *checks, struct endpoint *endpoint)
{
    const struct destination *destination = destination_of(checks->target);
    struct loop *loop = checks->proxy->loop;
    char place[ADDRESS_TEXT_BYTES + 16];
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return; /* the next sweep tries again */
    check->owner = checks;
    check->endpoint = endpoint_ref(endpoint);
    endpoint->check = check;
    snprintf(place, sizeof place, "/healthCheck:%s", endpoint->text);
    check->metrics = metrics_instance_get(destination->metrics, NULL, place, METRICS_HEALTH);
    metrics_set_healthy(check->metrics, true);
    timer_init(&check->timer, on_timer);
    attempt_init(&check->attempt, &checks->proxy->pool, &handler);
    list_append(&checks->list, &check->link);
    wheel_set(loop->wheel, &check->timer,
              mono_add(loop->now, rng_between(&loop->rng, 0, checks->cfg.interval / 10)));
}

static void check_free(struct check *check)
{
    attempt_fini(&check->attempt);
    wheel_clear(loop_of(check)->wheel, &check->timer);
    if (check->metrics != NULL)
        metrics_instance_unref(&check->metrics, METRICS_HEALTH);
    check->endpoint->candidate.is_unhealthy = false;
    check->endpoint->check = NULL;
    endpoint_unref(&check->endpoint);
    list_remove(&check->link);
    free(check);
}

static bool is_candidate(const struct endpoint *endpoint)
{
    return list_is_linked(&endpoint->candidate.turn);
}

static bool is_in_use(const struct endpoint_set *endpoints, mono_ns now)
{
    return endpoints != NULL && endpoints->used_at != 0 &&
           mono_since(now, endpoints->used_at) < POOL_WARM_TIME;
}

static void add_checks(struct health_checks *checks, struct endpoint_set *endpoints, mono_ns now)
{
    for (size_t i = 0; is_in_use(endpoints, now) && i < endpoints->balancer.count; i++)
        if (endpoint_at(endpoints, i)->check == NULL)
            check_new(checks, endpoint_at(endpoints, i));
}

void health_sweep(struct health_checks *checks)
{
    if (checks == NULL)
        return;
    const struct destination *destination = destination_of(checks->target);
    const mono_ns now = checks->proxy->loop->now;
    LIST_FOREACH_SAFE (link, following, &checks->list) {
        struct check *check = CONTAINER_OF(link, struct check, link);
        if (!is_candidate(check->endpoint) || !is_in_use(check->endpoint->set, now))
            check_free(check);
    }
    add_checks(checks, destination->endpoints, now);
    add_checks(checks, destination->dialled.set, now);
}

/* ---- of a target ---- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct health_check_config *a, const struct health_check_config *b)
{
    return a->mode == b->mode && a->type == b->type && is_same_text(a->path, b->path) &&
           is_same_text(a->host, b->host) && is_same_text(a->service, b->service) &&
           memcmp(&a->codes, &b->codes, sizeof a->codes) == 0 && a->interval == b->interval &&
           a->timeout == b->timeout && a->unhealthy_threshold == b->unhealthy_threshold &&
           a->healthy_threshold == b->healthy_threshold && a->panic == b->panic;
}

static void free_texts(struct health_checks *checks)
{
    free((char *)(uintptr_t)checks->cfg.path);
    free((char *)(uintptr_t)checks->cfg.host);
    free((char *)(uintptr_t)checks->cfg.service);
    free(checks->at);
}

static struct health_checks *checks_new(struct proxy *proxy, struct target *target,
                                        const struct document *document)
{
    struct health_checks *checks = calloc(1, sizeof *checks);
    const struct health_check_config *cfg = &document->health_check;
    if (checks == NULL)
        return NULL;
    checks->proxy = proxy;
    checks->target = target;
    list_init(&checks->list);
    checks->cfg = *cfg;
    checks->cfg.path = strdup(cfg->path);
    checks->cfg.host = cfg->host ? strdup(cfg->host) : NULL;
    checks->cfg.service = strdup(cfg->service);
    checks->at = strdup(document->health_check_at);
    if (checks->cfg.path != NULL && checks->cfg.service != NULL && checks->at != NULL &&
        (checks->cfg.host != NULL || cfg->host == NULL))
        return checks;
    free_texts(checks);
    free(checks);
    return NULL;
}

void health_end(struct health_checks **taken)
{
    struct health_checks *checks = *taken;
    *taken = NULL;
    if (checks == NULL)
        return;
    LIST_FOREACH_SAFE (link, following, &checks->list)
        check_free(CONTAINER_OF(link, struct check, link));
    free_texts(checks);
    free(checks);
}

void health_follow(struct health_checks **checks, struct proxy *proxy, struct target *target,
                   const struct document *document)
{
    const bool is_wanted = document != NULL && document->health_check.mode != POLICY_OFF;
    if (*checks != NULL && is_wanted && is_same(&(*checks)->cfg, &document->health_check))
        return;
    health_end(checks);
    if (!is_wanted)
        return;
    *checks = checks_new(proxy, target, document);
    if (*checks == NULL)
        log_event(LOG_ERROR, "health_checks_failed", LOG_STR("target", target->name),
                  LOG_TEXT("no memory for them: every endpoint counts as healthy"));
    else
        metrics_show_health_checks(destination_of(target)->metrics);
}

bool health_is_refusing(const struct health_checks *checks)
{
    return checks != NULL && checks->cfg.mode == POLICY_ENFORCE &&
           checks->cfg.panic == HEALTH_PANIC_REFUSE;
}
