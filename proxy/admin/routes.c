/* routes.c - the paths of the admin server, one row each. */
#include "admin/admin_own.h"
#include "admin/guard.h"
#include "base/log.h"
#include "telemetry/exposition.h"

#include <string.h>

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"

typedef void (*route_handler)(struct admin *admin, h2o_req_t *req, struct span rest);

struct route {
    const char *path;   /* one that ends in '/' takes what follows */
    const char *method; /* GET means HEAD too */
    bool is_on_metrics; /* also on a listener for metrics only */
    route_handler handle;
    const char *help;
};

static void serve_index(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_metrics(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_ready(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_live(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_policies(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_circuits(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_instances(struct admin *admin, h2o_req_t *req, struct span rest);
static void serve_events(struct admin *admin, h2o_req_t *req, struct span rest);
static void change_circuit(struct admin *admin, h2o_req_t *req, struct span rest);
static void quit(struct admin *admin, h2o_req_t *req, struct span rest);

static const struct route routes[] = {
    {"/", "GET", false, serve_index, "this page"},
    {"/metrics", "GET", true, serve_metrics, "all metrics, for Prometheus"},
    {"/ready", "GET", true, serve_ready, "200 when calls are taken, 503 with the reasons when not"},
    {"/live", "GET", true, serve_live, "200 as long as the proxy's loop runs"},
    {"/policies", "GET", false, serve_policies,
     "what is loaded, from where, every effective value (JSON)"},
    {"/circuits", "GET", false, serve_circuits,
     "every circuit breaker: its id, state, window, next probe (JSON)"},
    {"/instances", "GET", false, serve_instances,
     "what every live breaker, bulkhead and bucket holds (JSON)"},
    {"/events", "GET", false, serve_events,
     "state transitions as they happen (Server-Sent Events): curl -N"},
    {"/circuits/", "POST", false, change_circuit,
     "/circuits/ID with action=force_open, close, disable or reset: curl -d action=close"},
    {"/quit", "POST", false, quit,
     "drain and end, as SIGTERM does: for the last step of a Job: curl -X POST"},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static void put_paths(struct text *out, bool is_metrics_only)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (!is_metrics_only || routes[i].is_on_metrics) {
            const char *more =
                routes[i].path[1] && routes[i].path[strlen(routes[i].path) - 1] == '/' ? "ID" : "";
            text_printf(out, "%-4s %s%s%*s %s\n", routes[i].method, routes[i].path, more,
                        (int)(13 - strlen(routes[i].path) - strlen(more)), "", routes[i].help);
        }
    }
}

static bool is_match(const struct route *route, struct span path, struct span *rest)
{
    struct span prefix = span_of(route->path);
    bool is_prefix = prefix.len > 1 && prefix.data[prefix.len - 1] == '/';
    *rest = SPAN_NONE;
    if (!is_prefix) {
        return span_is(path, prefix);
    }
    if (!span_starts_with(path, prefix) || path.len == prefix.len) {
        return false;
    }
    *rest = span_make(path.data + prefix.len, path.len - prefix.len);
    return true;
}

static bool takes_method(const struct route *route, const h2o_req_t *req)
{
    return request_is(req, route->method) ||
           (strcmp(route->method, "GET") == 0 && request_is(req, "HEAD"));
}

static bool is_framing_plain(h2o_req_t *req)
{
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    return guard_framing_is_plain(span_make(socket->input->bytes, socket->input->size));
}

static void refuse_method(h2o_req_t *req, const struct route *route)
{
    const char *allow = strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("allow"), 0, NULL, allow,
                          strlen(allow));
    reply_note(req, 405, "%s takes %s only", route->path, allow);
}

int routes_on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    struct handler *own = (struct handler *)handler;
    struct span path =
        span_make(req->path.base, req->query_at == SIZE_MAX ? req->path.len : req->query_at);
    struct span rest;
    req->http1_is_persistent = 0; /* one request a connection: nothing can be smuggled behind it */
    if (!is_framing_plain(req)) {
        reply_note(req, 400, "the request says in more than one way how long its body is");
        return 0;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        if ((own->is_metrics_only && !routes[i].is_on_metrics) ||
            !is_match(&routes[i], path, &rest)) {
            continue;
        }
        if (takes_method(&routes[i], req)) {
            routes[i].handle(own->admin, req, rest);
        } else {
            refuse_method(req, &routes[i]);
        }
        return 0;
    }
    struct text body;
    text_init(&body, ADMIN_BODY_MAX);
    text_put(&body, "There is nothing at this path. What there is:\n");
    put_paths(&body, own->is_metrics_only);
    reply_text(req, 404, TEXT_TYPE, &body);
    return 0;
}

static void reply_late(h2o_req_t *req)
{
    reply_note(req, 503, "the data loop did not answer in time");
}

static void serve_index(struct admin *admin, h2o_req_t *req, struct span rest)
{
    struct text body;
    (void)rest;
    text_init(&body, ADMIN_BODY_MAX);
    text_printf(&body, "Outrigger %s\n\n", admin->options.metrics->version);
    put_paths(&body, false);
    reply_text(req, 200, TEXT_TYPE, &body);
}

/* Gauges that the loop had no time to set are the last ones that it did set: better than no metrics
 * from a proxy that is in trouble. */
static void answer_metrics(struct admin *admin, h2o_req_t *req, struct admin_command *command,
                           bool is_answered)
{
    struct metrics *metrics = admin->options.metrics;
    enum exposition_format format = exposition_format_from(request_header(req, "accept"));
    struct exposition_facts facts = {log_dropped(), events_dropped(admin->options.events)};
    struct text body;
    (void)command;
    (void)is_answered;
    text_init(&body, ADMIN_REPLY_MAX);
    metrics_read_begin(metrics);
    exposition_write(&body, metrics, format, &facts);
    metrics_read_end(metrics);
    reply_text(req, 200, exposition_content_type(format), &body);
}

static void serve_metrics(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    exchange_begin(admin, req, ADMIN_REFRESH_GAUGES, NULL, ADMIN_CLOSE, answer_metrics);
}

static void answer_json(struct admin *admin, h2o_req_t *req, struct admin_command *command,
                        bool is_answered)
{
    (void)admin;
    if (!is_answered) {
        reply_late(req);
        return;
    }
    reply_text(req, command->status, JSON_TYPE, &command->reply);
}

static void serve_ready(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    exchange_begin(admin, req, ADMIN_READY, NULL, ADMIN_CLOSE, answer_json);
}

/* Answered by this thread: a loop that is merely busy must not get the pod killed. It is asked all
 * the same, and an answer that is owed for live_limit means that it is stuck. */
static void serve_live(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    if (exchange_is_stuck(admin, admin_now(admin))) {
        reply_note(req, 503, "the data loop is stuck");
        return;
    }
    if (list_is_empty(&admin->exchanges)) {
        exchange_begin(admin, NULL, ADMIN_PING, NULL, ADMIN_CLOSE, NULL);
    }
    reply_note(req, 200, "live");
}

static void serve_policies(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    exchange_begin(admin, req, ADMIN_POLICIES, NULL, ADMIN_CLOSE, answer_json);
}

static void serve_circuits(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    exchange_begin(admin, req, ADMIN_CIRCUITS, NULL, ADMIN_CLOSE, answer_json);
}

static void serve_instances(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    exchange_begin(admin, req, ADMIN_INSTANCES, NULL, ADMIN_CLOSE, answer_json);
}

static void serve_events(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    if (request_is(req, "HEAD")) {
        struct text none;
        text_init(&none, ADMIN_BODY_MAX);
        reply_text(req, 200, "text/event-stream", &none);
        return;
    }
    stream_begin(admin, req);
}

/* May this request change anything? Answers it when not. */
static bool may_change(struct admin *admin, h2o_req_t *req)
{
    struct client *client = admin_client_of(admin, req);
    bool is_loopback = client && client->port->is_loopback;
    struct span host = span_make(req->input.authority.base, req->input.authority.len);
    struct span origin = request_header(req, "origin");
    if (origin.data && !guard_origin_is_own(origin, host)) {
        reply_note(req, 403, "a web page of another origin may change nothing here");
        return false;
    }
    if (!admin->token && !is_loopback) {
        reply_note(req, 403, "changes from other machines need a token: set admin.tokenFile");
        return false;
    }
    if (admin->token && !guard_token_matches(request_header(req, "authorization"), admin->token)) {
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("www-authenticate"), 0,
                              NULL, H2O_STRLIT("Bearer"));
        reply_note(req, 401, "send the token of admin.tokenFile: Authorization: Bearer TOKEN");
        return false;
    }
    if (!admin->token && !guard_host_is_local(host)) {
        reply_note(
            req, 403,
            "use the address or \"localhost\", not a name: a name may be made to point here");
        return false;
    }
    return true;
}

static void change_circuit(struct admin *admin, h2o_req_t *req, struct span rest)
{
    char id[ADMIN_ID_MAX + 1];
    enum admin_action action;
    if (!may_change(admin, req)) {
        return;
    }
    if (guard_decode_id(rest, id) != OK) {
        reply_note(req, 400, "this is no id: /circuits lists them");
        return;
    }
    if (guard_read_action(span_make(req->entity.base, req->entity.len), &action) != OK) {
        reply_note(req, 400,
                   "the body must be action=WORD or {\"action\": \"WORD\"}, with one of "
                   "force_open, close, "
                   "disable, reset");
        return;
    }
    exchange_begin(admin, req, ADMIN_CIRCUIT_ACTION, id, action, answer_json);
}

static void quit(struct admin *admin, h2o_req_t *req, struct span rest)
{
    (void)rest;
    if (may_change(admin, req))
        exchange_begin(admin, req, ADMIN_QUIT, NULL, ADMIN_CLOSE, answer_json);
}
