/* admin_client.c - see admin_client.h. One loop for one question. */
#include "cli/admin_client.h"

#include "base/check.h"
#include "cli/http_get.h"
#include "cli/terminal.h"
#include "config/scalar.h"
#include "http/authority.h"
#include "telemetry/text.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX ((size_t)65 << 20) /* admin never sends more than 64 MiB, and a head */
#define ANSWER_LIMIT_MS 10000
#define DEFAULT_PORT 15020

struct question {
    uv_loop_t loop;
    uv_timer_t timer;
    struct http_get *get; /* NULL once it has ended */
    struct text answer;
    int status; /* a uv error */
    bool is_late;
};

bool admin_address_parse(const char *url, struct admin_address *address,
                         char why[ADMIN_CLIENT_WHY_MAX])
{
    struct span text = span_of(url);
    struct authority authority;
    struct in6_addr ignored;
    if (span_starts_with(text, SPAN("http://")))
        text = span_make(text.data + 7, text.len - 7);
    if (text.len > 0 && text.data[text.len - 1] == '/')
        text.len--;
    const char *problem = authority_parse(text, &authority);
    if (problem == NULL && span_is(authority.host, SPAN("localhost")))
        authority.host = SPAN("127.0.0.1");
    if (problem == NULL) {
        snprintf(address->host, sizeof address->host, "%.*s", SPAN_ARGS(authority.host));
        if (uv_inet_pton(authority.is_ipv6 ? AF_INET6 : AF_INET, address->host, &ignored) != 0)
            problem = "the host is no IP address";
    }
    address->port = authority.port ? authority.port : DEFAULT_PORT;
    if (problem)
        snprintf(why, ADMIN_CLIENT_WHY_MAX, "%s: %.100s\nWrite it as http://127.0.0.1:15020",
                 problem, url);
    return problem == NULL;
}

static void on_bytes(void *context, const char *data, size_t len)
{
    struct question *question = context;
    text_add(&question->answer, data, len);
}

static void on_failed(void *context, int status)
{
    struct question *question = context;
    question->status = status;
}

static void on_timer_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void on_end(void *context)
{
    struct question *question = context;
    question->get = NULL;
    uv_close((uv_handle_t *)&question->timer, on_timer_closed);
}

static void on_late(uv_timer_t *timer)
{
    struct question *question = timer->data;
    question->is_late = true;
    http_get_cancel(question->get);
}

static void ask(struct question *question, const struct admin_address *address, const char *path)
{
    char request[HTTP_GET_REQUEST_MAX];
    const bool is_ipv6 = strchr(address->host, ':') != NULL;
    /* HTTP/1.0: the answer comes without chunks, and ends with the connection. */
    snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s%s%s:%u\r\n\r\n", path,
             is_ipv6 ? "[" : "", address->host, is_ipv6 ? "]" : "", address->port);
    INVARIANT(uv_loop_init(&question->loop) == 0);
    INVARIANT(uv_timer_init(&question->loop, &question->timer) == 0);
    question->timer.data = question;
    uv_timer_start(&question->timer, on_late, ANSWER_LIMIT_MS, 0);
    question->get = http_get_start(&question->loop, &(struct http_get_options){
                                                        .host = address->host,
                                                        .port = address->port,
                                                        .request = request,
                                                        .on_bytes = on_bytes,
                                                        .on_failed = on_failed,
                                                        .on_end = on_end,
                                                        .context = question,
                                                    });
    uv_run(&question->loop, UV_RUN_DEFAULT);
    INVARIANT(uv_loop_close(&question->loop) == 0);
}

static json_t *read_answer(const struct question *question, const struct admin_address *address,
                           const char *path, char why[ADMIN_CLIENT_WHY_MAX])
{
    static const char start[] =
        "Is the proxy running, and is this its admin.listen (default 127.0.0.1:15020)?";
    struct span text = text_span(&question->answer);
    const char *head_end = memmem(text.data, text.len, "\r\n\r\n", 4);
    char place[160];
    snprintf(place, sizeof place, "%s port %u", address->host, address->port);
    if (question->is_late || question->status < 0 || head_end == NULL) {
        const char *what = question->is_late      ? "no answer within 10 s"
                           : question->status < 0 ? uv_strerror(question->status)
                                                  : "no HTTP answer";
        snprintf(why, ADMIN_CLIENT_WHY_MAX, "the admin port at %s cannot be asked: %s\n%s", place,
                 what, start);
        return NULL;
    }
    if (!span_starts_with(text, SPAN("HTTP/1.1 200 ")) &&
        !span_starts_with(text, SPAN("HTTP/1.0 200 "))) {
        snprintf(why, ADMIN_CLIENT_WHY_MAX, "%s answers GET %s with \"%.*s\"\n%s", place, path,
                 (int)strcspn(text.data, "\r"), text.data, start);
        return NULL;
    }
    json_error_t problem;
    size_t head = (size_t)(head_end - text.data) + 4;
    json_t *answer = json_loadb(text.data + head, text.len - head, 0, &problem);
    if (answer == NULL || !json_is_object(answer)) {
        snprintf(why, ADMIN_CLIENT_WHY_MAX,
                 "what %s answers to GET %s is no JSON object: %s\nIs it an Outrigger of this "
                 "version?",
                 place, path, answer ? "it is of another kind" : problem.text);
        json_decref(answer);
        return NULL;
    }
    return answer;
}

json_t *admin_get(const struct admin_address *address, const char *path,
                  char why[ADMIN_CLIENT_WHY_MAX])
{
    struct question question = {.status = 0};
    text_init(&question.answer, ANSWER_MAX);
    ask(&question, address, path);
    json_t *answer = read_answer(&question, address, path, why);
    if (answer == NULL)
        terminal_clean(why);
    text_fini(&question.answer);
    return answer;
}
