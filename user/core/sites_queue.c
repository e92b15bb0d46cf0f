// SPDX-License-Identifier: GPL-2.0-only
/* sites_internal.h: items in the order of their positions */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sites_internal.h"

enum {
	ROOM_AT_FIRST = 8
};

static int make_room(struct sites_queue *q)
{
	size_t room = q->room ? q->room * 2 : ROOM_AT_FIRST;
	struct sites_item *of;

	if (q->first + q->count < q->room)
		return 0;
	if (q->first >= q->room / 2 && q->first) {
		memmove(q->of, q->of + q->first, q->count * sizeof(*q->of));
		q->first = 0;
		return 0;
	}
	of = reallocarray(q->of, room, sizeof(*of));
	if (!of)
		return -ENOMEM;
	q->of = of;
	q->room = room;
	return 0;
}

int sites_queue_add(struct sites_queue *q, const struct sites_item *item)
{
	uint64_t position = sites_position(item->cookie);
	size_t at;

	if (make_room(q))
		return -ENOMEM;
	at = q->first + q->count;
	while (at > q->first && sites_position(q->of[at - 1].cookie) > position)
		at--;
	memmove(&q->of[at + 1], &q->of[at], (q->first + q->count - at) * sizeof(*q->of));
	q->of[at] = *item;
	q->count++;
	return 0;
}

const struct sites_item *sites_queue_head(const struct sites_queue *q)
{
	return q->count ? &q->of[q->first] : NULL;
}

void sites_queue_pop(struct sites_queue *q)
{
	q->first++;
	if (--q->count)
		return;
	q->first = 0;
	/* Most are short most of the time. */
	if (q->room <= ROOM_AT_FIRST)
		return;
	free(q->of);
	q->of = NULL;
	q->room = 0;
}
