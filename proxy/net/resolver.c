/* resolver.c - see resolver.h.
 *
 * A lookup asks /etc/hosts first, then DNS for A and AAAA together (so that both come from the same
 * domain of the search list), and when that takes long, for A alone as well: the first addresses
 * win. It ends for its caller by an answer, by cancellation, or by its own timer; for c-ares when
 * `owed` callbacks have come, which cannot be hurried (c-ares has no way to cancel one query). The
 * memory goes when both ends have come; RESOLVER_MAX_LOOKUPS bounds the leftovers. */
#include "net/resolver.h"

#include "base/check.h"
#include "base/log.h"
#include "net/resolver_channel.h"
#include "net/resolver_srv.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLVER_MAGIC 0x5245534fU
#define LOOKUP_MAGIC 0x4c4f4f4bU
#define DEFAULT_QUERY_TIMEOUT (1500 * NS_PER_MS)
#define DEFAULT_TRIES 3
#define DEFAULT_LOOKUP_TIMEOUT (10 * NS_PER_S)
#define RESCUE_AFTER                                                                               \
    (500 * NS_PER_MS) /* then A is asked for by itself: some servers drop AAAA queries */
#define CONF_CHECK_EVERY (5 * NS_PER_S)
#define DEFAULT_CONF "/etc/resolv.conf"
#define LABEL_BYTES 63 /* RFC 1035 section 2.3.4 */

struct resolver {
    uint32_t magic;
    struct loop *loop;
    struct resolver_options options;
    struct resolver_channel *channel;
    struct list lookups; /* struct resolver_lookup, all that have memory */
    size_t lookup_count;
    struct resolver_counts counts;
    struct stat conf;
    mono_ns check_conf_at;
};

struct resolver_lookup {
    uint32_t magic;
    int owed;     /* callbacks of c-ares still to come */
    bool is_over; /* for the caller: answered or cancelled */
    bool asks_dns;
    bool has_rescue; /* the query for A alone has been made */
    struct list link;
    struct resolver *resolver;
    struct resolver_channel *channel; /* referenced while `owed` > 0 */
    resolver_callback callback;
    resolver_records_callback records_callback; /* of a lookup for SRV records; else NULL */
    void *context;
    struct loop_task deliver;
    struct timer timer; /* when to ask for A alone, then the lookup's own end */
    mono_ns ends_at;
    struct address *addresses;
    size_t count;
    size_t in4_count; /* they come first */
    struct resolver_record *records;
    dur_ns ttl;
    const char *failure;
    uint16_t port;
    char name[RESOLVER_NAME_BYTES + 1];
};

/* ---- gathering an answer ---- */

static bool has_address(const struct resolver_lookup *lookup, const struct address *address)
{
    for (size_t i = 0; i < lookup->count; i++) {
        if (address_equal(&lookup->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

static void add_address(struct resolver_lookup *lookup, const struct address *address)
{
    size_t at = lookup->count;
    if (lookup->count == RESOLVER_MAX_ADDRESSES || has_address(lookup, address)) {
        return;
    }
    if (address->any.sa_family == AF_INET) {
        at = lookup->in4_count++;
        memmove(&lookup->addresses[at + 1], &lookup->addresses[at],
                (lookup->count - at) * sizeof(lookup->addresses[0]));
    }
    lookup->addresses[at] = *address;
    lookup->count++;
}

static bool make_room(struct resolver_lookup *lookup, size_t more)
{
    size_t wanted = lookup->count + more;
    if (wanted > RESOLVER_MAX_ADDRESSES) {
        wanted = RESOLVER_MAX_ADDRESSES;
    }
    struct address *addresses = realloc(lookup->addresses, (wanted + 1) * sizeof(*addresses));
    if (addresses == NULL) {
        lookup->failure = "out of memory";
        return false;
    }
    lookup->addresses = addresses;
    return true;
}

static void set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6) {
        address->in6.sin6_port = htons(port);
    } else {
        address->in.sin_port = htons(port);
    }
}

static dur_ns ttl_of(const struct ares_addrinfo *info)
{
    int least = info->nodes->ai_ttl;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        least = node->ai_ttl < least ? node->ai_ttl : least;
    }
    for (const struct ares_addrinfo_cname *cname = info->cnames; cname != NULL;
         cname = cname->next) {
        least = cname->ttl < least ? cname->ttl : least;
    }
    return least > 0 ? (dur_ns)least * NS_PER_S : 0;
}

static void gather(struct resolver_lookup *lookup, const struct ares_addrinfo *info)
{
    size_t more = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        more++;
    }
    if (more == 0 || lookup->count > 0 || !make_room(lookup, more)) {
        return;
    }
    lookup->ttl = ttl_of(info);
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct address address;
        if (address_from_sockaddr(node->ai_addr, node->ai_addrlen, &address) == OK) {
            set_port(&address, lookup->port);
            add_address(lookup, &address);
        }
    }
}

static const char *failure_text(int status)
{
    switch (status) {
    case ARES_ENOTFOUND: return "no such name";
    case ARES_ENODATA: return "the name has no address";
    case ARES_ETIMEOUT: return "the name server did not answer in time";
    case ARES_ECONNREFUSED:
        return "no name server could be reached, or all of them failed or refused";
    default: return ares_strerror(status);
    }
}

/* ---- the course of a lookup ---- */

static void free_if_over(struct resolver_lookup *lookup)
{
    if (!lookup->is_over || lookup->owed > 0) {
        return;
    }
    list_remove(&lookup->link);
    lookup->resolver->lookup_count--;
    lookup->magic = 0;
    free(lookup->addresses);
    free(lookup->records);
    free(lookup);
}

static void end_for_caller(struct resolver_lookup *lookup)
{
    lookup->is_over = true;
    loop_task_cancel(&lookup->deliver);
    wheel_clear(lookup->resolver->loop->wheel, &lookup->timer);
}

static void count(const struct resolver_lookup *lookup)
{
    struct resolver_counts *counts = &lookup->resolver->counts;
    if (lookup->asks_dns) {
        counts->good += lookup->count > 0 ? 1 : 0;
        counts->failed += lookup->count > 0 ? 0 : 1;
    }
}

struct resolver_counts resolver_counts(const struct resolver *resolver)
{
    return resolver->counts;
}

static void tell_addresses(const struct resolver_lookup *lookup, const char *failure)
{
    const struct resolver_answer answer = {.addresses = lookup->addresses,
                                           .count = lookup->count,
                                           .ttl = lookup->ttl,
                                           .failure = failure};
    lookup->callback(lookup->context, &answer);
}

static void tell_records(const struct resolver_lookup *lookup, const char *failure)
{
    const struct resolver_records answer = {
        .records = lookup->records, .count = lookup->count, .ttl = lookup->ttl, .failure = failure};
    lookup->records_callback(lookup->context, &answer);
}

static void on_deliver(struct loop_task *task)
{
    struct resolver_lookup *lookup = CONTAINER_OF(task, struct resolver_lookup, deliver);
    const bool is_srv = lookup->records_callback != NULL;
    const char *nothing = is_srv ? "the name has no SRV record" : failure_text(ARES_ENODATA);
    const char *failure = lookup->failure != NULL ? lookup->failure : nothing;
    count(lookup);
    end_for_caller(lookup);
    if (is_srv)
        tell_records(lookup, lookup->count > 0 ? NULL : failure);
    else
        tell_addresses(lookup, lookup->count > 0 ? NULL : failure);
    free_if_over(lookup);
}

/* One callback of c-ares has come, and what it brought has been gathered. */
static void settle(struct resolver_lookup *lookup)
{
    lookup->owed--;
    if (lookup->owed == 0) {
        resolver_channel_unref(&lookup->channel);
    }
    if (lookup->is_over) {
        free_if_over(lookup);
    } else if (lookup->owed == 0 || lookup->count > 0) {
        loop_defer(lookup->resolver->loop, &lookup->deliver);
    }
}

static void take_result(struct resolver_lookup *lookup, int status, struct ares_addrinfo *info)
{
    if (status == ARES_SUCCESS && !lookup->is_over) {
        gather(lookup, info);
    } else if (status != ARES_SUCCESS && (lookup->failure == NULL || status != ARES_ENODATA)) {
        lookup->failure = failure_text(status);
    }
    if (info != NULL) {
        ares_freeaddrinfo(info);
    }
}

static void ask(struct resolver_lookup *lookup, ares_channel channel, int family,
                ares_addrinfo_callback callback)
{
    const struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_family = family};
    lookup->owed++;
    ares_getaddrinfo(channel, lookup->name, NULL, &hints, callback, lookup);
}

static void on_files(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolver_lookup *lookup = context;
    (void)timeouts;
    if (status == ARES_SUCCESS) {
        take_result(lookup, status, info);
    }
    lookup->asks_dns = lookup->count == 0 && status != ARES_EDESTRUCTION;
    settle(lookup);
}

static void on_dns(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolver_lookup *lookup = context;
    (void)timeouts;
    take_result(lookup, status, info);
    settle(lookup);
}

static void on_srv(void *context, int status, int timeouts, unsigned char *message, int len)
{
    struct resolver_lookup *lookup = context;
    (void)timeouts;
    if (status == ARES_SUCCESS && !lookup->is_over) {
        const enum err e = resolver_srv_parse(message, (size_t)len, &lookup->records,
                                              &lookup->count, &lookup->ttl);
        lookup->failure = e == OK ? NULL : err_text(e);
    } else if (status != ARES_ENODATA) {
        lookup->failure = failure_text(status);
    }
    settle(lookup);
}

static void on_timer(struct timer *timer, mono_ns now)
{
    struct resolver_lookup *lookup = CONTAINER_OF(timer, struct resolver_lookup, timer);
    struct loop *loop = lookup->resolver->loop;
    if (now >= lookup->ends_at) {
        lookup->failure = failure_text(ARES_ETIMEOUT);
        loop_defer(loop, &lookup->deliver);
        return;
    }
    wheel_set(loop->wheel, &lookup->timer, lookup->ends_at);
    if (lookup->owed > 0 && !lookup->has_rescue) {
        lookup->has_rescue = true;
        ask(lookup, lookup->channel->dns, AF_INET, on_dns);
        resolver_channel_arm(lookup->channel);
    }
}

static void ask_addresses(struct resolver_lookup *lookup)
{
    ask(lookup, lookup->channel->hosts, AF_UNSPEC, on_files);
    if (lookup->asks_dns)
        ask(lookup, lookup->channel->dns, AF_UNSPEC, on_dns);
}

/* /etc/hosts has none; and there is nothing that could be asked for by itself. */
static void ask_records(struct resolver_lookup *lookup)
{
    lookup->asks_dns = true;
    lookup->has_rescue = true;
    lookup->owed++;
    ares_search(lookup->channel->dns, lookup->name, ns_c_in, ns_t_srv, on_srv, lookup);
}

static void start(struct resolver_lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct resolver_channel *channel = resolver->channel;
    lookup->channel = channel;
    resolver_channel_ref(channel);
    lookup->owed = 1; /* ours, until all is asked: c-ares may call back from inside */
    if (lookup->records_callback != NULL)
        ask_records(lookup);
    else
        ask_addresses(lookup);
    if (lookup->asks_dns)
        resolver_channel_arm(channel);
    lookup->ends_at = mono_add(resolver->loop->now, resolver->options.lookup_timeout);
    wheel_set(resolver->loop->wheel, &lookup->timer,
              mono_min(lookup->ends_at, mono_add(resolver->loop->now, RESCUE_AFTER)));
    settle(lookup);
}

/* ---- resolv.conf ---- */

static const char *conf_path(const struct resolver *resolver)
{
    return resolver->options.resolv_conf != NULL ? resolver->options.resolv_conf : DEFAULT_CONF;
}

static struct stat read_conf_state(const struct resolver *resolver)
{
    struct stat state;
    if (stat(conf_path(resolver), &state) != 0) {
        memset(&state, 0, sizeof(state));
    }
    return state;
}

static void refresh_channel(struct resolver *resolver)
{
    struct resolver_channel *fresh;
    if (resolver->loop->now < resolver->check_conf_at) {
        return;
    }
    resolver->check_conf_at = mono_add(resolver->loop->now, CONF_CHECK_EVERY);
    struct stat state = read_conf_state(resolver);
    if (state.st_dev == resolver->conf.st_dev && state.st_ino == resolver->conf.st_ino &&
        state.st_size == resolver->conf.st_size &&
        state.st_mtim.tv_sec == resolver->conf.st_mtim.tv_sec &&
        state.st_mtim.tv_nsec == resolver->conf.st_mtim.tv_nsec) {
        return;
    }
    enum err result = resolver_channel_new(resolver->loop, &resolver->options, &fresh);
    if (result != OK) {
        log_event(LOG_WARN, "resolver_reload_failed",
                  LOG_TEXT("the name servers known so far stay in use"),
                  LOG_STR("file", conf_path(resolver)), LOG_ERR("error", result));
        return;
    }
    resolver->conf = state;
    resolver_channel_unref(&resolver->channel); /* lookups in flight end on it */
    resolver->channel = fresh;
    log_event(LOG_INFO, "resolver_reloaded", LOG_STR("file", conf_path(resolver)));
}

/* ---- public ---- */

static char *copy_text(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    INVARIANT((text == NULL) == (copy == NULL));
    return copy;
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    INVARIANT(resolver != NULL);
    INVARIANT(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
    resolver->magic = RESOLVER_MAGIC;
    resolver->loop = loop;
    resolver->options = *options;
    resolver->options.servers = copy_text(options->servers);
    resolver->options.resolv_conf = copy_text(options->resolv_conf);
    resolver->options.tries = options->tries > 0 ? options->tries : DEFAULT_TRIES;
    resolver->options.query_timeout =
        options->query_timeout > 0 ? options->query_timeout : DEFAULT_QUERY_TIMEOUT;
    resolver->options.lookup_timeout =
        options->lookup_timeout > 0 ? options->lookup_timeout : DEFAULT_LOOKUP_TIMEOUT;
    list_init(&resolver->lookups);
    resolver->conf = read_conf_state(resolver);
    resolver->check_conf_at = mono_add(loop->now, CONF_CHECK_EVERY);
    INVARIANT(resolver_channel_new(loop, &resolver->options, &resolver->channel) == OK);
    return resolver;
}

void resolver_free(struct resolver **resolver_ref)
{
    struct resolver *resolver = *resolver_ref;
    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    *resolver_ref = NULL;
    LIST_FOREACH_SAFE (link, following, &resolver->lookups) {
        struct resolver_lookup *lookup = CONTAINER_OF(link, struct resolver_lookup, link);
        end_for_caller(lookup);
        free_if_over(lookup);
    }
    while (
        !list_is_empty(&resolver->lookups)) { /* the channel's end is the end of all its lookups */
        struct list *link = list_first(&resolver->lookups);
        struct resolver_channel *channel =
            CONTAINER_OF(link, struct resolver_lookup, link)->channel;
        if (channel == resolver->channel) {
            resolver->channel = NULL;
        }
        resolver_channel_destroy(&channel);
    }
    if (resolver->channel != NULL) {
        resolver_channel_destroy(&resolver->channel);
    }
    free((char *)(uintptr_t)resolver->options.servers);
    free((char *)(uintptr_t)resolver->options.resolv_conf);
    resolver->magic = 0;
    free(resolver);
    ares_library_cleanup();
}

bool resolver_is_name(struct span host)
{
    size_t label = 0;
    if (host.len == 0 || host.len > RESOLVER_NAME_BYTES) {
        return false;
    }
    if (host.data[host.len - 1] == '.') {
        host.len--;
    }
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.data[i];
        bool is_fine = c == '.' ? label > 0 : isalnum(c) || c == '-' || c == '_';
        label = c == '.' ? 0 : label + 1;
        if (!is_fine || label > LABEL_BYTES) {
            return false;
        }
    }
    return label > 0;
}

static void on_literal(struct resolver_lookup *lookup, const struct address *address)
{
    add_address(lookup, address);
    lookup->ttl = DUR_FOREVER;
    loop_defer(lookup->resolver->loop, &lookup->deliver);
}

static enum err lookup_new(struct resolver *resolver, struct resolver_lookup **out)
{
    if (resolver->lookup_count == RESOLVER_MAX_LOOKUPS) {
        return ERR_FULL;
    }
    struct resolver_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL || !make_room(lookup, 1)) {
        free(lookup);
        return ERR_NO_MEMORY;
    }
    lookup->magic = LOOKUP_MAGIC;
    lookup->resolver = resolver;
    loop_task_init(&lookup->deliver, on_deliver);
    timer_init(&lookup->timer, on_timer);
    list_append(&resolver->lookups, &lookup->link);
    resolver->lookup_count++;
    *out = lookup;
    return OK;
}

static void lookup_name(struct resolver_lookup *lookup, struct span name)
{
    memcpy(lookup->name, name.data, name.len);
    refresh_channel(lookup->resolver);
    start(lookup);
}

enum err resolver_lookup(struct resolver *resolver, struct span host, uint16_t port,
                         resolver_callback callback, void *context, struct resolver_lookup **out)
{
    struct address literal;
    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    const bool is_literal = address_from_ip(host, port, &literal) == OK;
    if (!is_literal && !resolver_is_name(host)) {
        return ERR_INVALID;
    }
    const enum err e = lookup_new(resolver, out);
    if (e != OK) {
        return e;
    }
    (*out)->callback = callback;
    (*out)->context = context;
    (*out)->port = port;
    if (is_literal) {
        on_literal(*out, &literal);
    } else {
        lookup_name(*out, host);
    }
    return OK;
}

enum err resolver_lookup_srv(struct resolver *resolver, struct span name,
                             resolver_records_callback callback, void *context,
                             struct resolver_lookup **out)
{
    CHECK_OBJ(resolver, RESOLVER_MAGIC);
    if (!resolver_is_name(name)) {
        return ERR_INVALID;
    }
    const enum err e = lookup_new(resolver, out);
    if (e == OK) {
        (*out)->records_callback = callback;
        (*out)->context = context;
        lookup_name(*out, name);
    }
    return e;
}

void resolver_cancel(struct resolver_lookup **lookup_ref)
{
    struct resolver_lookup *lookup = *lookup_ref;
    CHECK_OBJ(lookup, LOOKUP_MAGIC);
    INVARIANT(!lookup->is_over);
    *lookup_ref = NULL;
    end_for_caller(lookup);
    free_if_over(lookup);
}
