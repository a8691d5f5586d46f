/* keep.c - see keep.h. */
#include "request/keep.h"

#include "request/attempt_io.h"
#include "request/host.h"
#include "request/upload.h"

/* One read may bring more than the limit after the upstream was stopped. */
#define KEPT_SLACK_BYTES (2 * (uint64_t)LOOP_READ_BYTES)

/* Without memory to keep it the response is lost: the attempt is ended, and a reply of ours would
 * name the last one. */
static void lose(struct request *request)
{
    attempt_io_abort(request);
    call_on_response_broken(&request->call, REASON_OVERLOADED, request->proxy->loop->now);
}

void keep_begin(struct request *request)
{
    keep_drop(request);
    upload_stop(request);
    struct kept *kept = arena_zalloc(&request->arena, sizeof *kept);
    if (kept == NULL) {
        request->head = NULL;
        lose(request);
        return;
    }
    request->kept = kept;
    replay_init(&kept->body, CALL_KEPT_BODY_BYTES + KEPT_SLACK_BYTES);
    const enum err copied = message_copy(request->head, &request->arena, &kept->head);
    request->head = NULL;
    if (copied != OK)
        lose(request);
}

void keep_bytes(struct request *request, struct span bytes)
{
    struct kept *kept = request->kept;
    if (kept == NULL)
        return;
    replay_add(&kept->body, &request->proxy->replay, bytes);
    if (kept->body.state != REPLAY_OK) {
        lose(request);
    } else if (kept->body.length > CALL_KEPT_BODY_BYTES) {
        back_pause(request->attempt.back);
    }
}

void keep_end(struct request *request, struct span trailers)
{
    struct kept *kept = request->kept;
    const struct pool_stay stay = host_stay(&request->call);
    if (kept != NULL && kept->body.state == REPLAY_OK) {
        kept->is_complete = true;
        kept->trailers = trailers.len > 0 ? arena_copy(&request->arena, trailers) : SPAN_NONE;
        call_on_kept(&request->call);
    }
    attempt_release(&request->attempt, &stay);
    call_on_attempt_ended(&request->call, request->proxy->loop->now);
}

void keep_drop(struct request *request)
{
    struct kept *kept = request->kept;
    request->kept = NULL;
    if (kept != NULL)
        replay_fini(&kept->body, &request->proxy->replay);
}
