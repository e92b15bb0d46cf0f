// SPDX-License-Identifier: GPL-2.0-only
/* view.h */
#include <stdlib.h>
#include <string.h>

#include "view.h"

/* An epoch, so that a clock that is an hour behind still tells a positive time. */
#define EPOCH_NS (1700000000LL * GEN_S)

struct place {
	int64_t key_ns;
	struct kl_sighted s;
};

uint64_t view_clock(const struct view_side *s, int64_t true_ns)
{
	int64_t t = EPOCH_NS + true_ns + s->clock_ns + (int64_t)((double)true_ns * s->drift);

	if (s->step_ns && true_ns >= s->step_at_ns)
		t += s->step_ns;
	return (uint64_t)t;
}

bool view_covers(const struct view_side *s, int64_t from_ns, int64_t to_ns)
{
	if (from_ns < s->from_ns || to_ns > s->to_ns)
		return false;
	for (uint32_t i = 0; i < s->gaps; i++) {
		if (from_ns <= s->gap[i].to_ns && to_ns >= s->gap[i].from_ns)
			return false;
	}
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->key_ns > y->key_ns) - (x->key_ns < y->key_ns);
}

static struct kl_sighted sight(const struct gen_world *w, size_t index, uint32_t side,
			       const struct view_options *o, const uint32_t (*shift)[2])
{
	const struct gen_packet *p = &w->packet[index];
	const struct kl_segment g = { .ip_id = p->ip_id, .window = (uint16_t)p->window };
	struct kl_segment stamped = g;
	bool near = kl_is_near(side, p->direction);
	struct kl_sighted s = {
		.time_ns = view_clock(&o->side[side], near ? p->near_ns : p->far_ns),
		.ends = w->conn[p->conn].ends,
		.seq = p->seq,
		.ack = p->ack,
		.payload_len = p->len,
		.content = o->no_content ? 0 : p->content,
		.call = o->no_content ? 0 : p->call,
		.device = o->no_content ? 0 : p->device,
		.cookie = index + 1,
		.vlan = o->side[side].vlan,
		.side = (uint8_t)side,
		.direction = p->direction,
		.kind = p->kind,
		.flags = p->flags,
		.asks_again = p->asks_again,
	};

	if (side == KL_CUCM && o->shift) {
		s.seq += shift[p->conn][p->direction];
		if (p->flags & KL_ACK)
			s.ack += shift[p->conn][p->direction ^ 1];
	}
	if (side == KL_CUCM && o->nat) {
		s.ends.phone[0] = 0xc0a80001;
		s.ends.phone[1] = s.ends.phone[2] = s.ends.phone[3] = 0;
		s.ends.phone_port = (uint16_t)(1024 + p->conn * 13 % 60000);
	}
	stamped.ack = s.ack;
	stamped.ts_val = p->ts_val;
	s.stamp = kl_stamp(&stamped);
	return s;
}

static void make_side(struct view *v, const struct gen_world *w, const struct view_options *o,
		      uint32_t side, const uint32_t (*shift)[2], struct gen_rng *rng)
{
	const struct view_side *vs = &o->side[side];
	struct place *all = calloc(w->packets * 2 + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		abort();
	for (size_t i = 0; i < w->packets; i++) {
		const struct gen_packet *p = &w->packet[i];
		int64_t then = kl_is_near(side, p->direction) ? p->near_ns : p->far_ns;
		struct place x;

		if (!then || !view_covers(vs, then, then) || then >= v->blind_ns[side][p->conn] ||
		    gen_chance(rng, vs->drops))
			continue;
		v->seen[side][i] = true;
		x.s = sight(w, i, side, o, shift);
		x.key_ns = then + gen_between(rng, 0, vs->disorder_ns);
		all[n++] = x;
		if (!gen_chance(rng, vs->duplicates))
			continue;
		then = gen_between(rng, 0, 2 * GEN_MS);
		x.s.time_ns += (uint64_t)then;
		x.key_ns += then;
		all[n++] = x;
	}
	qsort(all, n, sizeof(*all), by_key);
	for (size_t i = 0; i < n; i++)
		pair_stream_add(&v->stream[side], &all[i].s);
	free(all);
	v->stream[side].began_ns = view_clock(vs, vs->from_ns);
	v->stream[side].ended_ns = view_clock(vs, vs->to_ns);
}

void view_make(struct view *v, const struct gen_world *w, const struct view_options *o,
	       struct gen_rng *rng)
{
	uint32_t(*shift)[2] = calloc(w->conns + 1, sizeof(*shift));

	*v = (struct view){ 0 };
	if (!shift)
		abort();
	for (uint32_t i = 0; i < w->conns; i++) {
		shift[i][0] = (uint32_t)gen_random(rng);
		shift[i][1] = (uint32_t)gen_random(rng);
	}
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct view_side *vs = &o->side[side];

		v->seen[side] = calloc(w->packets + 1, sizeof(*v->seen[side]));
		v->blind_ns[side] = calloc(w->conns + 1, sizeof(*v->blind_ns[side]));
		if (!v->seen[side] || !v->blind_ns[side])
			abort();
		for (uint32_t i = 0; i < w->conns; i++)
			v->blind_ns[side][i] = gen_chance(rng, vs->blind)
						       ? gen_between(rng, 0, vs->to_ns)
						       : INT64_MAX;
		make_side(v, w, o, side, shift, rng);
	}
	free(shift);
}

void view_free(struct view *v)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		pair_stream_free(&v->stream[side]);
		free(v->seen[side]);
		free(v->blind_ns[side]);
	}
	*v = (struct view){ 0 };
}
