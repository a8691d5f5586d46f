/* routes.c - the paths of the webhook's two kinds of port. */
#include "admin/reply.h"
#include "base/log.h"
#include "inject/review.h"
#include "webhook/webhook_own.h"

#include <stdlib.h>
#include <time.h>

#define METRICS_MAX (64u << 10)
#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static mono_ns clock_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (mono_ns)at.tv_sec * NS_PER_S + at.tv_nsec;
}

/* ---- reviews ---- */

static void log_review(const struct inject_review_note *note, dur_ns took)
{
    log_event(LOG_INFO, "review", LOG_STR("result", inject_review_word(note->result)),
              LOG_STR("namespace", note->namespace), LOG_STR("pod", note->name),
              LOG_MS("tookMs", took));
}

static void reply_review(h2o_req_t *req, char *json, size_t len)
{
    struct text body;
    text_init(&body, len + 1);
    text_add(&body, json, len);
    free(json);
    reply_text(req, 200, JSON_TYPE, &body);
}

static void serve_review(struct webhook *webhook, h2o_req_t *req)
{
    struct inject_review_note note = {.result = REVIEW_MALFORMED};
    char why[REVIEW_WHY_MAX] = "";
    char *json = NULL;
    size_t len = 0;
    const mono_ns start = clock_now();
    const enum err e = inject_review(span_make(req->entity.base, req->entity.len),
                                     webhook->options->settings, &json, &len, &note, why);
    const dur_ns took = mono_since(clock_now(), start);
    webhook->tally.reviews[note.result]++;
    histogram_observe(&webhook->tally.durations, took);
    log_review(&note, took);
    if (e == OK)
        reply_review(req, json, len);
    else if (e == ERR_INVALID)
        reply_note(req, 400, "%s", why);
    else
        reply_note(req, 503, "%s", err_text(e));
}

/* ---- the plain port ---- */

static void serve_metrics(struct webhook *webhook, h2o_req_t *req)
{
    struct text body;
    text_init(&body, METRICS_MAX);
    tally_write(&webhook->tally, &body);
    reply_text(req, 200, METRICS_TYPE, &body);
}

static void serve_ready(struct webhook *webhook, h2o_req_t *req)
{
    if (webhook->is_draining)
        reply_note(req, 503, "the injector is stopping");
    else
        reply_note(req, 200, "ready");
}

static void serve_live(struct webhook *webhook, h2o_req_t *req)
{
    (void)webhook;
    reply_note(req, 200, "live");
}

/* ---- all paths ---- */

static const struct route {
    const char *path;
    const char *method; /* GET means HEAD too */
    bool is_tls;        /* which kind of port it is on */
    void (*serve)(struct webhook *webhook, h2o_req_t *req);
} routes[] = {
    {"/inject", "POST", true, serve_review},
    {"/ready", "GET", false, serve_ready},
    {"/live", "GET", false, serve_live},
    {"/metrics", "GET", false, serve_metrics},
};

static bool takes_method(const struct route *route, const h2o_req_t *req)
{
    return request_is(req, route->method) ||
           (request_is(req, "HEAD") && strcmp(route->method, "GET") == 0);
}

int webhook_on_request(h2o_handler_t *base, h2o_req_t *req)
{
    struct handler *handler = (struct handler *)base;
    struct webhook *webhook = handler->webhook;
    const size_t path_len = req->query_at == SIZE_MAX ? req->path.len : req->query_at;
    const struct span path = span_make(req->path.base, path_len);
    if (webhook->is_draining || !handler->is_tls)
        req->http1_is_persistent = 0;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (routes[i].is_tls != handler->is_tls || !span_is(path, span_of(routes[i].path)))
            continue;
        if (takes_method(&routes[i], req))
            routes[i].serve(webhook, req);
        else
            reply_note(req, 405, "%s takes %s only", routes[i].path, routes[i].method);
        return 0;
    }
    reply_note(req, 404, "%s",
               handler->is_tls ? "nothing is at this path; POST /inject takes an AdmissionReview"
                               : "nothing is at this path; there are /ready, /live and /metrics");
    return 0;
}
