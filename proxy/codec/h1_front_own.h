/* h1_front_own.h - what h1_front.c and h1_front_bare.c share. */
#ifndef OUTRIGGER_CODEC_H1_FRONT_OWN_H
#define OUTRIGGER_CODEC_H1_FRONT_OWN_H

#include "codec/h1_front.h"

void h1_front_watch(struct h1_front *front);
/* Waits for what its state can use. */

void h1_front_await_head(struct h1_front *front);
/* Part of a head is there: limits.headerTimeout runs. */

void h1_front_head_is_partial(struct h1_front *front);
size_t h1_front_feed_head(struct h1_front *front, struct span bytes);
void h1_front_head_arrived(struct h1_front *front, struct message *msg);
void h1_front_head_refused(struct h1_front *front, const struct h1_result *result);

void h1_front_next(struct h1_front *front);
/* Looks at what waits in the inbox. */

size_t h1_front_feed_unknown(struct h1_front *front, struct span bytes);
/* While is_detecting; returns how much of the bytes was used. h1_front_bare.c */

void h1_front_detect_now(struct h1_front *front);
/* The detection's time is over. */

#endif
