/* dns_server.h - a name server of a few lines, in the loop of the test. Queries are counted. What
 * it answers depends on the first label:
 *
 * a           10.0.0.1, TTL 7
 * six         2001:db8::1
 * both        10.0.0.1 and 2001:db8::1
 * two         10.0.0.1 and 10.0.0.2
 * local       127.0.0.1 and ::1
 * alias       a CNAME with a TTL of 3, then 10.0.0.1 with 7
 * many        10 addresses, each twice
 * crowd       300 addresses, by TCP only
 * changing    what `answer` says
 * halfsilent  A at once, AAAA never
 * halffail    A, and SERVFAIL for AAAA
 * nx          NXDOMAIN
 * fail        SERVFAIL
 * silent      nothing, ever
 * _srv        (SRV) what `srv` says; no record: NXDOMAIN */
#ifndef OUTRIGGER_TESTS_DNS_SERVER_H
#define OUTRIGGER_TESTS_DNS_SERVER_H

#include "base/check.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define DNS_TTL 7
#define DNS_NXDOMAIN 3
#define DNS_SERVFAIL 2
#define DNS_SILENT (-1)
#define DNS_TCP_CONNECTIONS 8

struct dns_connection {
    int fd; /* 0: free */
    uv_poll_t poll;
};

struct dns_srv {
    uint16_t priority;
    uint16_t port;
    const char *host; /* without the final dot; "" for "the service is not offered" */
};

struct dns_server {
    int fd;
    int tcp_fd;
    unsigned queries;
    unsigned tcp_queries;
    unsigned open_handles;
    const char *answer[4]; /* IPv4 addresses of `changing`; none: SERVFAIL */
    struct dns_srv srv[4]; /* the records of `_srv`, until the first without a host */
    char csv[32];          /* "127.0.0.1:PORT", for resolver_options.servers */
    char last_name[300];   /* of the last query, as dotted text */
    uv_poll_t poll;
    uv_poll_t tcp_poll;
    struct dns_connection connections[DNS_TCP_CONNECTIONS];
};

struct dns_reply {
    unsigned char bytes[8192];
    size_t len;
    unsigned answers;
    int code;
};

static inline void dns_put(struct dns_reply *reply, const void *bytes, size_t len)
{
    cr_assert(reply->len + len <= sizeof(reply->bytes));
    memcpy(reply->bytes + reply->len, bytes, len);
    reply->len += len;
}

static inline void dns_put_record(struct dns_reply *reply, int family, const char *ip)
{
    unsigned char address[16];
    unsigned char size = family == AF_INET ? 4 : 16;
    unsigned char head[] = {0xc0,    12, 0,   family == AF_INET ? 1 : 28, 0, 1, 0, 0, 0,
                            DNS_TTL, 0,  size};
    cr_assert(inet_pton(family, ip, address) == 1);
    dns_put(reply, head, sizeof(head));
    dns_put(reply, address, size);
    reply->answers++;
}

static inline void dns_put_alias(struct dns_reply *reply)
{
    const unsigned char cname[] = {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 3, 0, 4, 1, 'b', 0xc0, 12 + 6};
    const unsigned char target[] = {
        0xc0, (unsigned char)(reply->len + 12), 0, 1, 0, 1, 0, 0, 0, DNS_TTL, 0, 4, 10, 0, 0, 1};
    dns_put(reply, cname, sizeof(cname));
    dns_put(reply, target, sizeof(target));
    reply->answers += 2;
}

static inline void dns_put_many(struct dns_reply *reply)
{
    for (int i = 0; i < 20; i++) {
        char ip[32];
        snprintf(ip, sizeof(ip), "10.1.0.%d", i / 2);
        dns_put_record(reply, AF_INET, ip);
    }
}

static inline void dns_put_crowd(struct dns_reply *reply)
{
    for (int i = 0; i < 300; i++) {
        char ip[32];
        snprintf(ip, sizeof(ip), "10.2.%d.%d", i / 256, i % 256);
        dns_put_record(reply, AF_INET, ip);
    }
}

static inline void dns_put_changing(const struct dns_server *server, struct dns_reply *reply)
{
    for (size_t i = 0; i < sizeof(server->answer) / sizeof(server->answer[0]); i++) {
        if (server->answer[i] != NULL) {
            dns_put_record(reply, AF_INET, server->answer[i]);
        }
    }
    reply->code = reply->answers == 0 ? DNS_SERVFAIL : 0;
}

static inline void dns_put_name(struct dns_reply *reply, const char *name)
{
    while (*name != '\0') {
        const unsigned char len = (unsigned char)strcspn(name, ".");
        dns_put(reply, &len, 1);
        dns_put(reply, name, len);
        name += len + (name[len] == '.' ? 1 : 0);
    }
    dns_put(reply, "", 1);
}

static inline void dns_put_srv(const struct dns_server *server, struct dns_reply *reply)
{
    const size_t most = sizeof(server->srv) / sizeof(server->srv[0]);
    for (size_t i = 0; i < most && server->srv[i].host != NULL; i++) {
        const struct dns_srv *srv = &server->srv[i];
        const size_t name_len = strlen(srv->host) > 0 ? strlen(srv->host) + 2 : 1;
        const unsigned char head[] = {0xc0, 12, 0, 33,      0, 1,
                                      0,    0,  0, DNS_TTL, 0, (unsigned char)(6 + name_len)};
        const unsigned char data[] = {
            (unsigned char)(srv->priority >> 8), (unsigned char)srv->priority, 0, 1,
            (unsigned char)(srv->port >> 8),     (unsigned char)srv->port};
        dns_put(reply, head, sizeof(head));
        dns_put(reply, data, sizeof(data));
        dns_put_name(reply, srv->host);
        reply->answers++;
    }
    reply->code = reply->answers == 0 ? DNS_NXDOMAIN : 0;
}

static inline void dns_answer(const struct dns_server *server, struct dns_reply *reply,
                              const char *label, bool is_a)
{
    int family = is_a ? AF_INET : AF_INET6;
    bool is_both = strcmp(label, "both") == 0;
    if (strcmp(label, "_srv") == 0) {
        dns_put_srv(server, reply);
    } else if (strcmp(label, "nx") == 0) {
        reply->code = DNS_NXDOMAIN;
    } else if (strcmp(label, "fail") == 0 || (strcmp(label, "halffail") == 0 && !is_a)) {
        reply->code = DNS_SERVFAIL;
    } else if (strcmp(label, "silent") == 0 || (strcmp(label, "halfsilent") == 0 && !is_a)) {
        reply->code = DNS_SILENT;
    } else if (strcmp(label, "local") == 0) {
        dns_put_record(reply, family, is_a ? "127.0.0.1" : "::1");
    } else if (strcmp(label, "many") == 0 && is_a) {
        dns_put_many(reply);
    } else if (strcmp(label, "alias") == 0 && is_a) {
        dns_put_alias(reply);
    } else if (strcmp(label, "crowd") == 0 && is_a) {
        dns_put_crowd(reply);
    } else if (strcmp(label, "changing") == 0 && is_a) {
        dns_put_changing(server, reply);
    } else if (is_both || (strcmp(label, "six") == 0) == !is_a) {
        dns_put_record(reply, family, is_a ? "10.0.0.1" : "2001:db8::1");
        if (strcmp(label, "two") == 0) {
            dns_put_record(reply, family, "10.0.0.2");
        }
    }
}

/* The question's name as text; its length on the wire. */
static inline size_t dns_read_name(const unsigned char *at, char *text)
{
    size_t wire = 0;
    while (at[wire] != 0) {
        memcpy(text, at + wire + 1, at[wire]);
        text += at[wire];
        *text++ = '.';
        wire += (size_t)at[wire] + 1;
    }
    *text = '\0';
    return wire + 1;
}

static inline void dns_reply_to(struct dns_server *server, const unsigned char *query,
                                struct dns_reply *reply)
{
    char label[300];
    server->queries++;
    size_t name_len = dns_read_name(query + 12, server->last_name);
    snprintf(label, sizeof(label), "%s", server->last_name);
    label[strcspn(label, ".")] = '\0';
    dns_put(reply, query, 12 + name_len + 4);
    dns_answer(server, reply, label, query[12 + name_len + 1] == 1);
    reply->bytes[2] = 0x81;
    reply->bytes[3] = (unsigned char)(0x80 | (reply->code & 0x0f));
    reply->bytes[6] = (unsigned char)(reply->answers >> 8);
    reply->bytes[7] = (unsigned char)reply->answers;
}

static inline void dns_on_query(uv_poll_t *poll, int status, int events)
{
    struct dns_server *server = CONTAINER_OF(poll, struct dns_server, poll);
    unsigned char query[600] = {0};
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    struct dns_reply reply = {.len = 0};
    (void)events;
    cr_assert(status == 0);
    ssize_t got = recvfrom(server->fd, query, sizeof(query) - 1, MSG_DONTWAIT,
                           (struct sockaddr *)&from, &from_len);
    if (got < 17) {
        return;
    }
    dns_reply_to(server, query, &reply);
    if (reply.len > 512) { /* RFC 1035 section 4.2.1: cut, and say so */
        reply.bytes[2] |= 0x02;
        reply.bytes[6] = reply.bytes[7] = 0;
        reply.len = 12 + strlen(server->last_name) + 1 + 4;
    }
    if (reply.code != DNS_SILENT) {
        cr_assert(
            sendto(server->fd, reply.bytes, reply.len, 0, (struct sockaddr *)&from, from_len) > 0);
    }
}

static inline void dns_on_closed(uv_handle_t *handle)
{
    ((struct dns_server *)handle->data)->open_handles--;
}

static inline void dns_on_connection_query(uv_poll_t *poll, int status, int events)
{
    struct dns_connection *connection = CONTAINER_OF(poll, struct dns_connection, poll);
    struct dns_server *server = poll->data;
    unsigned char query[600] = {0};
    struct dns_reply reply = {.len = 0};
    (void)events;
    ssize_t got = recv(connection->fd, query, sizeof(query) - 1, MSG_DONTWAIT);
    if (status < 0 || got == 0) {
        uv_close((uv_handle_t *)poll, dns_on_closed);
        close(connection->fd);
        connection->fd = -1;
        return;
    }
    cr_assert(got >= 19 && got == 2 + 256 * query[0] + query[1], "one whole query at a time");
    server->tcp_queries++;
    dns_reply_to(server, query + 2, &reply);
    const unsigned char length[] = {(unsigned char)(reply.len >> 8), (unsigned char)reply.len};
    cr_assert(send(connection->fd, length, 2, MSG_NOSIGNAL) == 2);
    cr_assert(send(connection->fd, reply.bytes, reply.len, MSG_NOSIGNAL) == (ssize_t)reply.len);
}

static inline void dns_watch(struct dns_server *server, struct loop *loop, uv_poll_t *poll, int fd,
                             uv_poll_cb callback)
{
    cr_assert(uv_poll_init(&loop->uv, poll, fd) == 0);
    cr_assert(uv_poll_start(poll, UV_READABLE, callback) == 0);
    poll->data = server;
    server->open_handles++;
}

static inline void dns_on_connection(uv_poll_t *poll, int status, int events)
{
    struct dns_server *server = poll->data;
    (void)status;
    (void)events;
    for (size_t i = 0; i < DNS_TCP_CONNECTIONS; i++) {
        struct dns_connection *connection = &server->connections[i];
        if (connection->fd == 0) {
            connection->fd = accept4(server->tcp_fd, NULL, NULL, SOCK_CLOEXEC);
            cr_assert(connection->fd > 0);
            dns_watch(server, CONTAINER_OF(poll->loop, struct loop, uv), &connection->poll,
                      connection->fd, dns_on_connection_query);
            return;
        }
    }
    cr_assert_fail("more TCP connections than the test expects");
}

static inline void dns_server_open(struct dns_server *server, struct loop *loop)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(server, 0, sizeof(*server));
    server->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(server->tcp_fd, (struct sockaddr *)&at, len) == 0 &&
              listen(server->tcp_fd, 8) == 0);
    cr_assert(getsockname(server->tcp_fd, (struct sockaddr *)&at, &len) == 0);
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(server->fd, (struct sockaddr *)&at, len) == 0);
    snprintf(server->csv, sizeof(server->csv), "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    dns_watch(server, loop, &server->poll, server->fd, dns_on_query);
    dns_watch(server, loop, &server->tcp_poll, server->tcp_fd, dns_on_connection);
}

static inline void dns_server_close(struct dns_server *server, struct loop *loop)
{
    uv_close((uv_handle_t *)&server->poll, dns_on_closed);
    uv_close((uv_handle_t *)&server->tcp_poll, dns_on_closed);
    close(server->fd);
    close(server->tcp_fd);
    for (size_t i = 0; i < DNS_TCP_CONNECTIONS; i++) {
        if (server->connections[i].fd > 0) {
            uv_close((uv_handle_t *)&server->connections[i].poll, dns_on_closed);
            close(server->connections[i].fd);
        }
    }
    while (server->open_handles > 0) {
        loop_turn(loop, false);
    }
}

/* A resolv.conf of our own, so that the search list of the machine plays no part. */
static inline void dns_write_conf(char path[64], const char *text)
{
    snprintf(path, 64, "/tmp/outrigger-resolv-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

#endif
