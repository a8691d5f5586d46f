/* endpoint.c - see endpoint.h. Invariants: `members` are exactly the listed endpoints, each with
 * one reference of the set; the balancer's candidates are those of `family`, which is one that has
 * members. */
#include "upstream/endpoint.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define ENDPOINT_MAGIC 0x454e4450U
#define SET_MAGIC 0x45534554U
#define REFRESH_MIN                                                                                \
    (1 *                                                                                           \
     NS_PER_S) /* a TTL of 0 must not mean a DNS query per call; also the pause after a failure */
#define REFRESH_MAX                                                                                \
    (60 * NS_PER_S)               /* a TTL of a day must not pin calls to a host that has moved    \
                                   */
#define REFRESH_JITTER_PERCENT 10 /* a fleet of proxies must not ask in step */
#define OVERDUE_AFTER (30 * NS_PER_S)
#define PATIENCE (1 * NS_PER_S)

/* ---- one endpoint ---- */

static struct endpoint *endpoint_new(struct endpoint_set *set, const struct address *address)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return NULL;
    }
    endpoint->magic = ENDPOINT_MAGIC;
    endpoint->refs = 1;
    candidate_init(&endpoint->candidate, address_hash(address));
    endpoint->is_listed = true;
    endpoint->set = set;
    endpoint->hooks = set->hooks;
    endpoint->address = *address;
    address_text(address, endpoint->text);
    list_append(&set->members, &endpoint->link);
    set->member_count++;
    return endpoint;
}

struct endpoint *endpoint_ref(struct endpoint *endpoint)
{
    CHECK_OBJ(endpoint, ENDPOINT_MAGIC);
    endpoint->refs++;
    return endpoint;
}

void endpoint_unref(struct endpoint **endpoint_ref)
{
    struct endpoint *endpoint = *endpoint_ref;
    CHECK_OBJ(endpoint, ENDPOINT_MAGIC);
    *endpoint_ref = NULL;
    if (--endpoint->refs > 0) {
        return;
    }
    INVARIANT(!endpoint->is_listed);
    if (endpoint->hooks.on_free != NULL) {
        endpoint->hooks.on_free(endpoint->hooks.context, endpoint);
    }
    endpoint->magic = 0;
    free(endpoint);
}

static int family_of(const struct endpoint *endpoint)
{
    return endpoint->address.any.sa_family;
}

/* ---- the list ---- */

static void unlist(struct endpoint_set *set, struct endpoint *endpoint, struct list *leaving)
{
    list_remove(&endpoint->link);
    list_append(leaving, &endpoint->link);
    balancer_leave(&endpoint->candidate);
    set->member_count--;
    endpoint->is_listed = false;
    endpoint->set = NULL;
}

static void let_go(struct list *leaving)
{
    while (!list_is_empty(leaving)) {
        struct endpoint *endpoint = CONTAINER_OF(list_first(leaving), struct endpoint, link);
        list_remove(&endpoint->link);
        if (endpoint->hooks.on_left != NULL) {
            endpoint->hooks.on_left(endpoint->hooks.context, endpoint);
        }
        endpoint_unref(&endpoint);
    }
}

static struct endpoint *find_member(const struct endpoint_set *set, const struct address *address)
{
    LIST_FOREACH (link, &set->members) {
        struct endpoint *endpoint = CONTAINER_OF(link, struct endpoint, link);
        if (address_equal(&endpoint->address, address)) {
            return endpoint;
        }
    }
    return NULL;
}

/* Was one of that family found? AF_UNSPEC: of any. */
static struct endpoint *find_of_family(const struct endpoint_set *set, int family)
{
    LIST_FOREACH (link, &set->members) {
        struct endpoint *endpoint = CONTAINER_OF(link, struct endpoint, link);
        if (!endpoint->is_literal && (family == AF_UNSPEC || family_of(endpoint) == family)) {
            return endpoint;
        }
    }
    return NULL;
}

/* The one in use, if it is still there, then IPv4, then what there is. */
static int choose_family(const struct endpoint_set *set)
{
    const struct endpoint *any = find_of_family(set, AF_UNSPEC);
    const bool has_one = set->family != AF_UNSPEC && find_of_family(set, set->family) != NULL;
    if (any == NULL || has_one) {
        return set->family;
    }
    return find_of_family(set, AF_INET) != NULL ? AF_INET : family_of(any);
}

/* `usable` has room for every member. */
static void use_family(struct endpoint_set *set, int family)
{
    size_t count = 0;
    set->family = family;
    LIST_FOREACH (link, &set->members) {
        struct endpoint *endpoint = CONTAINER_OF(link, struct endpoint, link);
        if (endpoint->is_literal || family_of(endpoint) == family) {
            set->usable[count++] = &endpoint->candidate;
        } else {
            balancer_leave(&endpoint->candidate);
        }
    }
    balancer_set(&set->balancer, set->usable, count, &set->loop->rng);
}

static bool names(const struct discovered *answer, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (address_equal(&answer->addresses[i], &endpoint->address)) {
            return true;
        }
    }
    return false;
}

static void unlist_absent(struct endpoint_set *set, const struct discovered *answer,
                          struct list *leaving)
{
    LIST_FOREACH_SAFE (link, following, &set->members) {
        struct endpoint *endpoint = CONTAINER_OF(link, struct endpoint, link);
        if (!names(answer, endpoint)) {
            unlist(set, endpoint, leaving);
        }
    }
}

/* One that was found as well is a literal: those come first. */
static void mark_literals(struct endpoint_set *set, const struct discovered *answer)
{
    for (size_t i = answer->count; i-- > 0;) {
        find_member(set, &answer->addresses[i])->is_literal = i < answer->literal_count;
    }
}

/* The list becomes what the answer says; endpoints that are in both stay the same objects. */
static enum err MUST_CHECK apply_addresses(struct endpoint_set *set,
                                           const struct discovered *answer)
{
    struct list leaving;
    bool has_changed = false;
    const bool is_first = list_is_empty(&set->members);
    struct candidate **usable =
        realloc(set->usable, (set->member_count + answer->count) * sizeof(*usable));
    if (usable == NULL) {
        return ERR_NO_MEMORY;
    }
    set->usable = usable;
    set->balancer.candidates = usable;
    for (size_t i = 0; i < answer->count; i++) {
        if (find_member(set, &answer->addresses[i]) != NULL) {
            continue;
        }
        has_changed = true;
        struct endpoint *endpoint = endpoint_new(set, &answer->addresses[i]);
        if (endpoint == NULL) {
            use_family(set, set->family);
            return ERR_NO_MEMORY; /* nobody has been removed; the next answer completes the list */
        }
        if (!is_first) {
            balancer_warm(&set->balancer, &endpoint->candidate, set->loop->now);
        }
    }
    mark_literals(set, answer);
    list_init(&leaving);
    unlist_absent(set, answer, &leaving);
    set->counts.changes += has_changed || !list_is_empty(&leaving) ? 1 : 0;
    use_family(set, choose_family(set));
    let_go(&leaving);
    return OK;
}

/* ---- asking DNS ---- */

static dur_ns jittered(struct endpoint_set *set, dur_ns interval)
{
    dur_ns most = interval / 100 * REFRESH_JITTER_PERCENT;
    return interval + rng_between(&set->loop->rng, -most, most);
}

static void take_failure(struct endpoint_set *set, const char *failure)
{
    set->counts.failures++;
    if (set->failure == NULL) {
        log_event(LOG_WARN, "dns_failed",
                  LOG_TEXT(set->member_count > 0 ? "the addresses known so far stay in use"
                                                 : "calls to this host fail until DNS answers"),
                  LOG_STR("host", set->host), LOG_STR("error", failure));
    }
    set->failure = failure;
    set->refresh_at = mono_add(set->loop->now, jittered(set, REFRESH_MIN));
    set->overdue_at = MONO_NEVER;
}

static void take_success(struct endpoint_set *set, dur_ns ttl)
{
    dur_ns interval = dur_min(dur_max(ttl, REFRESH_MIN), REFRESH_MAX);
    if (set->failure != NULL) {
        log_event(LOG_INFO, "dns_recovered", LOG_STR("host", set->host),
                  LOG_UINT("endpoints", set->member_count));
    }
    set->failure = NULL;
    set->refresh_at = mono_add(set->loop->now, jittered(set, interval));
    set->overdue_at = mono_add(set->refresh_at, OVERDUE_AFTER);
    if (discovery_is_fixed(set->discovery)) {
        set->refresh_at = set->overdue_at = MONO_NEVER;
    }
}

static void answer_waits(struct endpoint_set *set)
{
    wheel_clear(set->loop->wheel, &set->patience);
    if (!list_is_empty(&set->waits)) {
        loop_defer(set->loop, &set->answer_waits);
    }
}

static void on_found(void *context, const struct discovered *found)
{
    struct endpoint_set *set = context;
    CHECK_OBJ(set, SET_MAGIC);
    const enum err e = found->count > 0 ? apply_addresses(set, found) : OK;
    if (e != OK || found->failure != NULL) {
        take_failure(set, e != OK ? err_text(e) : found->failure);
    } else {
        take_success(set, found->ttl);
    }
    answer_waits(set);
}

static void ask(struct endpoint_set *set)
{
    set->counts.lookups++;
    const enum err result = discovery_ask(set->discovery);
    if (result != OK) {
        take_failure(set, err_text(result));
    }
}

static void on_patience(struct timer *timer, mono_ns now)
{
    struct endpoint_set *set = CONTAINER_OF(timer, struct endpoint_set, patience);
    (void)now;
    set->overdue_at = MONO_NEVER; /* old addresses are better than none */
    answer_waits(set);
}

static void on_answer_waits(struct loop_task *task)
{
    struct endpoint_set *set = CONTAINER_OF(task, struct endpoint_set, answer_waits);
    enum reason reason = set->balancer.count > 0 ? REASON_NONE : REASON_DNS_FAILURE;
    struct list ready;
    list_init(&ready);
    while (!list_is_empty(&set->waits)) {
        struct list *link = list_first(&set->waits);
        list_remove(link);
        list_append(&ready, link);
    }
    while (!list_is_empty(&ready)) { /* a callback may wait again, cancel others, or free the set */
        struct endpoint_wait *wait = CONTAINER_OF(list_first(&ready), struct endpoint_wait, link);
        list_remove(&wait->link);
        wait->on_ready(wait, reason);
    }
}

/* ---- life ---- */

enum err endpoint_set_new(struct loop *loop, struct resolver *resolver, struct span host,
                          uint16_t port, const struct endpoint_hooks *hooks,
                          struct endpoint_set **out)
{
    if (host.len >= sizeof((*out)->host)) {
        return ERR_INVALID;
    }
    struct endpoint_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return ERR_NO_MEMORY;
    }
    set->magic = SET_MAGIC;
    set->loop = loop;
    set->resolver = resolver;
    set->port = port;
    memcpy(set->host, host.data, host.len);
    balancer_init(&set->balancer);
    list_init(&set->members);
    list_init(&set->waits);
    loop_task_init(&set->answer_waits, on_answer_waits);
    timer_init(&set->patience, on_patience);
    if (hooks != NULL) {
        set->hooks = *hooks;
    }
    const enum err e = endpoint_set_follow(set, NULL);
    if (e != OK) {
        endpoint_set_free(&set);
        return e;
    }
    *out = set;
    return OK;
}

/* What it knows from before is not used blindly: it may be wrong now. */
static void start_over(struct endpoint_set *set)
{
    set->failure = NULL;
    set->refresh_at = set->loop->now;
    set->overdue_at = set->loop->now;
    if (!list_is_empty(&set->waits)) {
        ask(set);
    }
    if (!discovery_is_asking(set->discovery)) {
        answer_waits(set);
    }
}

enum err endpoint_set_follow(struct endpoint_set *set, const struct discovery_order *order)
{
    const struct discovery_place own = {set->host, set->port};
    const struct discovery_order own_order = {.places = &own, .count = 1};
    struct discovery *fresh;
    CHECK_OBJ(set, SET_MAGIC);
    order = order != NULL ? order : &own_order;
    if (set->discovery != NULL && discovery_is(set->discovery, order)) {
        return OK;
    }
    enum err e = discovery_new(set->resolver, order, on_found, set, &fresh);
    if (e != OK) {
        return e;
    }
    struct discovery *before = set->discovery;
    set->discovery = fresh;
    if (!discovery_is_fixed(fresh)) {
        start_over(set);
    } else if ((e = discovery_tell(fresh)) != OK || set->failure != NULL) {
        set->discovery = before;
        discovery_free(&fresh);
        return ERR_NO_MEMORY;
    }
    discovery_free(&before);
    return OK;
}

void endpoint_set_free(struct endpoint_set **set_ref)
{
    struct endpoint_set *set = *set_ref;
    struct list leaving;
    CHECK_OBJ(set, SET_MAGIC);
    INVARIANT(list_is_empty(&set->waits));
    *set_ref = NULL;
    discovery_free(&set->discovery);
    wheel_clear(set->loop->wheel, &set->patience);
    loop_task_cancel(&set->answer_waits);
    list_init(&leaving);
    LIST_FOREACH_SAFE (link, following, &set->members) {
        unlist(set, CONTAINER_OF(link, struct endpoint, link), &leaving);
    }
    set->magic = 0;
    free(set->usable);
    free(set);
    let_go(&leaving);
}

/* An overdue answer is not used while there is hope of a new one. */
static bool is_usable(const struct endpoint_set *set)
{
    return set->balancer.count > 0 &&
           (!discovery_is_asking(set->discovery) || set->loop->now < set->overdue_at);
}

bool endpoint_set_use(struct endpoint_set *set)
{
    CHECK_OBJ(set, SET_MAGIC);
    set->used_at = set->loop->now;
    if (set->loop->now >= set->refresh_at && !discovery_is_asking(set->discovery)) {
        ask(set);
    }
    return is_usable(set);
}

void endpoint_set_wait(struct endpoint_set *set, struct endpoint_wait *wait)
{
    CHECK_OBJ(set, SET_MAGIC);
    list_append(&set->waits, &wait->link);
    if (!discovery_is_asking(set->discovery)) {
        loop_defer(set->loop, &set->answer_waits);
    } else if (set->balancer.count > 0 && !timer_is_set(&set->patience)) {
        wheel_set(set->loop->wheel, &set->patience, mono_add(set->loop->now, PATIENCE));
    }
}

/* ---- the second family ---- */

struct endpoint *endpoint_fallback(const struct endpoint *failed)
{
    struct endpoint *best = NULL;
    CHECK_OBJ(failed, ENDPOINT_MAGIC);
    if (failed->set == NULL || failed->is_literal) {
        return NULL;
    }
    LIST_FOREACH (link, &failed->set->members) {
        struct endpoint *other = CONTAINER_OF(link, struct endpoint, link);
        if (!other->is_literal && family_of(other) != family_of(failed) &&
            (best == NULL || other->candidate.in_flight < best->candidate.in_flight)) {
            best = other;
        }
    }
    return best;
}

void endpoint_connected(struct endpoint *endpoint)
{
    CHECK_OBJ(endpoint, ENDPOINT_MAGIC);
    if (endpoint->set != NULL && !endpoint->is_literal &&
        endpoint->set->family != family_of(endpoint)) {
        use_family(endpoint->set, family_of(endpoint));
    }
}
