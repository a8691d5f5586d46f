/* rate_view.c - see rate_view.h. */
#include "request/rate_view.h"

bool rate_view(struct request *request, struct rate_state *out)
{
    const struct call *call = &request->call;
    struct instance *rate = call->lane->rate;
    const mono_ns now = request->proxy->loop->now;
    if (rate->rate_cfg.mode != POLICY_ENFORCE)
        return false;
    struct room_table *tokens = rate->tokens;
    const struct span key =
        tokens->key.kind ? request->proxy->engine.host->key(call, &tokens->key) : SPAN_NONE;
    const struct token_bucket *bucket = &room_table_find(tokens, key, now)->tokens.bucket;
    *out = (struct rate_state){
        .quota = rate->rate_cfg.requests,
        .window = rate->rate_cfg.interval,
        .remaining = token_bucket_millitokens(bucket, now) / 1000,
        .reset = mono_until(now, token_bucket_when(bucket, 1, now)),
    };
    if (out->remaining > 0)
        out->reset = mono_until(now, bucket->tat);
    return true;
}

size_t rate_view_lines(struct request *request, char text[2][RATE_FIELD_MAX],
                       struct header_line lines[2])
{
    struct rate_state state;
    if (!request->call.lane->rate->rate_cfg.has_headers || !rate_view(request, &state))
        return 0;
    lines[0] = (struct header_line){SPAN("RateLimit"),
                                    span_make(text[0], rate_fields_limit(&state, text[0])), true};
    lines[1] = (struct header_line){SPAN("RateLimit-Policy"),
                                    span_make(text[1], rate_fields_policy(&state, text[1])), true};
    return 2;
}
