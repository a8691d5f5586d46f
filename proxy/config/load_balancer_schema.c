/* load_balancer_schema.c - the fields of `loadBalancer`, and what its rows cannot say: which of
 * them mean something together. See schema.h for the columns. */
#include "config/policy_schema.h"

static const struct word algorithm_words[] = {{"leastRequest", BALANCE_LEAST_REQUEST},
                                              {"roundRobin", BALANCE_ROUND_ROBIN},
                                              {"peakEwma", BALANCE_PEAK_EWMA},
                                              {"ringHash", BALANCE_RING_HASH},
                                              {NULL, 0}};

static const struct field load_balancer_fields[] = {
    {.name = "algorithm",
     .type = FIELD_ENUM,
     FIELD_AT(struct load_balancer_config, algorithm),
     .words = algorithm_words,
     .preset = "leastRequest",
     .doc = "leastRequest: of two endpoints at random the one with fewer attempts in flight; "
            "roundRobin: each in its turn; peakEwma: of two at random the one with less latency "
            "times attempts in flight; ringHash: equal keys go to the same endpoint"},
    {.name = "key",
     .type = FIELD_KEY,
     FIELD_AT(struct load_balancer_config, key),
     .preset = "none",
     .doc = "of ringHash, which needs one: header:NAME, path, method, client (its address); a call "
            "without a value goes by leastRequest"},
    {.name = "slowStart",
     .type = FIELD_DURATION,
     FIELD_AT(struct load_balancer_config, slow_start),
     .max = MAX_DURATION,
     .preset = "0s",
     .doc = "an endpoint that is new, or back from an ejection, gets a share that grows from a "
            "tenth to a whole one over this time; 0s: off; not with ringHash"},
};

static void load_balancer_finish(struct decoder *decoder, const struct node *node, void *out,
                                 bool is_good)
{
    const struct load_balancer_config *cfg = out;
    const bool is_hash = cfg->algorithm == BALANCE_RING_HASH;
    if (!is_good)
        return;
    if (is_hash && cfg->key.kind == KEY_NONE)
        decode_refuse(decoder, DIAG_MISSING, node, "key",
                      "such as key: header:x-user, path or client",
                      "ringHash needs a key: calls with equal values go to the same endpoint");
    if (!is_hash && cfg->key.kind != KEY_NONE)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "key", "algorithm: ringHash, or no key",
                      "no effect: only ringHash goes by a key");
    if (is_hash && cfg->slow_start > 0)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "slowStart",
                      "remove it, or choose another algorithm",
                      "with ringHash a key belongs to its endpoint from the first call on");
}

const struct block load_balancer_block = {
    .name = "loadBalancer",
    BLOCK_FIELDS(load_balancer_fields),
    .finish = load_balancer_finish,
    .doc = "How an endpoint is chosen where a name has several addresses. Of the document, not of "
           "its rules. A retry goes to an endpoint that the call has not tried yet."};
