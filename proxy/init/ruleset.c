/* ruleset.c - see ruleset.h. Each rule is a reason to let a connection go where it was going; what
 * is left is redirected. "Add, delete, add" is how nft says "replace, if it is there": delete alone
 * fails without a table, and `flush ruleset` would take other people's rules away.
 *
 * Connections that exist are not touched by new rules: the kernel asks a nat chain about the first
 * packet only. */
#include "init/ruleset.h"

#include "init/enclosure.h"

#include <stdio.h>
#include <stdlib.h>

static void write_ports(FILE *out, const char *name, const struct port_set *set)
{
    if (set->count == 0)
        return;
    fprintf(out,
            "    set %s {\n        type inet_service\n        flags interval\n"
            "        elements = { ",
            name);
    for (size_t i = 0; i < set->count; i++) {
        const struct port_range range = set->ranges[i];
        fprintf(out, "%s%u", i ? ", " : "", (unsigned)range.first);
        if (range.last > range.first)
            fprintf(out, "-%u", (unsigned)range.last);
    }
    fputs(" }\n    }\n", out);
}

static void write_cidrs(FILE *out, const char *name, const char *type, const struct cidr_set *set)
{
    if (set->count == 0)
        return;
    fprintf(out, "    set %s {\n        type %s\n        flags interval\n        elements = { ",
            name, type);
    for (size_t i = 0; i < set->count; i++) {
        char text[CIDR_TEXT_MAX];
        cidr_format(&set->items[i], text);
        fprintf(out, "%s%s", i ? ", " : "", text);
    }
    fputs(" }\n    }\n", out);
}

static void write_chain(FILE *out, const struct options *options)
{
    /* -100 is the priority of destination NAT. */
    fputs("    chain output {\n        type nat hook output priority -100; policy accept;\n", out);
    fprintf(out, "        meta skuid %u return\n", options->uid);
    if (options->mark != 0)
        fprintf(out, "        meta mark 0x%08x return\n", options->mark);
    /* The pod's own addresses are routed by lo, too. */
    fputs("        oif \"lo\" return\n"
          "        ip daddr 127.0.0.0/8 return\n"
          "        ip6 daddr ::1 return\n",
          out);
    if (options->skipped_ipv4.count > 0)
        fputs("        ip daddr @skipped_ipv4 return\n", out);
    if (options->skipped_ipv6.count > 0)
        fputs("        ip6 daddr @skipped_ipv6 return\n", out);
    if (options->skipped_ports.count > 0)
        fputs("        tcp dport @skipped_ports return\n", out);
    if (options->included_ports.count > 0)
        fputs("        tcp dport != @included_ports return\n", out);
    fprintf(out, "        meta l4proto tcp redirect to :%u\n    }\n", (unsigned)options->port);
}

/* By tproxy, which leaves packets as they are: the proxy sees the address that was called as its
 * own. To loopback only what nobody in the namespace listens for goes that way; a socket that is
 * not transparent is one of its programs'. What is neither TCP nor DNS is refused, so that nobody
 * waits for it. */
static void write_enclosure(FILE *out, const struct options *options)
{
    const unsigned port = options->port;
    fprintf(out,
            "    chain caught {\n"
            "        meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:%u accept\n"
            "        meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:%u accept\n"
            "    }\n"
            "    chain loopback {\n"
            "        socket transparent 0 accept\n",
            port, port);
    if (options->own_ports.count > 0)
        fputs("        tcp dport @own_ports accept\n", out);
    fputs("        goto caught\n"
          "    }\n"
          "    chain prerouting {\n"
          "        type filter hook prerouting priority -150; policy accept;\n" /* mangle's */
          "        ip daddr " ENCLOSURE_IPV4 " accept\n"
          "        ip6 daddr " ENCLOSURE_IPV6 " accept\n"
          "        ip daddr 127.0.0.0/8 goto loopback\n"
          "        ip6 daddr ::1 goto loopback\n"
          "        meta l4proto tcp goto caught\n"
          "        udp dport 53 accept\n"
          "        reject\n"
          "    }\n",
          out);
}

static void write_table(FILE *out, const struct options *options)
{
    fputs("table inet outrigger {\n", out);
    write_ports(out, "skipped_ports", &options->skipped_ports);
    write_ports(out, "included_ports", &options->included_ports);
    write_ports(out, "own_ports", &options->own_ports);
    write_cidrs(out, "skipped_ipv4", "ipv4_addr", &options->skipped_ipv4);
    write_cidrs(out, "skipped_ipv6", "ipv6_addr", &options->skipped_ipv6);
    if (options->is_enclosure)
        write_enclosure(out, options);
    else
        write_chain(out, options);
    fputs("}\n", out);
}

char *ruleset_text(const struct options *options)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs("add table inet outrigger\ndelete table inet outrigger\n", out);
    if (!options->is_removal)
        write_table(out, options);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
