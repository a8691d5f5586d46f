/* attempt_race.h - a connect that takes long is raced by one to the other family (Happy Eyeballs,
 * RFC 8305): a name may have addresses of a family that leads nowhere, and that a connect must not
 * wait out. For attempt.c only.
 *
 * The rival is an attempt of its own to an endpoint of the other family, RACE_DELAY later. Who is
 * ready first wins: the owner goes on with that connection, and the family becomes the one in use.
 */
#ifndef OUTRIGGER_UPSTREAM_ATTEMPT_RACE_H
#define OUTRIGGER_UPSTREAM_ATTEMPT_RACE_H

#include "upstream/attempt.h"

#define RACE_DELAY (250 * NS_PER_MS) /* RFC 8305 section 8 */

void attempt_race_begin(struct attempt *owner);
/* It begins to connect. Nothing happens where there is no other family, nor memory. */

bool attempt_race_goes_on(struct attempt *owner, enum reason reason, const char *detail);
/* The owner's connect failed. True: the rival is on its way, and the owner's handler will hear of
 * it (of this failure, if the rival fails too). */

void attempt_race_end(struct attempt *owner);
/* Harmless where there is none. */

void attempt_take_over(struct attempt *attempt, struct attempt *rival);
/* attempt.c: the connection of the other one, which is over then, as is the owner's search, which
 * knew of the race. */

#endif
