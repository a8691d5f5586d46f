/* loopback.h - what the small programs of the bench share: an end with a word, and a door on
 * loopback. */
#ifndef OUTRIGGER_BENCH_LOOPBACK_H
#define OUTRIGGER_BENCH_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BACKLOG 4096

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int listen_on(const char *port)
{
    const struct sockaddr_in address = loopback(port);
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
        die("listen");
    return fd;
}

#endif
