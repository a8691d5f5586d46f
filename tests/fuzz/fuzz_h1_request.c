/* fuzz_h1_request.c - any bytes as a request head. What we accept, we must be able to send on, and
 * what we send on must mean the same to the next strict parser: same method, same framing, same
 * host, nothing of this hop. */
#include "h1_head_harness.h"

#include "codec/h1_write.h"
#include "http/hop.h"

static const struct h1_limits next_limits = {.max_line_bytes = 4096,
                                             .max_header_bytes = HARNESS_OUT_BYTES,
                                             .max_headers = HARNESS_MAX_HEADERS + 8};

static void require_same_meaning(const struct message *got, const struct message *sent)
{
    require(got->method == sent->method && span_is(got->method_name, sent->method_name));
    require(got->framing == sent->framing && got->content_length == sent->content_length);
    require(got->is_upgrade == sent->is_upgrade && got->is_connect == sent->is_connect);
    require(got->accepts_trailers == sent->accepts_trailers);
    require(got->expects_continue == sent->expects_continue);
    require(span_is(got->path, sent->path) && span_is(got->query, sent->query));
    require(!sent->is_absolute_form && sent->has_host && sent->version_minor == 1);
    if (got->authority.data)
        require(span_is(got->host, sent->host) && got->port == sent->port);
    require(hop_is_loop(sent, SPAN("outrigger-1f2e")));
    require(span_is(message_value(sent, HEADER_X_OUTRIGGER_ATTEMPT), SPAN("3")));
    require_no_hop_fields(sent);
}

static void send_on(const struct message *got)
{
    const struct request_edit edit = {.via = SPAN("outrigger-1f2e"),
                                      .request_id = SPAN("0123"),
                                      .host = SPAN("upstream:80"),
                                      .attempt = 3,
                                      .is_upgrade_passed = true};
    static char out[HARNESS_OUT_BYTES];
    static struct header scratch[HARNESS_MAX_HEADERS + 8];
    struct message sent;
    struct h1_scan scan;
    size_t len = 0;
    require(h1_write_request(got, &edit, out, sizeof(out), &len) == OK);
    h1_scan_init(&scan, MESSAGE_REQUEST);
    require(h1_scan_head(&scan, out, len, &next_limits).step == H1_DONE && scan.at == len);
    require(h1_parse_request(h1_scan_span(&scan, out), &next_limits, scratch, &sent).step ==
            H1_DONE);
    require_same_meaning(got, &sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct harness h = {.kind = MESSAGE_REQUEST};
    if (len == 0 || len > HARNESS_MAX_INPUT)
        return 0;
    if (harness_judge(&h, data, len))
        send_on(&h.msg);
    free(h.kept);
    return 0;
}
