/* process.c - see process.h. */
#include "telemetry/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STAT_START_FIELD 22 /* proc(5): starttime, in clock ticks since boot */

static uint64_t cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return PROCESS_UNKNOWN;
    }
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
}

static void read_memory(struct process_facts *facts)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t virtual_pages;
    uint64_t resident_pages;
    if (!file) {
        return;
    }
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &virtual_pages, &resident_pages) == 2) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        facts->virtual_bytes = virtual_pages * page;
        facts->resident_bytes = resident_pages * page;
    }
    fclose(file);
}

static uint64_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return PROCESS_UNKNOWN;
    }
    uint64_t count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count - 1; /* the folder's own */
}

static uint64_t boot_time_s(void)
{
    FILE *file = fopen("/proc/stat", "re");
    uint64_t seconds = PROCESS_UNKNOWN;
    char line[256];
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "btime %" SCNu64, &seconds) == 1) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return seconds;
}

static uint64_t start_ticks(void)
{
    char line[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) {
        return PROCESS_UNKNOWN;
    }
    bool has_line = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    char *at = has_line ? strrchr(line, ')') : NULL; /* the name before it may hold anything */
    for (int field = 2; at && field < STAT_START_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoull(at + 1, NULL, 10) : PROCESS_UNKNOWN;
}

static uint64_t started_ms(void)
{
    uint64_t boot = boot_time_s();
    uint64_t ticks = start_ticks();
    long per_second = sysconf(_SC_CLK_TCK);
    if (boot == PROCESS_UNKNOWN || ticks == PROCESS_UNKNOWN || per_second <= 0) {
        return PROCESS_UNKNOWN;
    }
    return boot * 1000 + ticks * 1000 / (uint64_t)per_second;
}

void process_read(struct process_facts *facts)
{
    struct rlimit limit;
    *facts = (struct process_facts){
        .cpu_us = cpu_us(),
        .resident_bytes = PROCESS_UNKNOWN,
        .virtual_bytes = PROCESS_UNKNOWN,
        .open_fds = count_fds(),
        .max_fds =
            getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (uint64_t)limit.rlim_cur : PROCESS_UNKNOWN,
        .started_ms = started_ms(),
    };
    read_memory(facts);
}
