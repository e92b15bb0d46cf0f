// SPDX-License-Identifier: GPL-2.0-only
/* pair_run.h */
#include <stdlib.h>

#include "pair_run.h"

void pair_stream_add(struct pair_stream *t, const struct kl_sighted *s)
{
	if (t->count == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->s = realloc(t->s, t->room * sizeof(*t->s));
		if (!t->s)
			abort();
	}
	t->s[t->count++] = *s;
}

void pair_stream_free(struct pair_stream *t)
{
	free(t->s);
	*t = (struct pair_stream){ 0 };
}

static void drain(struct kl_pair *p, pair_take_fn take, void *arg)
{
	struct kl_paired item;

	while (kl_pair_next(p, &item))
		take(arg, &item);
}

void pair_run(struct kl_pair *p, const struct pair_stream stream[KL_SIDES], pair_take_fn take,
	      void *arg)
{
	size_t at[KL_SIDES] = { 0 };
	uint32_t side;

	for (side = 0; side < KL_SIDES; side++) {
		if (stream[side].began_ns)
			kl_pair_cover(p, side, KL_COVER_BEGAN, stream[side].began_ns, 0);
	}
	while ((side = kl_pair_wants(p)) < KL_SIDES) {
		if (at[side] < stream[side].count) {
			if (kl_pair_feed(p, &stream[side].s[at[side]++]))
				abort();
		} else {
			kl_pair_cover(p, side, KL_COVER_ENDED, 0, stream[side].ended_ns);
		}
		drain(p, take, arg);
	}
	kl_pair_finish(p);
	drain(p, take, arg);
}
