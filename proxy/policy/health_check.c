/* health_check.c - see health_check.h. */
#include "policy/health_check.h"

bool health_note(struct health_state *state, const struct health_check_config *cfg, bool is_good)
{
    const enum health said = is_good ? HEALTHY : UNHEALTHY;
    const uint32_t needed = is_good ? cfg->healthy_threshold : cfg->unhealthy_threshold;
    if (said == state->health) {
        state->against = 0;
        return false;
    }
    state->against++;
    if (state->health != HEALTH_UNKNOWN && state->against < needed)
        return false;
    *state = (struct health_state){.health = said};
    return true;
}

const char *health_word(enum health health)
{
    static const char *const words[] = {"unknown", "healthy", "unhealthy"};
    return words[health];
}
