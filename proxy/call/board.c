/* board.c - see board.h. */
#include "call/board.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static struct endpoint_seat *from_link(struct list *link)
{
    return CONTAINER_OF(link, struct endpoint_seat, link);
}

static bool is_closed(const struct endpoint_seat *seat)
{
    return seat->seat.breaker.state == BREAKER_CLOSED;
}

static void seat_free(struct endpoint_board *board, struct endpoint_seat *seat)
{
    list_remove(&seat->link);
    board->count--;
    board->ejected -= !is_closed(seat);
    seat_fini(&seat->seat);
    free(seat);
}

void board_init(struct endpoint_board *board, struct instance *instance, enum policy_family family,
                const struct breaker_config *cfg)
{
    *board = (struct endpoint_board){.instance = instance, .family = family, .cfg = cfg};
    list_init(&board->seats);
}

void board_fini(struct endpoint_board *board)
{
    LIST_FOREACH_SAFE (link, following, &board->seats)
        seat_free(board, from_link(link));
}

void board_configure(struct endpoint_board *board, bool is_begun_anew, mono_ns now)
{
    LIST_FOREACH_SAFE (link, following, &board->seats) {
        struct endpoint_seat *seat = from_link(link);
        if (is_begun_anew && seat->users == 0)
            seat_free(board, seat);
        else
            seat_renew(&seat->seat, board->cfg, is_begun_anew, now);
    }
}

struct endpoint_seat *board_find(const struct endpoint_board *board, uint64_t endpoint_id)
{
    LIST_FOREACH (link, &board->seats)
        if (from_link(link)->endpoint_id == endpoint_id)
            return from_link(link);
    return NULL;
}

static bool make_room(struct endpoint_board *board)
{
    if (board->count < BOARD_SEATS)
        return true;
    LIST_FOREACH (link, &board->seats) {
        struct endpoint_seat *seat = from_link(link);
        if (seat->users > 0 || !is_closed(seat))
            continue;
        seat_free(board, seat);
        return true;
    }
    return false;
}

struct endpoint_seat *board_seat(struct endpoint_board *board, uint64_t endpoint_id,
                                 const char *label, mono_ns now)
{
    struct endpoint_seat *seat = board_find(board, endpoint_id);
    if (seat != NULL)
        return seat;
    if (!make_room(board))
        return NULL;
    seat = calloc(1, sizeof *seat);
    if (seat == NULL)
        return NULL;
    seat->endpoint_id = endpoint_id;
    snprintf(seat->label, sizeof seat->label, "%s", label);
    list_append(&board->seats, &seat->link);
    board->count++;
    seat_init(&seat->seat, board->instance, board->family, seat->label, board->cfg, now);
    board->ejected += !is_closed(seat);
    return seat;
}

void board_note(struct endpoint_board *board, const struct breaker_transition *transition)
{
    board->ejected += transition->to != BREAKER_CLOSED;
    board->ejected -= transition->from != BREAKER_CLOSED;
}

void board_prune(struct endpoint_board *board,
                 bool (*is_listed)(const void *context, uint64_t endpoint_id), const void *context)
{
    LIST_FOREACH_SAFE (link, following, &board->seats) {
        struct endpoint_seat *seat = from_link(link);
        if (seat->users == 0 && !is_listed(context, seat->endpoint_id))
            seat_free(board, seat);
    }
}

mono_ns board_next_probe(const struct endpoint_board *board)
{
    mono_ns next = MONO_NEVER;
    LIST_FOREACH (link, &board->seats)
        next = mono_min(next, breaker_next_tick(&from_link(link)->seat.breaker));
    return next;
}
