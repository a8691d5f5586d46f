/* cmd_explain.c - see cmd_explain.h. */
#include "cli/cmd_explain.h"

#include "cli/explain_call.h"
#include "cli/explain_code.h"
#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

struct options {
    const char **paths; /* sources.paths, while they are gathered */
    struct load_sources sources;
    const char *words[2]; /* METHOD and URL, or a code */
    size_t word_count;
    struct call_line call;
    bool is_json;
};

static const char help[] =
    "Usage: outrigger explain CODE | --list\n"
    "       outrigger explain -c FILE|DIR... METHOD URL [-H 'name: value']... [--json]\n"
    "\n"
    "Tells what a code of `outrigger check` means, why it hurts, and a right example; or what\n"
    "a call would get: which document and rule, each field's value and the line that it comes\n"
    "from, and the worst case in numbers.\n"
    "\n"
    "  --list               all codes\n"
    "  -c, --config FILE    a policy file or folder; may be given several times\n"
    "      --defaults FILE, --pod-labels FILE\n"
    "                       as of `outrigger proxy`: what an injected pod adds to -c\n"
    "  -H, --header TEXT    a header of the call; content-type: application/grpc makes it gRPC\n"
    "  --json               one JSON object instead\n"
    "  --help               this text\n"
    "\n"
    "Exit code: 0; 2 bad usage, an unknown code, or policy files that do not load.\n"
    "\n"
    "Examples:\n"
    "  $ outrigger explain OUT0203\n"
    "  $ outrigger explain -c policies/ POST http://payments:8080/v1/charge\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "outrigger explain: %s%s\nTry: outrigger explain --help\n", problem, what);
    return EXIT_USAGE;
}

static struct policy_set *load(const struct options *options)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    enum err e = policy_set_load(&options->sources, &set, &diag);
    if (e) {
        diagnostics_print(&diag, stderr);
        fprintf(stderr, "outrigger explain: %s\n",
                diag.errors > 0 ? "mend the files named above (outrigger check shows more)"
                                : err_text(e));
    } else if (set->file_count == 0) {
        usage("there is no *.yaml file in ", options->paths[0]);
        policy_set_unref(&set);
    }
    diagnostics_fini(&diag);
    return set;
}

static int explain_call(struct options *options)
{
    char why[CALL_LINE_WHY_MAX];
    struct sources sources = {NULL};
    struct explained explained;
    if (options->word_count < 2)
        return usage("a method and a URL are wanted, such as POST http://payments:8080/v1/charge",
                     "");
    if (!call_line_parse(&options->call, options->words[0], options->words[1], why))
        return usage(why, "");
    struct policy_set *set = load(options);
    if (set == NULL)
        return EXIT_USAGE;
    explained_init(&explained, set, &options->call, &sources);
    if (options->is_json)
        explain_call_json(&explained, stdout);
    else
        explain_call_text(&explained, stdout);
    explained_fini(&explained);
    sources_fini(&sources);
    policy_set_unref(&set);
    return EXIT_GOOD;
}

static int explain_word(const struct options *options)
{
    if (options->word_count == 0)
        return usage("name a code, or -c FILE with a method and a URL", "");
    if (options->word_count > 1)
        return usage("which policies? Name them with -c FILE", "");
    if (explain_code(options->words[0], stdout))
        return EXIT_GOOD;
    fprintf(stderr, "outrigger explain: there is no code %s\n", options->words[0]);
    explain_suggest(options->words[0], stderr);
    return EXIT_USAGE;
}

static bool is_option(const char *text, const char *brief, const char *full)
{
    return strcmp(text, brief) == 0 || strcmp(text, full) == 0;
}

/* Where the value of that option goes; NULL: it is another option, or a word. */
static const char **value_of(struct options *options, const char *word)
{
    if (is_option(word, "-c", "--config"))
        return &options->paths[options->sources.path_count++]; /* as many as arguments have room */
    if (strcmp(word, "--defaults") == 0)
        return &options->sources.defaults;
    return strcmp(word, "--pod-labels") == 0 ? &options->sources.pod_labels : NULL;
}

/* -1: go on; else the exit code. */
static int read_argument(struct options *options, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const char **value = value_of(options, word);
    const bool is_header = is_option(word, "-H", "--header");
    char why[CALL_LINE_WHY_MAX];
    if ((value || is_header) && *i + 1 == argc)
        return usage("this option needs a value: ", word);
    if (value) {
        *value = argv[++*i];
    } else if (is_header) {
        if (!call_line_add_header(&options->call, argv[++*i], why))
            return usage(why, "");
    } else if (strcmp(word, "--json") == 0) {
        options->is_json = true;
    } else if (strcmp(word, "--list") == 0) {
        explain_list(stdout);
        return EXIT_GOOD;
    } else if (is_option(word, "-h", "--help")) {
        fputs(help, stdout);
        return EXIT_GOOD;
    } else if (word[0] == '-') {
        return usage("unknown option ", word);
    } else if (options->word_count == 2) {
        return usage("one word too many: ", word);
    } else {
        options->words[options->word_count++] = word;
    }
    return -1;
}

int cmd_explain(int argc, char **argv)
{
    struct options *options = calloc(1, sizeof *options);
    const char **paths = calloc((size_t)argc + 1, sizeof *paths);
    int code = options && paths ? -1 : usage("out of memory", "");
    if (code < 0)
        options->sources.paths = options->paths = paths;
    for (int i = 1; i < argc && code < 0; i++)
        code = read_argument(options, argc, argv, &i);
    if (code < 0)
        code = options->sources.path_count > 0 ? explain_call(options) : explain_word(options);
    free(options);
    free(paths);
    if (fflush(stdout) == 0)
        return code;
    perror("outrigger explain: cannot write");
    return EXIT_USAGE;
}
