/* classify.c - sets decide; what they do not name is a success, or throttled. */
#include "http/classify.h"

#define STATUS_TOO_MANY_REQUESTS 429
#define STATUS_NOT_IMPLEMENTED 501
#define GRPC_UNKNOWN 2
#define GRPC_DEADLINE_EXCEEDED 4
#define GRPC_RESOURCE_EXHAUSTED 8
#define GRPC_INTERNAL 13
#define GRPC_UNAVAILABLE 14
#define GRPC_DATA_LOSS 15

struct classification classify(int status, int grpc_status, const struct code_set *failures,
                               bool throttled_is_failure)
{
    bool is_failure = grpc_status >= 0 ? code_set_has_grpc(failures, grpc_status)
                                       : code_set_has_http(failures, status);
    bool is_throttled = grpc_status >= 0 ? grpc_status == GRPC_RESOURCE_EXHAUSTED
                                         : status == STATUS_TOO_MANY_REQUESTS;
    if (is_throttled && !is_failure)
        return (struct classification){
            OUTCOME_THROTTLED, throttled_is_failure ? EVIDENCE_FAILURE : EVIDENCE_THROTTLED};
    if (is_failure)
        return (struct classification){OUTCOME_FAILURE, EVIDENCE_FAILURE};
    return (struct classification){OUTCOME_SUCCESS, EVIDENCE_SUCCESS};
}

void classify_default_failures(struct code_set *failures)
{
    *failures = (struct code_set){.grpc = 1u << GRPC_UNKNOWN | 1u << GRPC_DEADLINE_EXCEEDED |
                                          1u << GRPC_INTERNAL | 1u << GRPC_UNAVAILABLE |
                                          1u << GRPC_DATA_LOSS};
    for (int status = 500; status <= 599; status++) {
        if (status != STATUS_NOT_IMPLEMENTED)
            code_set_add_http(failures, status);
    }
}
