/* proxy.h - everything that one data loop owns, and the door through which work enters it.
 *
 * The proxy is the host of `call`: it turns sockets' events into calls' events, and performs the
 * actions that come out (proxy_perform, at the end of every callback that told a call something).
 * One per process; loop thread only. */
#ifndef OUTRIGGER_REQUEST_PROXY_H
#define OUTRIGGER_REQUEST_PROXY_H

#include "base/arena.h"
#include "base/slab.h"
#include "call/call.h"
#include "call/target.h"
#include "codec/codec.h"
#include "config/policy_set.h"
#include "config/protocol.h"
#include "http/message.h"
#include "net/dns_relay.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "request/replay.h"
#include "request/snapshot.h"
#include "telemetry/access_log.h"
#include "telemetry/events.h"
#include "telemetry/metrics.h"
#include "upstream/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define PROXY_PSEUDONYM_BYTES 32
#define PROXY_DNS_SOCKETS 2 /* one for each address family */

enum drain_phase { DRAIN_NONE = 0, DRAIN_SERVING, DRAIN_REFUSING, DRAIN_DONE };

struct proxy;
struct request;

struct entrance { /* one listening address and what comes in there */
    struct listener listener;
    struct proxy *proxy;
    struct list link;       /* proxy.entrances */
    char upstream[300];     /* "payments:8080" of an explicit listener; "" on outbound */
    enum protocol protocol; /* what is spoken upstream where the policy does not say */
};

struct proxy {
    struct loop *loop;
    struct codec codec;
    struct pool pool;
    struct resolver *resolver;
    struct dns_relay *dns_relays[PROXY_DNS_SOCKETS]; /* NULL: not needed */
    struct address
        dns_server;         /* whom callers' queries are for, instead of whom they say; or none */
    struct tls_engine *tls; /* NULL: no policy has asked for it yet */
    struct call_engine engine;
    struct target_table targets;
    struct snapshot *snapshot;
    struct metrics *metrics;
    struct metrics_target *unroutable; /* counts what never had a target */
    struct events *events;
    struct access_log access;
    struct replay_pool replay;
    struct arena_pool arenas;
    struct arena_pool stream_arenas; /* of calls on HTTP/2: many, and long-lived */
    struct list entrances;
    struct slab request_memory;
    struct list requests;           /* request.link: all that are under way */
    const struct request *arriving; /* whose head has just come, in this callback; NULL */
    const struct message *arriving_head;
    struct message unpacked; /* of request_message, with limits.maxHeaders fields */
    uint32_t request_count;
    uint32_t trimmed_at_calls; /* request_count when memory went back to the system */
    struct list connections;   /* connection.link */
    uint32_t connection_count;
    uint32_t tunnel_count;
    struct limits_config limits;
    struct drain_config drain_cfg;
    enum drain_phase drain;
    mono_ns drain_until;
    mono_ns busy_at; /* last time that a call was under way */
    struct timer janitor;
    struct loop_task perform; /* actions that a timer caused: proxy_perform in this turn */
    bool is_performing;
    bool is_over_memory;
    char pseudonym[PROXY_PSEUDONYM_BYTES]; /* in Via: how we know our own calls when they come back
                                            */
};

struct proxy_options {
    struct metrics *metrics; /* borrowed, outlive the proxy */
    struct events *events;
    const char *dns_servers; /* NULL: of resolv.conf */
    const int *dns_sockets;  /* UDP, inherited: queries of programs that reach no server;
                                            they are asked of dns_servers, where there are some */
    size_t dns_socket_count;
};

struct proxy *proxy_new(struct loop *loop, const struct proxy_options *options,
                        struct snapshot *snapshot);
/* Takes a reference of `snapshot`. Aborts without memory (start of the process). */

enum err proxy_listen(struct proxy *proxy, char why[LISTENER_TEXT_BYTES]) MUST_CHECK;
/* Opens every entrance that the snapshot's ProxyConfig names; on an error `why` names the address
 * and what to do. */

enum err proxy_relay_dns(struct proxy *proxy, const struct proxy_options *options,
                         char why[LISTENER_TEXT_BYTES]) MUST_CHECK;
/* Begins to answer on options->dns_sockets, and takes them; on an error `why` says what to do. */

void proxy_swap(struct proxy *proxy, struct snapshot *snapshot);
/* A reload: new numbers for live instances, new lanes. Takes a reference. Nothing in flight is
 * touched. */

void proxy_perform(struct proxy *proxy);
/* Performs the actions that calls have asked for, until there are none. */

void proxy_drain(struct proxy *proxy);
/* SIGTERM: as spec.drain says; loop_stop when it is done. A second one cuts what is left. */

bool proxy_is_ready(const struct proxy *proxy);

void proxy_free(struct proxy **proxy);
/* Cuts everything that is left. */

#endif
