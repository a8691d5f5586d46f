/* process.h - what the operating system says about this process, for the process_* metrics. From
 * /proc; may take a while with many descriptors, so never on the data loop. */
#ifndef OUTRIGGER_TELEMETRY_PROCESS_H
#define OUTRIGGER_TELEMETRY_PROCESS_H

#include <stdint.h>

#define PROCESS_UNKNOWN UINT64_MAX /* what could not be read is not shown */

struct process_facts {
    uint64_t cpu_us;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t started_ms; /* since 1970 */
};

void process_read(struct process_facts *facts);

#endif
