/* pages.c - see pages.h. What the linker relocated is read-only as well, and must not go: a mapping
 * with a single page that differs from its file, in memory or swapped out, is left alone. */
#include "base/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES 512

struct mapping {
    unsigned long begin;
    unsigned long end;
    bool is_code_or_constant; /* of a file, private, and not writable */
    unsigned long resident_kb;
    unsigned long written_kb;
};

static bool begin_mapping(const char *line, struct mapping *mapping)
{
    char perms[8];
    char path[LINE_BYTES] = "";
    unsigned long begin;
    unsigned long end;
    if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %511s", &begin, &end, perms, path) < 3)
        return false;
    const bool is_read_only = strcmp(perms, "r-xp") == 0 || strcmp(perms, "r--p") == 0;
    *mapping = (struct mapping){
        .begin = begin, .end = end, .is_code_or_constant = is_read_only && path[0] == '/'};
    return true;
}

static void read_figure(const char *line, struct mapping *mapping)
{
    unsigned long kb;
    if (sscanf(line, "Rss: %lu", &kb) == 1)
        mapping->resident_kb = kb;
    else if (sscanf(line, "Anonymous: %lu", &kb) == 1 || sscanf(line, "Swap: %lu", &kb) == 1)
        mapping->written_kb += kb;
}

static size_t give_back(const struct mapping *mapping)
{
    if (!mapping->is_code_or_constant || mapping->written_kb > 0 || mapping->resident_kb == 0)
        return 0;
    void *begin = (void *)mapping->begin;
    if (madvise(begin, mapping->end - mapping->begin, MADV_DONTNEED) != 0)
        return 0;
    return mapping->resident_kb * 1024;
}

size_t pages_give_back(void)
{
    struct mapping mapping = {0};
    char line[LINE_BYTES];
    size_t given = 0;
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (maps == NULL)
        return 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        struct mapping next;
        if (begin_mapping(line, &next)) {
            given += give_back(&mapping);
            mapping = next;
        } else {
            read_figure(line, &mapping);
        }
    }
    given += give_back(&mapping);
    fclose(maps);
    return given;
}
