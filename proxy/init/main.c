/* main.c - `outrigger-init`: programs nf_tables so that the connections of a pod's programs come to
 * the proxy, and ends. A program of its own because it needs CAP_NET_ADMIN, which the proxy must
 * not have. It opens no file and reads no configuration. */
#include "init/capability.h"
#include "init/enclosure.h"
#include "init/kernel.h"
#include "init/nft.h"
#include "init/options.h"
#include "init/ruleset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger-init [OPTIONS]\n"
    "\n"
    "Redirects outbound TCP of this network namespace, IPv4 and IPv6, to Outrigger: in one\n"
    "transaction, as `table inet outrigger`. No other rule is touched, the same again changes\n"
    "nothing. Loopback is left alone. Needs CAP_NET_ADMIN.\n"
    "\n"
    "  --port PORT                    where the proxy listens (15001)\n"
    "  --uid UID                      the user that runs it, whose own connections pass (2102)\n"
    "  --mark MARK                    so do those with this SO_MARK; for when uids are not mapped\n"
    "  --skip-outbound-ports LIST     ports and ranges that are not redirected: 22,9000-9010\n"
    "  --include-outbound-ports LIST  redirect these only (all)\n"
    "  --skip-outbound-cidrs LIST     networks that are not redirected: 10.0.0.0/8,fd00::/8\n"
    "  --enclose                      of a namespace without a way out (outrigger run "
    "--transparent)\n"
    "  --own-ports LIST               with it: ports of loopback that are never the proxy's\n"
    "  --ipv4-only                    with it: IPv6 is routed nowhere\n"
    "  --remove                       take the rules away, if there are any\n"
    "  --dry-run                      print what nft would get, and change nothing\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 1 the kernel did not take the rules, 2 bad usage.\n"
    "\n"
    "Example:\n"
    "  $ outrigger-init --skip-outbound-ports 22,3306\n"
    "  outrigger-init: outbound TCP is redirected to port 15001, but for uid 2102\n";

/* What else there is, behind each refusal. */
static int refuse(const struct options *options)
{
    fputs(
        options->is_enclosure
            ? "Or run it without --transparent: the proxy is then found by HTTP_PROXY.\n"
            : "Where that cannot be had, do without redirection: `interception: none` (annotation\n"
              "outrigger.dev/interception of a pod), and point the program at the proxy by "
              "HTTP_PROXY.\n",
        stderr);
    return EXIT_REFUSED;
}

static const char *modules(const struct options *options)
{
    return options->is_enclosure ? "nf_tables, nft_tproxy, nft_socket, nft_reject_inet"
                                 : "nf_tables, nft_chain_nat, nft_redir";
}

static int lacks_nftables(const struct options *options, int code)
{
    fprintf(stderr,
            "outrigger-init: this kernel has no nf_tables (%s), so nothing can be redirected.\n"
            "Load its modules on the node: %s.\n",
            strerror(code), modules(options));
    return refuse(options);
}

static int lacks_capability(const struct options *options, int code)
{
    fprintf(stderr, "outrigger-init: the kernel refuses (%s): it needs CAP_NET_ADMIN.\n",
            strerror(code));
    if (!options->is_enclosure)
        fputs(
            "In a pod: securityContext: {capabilities: {add: [NET_ADMIN]}} of this container; as\n"
            "another user than root the file needs `setcap cap_net_admin+p`, too.\n",
            stderr);
    return refuse(options);
}

static int refused_rules(const struct options *options, const char *why)
{
    fprintf(stderr,
            "outrigger-init: the kernel did not take the rules; none is changed. nft says:\n%s"
            "They need the kernel's modules %s.\n",
            why ? why : "nothing\n", modules(options));
    return refuse(options);
}

static int lacks(const struct options *options, const char *what, int code)
{
    fprintf(stderr, "outrigger-init: %s: %s.\n", what, strerror(code));
    return refuse(options);
}

static int apply(const struct options *options, const char *commands)
{
    int code;
    char *why = NULL;
    const char *what;
    capability_raise();
    switch (kernel_ask(&code)) {
    case KERNEL_READY: break;
    case KERNEL_LACKS_NFTABLES: return lacks_nftables(options, code);
    case KERNEL_REFUSES: return lacks_capability(options, code);
    default: return lacks(options, "the kernel does not answer about nf_tables", code);
    }
    if (options->is_enclosure && !options->is_removal &&
        enclosure_make(!options->is_ipv4_only, &what, &code) != OK)
        return lacks(options, what, code);
    const enum err e = nft_apply(commands, &why);
    const int end =
        e == OK ? EXIT_GOOD : refused_rules(options, e == ERR_SYSTEM ? why : err_text(e));
    free(why);
    return end;
}

static int perform(const struct options *options)
{
    char *commands = ruleset_text(options);
    if (commands == NULL) {
        fprintf(stderr, "outrigger-init: %s\n", err_text(ERR_NO_MEMORY));
        return EXIT_REFUSED;
    }
    int code = EXIT_GOOD;
    if (options->is_dry_run)
        fputs(commands, stdout);
    else
        code = apply(options, commands);
    free(commands);
    if (code != EXIT_GOOD || options->is_dry_run)
        return code;
    if (options->is_removal)
        puts("outrigger-init: nothing is redirected");
    else if (options->is_enclosure)
        printf("outrigger-init: whatever is called from here comes to port %u\n",
               (unsigned)options->port);
    else
        printf("outrigger-init: outbound TCP is redirected to port %u, but for uid %u\n",
               (unsigned)options->port, options->uid);
    return code;
}

int main(int argc, char **argv)
{
    static struct options options; /* some 14 KB */
    char why[OPTIONS_WHY_MAX];
    int code = EXIT_GOOD;
    switch (options_read(argc, argv, &options, why)) {
    case OPTIONS_GOOD: code = perform(&options); break;
    case OPTIONS_HELP: fputs(help, stdout); break;
    case OPTIONS_VERSION: puts("outrigger-init " OUTRIGGER_VERSION); break;
    default:
        fprintf(stderr, "outrigger-init: %s\nTry: outrigger-init --help\n", why);
        return EXIT_USAGE;
    }
    if (fflush(stdout) == 0)
        return code;
    perror("outrigger-init: cannot write");
    return EXIT_REFUSED;
}
