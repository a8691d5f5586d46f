/* Serving calls when the n-th allocation of our own code fails, for every n. No crash, nothing
 * lost, no caller that waits for ever: there are no timeouts in the policy, so whatever is not
 * answered or ended hangs, and fails the test. This program's malloc stands before the real one; it
 * fails only for callers in this program, for libuv ends the process when there is no memory, and
 * c-ares is not ours. */
#include "base/log.h"
#include "config/load.h"
#include "request/connection.h"
#include "request/proxy.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER SIZE_MAX
#define EARLY_BYTES 4096 /* dlsym itself may allocate before it has told us where to */
#define LIVE_SLOTS 16384 /* a power of two, far above what one run allocates */

/* ---- allocation ---- */

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

static char early[EARLY_BYTES];
static size_t early_used;

static size_t fail_at = NEVER; /* the allocation that fails, counted from 0 */
static bool fails_on;          /* and all after it */
static bool is_failing;        /* allocations are counted, and may fail */
static bool is_tracking;       /* what our code has and has not freed is known */
static size_t allocations;
static void *live[LIVE_SLOTS]; /* open addressing; LIVE_GONE where one was */
static long live_count;
#define LIVE_GONE ((void *)early)

extern char __executable_start, etext;

static bool is_ours(const void *caller)
{
    return (const char *)caller >= &__executable_start && (const char *)caller < &etext;
}

static void *early_alloc(size_t size)
{
    const size_t start = (early_used + 15) & ~(size_t)15;
    if (start + size > sizeof early)
        abort();
    early_used = start + size;
    return early + start;
}

static bool is_early(const void *pointer)
{
    return (const char *)pointer >= early && (const char *)pointer < early + sizeof early;
}

static bool resolve(void)
{
    static bool is_resolving;
    if (real_free)
        return true;
    if (is_resolving)
        return false;
    is_resolving = true;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    is_resolving = false;
    return true;
}

static size_t slot_of(const void *pointer)
{
    return ((uintptr_t)pointer >> 4) * 2654435761u % LIVE_SLOTS;
}

static void *track(void *pointer, bool is_mine)
{
    if (!is_tracking || !is_mine || pointer == NULL)
        return pointer;
    size_t slot = slot_of(pointer);
    while (live[slot] != NULL && live[slot] != LIVE_GONE)
        slot = (slot + 1) % LIVE_SLOTS;
    live[slot] = pointer;
    live_count++;
    return pointer;
}

static void untrack(void *pointer)
{
    if (!is_tracking || pointer == NULL)
        return;
    size_t slot = slot_of(pointer);
    for (; live[slot] != NULL; slot = (slot + 1) % LIVE_SLOTS) {
        if (live[slot] != pointer)
            continue;
        live[slot] = LIVE_GONE;
        live_count--;
        return;
    }
}

static bool fails(bool is_mine)
{
    if (!is_failing || !is_mine)
        return false;
    const size_t index = allocations++;
    if (index != fail_at && !(fails_on && index > fail_at))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    const bool is_mine = is_ours(__builtin_return_address(0));
    if (!resolve())
        return early_alloc(size);
    return fails(is_mine) ? NULL : track(real_malloc(size), is_mine);
}

void *calloc(size_t count, size_t size)
{
    const bool is_mine = is_ours(__builtin_return_address(0));
    if (!resolve())
        return early_alloc(count * size); /* zero, as static memory is */
    return fails(is_mine) ? NULL : track(real_calloc(count, size), is_mine);
}

void *realloc(void *pointer, size_t size)
{
    const bool is_mine = is_ours(__builtin_return_address(0));
    if (!resolve() || is_early(pointer))
        abort();
    if (fails(is_mine))
        return NULL;
    untrack(pointer);
    return track(real_realloc(pointer, size), is_mine);
}

void free(void *pointer)
{
    if (pointer == NULL || is_early(pointer) || !resolve())
        return;
    untrack(pointer);
    real_free(pointer);
}

char *strdup(const char *text) /* a sanitizer's own would not ask our malloc */
{
    const bool is_mine = is_ours(__builtin_return_address(0));
    const size_t size = strlen(text) + 1;
    if (!resolve() || fails(is_mine))
        return NULL;
    char *copy = track(real_malloc(size), is_mine);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* ---- the upstream: /retry is 503 at first, /large has a large head and body, /ws is a tunnel that
 * echoes ---- */

#define PEERS 8
#define BODY_BYTES 600000
#define FIELD_BYTES 40000 /* a head that does not fit into the loop's write buffer */

struct peer {
    int fd; /* -1 when free */
    char in[FIELD_BYTES + 4096];
    size_t in_len;
    const char *out; /* still to be sent */
    size_t out_len;
    bool is_tunnel;
};

static int listener;
static struct peer peers[PEERS];
static int retries;
static char large_answer[FIELD_BYTES + BODY_BYTES + 256];
static size_t large_len;

static void peer_answers(struct peer *peer)
{
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    static const char fine[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n";
    static const char tunnel[] =
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";
    const bool is_retry = strncmp(peer->in, "POST /retry", 11) == 0;
    const bool is_large = strncmp(peer->in, "GET /large", 10) == 0;
    peer->is_tunnel = strncmp(peer->in, "GET /ws", 7) == 0;
    peer->out = is_large                    ? large_answer
                : peer->is_tunnel           ? tunnel
                : is_retry && retries++ < 1 ? busy
                                            : fine;
    peer->out_len = is_large ? large_len : strlen(peer->out);
    peer->in_len = 0;
    memset(peer->in, 0, sizeof peer->in);
}

static bool has_request(const struct peer *peer)
{
    const char *end = strstr(peer->in, "\r\n\r\n");
    if (end == NULL || peer->is_tunnel || peer->out_len > 0)
        return false;
    return strncmp(peer->in, "POST", 4) != 0 ||
           strstr(end + 4, "\r\n\r\n") != NULL; /* its trailers */
}

static void peer_turn(struct peer *peer)
{
    if (peer->fd < 0)
        return;
    const bool was_tunnel = peer->is_tunnel;
    if (was_tunnel)
        peer->in_len = 0;
    const ssize_t got =
        recv(peer->fd, peer->in + peer->in_len, sizeof peer->in - 1 - peer->in_len, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(peer->fd);
        peer->fd = -1;
        return;
    }
    if (got > 0)
        peer->in_len += (size_t)got;
    if (has_request(peer))
        peer_answers(peer);
    if (was_tunnel && got > 0)
        (void)!send(peer->fd, peer->in, (size_t)got, MSG_NOSIGNAL);
    if (peer->out_len == 0)
        return;
    const ssize_t sent = send(peer->fd, peer->out, peer->out_len, MSG_NOSIGNAL);
    if (sent > 0) {
        peer->out += sent;
        peer->out_len -= (size_t)sent;
    }
}

static void upstream_turn(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (peers[i].fd < 0) {
            const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0)
                peers[i] = (struct peer){.fd = fd};
        }
        peer_turn(&peers[i]);
    }
}

static uint16_t upstream_open(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(listener, 16), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    for (int i = 0; i < PEERS; i++)
        peers[i].fd = -1;
    char *field = large_answer + snprintf(large_answer, 64,
                                          "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", BODY_BYTES);
    for (int line = 0; line < FIELD_BYTES / 10000; line++) {
        field += snprintf(field, 16, "X-%d: ", line);
        memset(field, 'v', 9900);
        field += 9900;
        field += snprintf(field, 3, "\r\n");
    }
    field += snprintf(field, 3, "\r\n");
    memset(field, 'b', BODY_BYTES);
    large_len = (size_t)(field - large_answer) + BODY_BYTES;
    return ntohs(at.sin_port);
}

static void upstream_close(void)
{
    for (int i = 0; i < PEERS; i++)
        if (peers[i].fd >= 0)
            close(peers[i].fd);
    close(listener);
}

/* ---- the proxy ---- */

static const char policy[] =
    "apiVersion: outrigger.dev/v1alpha1\n"
    "kind: ResiliencePolicy\n"
    "metadata: {name: t}\n"
    "spec:\n"
    "  targets: [{host: \"*\"}]\n"
    "  retry: {attempts: 2, backoff: 1ms, methods: [GET, POST], codes: [503]}\n"
    "  circuitBreaker: {consecutiveFailures: 100, scope: endpoint}\n"
    "  bulkhead: {maxRequests: 4, maxPending: 4, pendingTimeout: 1s, key: \"header:X-Tenant\"}\n"
    "  rateLimit: {requests: 1000, interval: 1s, key: \"header:X-Tenant\", headers: true}\n"
    "  rules:\n"
    "    - {name: large, matches: [{path: {value: /large}}], bulkhead: {maxRequests: 2}}\n";

struct bench {
    struct loop *loop;
    struct metrics *metrics;
    struct events *events;
    struct proxy *proxy;
    struct entrance entrance;
};

static struct bench bench;

static void bench_open(uint16_t port)
{
    const struct loop_options loop_options = {.seed = 1};
    struct policy_set *set = NULL;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert_eq(policy_set_load_text("t.yaml", policy, sizeof policy - 1, &set, &diagnostics), OK);
    diagnostics_fini(&diagnostics);
    struct snapshot *snapshot = snapshot_new(&set);
    bench.loop = loop_new(&loop_options);
    bench.metrics = metrics_new(1000, "t", "", 1);
    bench.events = events_new();
    const struct proxy_options options = {
        .metrics = bench.metrics, .events = bench.events, .dns_servers = "127.0.0.1:9"};
    bench.proxy = proxy_new(bench.loop, &options, snapshot);
    snapshot_unref(&snapshot);
    log_set_level(LOG_ERROR);
    bench.entrance = (struct entrance){.proxy = bench.proxy};
    list_init(&bench.entrance.link);
    snprintf(bench.entrance.upstream, sizeof bench.entrance.upstream, "127.0.0.1:%u", port);
}

static void on_nothing(struct timer *timer, mono_ns now)
{
    (void)timer;
    (void)now;
}

static void turn(void)
{
    struct timer guard;
    timer_init(&guard, on_nothing);
    wheel_set(bench.loop->wheel, &guard, mono_add(bench.loop->now, NS_PER_MS));
    upstream_turn();
    loop_turn(bench.loop, true);
    wheel_clear(bench.loop->wheel, &guard);
}

static void bench_close(void)
{
    for (int left = 3000; bench.proxy->connection_count > 0 || bench.proxy->request_count > 0;
         left--) {
        cr_assert(left > 0, "allocation %zu fails: %u calls never end", fail_at,
                  bench.proxy->request_count);
        turn();
    }
    proxy_free(&bench.proxy);
    loop_free(&bench.loop);
    metrics_free(&bench.metrics);
    events_free(&bench.events);
}

/* ---- the callers ---- */

struct caller {
    int fd;
    char got[4096]; /* what came first */
    size_t got_len;
    uint64_t got_bytes;
    bool has_ended;
};

static void caller_open(struct caller *caller)
{
    int pair[2];
    const struct address unnamed = {.len = sizeof(sa_family_t), .any = {.sa_family = AF_UNIX}};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *caller = (struct caller){.fd = pair[0]};
    connection_accept(&bench.entrance, pair[1], &unnamed);
}

static void caller_sends(struct caller *caller, const char *text)
{
    size_t left = strlen(text);
    for (int turns = 1000; left > 0 && turns > 0; turns--) {
        const ssize_t sent = send(caller->fd, text, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; /* it was cut off: the answer or the end will tell */
        if (sent > 0) {
            text += sent;
            left -= (size_t)sent;
        }
        turn();
    }
}

static void caller_reads(struct caller *caller)
{
    char buf[65536];
    const ssize_t got = recv(caller->fd, buf, sizeof buf, 0);
    caller->has_ended = caller->has_ended || got == 0 || (got < 0 && errno != EAGAIN);
    if (got <= 0)
        return;
    const size_t room = sizeof caller->got - 1 - caller->got_len;
    const size_t kept = (size_t)got < room ? (size_t)got : room;
    memcpy(caller->got + caller->got_len, buf, kept);
    caller->got_len += kept;
    caller->got_bytes += (uint64_t)got;
}

/* Without memory for a retry the caller gets the failed response; without any, a reply of ours. */
static bool is_failed(const char *got)
{
    return strstr(got, "x-outrigger-reason") != NULL || strstr(got, "\r\n\r\nbusy") != NULL;
}

/* True when `text` came, false when a failure or the end did; a caller that gets neither hangs. */
static bool caller_waits(struct caller *caller, const char *text, uint64_t bytes)
{
    for (int left = 3000; left > 0; left--) {
        caller_reads(caller);
        if (strstr(caller->got, text) != NULL && caller->got_bytes >= bytes)
            return true;
        if (caller->has_ended || is_failed(caller->got))
            return false;
        turn();
    }
    cr_assert(false, "allocation %zu fails: a caller waits for %s for ever; it got %s", fail_at,
              text, caller->got);
    return false;
}

static bool call_with_retry(void)
{
    struct caller caller;
    retries = 0;
    caller_open(&caller);
    caller_sends(&caller, "POST /retry HTTP/1.1\r\nHost: a\r\nX-Tenant: one\r\nTransfer-");
    caller_sends(&caller, "Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 4\r\n\r\nGET /next "
                          "HTTP/1.1\r\nHost: a\r\n\r\n");
    const bool is_good = caller_waits(&caller, "x-end: 1\r\n\r\nHTTP/1.1 200", 0);
    close(caller.fd);
    return is_good;
}

static bool call_with_large_heads(void)
{
    static char request[FIELD_BYTES + 256];
    struct caller caller;
    char *field =
        request + snprintf(request, 64, "GET /large HTTP/1.1\r\nHost: a\r\nX-Tenant: two\r\n");
    for (int line = 0; line < FIELD_BYTES / 10000; line++) {
        field += snprintf(field, 16, "X-%d: ", line);
        memset(field, 'w', 9900);
        field += 9900;
        field += snprintf(field, 3, "\r\n");
    }
    snprintf(field, 3, "\r\n");
    caller_open(&caller);
    caller_sends(&caller, request);
    for (int i = 0; i < 20; i++)
        turn(); /* nobody reads: a backlog */
    const bool is_good = caller_waits(&caller, "200 OK", BODY_BYTES);
    close(caller.fd);
    return is_good;
}

static bool call_tunnel(void)
{
    struct caller caller;
    caller_open(&caller);
    caller_sends(&caller,
                 "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    bool is_good = caller_waits(&caller, "hello", 0);
    if (is_good) {
        caller_sends(&caller, "echo this");
        is_good = caller_waits(&caller, "echo this", 0);
    }
    close(caller.fd);
    return is_good;
}

/* ---- the runs ---- */

static bool serve_once(uint16_t port, size_t n, bool and_all_after)
{
    bench_open(port);
    memset(live, 0, sizeof live);
    live_count = 0;
    allocations = 0;
    fail_at = n;
    fails_on = and_all_after;
    is_tracking = is_failing = true;
    const bool is_good =
        (int)call_with_retry() + (int)call_with_large_heads() + (int)call_tunnel() == 3;
    is_failing = false;
    bench_close();
    is_tracking = false;
    cr_assert_eq(live_count, 0, "allocation %zu fails: %ld are lost", n, live_count);
    return is_good;
}

static void serve_with_each_failure(bool and_all_after)
{
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const uint16_t port = upstream_open();
    cr_assert(serve_once(port, NEVER, false), "without a failure all is well");
    const size_t all = allocations;
    cr_assert_gt(all, 20);
    for (size_t n = 0; n < all; n++)
        serve_once(port, n, and_all_after);
    cr_assert(serve_once(port, NEVER, false), "and afterwards again");
    upstream_close();
}

Test(serve_alloc, may_fail_anywhere_once, .timeout = 100)
{
    serve_with_each_failure(false);
}

Test(serve_alloc, may_fail_from_anywhere_on, .timeout = 100)
{
    serve_with_each_failure(true);
}
