/* h1_front_send.h - what an HTTP/1.1 caller is sent: heads, bodies in their framing, trailers. The
 * sending half of h1_front.c (its class, codec/front.h); it decides nothing but the framing. */
#ifndef OUTRIGGER_CODEC_H1_FRONT_SEND_H
#define OUTRIGGER_CODEC_H1_FRONT_SEND_H

#include "codec/h1_front.h"

void h1_front_write_head(struct h1_front *front, const struct message *msg,
                         const struct response_edit *edit);
/* As the edit says. */

void h1_front_send_interim(struct front *base, const struct message *msg);
void h1_front_send_head(struct front *base, const struct message *msg,
                        const struct response_edit *edit);
void h1_front_send_body(struct front *base, struct span bytes);
void h1_front_send_end(struct front *base, struct span trailers);
void h1_front_send_raw(struct front *base, struct span bytes);
/* Rows of the class: see codec/front.h. */

#endif
