#include "tls_fixture.h"

#include "base/check.h"
#include "net/tls_mbed.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CROWD 50

TestSuite(tls_engine, .init = fixture_open, .fini = fixture_close);

static struct tls_stats stats(void)
{
    struct tls_stats stats;
    tls_engine_stats(world.engine, &stats);
    return stats;
}

/* ---- many at once ---- */

static void start_crowd(struct caller *crowd, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        world_start_call(&world, &crowd[i], client, "api.test");
    }
}

static void end_crowd(struct caller *crowd, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stream_close(&crowd[i].stream);
    }
    for (size_t i = 0; i < count; i++) {
        TURN_UNTIL(world.loop, crowd[i].has_closed);
    }
    TURN_UNTIL(world.loop, stats().under_way == 0);
}

static unsigned connected(const struct caller *crowd, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += crowd[i].connects;
    }
    return sum;
}

Test(tls_engine, shakes_fifty_hands_at_once)
{
    struct caller crowd[CROWD];
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    start_crowd(crowd, CROWD);
    TURN_UNTIL(world.loop, connected(crowd, CROWD) == CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        cr_assert_eq(crowd[i].reason, REASON_NONE, "%s", stream_detail(&crowd[i].stream));
    }
    cr_assert_eq(stats().done, CROWD);
    cr_assert(stats().steps >= 3 * CROWD && stats().computed > 0);
    end_crowd(crowd, CROWD);
}

/* By the CPU time of the loop's own thread, so that what others compute does not count. A virtual
 * machine that is robbed of its processor sees that as time spent, so a few long turns are
 * forgiven; were handshakes computed in the loop, each of them would make one. */
static dur_ns own_time(void)
{
    struct timespec now;
    cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (dur_ns)now.tv_sec * NS_PER_S + now.tv_nsec;
}

Test(tls_engine, does_not_hold_the_loop_up_for_two_milliseconds)
{
    struct caller crowd[20];
    int long_turns = 0;
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    start_crowd(crowd, 20);
    for (int turns = 0; connected(crowd, 20) < 20; turns++) {
        const dur_ns before = own_time();
        cr_assert(turns < 100000);
        driver_turn(world.loop);
        long_turns += own_time() - before > 2 * NS_PER_MS ? 1 : 0;
    }
    cr_assert_lt(long_turns, 10);
    end_crowd(crowd, 20);
}

struct asking { /* how a worker stands with the scheduler */
    struct tls_job job;
    int nice;
    bool is_done;
};

static void ask(struct tls_job *job)
{
    CONTAINER_OF(job, struct asking, job)->nice = getpriority(PRIO_PROCESS, 0);
}

static void note_answer(struct tls_job *job)
{
    CONTAINER_OF(job, struct asking, job)->is_done = true;
}

Test(tls_engine, computes_on_threads_that_stand_back_for_the_loop)
{
    struct asking asking = {.job = {.compute = ask, .done = note_answer}};
    tls_engine_submit(world.engine, &asking.job);
    TURN_UNTIL(world.loop, asking.is_done);
    cr_assert_eq(asking.nice, getpriority(PRIO_PROCESS, 0) + TLS_NICE);
}

Test(tls_engine, refuses_handshakes_above_its_limit)
{
    struct tls_engine *own = world.engine;
    struct caller crowd[3];
    world.engine = tls_engine_new(world.loop, &(struct tls_engine_options){.handshakes_max = 2});
    world_serve(&world, &(struct peer_options){.is_mute = true});
    start_crowd(crowd, 3);
    TURN_UNTIL(world.loop, connected(crowd, 3) == 1);
    for (size_t i = 0; i < 3; i++) {
        if (crowd[i].connects == 1) {
            cr_assert_eq(crowd[i].reason, REASON_OVERLOADED);
            cr_assert(strstr(stream_detail(&crowd[i].stream), "too many TLS handshakes") != NULL);
        }
    }
    cr_assert_eq(stats().under_way, 2);
    cr_assert_eq(stats().refused, 1);
    end_crowd(crowd, 3);
    tls_engine_close(&world.engine, NULL, NULL);
    driver_settle(world.loop);
    world.engine = own;
}

/* ---- closed meanwhile ---- */

Test(tls_engine, lets_a_stream_close_at_any_moment_of_its_handshake)
{
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    for (int turns = 0; turns < 25; turns++) {
        struct caller crowd[4];
        start_crowd(crowd, 4);
        for (int i = 0; i < turns; i++) {
            loop_turn(world.loop, i % 2 == 1 && connected(crowd, 4) < 4);
        }
        end_crowd(crowd, 4);
    }
    cr_assert_eq(stats().waiting, 0);
}

Test(tls_engine, lets_a_stream_close_while_a_worker_computes_for_it)
{
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    for (int times = 0; times < 10; times++) {
        struct caller crowd[4];
        const uint64_t steps = stats().steps;
        start_crowd(crowd, 4);
        TURN_UNTIL(world.loop, stats().steps > steps); /* a worker has taken the first */
        end_crowd(crowd, 4);
    }
}

Test(tls_engine, frees_what_still_computes_when_it_is_closed)
{
    struct caller caller;
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    world_start_call(&world, &caller, client, "api.test");
    TURN_UNTIL(world.loop, stats().steps >= 2); /* the one with the arithmetic */
    world_end_call(&world, &caller);
}

Test(tls_engine, waits_for_a_mute_peer_until_somebody_closes_the_stream)
{
    struct caller caller;
    world_serve(&world, &(struct peer_options){.is_mute = true});
    world_start_call(&world, &caller, client, "api.test");
    TURN_UNTIL(world.loop, stats().steps == 1);
    for (int i = 0; i < 3; i++) {
        driver_turn(world.loop);
    }
    cr_assert_eq(caller.connects, 0);
    world_end_call(&world, &caller);
    cr_assert_eq(caller.connects, 0, "a closed stream says nothing");
    cr_assert_eq(stats().failed, 1);
}

Test(tls_engine, passes_on_that_the_socket_was_refused)
{
    struct caller caller;
    world_serve(&world, &(struct peer_options){.is_mute = true});
    peer_stop(&world.peer);
    world.has_peer = false;
    world_call(&world, &caller, client, "api.test");
    cr_assert_eq(caller.reason, REASON_CONNECT_REFUSED);
    cr_assert_eq(caller.stream.error, ECONNREFUSED);
    cr_assert_str_eq(stream_detail(&caller.stream), strerror(ECONNREFUSED));
    world_end_call(&world, &caller);
}

/* ---- resumption ---- */

static bool was_resumed(struct tls_client *by, const char *name)
{
    struct stream_tls_info info;
    struct caller caller;
    world_call(&world, &caller, by, name);
    cr_assert_eq(caller.reason, REASON_NONE, "%s", stream_detail(&caller.stream));
    stream_tls_info(&caller.stream, &info);
    world_end_call(&world, &caller);
    return info.was_resumed;
}

Test(tls_engine, resumes_a_session_but_not_another_clients)
{
    struct tls_client *other = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = &world.server, .keeps_tickets = true});
    cr_assert_not(was_resumed(client, "api.test"));
    cr_assert(was_resumed(client, "api.test"));
    cr_assert(was_resumed(client, "api.test"), "and again with the ticket of the second");
    cr_assert_not(was_resumed(other, "api.test"), "who trusts differently verifies itself");
    cr_assert(was_resumed(other, "api.test"));
    cr_assert_eq(stats().resumed, 3);
    tls_client_unref(&other);
}

Test(tls_engine, does_not_resume_under_another_name)
{
    struct identity identity;
    struct caller caller;
    const unsigned char ip[] = {10, 0, 0, 1};
    identity_make(&identity, &(struct identity_options){.name = "api.test",
                                                        .dns = "api.test",
                                                        .ip = ip,
                                                        .ip_len = 4,
                                                        .issuer = &world.authority,
                                                        .issuer_name = "Test Authority"});
    world_serve(&world, &(struct peer_options){.identity = &identity, .keeps_tickets = true});
    cr_assert_not(was_resumed(client, "api.test"));
    cr_assert_not(was_resumed(client, "10.0.0.1"));
    world_call(&world, &caller, client, "payments");
    cr_assert_eq(caller.reason, REASON_TLS_NAME_MISMATCH, "no ticket gets around the check");
    world_end_call(&world, &caller);
}

Test(tls_engine, makes_a_full_handshake_when_the_server_forgot_the_session)
{
    world_serve(&world, &(struct peer_options){.identity = &world.server, .keeps_tickets = true});
    cr_assert_not(was_resumed(client, "api.test"));
    mbedtls_ssl_ticket_free(world.peer.tickets);
    mbedtls_ssl_ticket_init(world.peer.tickets);
    cr_assert_eq(mbedtls_ssl_ticket_setup(world.peer.tickets, tls_random, NULL,
                                          MBEDTLS_CIPHER_AES_256_GCM, 3600),
                 0);
    cr_assert_not(was_resumed(client, "api.test"));
    cr_assert(was_resumed(client, "api.test"));
}
