/* run_publish.h - ports of this machine that lead into the enclosure of `outrigger run
 * --transparent --publish PORT`: a proxy of its own, inside, with listening sockets that were made
 * outside, whose connections are tunnels to the same port of localhost in there.
 *
 * Example: run_publish_init(&publish, options); ... run_publish_start(&publish, &enclosure,
 * &proxy); run_publish_stop(&publish); Single-threaded. */
#ifndef OUTRIGGER_CLI_RUN_PUBLISH_H
#define OUTRIGGER_CLI_RUN_PUBLISH_H

#include "cli/run_enclosure.h"
#include "cli/run_options.h"
#include "cli/run_proxy.h"

#include <sys/types.h>

struct run_publish {
    const struct run_options *options;
    int sockets[RUN_PUBLISHED_MAX]; /* listening, outside; until they are handed on */
    size_t count;
    pid_t pid; /* 0: it does not run */
};

int run_publish_init(struct run_publish *publish, const struct run_options *options);
/* Takes the ports: 0, or an exit code: said. */

int run_publish_start(struct run_publish *publish, const struct run_enclosure *enclosure,
                      const struct run_proxy *proxy);
/* 0, or an exit code: said. Nothing is started where nothing is published. */

void run_publish_note_end(struct run_publish *publish, pid_t pid);
/* A child of ours has ended: if it is this one, says so. */

void run_publish_stop(struct run_publish *publish);

#endif
