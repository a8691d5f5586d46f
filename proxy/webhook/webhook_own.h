/* webhook_own.h - what the files of the webhook share. */
#ifndef OUTRIGGER_WEBHOOK_WEBHOOK_OWN_H
#define OUTRIGGER_WEBHOOK_WEBHOOK_OWN_H

#include "base/list.h"
#include "webhook/certificate.h"
#include "webhook/tally.h"
#include "webhook/webhook.h"

#include <h2o.h>
#include <stdbool.h>
#include <uv.h>

#define LINK_LIMIT (10 * NS_PER_S) /* a handshake; a request, and its answer */
#define LINK_IDLE                                                                                  \
    (300 * NS_PER_S) /* longer than the API server keeps an idle connection: it closes             \
                        first, and no review meets a closing one */

struct port { /* one address */
    uv_tcp_t tcp;
    struct webhook *webhook;
    h2o_accept_ctx_t accept;
    unsigned links;
    unsigned links_max;
    bool is_tls;
    bool is_waiting; /* somebody in the backlog waits for room */
};

struct handler { /* of one kind of port */
    h2o_handler_t super;
    struct webhook *webhook;
    bool is_tls;
};

struct webhook {
    uint32_t magic;
    const struct webhook_options *options;
    struct loop *loop;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_hostconf_t *reviews[2]; /* end with NULL, as h2o_accept_ctx_t wants them */
    h2o_hostconf_t *probes[2];
    struct port ports[2 * WEBHOOK_ADDRESSES_MAX];
    size_t port_count;
    struct list links; /* struct link */
    size_t held_bytes; /* of requests that libh2o gathers */
    struct certificate certificate;
    struct timer sweep;
    struct timer linger;
    struct tally tally;
    unsigned open_parts; /* ports and the certificate's watch, while they close */
    bool is_draining;
    bool is_closing; /* no connection is taken any more */
};

int webhook_on_request(h2o_handler_t *handler, h2o_req_t *req);

void webhook_on_link_closed(struct webhook *webhook, struct port *port);
/* There may be room for one that waits. */

#endif
