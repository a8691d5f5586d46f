/* options.c - see options.h. One row of the table per option that takes a value. */
#include "init/options.h"

#include "base/number.h"

#include <stdio.h>

#define SHOWN_MAX 64 /* bytes of an argument that is shown in `why` */

/* Takes the value of an option, or one entry of a list; NULL when good, else what is wrong. */
typedef const char *take_fn(struct options *options, struct span value);

struct option {
    const char *name;
    take_fn *take;
    bool is_list; /* separated by commas; empty is the empty list */
};

static const char no_room[] = "is one entry too many: at most 256 are taken";

static const char *take_port(struct options *options, struct span value)
{
    uint32_t port;
    if (!number_parse(value, 1, 65535, &port))
        return "is no port: ports are 1 to 65535";
    options->port = (uint16_t)port;
    return NULL;
}

static const char *take_uid(struct options *options, struct span value)
{
    /* The highest one means "nobody" to the kernel. */
    return number_parse(value, 0, UINT32_MAX - 1, &options->uid)
               ? NULL
               : "is no user id: it is a number, 0 to 4294967294";
}

static const char *take_mark(struct options *options, struct span value)
{
    /* 0 is what every socket without a mark has. */
    return number_parse_hex(value, 1, UINT32_MAX, &options->mark)
               ? NULL
               : "is no mark: marks are 1 to 4294967295, or 0x1 to 0xffffffff";
}

static const char *take_range(struct port_set *set, struct span value)
{
    struct port_range range;
    const char *problem = port_range_parse(value, &range);
    if (problem)
        return problem;
    return port_set_add(set, range) ? NULL : no_room;
}

static const char *take_skipped_ports(struct options *options, struct span value)
{
    return take_range(&options->skipped_ports, value);
}

static const char *take_included_ports(struct options *options, struct span value)
{
    return take_range(&options->included_ports, value);
}

static const char *take_own_ports(struct options *options, struct span value)
{
    return take_range(&options->own_ports, value);
}

static const char *take_skipped_cidrs(struct options *options, struct span value)
{
    struct cidr cidr;
    const char *problem = cidr_parse(value, &cidr);
    if (problem)
        return problem;
    return cidr_set_add(cidr.is_ipv6 ? &options->skipped_ipv6 : &options->skipped_ipv4, cidr)
               ? NULL
               : no_room;
}

static const struct option table[] = {
    {"--port", take_port, false},
    {"--uid", take_uid, false},
    {"--mark", take_mark, false},
    {"--skip-outbound-ports", take_skipped_ports, true},
    {"--include-outbound-ports", take_included_ports, true},
    {"--skip-outbound-cidrs", take_skipped_cidrs, true},
    {"--own-ports", take_own_ports, true},
};

static bool refuse(char why[OPTIONS_WHY_MAX], const char *option, struct span value,
                   const char *problem)
{
    const int shown = value.len < SHOWN_MAX ? (int)value.len : SHOWN_MAX;
    snprintf(why, OPTIONS_WHY_MAX, "%s: `%.*s` %s", option, shown, value.data, problem);
    return false;
}

static bool take(const struct option *option, struct options *options, struct span value,
                 char why[OPTIONS_WHY_MAX])
{
    const char *problem = option->take(options, value);
    return problem ? refuse(why, option->name, value, problem) : true;
}

static bool take_list(const struct option *option, struct options *options, const char *text,
                      char why[OPTIONS_WHY_MAX])
{
    if (text[0] == '\0')
        return true;
    for (;;) {
        const size_t len = strcspn(text, ",");
        if (!take(option, options, span_make(text, len), why))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

static bool take_value(const struct option *option, struct options *options, const char *text,
                       char why[OPTIONS_WHY_MAX])
{
    return option->is_list ? take_list(option, options, text, why)
                           : take(option, options, span_of(text), why);
}

/* NULL when there is no such option; else `*value` is what follows its `=`, NULL without one. */
static const struct option *find(const char *argument, const char **value)
{
    const size_t len = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!span_is(span_make(argument, len), span_of(table[i].name)))
            continue;
        *value = argument[len] == '=' ? argument + len + 1 : NULL;
        return &table[i];
    }
    return NULL;
}

static bool *flag_of(struct options *options, struct span argument)
{
    if (span_is(argument, SPAN("--dry-run")))
        return &options->is_dry_run;
    if (span_is(argument, SPAN("--remove")))
        return &options->is_removal;
    if (span_is(argument, SPAN("--enclose")))
        return &options->is_enclosure;
    return span_is(argument, SPAN("--ipv4-only")) ? &options->is_ipv4_only : NULL;
}

enum options_verdict options_read(int argc, char **argv, struct options *out,
                                  char why[OPTIONS_WHY_MAX])
{
    *out = (struct options){.port = OPTIONS_DEFAULT_PORT, .uid = OPTIONS_DEFAULT_UID};
    for (int i = 1; i < argc; i++) {
        const struct span argument = span_of(argv[i]);
        const char *value = NULL;
        const struct option *option = find(argv[i], &value);
        if (span_is(argument, SPAN("--help")) || span_is(argument, SPAN("-h")))
            return OPTIONS_HELP;
        if (span_is(argument, SPAN("--version")))
            return OPTIONS_VERSION;
        bool *flag = flag_of(out, argument);
        if (flag) {
            *flag = true;
        } else if (option == NULL) {
            snprintf(why, OPTIONS_WHY_MAX, "there is no option `%.*s`", SHOWN_MAX, argv[i]);
            return OPTIONS_BAD;
        } else if (value == NULL && ++i == argc) {
            snprintf(why, OPTIONS_WHY_MAX, "%s needs a value", option->name);
            return OPTIONS_BAD;
        } else if (!take_value(option, out, value ? value : argv[i], why)) {
            return OPTIONS_BAD;
        }
    }
    return OPTIONS_GOOD;
}
