/* grpc_health.c - see grpc_health.h. Protobuf: a field is a key (number << 3 | type) and a value;
 * `service` is field 1 of the request, a string, `status` field 1 of the answer, a varint. */
#include "http/grpc_health.h"

#include <stdint.h>
#include <string.h>

#define FRAME_BYTES 5 /* a flag for compression, four of length */
#define KEY_SERVICE 0x0a
#define KEY_STATUS 0x08

size_t grpc_health_request(struct span service, char out[GRPC_HEALTH_REQUEST_MAX])
{
    const size_t len = service.len > 0 ? 2 + service.len : 0;
    memset(out, 0, FRAME_BYTES);
    out[FRAME_BYTES - 1] = (char)len;
    if (len > 0) {
        out[FRAME_BYTES] = KEY_SERVICE;
        out[FRAME_BYTES + 1] = (char)service.len;
        memcpy(out + FRAME_BYTES + 2, service.data, service.len);
    }
    return FRAME_BYTES + len;
}

static uint32_t length_of(const unsigned char *frame)
{
    return (uint32_t)frame[1] << 24 | (uint32_t)frame[2] << 16 | (uint32_t)frame[3] << 8 | frame[4];
}

/* A default is not written: nothing at all is UNKNOWN. */
int grpc_health_status(struct span body)
{
    const unsigned char *bytes = (const unsigned char *)body.data;
    if (body.len < FRAME_BYTES || bytes[0] != 0 || length_of(bytes) != body.len - FRAME_BYTES)
        return -1;
    if (body.len == FRAME_BYTES)
        return GRPC_SERVING_UNKNOWN;
    const bool is_status = body.len == FRAME_BYTES + 2 && bytes[FRAME_BYTES] == KEY_STATUS &&
                           bytes[FRAME_BYTES + 1] < 0x80;
    return is_status ? bytes[FRAME_BYTES + 1] : -1;
}

const char *grpc_health_word(int status)
{
    switch (status) {
    case GRPC_SERVING_UNKNOWN: return "unknown";
    case GRPC_SERVING: return "serving";
    case GRPC_NOT_SERVING: return "not_serving";
    case GRPC_SERVICE_UNKNOWN: return "service_unknown";
    default: return "malformed_answer";
    }
}
