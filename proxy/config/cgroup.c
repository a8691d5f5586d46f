/* cgroup.c - how much memory may we use? (proxy_config.h) */
#include "config/proxy_config.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

#define SHARE_PERCENT 70
#define V1_UNLIMITED (UINT64_C(1) << 60) /* v1 writes a huge number where there is no limit */

static uint64_t limit_read(const char *path)
{
    char line[64] = "";
    uint64_t bytes = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    bool is_read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    /* v2 says "max" where there is no limit */
    bool is_number = is_read && count_parse(span_make(line, strcspn(line, "\n")), &bytes);
    return is_number && bytes < V1_UNLIMITED ? bytes : 0;
}

/* Our place in the v2 tree: the line "0::/system.slice/x.service"; in a container mostly "0::/". */
static void own_group(char *path, size_t size)
{
    char line[1024];
    FILE *file = fopen("/proc/self/cgroup", "re");
    path[0] = '\0';
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "0::/", 4) == 0)
            snprintf(path, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (file)
        fclose(file);
}

uint64_t cgroup_memory_limit(void)
{
    char group[1024], path[1200];
    uint64_t least = limit_read("/sys/fs/cgroup/memory/memory.limit_in_bytes"); /* v1 */
    own_group(group, sizeof group);
    for (char *slash = group + strlen(group); slash;
         slash = strrchr(group, '/')) { /* a parent's limit holds too */
        *slash = '\0';
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        uint64_t bytes = limit_read(path);
        if (bytes > 0 && (least == 0 || bytes < least))
            least = bytes;
    }
    return least / 100 * SHARE_PERCENT;
}
