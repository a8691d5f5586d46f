/* certificate.h - the webhook's certificate: read from two files, and again when they change, as a
 * mounted Secret does when cert-manager renews it.
 *
 * Example: certificate_open(&cert, loop, cert_path, key_path, &tally, &problem)
 *          ... tls_served_new(cert.server, ...) ... certificate_close(&cert, on_closed);
 * A renewed pair that cannot be used changes nothing: a log line says why. The loop's thread. */
#ifndef OUTRIGGER_WEBHOOK_CERTIFICATE_H
#define OUTRIGGER_WEBHOOK_CERTIFICATE_H

#include "net/tls_server.h"
#include "net/watch.h"
#include "webhook/tally.h"

struct certificate {
    const char *cert_path, *key_path; /* borrowed */
    struct tls_server *server;        /* the one for new connections */
    struct tally *tally;
    struct watch watch;
};

enum err MUST_CHECK certificate_open(struct certificate *certificate, struct loop *loop,
                                     const char *cert_path, const char *key_path,
                                     struct tally *tally, struct tls_problem *problem);
/* On an error `problem` says what is wrong with which file; nothing is open then. */

void certificate_close(struct certificate *certificate, void (*on_closed)(struct watch *watch));

#endif
