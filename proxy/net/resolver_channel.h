/* resolver_channel.h - c-ares in our loop: its sockets as poll handles, its timeouts on the wheel.
 * For resolver.c only.
 *
 * A channel is one reading of resolv.conf. It has two c-ares channels: one that reads /etc/hosts
 * and answers at once, one that asks name servers; only so can a name of /etc/hosts be kept from
 * being asked of DNS as well. Reference counted: the resolver holds one reference while the channel
 * is the current one, each lookup one while c-ares owes it a callback. c-ares must not be destroyed
 * from inside its own callbacks, so the end is deferred. */
#ifndef OUTRIGGER_NET_RESOLVER_CHANNEL_H
#define OUTRIGGER_NET_RESOLVER_CHANNEL_H

#include "base/err.h"
#include "base/list.h"
#include "base/wheel.h"
#include "net/loop.h"
#include "net/resolver.h"

#include <ares.h>
#include <stdint.h>

struct resolver_channel {
    uint32_t refs;
    struct loop *loop;
    ares_channel hosts;
    ares_channel dns;
    struct list sockets; /* struct channel_socket */
    struct timer timer;
    struct loop_task end;
};

enum err MUST_CHECK resolver_channel_new(struct loop *loop, const struct resolver_options *options,
                                         struct resolver_channel **out);
/* Reads resolv.conf. ERR_NO_MEMORY, ERR_INVALID (a bad list of servers) or ERR_SYSTEM. */

void resolver_channel_ref(struct resolver_channel *channel);
void resolver_channel_unref(struct resolver_channel **channel);

void resolver_channel_destroy(struct resolver_channel **channel);
/* Now, not deferred: every query in flight ends with ARES_EDESTRUCTION inside this call. */

void resolver_channel_arm(struct resolver_channel *channel);
/* After queries were started: the wheel learns of their timeouts. */

#endif
