/* tls_config.h - the `tls` block of a policy: how connections to its targets are encrypted. Plain
 * values of the policy set's arena; files are read by request/tls_clients. */
#ifndef OUTRIGGER_CONFIG_TLS_CONFIG_H
#define OUTRIGGER_CONFIG_TLS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum tls_mode { TLS_MODE_OFF = 0, TLS_MODE_SIMPLE, TLS_MODE_MUTUAL };

enum tls_protocol { TLS_PROTOCOL_HTTP2 = 1 << 0, TLS_PROTOCOL_HTTP1 = 1 << 1 };

struct tls_config {
    enum tls_mode mode;
    int min_version;                      /* 12 or 13 */
    const char *ca_file;                  /* NULL: the system's authorities */
    const char *cert_file;                /* ours, in mode mutual */
    const char *key_file;                 /* of it */
    const char *server_name;              /* NULL: the host of the target */
    const char *const *subject_alt_names; /* ends with NULL; NULL: the server's name */
    uint32_t alpn; /* mask of enum tls_protocol: offered where `protocol` leaves it open */
    bool skips_verification;
};

#endif
