/* janitor.c - see janitor.h. */
#include "request/janitor.h"

#include "base/check.h"
#include "base/log.h"
#include "request/connection.h"
#include "request/destination.h"
#include "request/request.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define ROUND (1 * NS_PER_S)
#define DRAIN_ROUND (100 * NS_PER_MS)
#define TRIM_CALLS 100           /* more or fewer than last time. A walk over what is free */
#define MEMORY_BACK_PERMILLE 950 /* of the limit: below it calls are taken again */

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*s %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* limits.maxMemory: better to refuse calls by name than to be killed by the kernel with all of
 * them. */
static void watch_memory(struct proxy *proxy)
{
    const uint64_t limit = proxy->limits.max_memory_bytes;
    if (limit == 0)
        return;
    const uint64_t used = resident_bytes();
    const bool was_over = proxy->is_over_memory;
    if (used > limit)
        proxy->is_over_memory = true;
    else if (used < limit / 1000 * MEMORY_BACK_PERMILLE)
        proxy->is_over_memory = false;
    if (proxy->is_over_memory != was_over)
        log_event(
            LOG_WARN, was_over ? "memory_below_limit" : "memory_above_limit",
            LOG_TEXT(was_over ? "calls are taken again" : "new calls are refused as overloaded"),
            LOG_UINT("residentBytes", used), LOG_UINT("limitBytes", limit));
}

/* What libc has kept of the calls that came or went goes back to the system, or a burst would count
 * towards limits.maxMemory long after it. */
static void give_memory_back(struct proxy *proxy)
{
    slab_trim(&proxy->request_memory);
    const uint32_t calls = proxy->request_count;
    const uint32_t before = proxy->trimmed_at_calls;
    if ((calls > before ? calls - before : before - calls) < TRIM_CALLS)
        return;
    proxy->trimmed_at_calls = calls;
    malloc_trim(0);
}

/* ---- drain ---- */

void proxy_drain(struct proxy *proxy)
{
    if (proxy->drain == DRAIN_DONE)
        return;
    if (proxy->drain != DRAIN_NONE) {
        log_event(LOG_WARN, "drain_cut", LOG_TEXT("told twice to stop: what is left is cut"),
                  LOG_UINT("calls", proxy->request_count));
        proxy->drain = DRAIN_DONE;
        loop_stop(proxy->loop);
        return;
    }
    const bool is_serving = proxy->drain_cfg.mode == DRAIN_SERVE;
    const mono_ns now = proxy->loop->now;
    proxy->drain = is_serving ? DRAIN_SERVING : DRAIN_REFUSING;
    proxy->drain_until = mono_add(now, proxy->drain_cfg.timeout);
    proxy->busy_at = now;
    if (!is_serving)
        connections_drain(proxy);
    log_event(LOG_INFO, "drain_started", LOG_STR("mode", is_serving ? "serve" : "refuse"),
              LOG_UINT("calls", proxy->request_count),
              LOG_MS("timeoutMs", proxy->drain_cfg.timeout));
    wheel_set(proxy->loop->wheel, &proxy->janitor, mono_add(now, DRAIN_ROUND));
}

static void watch_drain(struct proxy *proxy)
{
    const mono_ns now = proxy->loop->now;
    if (proxy->drain == DRAIN_NONE || proxy->drain == DRAIN_DONE)
        return;
    const bool is_idle = proxy->request_count == 0 && connections_are_done(proxy);
    const bool is_quiet = proxy->drain == DRAIN_REFUSING
                              ? is_idle
                              : is_idle && mono_since(now, proxy->busy_at) >= DRAIN_QUIET;
    if (!is_quiet && now < proxy->drain_until)
        return;
    log_event(LOG_INFO, "drain_finished", LOG_UINT("callsCut", proxy->request_count));
    proxy->drain = DRAIN_DONE;
    loop_stop(proxy->loop);
}

static void sweep_targets(struct proxy *proxy)
{
    if (proxy->drain != DRAIN_NONE)
        return;
    LIST_FOREACH (link, &proxy->targets.by_age)
        destination_sweep(proxy, CONTAINER_OF(link, struct target, age_link));
}

static void on_round(struct timer *timer, mono_ns now)
{
    struct proxy *proxy = CONTAINER_OF(timer, struct proxy, janitor);
    pool_sweep(&proxy->pool, now);
    sweep_targets(proxy);
    connections_sweep(proxy, DOWNSTREAM_IDLE);
    give_memory_back(proxy);
    watch_memory(proxy);
    watch_drain(proxy);
    metrics_reclaim(proxy->metrics);
    metrics_note_loop_lag(proxy->metrics, loop_lag_take(proxy->loop));
    wheel_set(proxy->loop->wheel, timer,
              mono_add(now, proxy->drain == DRAIN_NONE ? ROUND : DRAIN_ROUND));
}

void janitor_start(struct proxy *proxy)
{
    timer_init(&proxy->janitor, on_round);
    wheel_set(proxy->loop->wheel, &proxy->janitor, mono_add(proxy->loop->now, ROUND));
}

void janitor_stop(struct proxy *proxy)
{
    wheel_clear(proxy->loop->wheel, &proxy->janitor);
}
