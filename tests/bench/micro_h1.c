/* micro_h1.c - what one head costs: scan and parse, copy into an arena, write. Prints nanoseconds
 * per operation, the median of several rounds. Usage: micro_h1 [rounds]. No sockets; run it on a
 * quiet core. */
#include "base/arena.h"
#include "base/mono.h"
#include "codec/h1_chunked.h"
#include "codec/h1_head.h"
#include "codec/h1_write.h"
#include "http/message_pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OPERATIONS 200000
#define DEFAULT_ROUNDS 9
#define MAX_ROUNDS 99
#define MAX_HEADERS 100
#define ARENA_BYTES (64 * 1024)

static const char request_head[] = "GET /v1/quotes/EURUSD?depth=10&venue=all HTTP/1.1\r\n"
                                   "Host: quotes.shop.svc.cluster.local:8080\r\n"
                                   "User-Agent: python-requests/2.31.0\r\n"
                                   "Accept-Encoding: gzip, deflate\r\n"
                                   "Accept: application/json\r\n"
                                   "Connection: keep-alive\r\n"
                                   "X-Request-Id: 8b1a9953c4611296a827abf8c47804d7\r\n"
                                   "Authorization: Bearer 0123456789abcdef0123456789\r\n"
                                   "\r\n";

static const char response_head[] = "HTTP/1.1 200 OK\r\n"
                                    "Server: nginx/1.22.1\r\n"
                                    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                    "Content-Type: application/json; charset=utf-8\r\n"
                                    "Content-Length: 1024\r\n"
                                    "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT\r\n"
                                    "Connection: keep-alive\r\n"
                                    "ETag: \"5f3e-400\"\r\n"
                                    "Accept-Ranges: bytes\r\n"
                                    "\r\n";

static const struct h1_limits limits = {16384, 65536, MAX_HEADERS};

struct bench {
    struct header scratch[MAX_HEADERS];
    struct message request;
    struct message response;
    struct arena_pool pool;
    char out[4096];
    uint64_t sum; /* of what was done, so that nothing is optimised away */
};

static mono_ns clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (mono_ns)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void parse_request(struct bench *bench)
{
    struct h1_scan scan;
    h1_scan_init(&scan, MESSAGE_REQUEST);
    struct h1_result r = h1_scan_head(&scan, request_head, sizeof(request_head) - 1, &limits);
    if (r.step == H1_DONE)
        r = h1_parse_request(h1_scan_span(&scan, request_head), &limits, bench->scratch,
                             &bench->request);
    bench->sum += r.step == H1_DONE ? bench->request.header_count : 0;
}

static void scan_request(struct bench *bench)
{
    struct h1_scan scan;
    h1_scan_init(&scan, MESSAGE_REQUEST);
    struct h1_result r = h1_scan_head(&scan, request_head, sizeof(request_head) - 1, &limits);
    bench->sum += r.step == H1_DONE;
}

static void parse_response(struct bench *bench)
{
    struct h1_scan scan;
    h1_scan_init(&scan, MESSAGE_RESPONSE);
    struct h1_result r = h1_scan_head(&scan, response_head, sizeof(response_head) - 1, &limits);
    if (r.step == H1_DONE)
        r = h1_parse_response(h1_scan_span(&scan, response_head), &limits, METHOD_GET, false,
                              bench->scratch, &bench->response);
    bench->sum += r.step == H1_DONE ? bench->response.header_count : 0;
}

static void copy_request(struct bench *bench)
{
    struct arena arena;
    struct message copy;
    parse_request(bench);
    arena_init(&arena, &bench->pool, ARENA_BYTES);
    if (message_copy(&bench->request, &arena, &copy) == OK)
        bench->sum += copy.header_count;
    arena_fini(&arena);
}

static void pack_request(struct bench *bench)
{
    struct arena arena;
    parse_request(bench);
    arena_init(&arena, &bench->pool, ARENA_BYTES);
    bench->sum += message_pack(&bench->request, &arena) != NULL;
    arena_fini(&arena);
}

static void unpack_request(struct bench *bench)
{
    struct arena arena;
    struct message again;
    parse_request(bench);
    arena_init(&arena, &bench->pool, ARENA_BYTES);
    const struct message_pack *pack = message_pack(&bench->request, &arena);
    if (pack != NULL) {
        message_unpack(pack, bench->scratch, &again);
        bench->sum += again.header_count;
    }
    arena_fini(&arena);
}

static void write_request(struct bench *bench)
{
    const struct request_edit edit = {.via = SPAN("outrigger-1f2e"), .attempt = 1};
    size_t len = 0;
    parse_request(bench);
    if (h1_write_request(&bench->request, &edit, bench->out, sizeof(bench->out), &len) == OK)
        bench->sum += len;
}

static void write_response(struct bench *bench)
{
    struct response_edit edit = {.via = SPAN("outrigger-1f2e")};
    size_t len = 0;
    parse_response(bench);
    edit.framing = h1_response_framing(&bench->response, 1);
    if (h1_write_response(&bench->response, &edit, bench->out, sizeof(bench->out), &len) == OK)
        bench->sum += len;
}

static void decode_chunks(struct bench *bench)
{
    static const char body[] = "10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
    struct h1_chunked chunked;
    struct h1_chunk_event event = {.kind = H1_CHUNK_DATA};
    size_t at = 0;
    h1_chunked_init(&chunked, NULL);
    while (event.kind == H1_CHUNK_DATA) {
        event = h1_chunked_next(&chunked, body + at, sizeof(body) - 1 - at);
        at += event.consumed;
        bench->sum += event.data.len;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *bench, const char *name, void (*operation)(struct bench *),
                    int rounds)
{
    double ns[MAX_ROUNDS];
    for (int round = 0; round < rounds; round++) {
        mono_ns start = clock_now();
        for (int i = 0; i < OPERATIONS; i++)
            operation(bench);
        ns[round] = (double)mono_since(clock_now(), start) / OPERATIONS;
    }
    qsort(ns, (size_t)rounds, sizeof(ns[0]), compare);
    printf("%-36s %8.1f ns\n", name, ns[rounds / 2]);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    if (rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: %s [rounds, 1 to %d]\n", argv[0], MAX_ROUNDS);
        return 2;
    }
    arena_pool_init(&bench.pool, 4);
    printf("request head %zu bytes, response head %zu bytes\n", sizeof(request_head) - 1,
           sizeof(response_head) - 1);
    measure(&bench, "request: scan", scan_request, rounds);
    measure(&bench, "request: scan, parse", parse_request, rounds);
    measure(&bench, "request: scan, parse, copy", copy_request, rounds);
    measure(&bench, "request: scan, parse, pack", pack_request, rounds);
    measure(&bench, "request: scan, parse, pack, unpack", unpack_request, rounds);
    measure(&bench, "request: scan, parse, write", write_request, rounds);
    measure(&bench, "response: scan, parse", parse_response, rounds);
    measure(&bench, "response: scan, parse, write", write_response, rounds);
    measure(&bench, "chunked: two chunks of 16 bytes", decode_chunks, rounds);
    arena_pool_fini(&bench.pool);
    return bench.sum > 0 ? 0 : 1;
}
