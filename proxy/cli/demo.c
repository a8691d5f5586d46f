/* demo.c - see demo.h. A clock tick moves the story on, events of the proxy (its /events stream)
 * tell it.
 *
 * Phases go one way: STARTING (the proxy is not ready yet) -> HEALTHY -> FAILING -> RECOVERING ->
 * TOLD, and from each to ENDING, in which everything is closed; the loop returns when nothing is
 * left on it. */
#include "cli/demo.h"

#include "base/check.h"
#include "base/span.h"
#include "cli/demo_load.h"
#include "cli/demo_stage.h"
#include "cli/demo_upstream.h"
#include "cli/http_get.h"

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define TICK_MS 100
#define REPORT_MS 1000
#define READY_LIMIT_MS 10000 /* a proxy that is not ready by then will not be */
#define HEALTHY_MS 3000      /* long enough to see that all is well */
#define FAILING_MS 6000      /* long enough for an opening, a failed probe and a longer opening */
#define RECOVERING_LIMIT_MS                                                                        \
    15000 /* maxOpenFor of policies/default.yaml is 4 s, plus jitter, plus probes */
#define AFTERWARDS_MS 2000 /* calls that succeed again, before the end is told */
#define KILL_MS 5000       /* a proxy that does not end on SIGTERM */
#define CALLS_PER_SECOND 20
#define EVENT_MAX 4096
#define WORD_MAX 64

#define PATH "/orders"

enum phase { STARTING, HEALTHY, FAILING, RECOVERING, TOLD, ENDING };
enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW };

struct demo {
    struct demo_options options;
    struct demo_stage stage;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t interrupt;
    uv_signal_t terminate;
    struct demo_upstream *upstream;
    struct demo_load *load;
    struct http_get *question; /* "are you ready?", while one is asked */
    struct http_get *events;   /* the stream of /events, while it runs */
    enum phase phase;
    uint64_t started_at; /* ms on the loop's clock, as all that follows */
    uint64_t phase_at;
    uint64_t reported_at;
    uint64_t closed_at; /* when the breaker closed again; 0 while it has not */
    struct demo_counts reported;
    bool is_ready;
    bool has_child;
    bool has_opened;
    int exit_code;
    size_t line_used;
    char line[EVENT_MAX];
};

/* ---- telling ---- */

static const char *escape(const struct demo *demo, enum colour colour)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                        "\033[31m", "\033[32m", "\033[33m"};
    return demo->options.has_colour ? codes[colour] : "";
}

__attribute__((format(printf, 4, 5))) static void say(const struct demo *demo, enum colour colour,
                                                      const char *who, const char *format, ...)
{
    va_list arguments;
    double seconds = (double)(uv_now(&demo->loop) - demo->started_at) / 1000;
    printf("%s%5.1f s%s  %s%-9s%s ", escape(demo, DIM), seconds, escape(demo, PLAIN),
           escape(demo, BOLD), who, escape(demo, PLAIN));
    printf("%s", escape(demo, colour));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("%s\n", escape(demo, PLAIN));
    fflush(stdout);
}

static void tell_counts(struct demo *demo)
{
    struct demo_counts now = demo_load_counts(demo->load), *then = &demo->reported;
    unsigned long long ok = now.succeeded - then->succeeded, failed = now.failed - then->failed;
    unsigned long long refused = now.refused - then->refused;
    if (refused)
        say(demo, PLAIN, "calls", "%3llu ok  %3llu failed  %3llu refused: %s", ok, failed, refused,
            now.reason);
    else if (failed)
        say(demo, PLAIN, "calls", "%3llu ok  %3llu failed by the upstream", ok, failed);
    else
        say(demo, PLAIN, "calls", "%3llu ok", ok);
    *then = now;
}

static void tell_the_end(struct demo *demo)
{
    struct demo_counts counts = demo_load_counts(demo->load);
    unsigned long long calls = counts.succeeded + counts.failed + counts.refused;
    const char *bold = escape(demo, BOLD), *plain = escape(demo, PLAIN);
    printf(
        "\nOf %llu calls %llu succeeded, %llu failed and %llu were refused at once: calls that an\n"
        "upstream in trouble did not get, and that no caller had to wait for.\n",
        calls, (unsigned long long)counts.succeeded, (unsigned long long)counts.failed,
        (unsigned long long)counts.refused);
    printf("\n%sTry it by hand%s: a retry, an open circuit, a rate limit\n\n", bold, plain);
    printf("  curl -si http://127.0.0.1:%u/flaky\n", demo->stage.listen);
    printf("  curl -s -o /dev/null -w '%%{http_code} %%header{x-outrigger-reason}\\n' "
           "'http://127.0.0.1:%u/broken?[1-5]'\n",
           demo->stage.listen);
    printf("  curl -s -o /dev/null -w '%%{http_code} %%header{x-outrigger-reason}\\n' "
           "'http://127.0.0.1:%u/limited?[1-5]'\n",
           demo->stage.listen);
    printf("\n%sLook inside%s: http://127.0.0.1:%u/metrics  /circuits  /events\n", bold, plain,
           demo->stage.admin);
    if (demo->options.stays)
        printf("%sRuns on until Ctrl-C.%s\n", bold, plain);
    printf("\n");
    fflush(stdout);
}

/* ---- ending ---- */

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void end(struct demo *demo, int exit_code)
{
    if (demo->phase == ENDING)
        return;
    demo->phase = ENDING;
    demo->phase_at = uv_now(&demo->loop);
    demo->exit_code = exit_code;
    if (demo->load)
        demo_load_stop(demo->load);
    if (demo->upstream)
        demo_upstream_stop(demo->upstream);
    if (demo->question)
        http_get_cancel(demo->question);
    if (demo->events)
        http_get_cancel(demo->events);
    uv_close((uv_handle_t *)&demo->interrupt, on_closed);
    uv_close((uv_handle_t *)&demo->terminate, on_closed);
    if (demo->has_child)
        uv_process_kill(&demo->stage.child, SIGTERM);
    else
        uv_close((uv_handle_t *)&demo->tick, on_closed);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    end(handle->data, 0);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct demo *demo = process->data;
    demo->has_child = false;
    uv_close((uv_handle_t *)process, on_closed);
    if (demo->phase == ENDING) {
        uv_close((uv_handle_t *)&demo->tick, on_closed);
        return;
    }
    fprintf(stderr,
            "outrigger run: the proxy ended by itself (exit code %d, signal %d); it said:\n",
            (int)status, signal_number);
    demo_stage_show_log(&demo->stage);
    end(demo, 2);
}

/* ---- what the proxy tells us ---- */

static void word_of(const char *event, const char *key, char out[WORD_MAX])
{
    char wanted[WORD_MAX];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
    const char *at = strstr(event, wanted);
    out[0] = '\0';
    if (at)
        snprintf(out, WORD_MAX, "%.*s", (int)strcspn(at + strlen(wanted), "\""),
                 at + strlen(wanted));
}

static enum colour colour_of(const char *state)
{
    return strcmp(state, "closed") == 0 ? GREEN : strcmp(state, "open") == 0 ? RED : YELLOW;
}

static const char *meaning_of(const char *state)
{
    if (strcmp(state, "open") == 0)
        return "calls are refused at once, the upstream is left alone";
    return strcmp(state, "half_open") == 0 ? "a few calls go through as probes"
                                           : "calls pass again";
}

static void on_event(struct demo *demo, const char *event)
{
    char from[WORD_MAX], to[WORD_MAX], reason[WORD_MAX], policy[WORD_MAX], instance[WORD_MAX];
    word_of(event, "from", from);
    word_of(event, "to", to);
    word_of(event, "reason", reason);
    word_of(event, "policy", policy);
    word_of(event, "instance", instance);
    if (strcmp(policy, "circuitBreaker") != 0 || !*to || demo->phase == ENDING)
        return;
    say(demo, colour_of(to), "breaker", "%s -> %s (%s): %s", from, to, reason, meaning_of(to));
    if (strcmp(instance, "target") != 0)
        return; /* somebody tries /broken by hand */
    if (strcmp(to, "open") == 0)
        demo->has_opened = true;
    else if (strcmp(to, "closed") == 0)
        demo->closed_at = uv_now(&demo->loop);
}

/* Server-Sent Events: we only want the lines that begin with "data:". */
static void on_event_bytes(void *context, const char *data, size_t len)
{
    struct demo *demo = context;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != '\n') {
            if (demo->line_used + 1 < sizeof demo->line)
                demo->line[demo->line_used++] = data[i];
            continue;
        }
        demo->line[demo->line_used] = '\0';
        demo->line_used = 0;
        if (strncmp(demo->line, "data:", 5) == 0)
            on_event(demo, demo->line);
    }
}

static void on_events_end(void *context)
{
    struct demo *demo = context;
    demo->events = NULL;
}

static void on_ready_bytes(void *context, const char *data, size_t len)
{
    struct demo *demo = context;
    demo->is_ready = demo->is_ready || span_starts_with(span_make(data, len), SPAN("HTTP/1.1 200"));
}

static void on_question_end(void *context)
{
    struct demo *demo = context;
    demo->question = NULL;
}

static struct http_get *ask_admin(struct demo *demo, const char *request,
                                  void (*on_bytes)(void *context, const char *data, size_t len),
                                  void (*on_end)(void *context))
{
    return http_get_start(&demo->loop, &(struct http_get_options){.port = demo->stage.admin,
                                                                  .request = request,
                                                                  .on_bytes = on_bytes,
                                                                  .on_end = on_end,
                                                                  .context = demo});
}

/* ---- the story ---- */

static void enter(struct demo *demo, enum phase phase)
{
    demo->phase = phase;
    demo->phase_at = uv_now(&demo->loop);
}

static void begin(struct demo *demo)
{
    /* HTTP/1.0: the stream comes without chunks. */
    demo->events = ask_admin(demo, "GET /events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
                             on_event_bytes, on_events_end);
    demo->load = demo_load_start(&demo->loop, demo->stage.listen, PATH, CALLS_PER_SECOND);
    demo->reported_at = uv_now(&demo->loop);
    say(demo, PLAIN, "proxy", "listens on http://127.0.0.1:%u, shows itself on http://127.0.0.1:%u",
        demo->stage.listen, demo->stage.admin);
    say(demo, PLAIN, "load", "%d calls a second to " PATH ", under policies/default.yaml",
        CALLS_PER_SECOND);
    enter(demo, HEALTHY);
}

static void wait_for_ready(struct demo *demo, uint64_t elapsed)
{
    if (demo->is_ready) {
        begin(demo);
    } else if (elapsed > READY_LIMIT_MS) {
        fprintf(stderr, "outrigger run: the proxy was not ready within %d s; it said:\n",
                READY_LIMIT_MS / 1000);
        demo_stage_show_log(&demo->stage);
        end(demo, 2);
    } else if (!demo->question) {
        demo->question =
            ask_admin(demo, "GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                      on_ready_bytes, on_question_end);
    }
}

static void fail_upstream(struct demo *demo, bool is_failing)
{
    demo_upstream_fail(demo->upstream, is_failing);
    if (is_failing)
        say(demo, RED, "upstream", "starts to fail: 503 to every call");
    else
        say(demo, GREEN, "upstream", "is well again, but nobody has told the breaker");
    enter(demo, is_failing ? FAILING : RECOVERING);
}

static void recover(struct demo *demo, uint64_t elapsed)
{
    uint64_t now = uv_now(&demo->loop);
    if (demo->closed_at && demo->has_opened && now - demo->closed_at >= AFTERWARDS_MS) {
        tell_the_end(demo);
        enter(demo, TOLD);
        if (!demo->options.stays)
            end(demo, 0);
    } else if (!demo->closed_at && elapsed > RECOVERING_LIMIT_MS) {
        fprintf(stderr,
                "outrigger run: the breaker did not close within %d s of the upstream's recovery; "
                "the proxy said:\n",
                RECOVERING_LIMIT_MS / 1000);
        demo_stage_show_log(&demo->stage);
        end(demo, 1);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct demo *demo = timer->data;
    uint64_t now = uv_now(&demo->loop), elapsed = now - demo->phase_at;
    bool is_playing = demo->phase == HEALTHY || demo->phase == FAILING || demo->phase == RECOVERING;
    if (is_playing && now - demo->reported_at >= REPORT_MS) {
        demo->reported_at = now;
        tell_counts(demo);
    }
    if (demo->phase == STARTING)
        wait_for_ready(demo, elapsed);
    else if (demo->phase == HEALTHY && elapsed >= HEALTHY_MS)
        fail_upstream(demo, true);
    else if (demo->phase == FAILING && elapsed >= FAILING_MS)
        fail_upstream(demo, false);
    else if (demo->phase == RECOVERING)
        recover(demo, elapsed);
    else if (demo->phase == ENDING && elapsed > KILL_MS && demo->has_child)
        uv_process_kill(&demo->stage.child, SIGKILL);
}

/* ---- life ---- */

static enum err set_up(struct demo *demo)
{
    enum err e = demo_upstream_start(&demo->loop, &demo->upstream);
    if (!e)
        e = demo_stage_init(&demo->stage, demo_upstream_port(demo->upstream));
    if (!e)
        e = demo_stage_spawn(&demo->stage, &demo->loop, on_child_exit, demo);
    demo->has_child = !e;
    return e;
}

int demo_run(const struct demo_options *options)
{
    struct demo demo = {.options = *options};
    signal(SIGPIPE, SIG_IGN); /* a caller that left, or `| head` */
    INVARIANT(uv_loop_init(&demo.loop) == 0);
    uv_timer_init(&demo.loop, &demo.tick);
    uv_signal_init(&demo.loop, &demo.interrupt);
    uv_signal_init(&demo.loop, &demo.terminate);
    demo.tick.data = demo.interrupt.data = demo.terminate.data = &demo;
    demo.started_at = demo.phase_at = uv_now(&demo.loop);
    uv_timer_start(&demo.tick, on_tick, 0, TICK_MS);
    uv_signal_start(&demo.interrupt, on_signal, SIGINT);
    uv_signal_start(&demo.terminate, on_signal, SIGTERM);

    enum err e = set_up(&demo);
    if (e) {
        fprintf(stderr, "outrigger run: the demo could not be set up: %s\n", err_text(e));
        end(&demo, 2);
    }
    uv_run(&demo.loop, UV_RUN_DEFAULT);
    demo_stage_fini(&demo.stage);
    INVARIANT(uv_loop_close(&demo.loop) == 0);
    return demo.exit_code;
}
