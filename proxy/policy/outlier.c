/* outlier.c - see outlier.h. */
#include "policy/outlier.h"

#define WHOLE_PERMILLE 1000

uint32_t outlier_most(const struct outlier_config *cfg, uint32_t endpoints)
{
    const uint64_t share = (uint64_t)endpoints * cfg->max_ejection_permille / WHOLE_PERMILLE;
    if (endpoints < 2 || cfg->max_ejection_permille == 0)
        return 0;
    return share > 0 ? (uint32_t)share : 1;
}
