/* balancer_hash.c - ringHash, by the highest score of all (rendezvous hashing: Thaler and
 * Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998).
 *
 * A ring without a ring: each candidate's score comes from the key and its own id alone. So who
 * leaves gives away its keys, evenly, and who comes takes its share evenly; no other key moves.
 * The next in the order is who has the next score: where retries and masks lead. Every sidecar
 * agrees, for the hash has no secret; who can choose keys can choose an endpoint. 256 candidates
 * cost about half a microsecond. */
#include "base/hash.h"
#include "upstream/balancer_pick.h"

#define KEY_SEED 0 /* to change it moves every key of everybody */

__attribute__((noinline)) struct candidate *pick_by_key(const struct pick *pick)
{
    const struct balancer *balancer = pick->balancer;
    struct candidate *best = NULL;
    uint64_t best_score = 0;
    for (size_t i = 0; i < balancer->count; i++) {
        struct candidate *candidate = balancer->candidates[i];
        const uint64_t score = hash_mix(pick->query->key ^ candidate->id);
        if ((best == NULL || score > best_score) && pick_accepts(pick, candidate)) {
            best = candidate;
            best_score = score;
        }
    }
    return best;
}

uint64_t balancer_key(struct span value)
{
    if (value.len == 0)
        return 0;
    const uint64_t key = hash_span(value, KEY_SEED);
    return key != 0 ? key : 1;
}
