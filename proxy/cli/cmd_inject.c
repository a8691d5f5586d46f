/* cmd_inject.c - see cmd_inject.h. Manifests go to stdout, what became of each object to stderr. */
#include "cli/cmd_inject.h"

#include "cli/inject_set.h"
#include "config/file.h"
#include "inject/rewrite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

struct options {
    const char *file; /* NULL: not named; "-": stdin */
    bool is_removal;
    struct inject_settings settings;
};

static const char help[] =
    "Usage: outrigger inject -f FILE|- [--remove] [--set KEY=VALUE]...\n"
    "\n"
    "Puts the proxy into the pods of Kubernetes manifests (YAML or JSON, any number of documents\n"
    "and Lists) and prints them; all else stays byte for byte. The same again changes nothing.\n"
    "\n"
    "  -f, --file FILE   the manifests; - is stdin\n"
    "      --set K=V     a default for all pods; annotations outrigger.dev/KEY of a pod go first\n"
    "      --remove      take out again what was put in\n"
    "  -h, --help        this text\n"
    "\n"
    "Keys, of --set and as annotations:\n";

static const char help_end[] =
    "\n"
    "Exit code: 0; 1 a pod was refused (stderr says why), or the YAML is bad; 2 bad usage.\n"
    "\n"
    "Example:\n"
    "  $ outrigger inject -f app.yaml --set policy=payments | kubectl apply -f -\n"
    "  app.yaml:1: Deployment shop/payments: injected\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr,
            "outrigger inject: %s%s\nTry: outrigger inject -f app.yaml   (or: outrigger inject "
            "--help)\n",
            problem, what);
    return EXIT_USAGE;
}

static const char *shown_name(const struct options *options)
{
    return strcmp(options->file, "-") == 0 ? "stdin" : options->file;
}

static void tell(void *context, uint32_t line, uint32_t column, const char *title, const char *what)
{
    char place[16] = "";
    if (column > 0)
        snprintf(place, sizeof place, ":%u", column);
    fprintf(stderr, "%s:%u%s: %s: %s\n", (const char *)context, line, place, title, what);
}

static int write_out(struct text *out)
{
    if (fwrite(out->len > 0 ? out->data : "", 1, out->len, stdout) == out->len &&
        fflush(stdout) == 0)
        return EXIT_GOOD;
    perror("outrigger inject: cannot write");
    return EXIT_USAGE;
}

static int rewrite(const struct options *options, struct span text)
{
    char *name = strdup(shown_name(options));
    struct rewrite_options how = {.settings = &options->settings,
                                  .is_removal = options->is_removal,
                                  .tell = tell,
                                  .context = name};
    struct rewrite_counts counts;
    struct manifest_problem problem = {.line = 0};
    struct text out;
    int code = EXIT_REFUSED;
    text_init(&out, REWRITE_MAX_BYTES);
    const enum err e = name ? rewrite_text(text, &how, &out, &counts, &problem) : ERR_NO_MEMORY;
    if (e == OK) {
        const int written = write_out(&out);
        code = written != EXIT_GOOD ? written : counts.refused > 0 ? EXIT_REFUSED : EXIT_GOOD;
    } else if (problem.line > 0) {
        fprintf(stderr, "%s:%u:%u: %s\n", name, problem.line, problem.column, problem.why);
    } else {
        fprintf(stderr, "outrigger inject: %s: %s\n", shown_name(options), err_text(e));
    }
    text_fini(&out);
    free(name);
    return code;
}

static int inject(const struct options *options)
{
    char *bytes = NULL;
    size_t len = 0;
    int code = 0;
    const char *path = strcmp(options->file, "-") == 0 ? "/dev/stdin" : options->file;
    const enum err e = file_read(path, MANIFEST_MAX_BYTES, &bytes, &len, &code);
    if (e != OK) {
        fprintf(stderr, "outrigger inject: %s: %s\n", shown_name(options),
                e == ERR_TOO_LARGE ? "more than 64 MiB: split the file"
                : code             ? strerror(code)
                                   : err_text(e));
        return EXIT_USAGE;
    }
    const int exit_code = rewrite(options, span_make(bytes, len));
    free(bytes);
    return exit_code;
}

static bool is(const char *option, const char *name, const char *letter)
{
    return strcmp(option, name) == 0 || strcmp(option, letter) == 0;
}

/* -1: go on; else the exit code. */
static int read_option(struct options *options, int argc, char **argv, int *i)
{
    const char *option = argv[*i];
    if (is(option, "--help", "-h")) {
        fputs(help, stdout);
        inject_settings_help(stdout);
        fputs(help_end, stdout);
        return EXIT_GOOD;
    }
    if (strcmp(option, "--remove") == 0) {
        options->is_removal = true;
        return -1;
    }
    const bool is_file = is(option, "-f", "--file");
    if (!is_file && strcmp(option, "--set") != 0)
        return usage("unknown argument ", option);
    if (*i + 1 == argc)
        return usage(option, " needs a value");
    const char *value = argv[++*i];
    if (!is_file)
        return inject_set("outrigger inject", &options->settings, value) ? -1 : EXIT_USAGE;
    if (options->file)
        return usage("one file at a time: cat them, and use -f -; not also ", value);
    options->file = value;
    return -1;
}

int cmd_inject(int argc, char **argv)
{
    struct options options = {.file = NULL};
    int code = -1;
    if (inject_settings_init(&options.settings) != OK)
        return usage("out of memory", "");
    for (int i = 1; i < argc && code < 0; i++)
        code = read_option(&options, argc, argv, &i);
    if (code < 0)
        code =
            options.file ? inject(&options) : usage("name a file: -f FILE, or -f - for stdin", "");
    inject_settings_fini(&options.settings);
    return code;
}
