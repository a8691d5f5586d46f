/* webhook.h - the admission webhook: an HTTPS server that libh2o serves, and a plain port for the
 * kubelet and Prometheus.
 *
 * POST /inject takes an AdmissionReview and answers with one; what it decides is inject/review.h's.
 * libh2o takes libuv streams only, so each connection is relayed (link.h): TLS is undone on the
 * way. Bounds: WEBHOOK_LINKS_MAX connections at once (more wait in the backlog; the one that idles
 * longest makes room), bodies of 8 MiB, 24 MiB of them at once, 10 s from a request's first byte to
 * its answer's last.
 *
 * Example: if (webhook_open(&options, loop, &webhook, why) != OK) ... loop_run(loop);
 * webhook_free(&webhook); One thread: the loop's. */
#ifndef OUTRIGGER_WEBHOOK_WEBHOOK_H
#define OUTRIGGER_WEBHOOK_WEBHOOK_H

#include "base/err.h"
#include "inject/settings.h"
#include "net/address.h"
#include "net/loop.h"

#define WEBHOOK_WHY_MAX 640
#define WEBHOOK_ADDRESSES_MAX 4
#define WEBHOOK_LINKS_MAX 256
#define WEBHOOK_PROBES_MAX 32 /* connections of the plain port */
#define WEBHOOK_BODY_MAX (8u << 20)
#define WEBHOOK_HELD_MAX (24u << 20)

struct webhook_options { /* borrowed: must outlive the webhook */
    struct address listen[WEBHOOK_ADDRESSES_MAX];
    size_t listen_count;
    struct address metrics[WEBHOOK_ADDRESSES_MAX];
    size_t metrics_count;
    const char *cert_path, *key_path;
    dur_ns linger; /* after a stop signal: how long new connections are still taken */
    const struct inject_settings *settings;
};

struct webhook;

enum err MUST_CHECK webhook_open(const struct webhook_options *options, struct loop *loop,
                                 struct webhook **webhook, char why[WEBHOOK_WHY_MAX]);
/* Listens. On an error `why` says what to do, and nothing is open. */

void webhook_drain(struct webhook *webhook);
/* /ready fails at once; after `linger` no connection is taken, and loop_stop follows when those
 * that are there have had their answers. Asked again, it cuts them. */

void webhook_free(struct webhook **webhook);
/* Cuts what is left. */

#endif
