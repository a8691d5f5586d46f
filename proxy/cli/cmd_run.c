/* cmd_run.c - see cmd_run.h. */
#include "cli/cmd_run.h"

#include "cli/demo.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger run --demo [--once | --stay]\n"
    "\n"
    "Starts the proxy, a built-in upstream that fails for a while, and a load on it, and\n"
    "tells what happens: the circuit breaker opens, calls are refused by name, probes go\n"
    "out, it closes. Then it prints three curl lines to try things by hand, and runs on\n"
    "until Ctrl-C. Nothing else on this machine is touched: free ports of 127.0.0.1, and a\n"
    "temporary folder.\n"
    "\n"
    "  --demo     the demo\n"
    "  --once     end after the story (what happens anyway when stdout is no terminal)\n"
    "  --stay     run on after the story, terminal or not\n"
    "  --help     this text\n"
    "\n"
    "NO_COLOR is respected. Exit code: 0 the story was told, 1 it did not come about, 2 bad\n"
    "usage or the proxy did not start.\n"
    "\n"
    "Example:\n"
    "  $ outrigger run --demo\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "outrigger run: %s%s\nTry: outrigger run --demo   (or: outrigger run --help)\n",
            problem, what);
    return EXIT_USAGE;
}

int cmd_run(int argc, char **argv)
{
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    struct demo_options options = {
        .stays = is_terminal,
        .has_colour =
            is_terminal && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0,
    };
    bool is_demo = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--demo") == 0)
            is_demo = true;
        else if (strcmp(argv[i], "--once") == 0)
            options.stays = false;
        else if (strcmp(argv[i], "--stay") == 0)
            options.stays = true;
        else
            return usage("unknown argument: ", argv[i]);
    }
    return is_demo ? demo_run(&options) : usage("say what to run: --demo", "");
}
