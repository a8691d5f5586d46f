/* tls_client.h - how we speak TLS to an upstream: whom we trust, who we are, what we insist on. An
 * immutable value that many connections share; new files mean a new one, and connections that live
 * keep the old.
 *
 * Example: const struct tls_client_options options = {.ca.path = "/etc/certs/ca.pem",
 *                                                     .alpn = (const char *[]){"h2", NULL}};
 *          struct tls_problem problem;
 *          if (tls_client_new(&options, &problem, &client) != OK)
 *              log_error("%s: %s", problem.field, problem.text); // "caFile: /etc/certs/ca.pem: no
 * ..."
 *          ... stream_connect_tls with it (tls.h) ...
 *          tls_client_unref(&client);
 *
 * What it insists on is not a choice: TLS 1.2 (or 1.3 alone, where that is asked for: its sessions
 * are not resumed, so each connection is a full handshake), ECDHE, AEAD, certificates with SHA-256
 * and RSA keys of 2048 bits or better, for servers, in their time, from an authority that we trust,
 * and with the name that was asked for. skips_verification gives up the last four, and nothing of
 * the rest.
 *
 * tls_client_new reads files and parses a hundred authorities (some 10 ms): not for the loop.
 * Holding and letting go is safe from any thread. */
#ifndef OUTRIGGER_NET_TLS_CLIENT_H
#define OUTRIGGER_NET_TLS_CLIENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define TLS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define TLS_PROBLEM_BYTES 512

struct tls_client;

enum tls_version {
    TLS_1_2 = 0, /* the least that we speak, so the default */
    TLS_1_3,
};

enum tls_alpn {                   /* what a connection offers to speak */
                TLS_ALPN_ANY = 0, /* all that the options name */
                TLS_ALPN_HTTP1,
                TLS_ALPN_HTTP2,
                TLS_ALPN_SETS
};

struct tls_pem {
    const char *path; /* read when there is no text; names it in messages */
    const char *text; /* PEM, need not end with NUL; may be NULL */
    size_t len;
};

struct tls_client_options {
    struct tls_pem ca;       /* neither path nor text: TLS_SYSTEM_CA */
    struct tls_pem cert;     /* ours, followed by its intermediates; none: we show none */
    struct tls_pem key;      /* of `cert`, not encrypted */
    const char *server_name; /* for SNI and the check; NULL: the order's (tls.h) */
    const char *const *subject_alt_names; /* "spiffe://td/ns/a/sa/b", "api.local", "10.0.0.1", then
                                             NULL: one of them must be among the peer's, letter for
                                             letter, and the server's name need not be; or NULL */
    const char *const *alpn;              /* "h2", "http/1.1", NULL: by preference; or NULL */
    enum tls_version min_version;
    bool skips_verification; /* whoever sets it must be loud about it */
};

struct tls_problem {
    const char *field; /* the word of the policy files: "caFile"; static */
    char text[TLS_PROBLEM_BYTES];
};

enum err MUST_CHECK tls_client_new(const struct tls_client_options *options,
                                   struct tls_problem *problem, struct tls_client **client);
/* Copies everything; the caller holds the result once. ERR_INVALID, ERR_NOT_FOUND, ERR_ACCESS,
 * ERR_TOO_LARGE, ERR_NO_MEMORY, each with `problem` filled in: what is wrong with which file, and
 * what to do. */

struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client **client);
/* The last one frees it and the sessions that it knows. */

#endif
