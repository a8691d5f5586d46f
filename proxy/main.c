/* main.c - `outrigger COMMAND`: one file per command, in cli/. */
#include "cli/cmd_check.h"
#include "cli/cmd_explain.h"
#include "cli/cmd_inject.h"
#include "cli/cmd_injector.h"
#include "cli/cmd_proxy.h"
#include "cli/cmd_run.h"
#include "cli/cmd_schema.h"
#include "cli/cmd_simulate.h"
#include "cli/cmd_wait.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: not listed, for our own use */
};

static const struct command commands[] = {
    {"proxy", cmd_proxy, "run the proxy with policy files"},
    {"run", cmd_run,
     "run a command with a proxy of its own; --demo: watch a circuit breaker at work"},
    {"check", cmd_check, "say what is wrong with policy files, with file:line:column"},
    {"simulate", cmd_simulate, "play policies against an outage, in virtual time"},
    {"explain", cmd_explain,
     "what a code means; or what a call would get, from where, and at worst"},
    {"inject", cmd_inject, "put the proxy into the pods of Kubernetes manifests"},
    {"injector", cmd_injector, "the admission webhook of Kubernetes that does so to new pods"},
    {"wait", cmd_wait, "wait until the proxy takes calls"},
    {"schema", cmd_schema, "print the JSON Schema, or the reference, of policy files"},
};

static void print_help(FILE *out)
{
    fputs("Outrigger keeps a workload's calls upright when what they call is slow, failing or "
          "overloaded.\n"
          "\n"
          "Usage: outrigger COMMAND [OPTIONS]\n"
          "\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].help != NULL)
            fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "Example: outrigger proxy -c policies/default.yaml\n"
          "`outrigger COMMAND --help` tells more.\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("outrigger " OUTRIGGER_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "outrigger: unknown command `%s`\nTry: outrigger --help\n", name);
    return 2;
}
