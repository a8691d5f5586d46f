/* call_line.h - one call as a person writes it: METHOD URL and headers, as policies look at it.
 *
 * Example: call_line_parse(&call, "POST", "http://payments:8080/v1/charge?dry=1", why). Spans point
 * into the arguments, which must outlive it. Plain value. */
#ifndef OUTRIGGER_CLI_CALL_LINE_H
#define OUTRIGGER_CLI_CALL_LINE_H

#include "base/mono.h"
#include "config/policy_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_LINE_HEADERS_MAX 64
#define CALL_LINE_WHY_MAX 256

struct call_header {
    struct span name;
    struct span value;
};

struct call_line {
    struct span method;
    struct span host; /* without brackets */
    uint16_t port;
    bool is_ipv6;
    struct span path;
    struct span query; /* SPAN_NONE if there is none */
    bool is_grpc;
    struct call_header headers[CALL_LINE_HEADERS_MAX];
    size_t header_count;
};

bool call_line_parse(struct call_line *call, const char *method, const char *url,
                     char why[CALL_LINE_WHY_MAX]);
/* Headers may be there already. False: `why` says what is wrong and what is wanted. */

bool call_line_add_header(struct call_line *call, const char *text, char why[CALL_LINE_WHY_MAX]);
/* "name: value". */

struct span call_line_header(const struct call_line *call, struct span name);
/* Its value; SPAN_NONE when absent. Case does not matter. */

struct match_input call_line_input(const struct call_line *call);
/* As rules see it; points into `call`. */

dur_ns call_line_limit(const struct call_line *call, const struct timeouts_config *timeouts);
/* The caller's own deadline: grpc-timeout, or the header that the policy names; DUR_FOREVER. */

#endif
