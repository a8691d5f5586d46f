/* proxy_config.h - how the proxy itself runs (kind: ProxyConfig, POLICY section 6). Immutable;
 * owned by the policy set.
 *
 * Every field has a value, whether the file named it or not; without any ProxyConfig all of them
 * are the defaults of the schema table (proxy_schema.c). Of all this only `log` is applied at
 * reload. */
#ifndef OUTRIGGER_CONFIG_PROXY_CONFIG_H
#define OUTRIGGER_CONFIG_PROXY_CONFIG_H

#include "base/log.h"
#include "base/mono.h"
#include "config/address.h"
#include "config/diagnostics.h"
#include "config/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbound_config {
    struct address_list listen;
    bool is_default; /* `listen` was not named: an address family that the host lacks is skipped,
                        not an error */
    bool may_host_route; /* allowHostRouting */
};

struct listener_config {
    struct address_list listen;     /* never empty */
    struct address_config upstream; /* ADDRESS_NAME, _IPV4 or _IPV6, with a port */
    enum protocol protocol;         /* never UNSET */
    const char *at;                 /* "file:line" */
    struct place upstream_place;
};

struct admin_listen_config {
    struct address_list listen;
    bool is_default;        /* `listen` was not named */
    const char *token_file; /* "" = none; always set when an address is not loopback */
};

struct limits_config {
    uint32_t max_connections;
    uint32_t max_line_bytes;
    uint32_t max_header_bytes;
    uint32_t max_headers;
    uint32_t max_series;
    dur_ns header_timeout;     /* 0 = off */
    dur_ns body_idle_timeout;  /* 0 = off */
    dur_ns write_timeout;      /* 0 = off */
    uint64_t max_memory_bytes; /* 0 = not named: ask cgroup_memory_limit */
};

struct http2_config {
    uint32_t max_concurrent_streams; /* of a caller's connection */
    dur_ns keep_alive_interval;      /* 0 = no PINGs */
    dur_ns keep_alive_timeout;
};

enum drain_mode { DRAIN_SERVE = 0, DRAIN_REFUSE };

struct drain_config {
    enum drain_mode mode;
    dur_ns timeout;
};

enum log_access { LOG_ACCESS_OFF = 0, LOG_ACCESS_REFUSALS, LOG_ACCESS_SAMPLED, LOG_ACCESS_ALL };

struct log_config {
    enum log_format format;
    enum log_level level;
    enum log_access access;
    uint32_t sampled_ppm; /* LOG_ACCESS_SAMPLED: this many calls of a million */
};

struct port_list {
    const uint16_t *items;
    size_t count;
};

struct proxy_config {
    const char *name; /* metadata.name; "" without a ProxyConfig */
    const char *at;   /* "file:line"; "" without a ProxyConfig */
    struct outbound_config outbound;
    const struct listener_config *listeners;
    size_t listener_count;
    struct admin_listen_config admin;
    struct address_list metrics;
    struct limits_config limits;
    struct http2_config http2;
    struct drain_config drain;
    dur_ns detect_timeout;
    struct port_list opaque_ports;
    struct log_config log;
};

size_t proxy_config_restarts(const struct proxy_config *running, const struct proxy_config *wanted,
                             const char **names, size_t max);
/* Which top-level fields of spec differ that only a restart applies: their names ("limits") into
 * `names`, at most `max` of them; returns how many there are. */

uint64_t cgroup_memory_limit(void);
/* 70 % of the memory limit of our cgroup (v2, or v1) in bytes; 0 when there is none. Reads
 * /sys/fs/cgroup. */

#endif
