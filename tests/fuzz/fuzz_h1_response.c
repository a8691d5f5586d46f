/* fuzz_h1_response.c - any bytes as a response head, to the request that the first byte stands for.
 * What we accept must reach the client with the same status and a body of the same length. */
#include "h1_head_harness.h"

#include "codec/h1_write.h"

static const struct h1_limits next_limits = {.max_line_bytes = 4096,
                                             .max_header_bytes = HARNESS_OUT_BYTES,
                                             .max_headers = HARNESS_MAX_HEADERS + 8};

static void require_same_meaning(const struct harness *h, const struct message *sent,
                                 enum body_framing framing)
{
    require(h->msg.status == sent->status && span_is(h->msg.status_text, sent->status_text));
    require(sent->framing == framing && sent->version_minor == 1);
    if (framing == BODY_LENGTH)
        require(h->msg.content_length == sent->content_length);
    require(!message_has(sent, HEADER_X_OUTRIGGER_RETRIES));
    require_no_hop_fields(sent);
}

static void send_on(const struct harness *h, uint8_t client_minor)
{
    enum body_framing framing = h1_response_framing(&h->msg, client_minor);
    const struct response_edit edit = {
        .framing = framing,
        .connection = framing == BODY_UNTIL_CLOSE ? H1_CONNECTION_CLOSE : H1_CONNECTION_DEFAULT,
        .retries = RETRIES_REMOVE,
        .via = SPAN("outrigger-1f2e"),
        .is_upgrade_passed = h->msg.status == 101};
    static char out[HARNESS_OUT_BYTES];
    static struct header scratch[HARNESS_MAX_HEADERS + 8];
    struct message sent;
    struct h1_scan scan;
    size_t len = 0;
    require(h1_write_response(&h->msg, &edit, out, sizeof(out), &len) == OK);
    h1_scan_init(&scan, MESSAGE_RESPONSE);
    require(h1_scan_head(&scan, out, len, &next_limits).step == H1_DONE && scan.at == len);
    require(h1_parse_response(h1_scan_span(&scan, out), &next_limits, h->method,
                              h->has_asked_upgrade, scratch, &sent)
                .step == H1_DONE);
    require_same_meaning(h, &sent, framing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_CONNECT, METHOD_POST};
    if (len < 2 || len > HARNESS_MAX_INPUT)
        return 0;
    struct harness h = {.kind = MESSAGE_RESPONSE,
                        .method = methods[data[0] & 3],
                        .has_asked_upgrade = (data[0] & 4) != 0};
    if (harness_judge(&h, data + 1, len - 1)) {
        send_on(&h, 0);
        send_on(&h, 1);
    }
    free(h.kept);
    return 0;
}
