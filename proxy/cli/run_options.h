/* run_options.h - what the command line of `outrigger run` asks for. Points into argv. */
#ifndef OUTRIGGER_CLI_RUN_OPTIONS_H
#define OUTRIGGER_CLI_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_PATHS_MAX 62 /* the proxy takes 64; one more is generated */
#define RUN_PUBLISHED_MAX 16

struct run_options {
    const char *paths[RUN_PATHS_MAX + 1];
    size_t path_count;
    const char *dns;                       /* NULL: resolv.conf's */
    const char *publish;                   /* the last one, while it is read */
    const char *log_file;                  /* NULL: in the temporary folder */
    char **command;                        /* ends with NULL; NULL: there is none */
    uint16_t published[RUN_PUBLISHED_MAX]; /* ports of a transparent one that lead into it */
    size_t published_count;
    bool is_transparent;
    bool is_quiet;
    bool is_demo;
    bool is_once; /* the demo's */
    bool is_stay;
};

int run_options_read(struct run_options *options, int argc, char **argv);
/* -1: go on; else the exit code: said. */

#endif
