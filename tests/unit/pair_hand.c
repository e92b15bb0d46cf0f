// SPDX-License-Identifier: GPL-2.0-only
/* pair_hand.h */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "pair_hand.h"

#define EPOCH_NS (1700000000LL * HAND_S)

uint64_t hand_clock(const struct hand *h, uint32_t side, int64_t true_ns)
{
	int64_t t = EPOCH_NS + true_ns;

	if (side == KL_CUCM)
		t += h->clock_ns + (int64_t)((double)true_ns * h->drift) +
		     (h->step_ns && true_ns >= h->step_at_ns ? h->step_ns : 0);
	return (uint64_t)t;
}

static void see(struct hand *h, uint32_t phone, struct kl_sighted s, uint32_t side, int64_t true_ns,
		bool doubled)
{
	s.side = (uint8_t)side;
	s.time_ns = (uint64_t)true_ns;
	s.ends = (struct kl_endpoints){ .phone = { 0x0a000001 + phone },
					.cucm = { 0x0afe0001 },
					.phone_port = (uint16_t)(20000 + phone),
					.cucm_port = 2000,
					.family = 4 };
	if (side == KL_CUCM && h->nat) {
		s.ends.phone[0] = 0xc0a80001;
		s.ends.phone_port = (uint16_t)(1024 + phone * 13);
	}
	if (side == KL_CUCM && h->shift) {
		s.seq += 0x12345678 * (phone + 1) + s.direction;
		if (s.flags & KL_ACK)
			s.ack += 0x12345678 * (phone + 1) + (s.direction ^ 1U);
	}
	pair_stream_add(&h->stream[side], &s);
	if (!doubled)
		return;
	s.time_ns += 100000;
	pair_stream_add(&h->stream[side], &s);
}

static bool far_covers(const struct hand *h, int64_t at_ns)
{
	return (!h->far_to_ns || (at_ns >= h->far_from_ns && at_ns < h->far_to_ns)) &&
	       (at_ns < h->gap_from_ns || at_ns >= h->gap_to_ns);
}

uint64_t hand_packet(struct hand *h, uint32_t phone, struct kl_sighted s, int64_t near_ns,
		     int64_t far_ns, uint32_t what)
{
	const int64_t at[KL_SIDES] = { s.direction ? far_ns : near_ns,
				       s.direction ? near_ns : far_ns };
	bool keepalive = s.kind == KL_SCCP_KEEPALIVE;

	s.cookie = ++h->packets;
	s.stamp = h->no_ids ? 0x80000000U : (uint32_t)(h->packets & 0xffff);
	if (at[KL_ACCESS] && !(keepalive && (what & HAND_NEAR_MISSED)))
		see(h, phone, s, KL_ACCESS, at[KL_ACCESS], what & HAND_DOUBLED);
	if (at[KL_CUCM] && far_covers(h, at[KL_CUCM]) && !(what & HAND_FAR_BLIND) &&
	    !(keepalive && (what & HAND_FAR_MISSED)))
		see(h, phone, s, KL_CUCM, at[KL_CUCM], what & HAND_DOUBLED);
	return h->packets;
}

void hand_syn(struct hand *h, uint32_t phone, int64_t at_ns, uint32_t isn)
{
	uint32_t other = isn * 7 + 1;
	int64_t back = at_ns + HAND_WAY, on = back + HAND_WAY;

	hand_packet(h, phone, (struct kl_sighted){ .seq = isn, .flags = KL_SYN }, at_ns, back, 0);
	hand_packet(h, phone,
		    (struct kl_sighted){ .seq = other,
					 .ack = isn + 1,
					 .flags = KL_SYN | KL_ACK,
					 .direction = KL_TO_PHONE },
		    back, on, 0);
	hand_packet(h, phone,
		    (struct kl_sighted){ .seq = isn + 1, .ack = other + 1, .flags = KL_ACK }, on,
		    on + HAND_WAY, 0);
	h->next[phone][KL_TO_CUCM] = isn + 1;
	h->next[phone][KL_TO_PHONE] = other + 1;
}

void hand_exchange(struct hand *h, uint32_t phone, int64_t at_ns, uint32_t what)
{
	uint32_t *next = h->next[phone];
	struct kl_sighted k = { .seq = next[KL_TO_CUCM],
				.ack = next[KL_TO_PHONE],
				.payload_len = 12,
				.kind = KL_SCCP_KEEPALIVE,
				.flags = KL_ACK | KL_PSH,
				.call = what & HAND_CALL ? h->packets + 1 : 0 };
	uint32_t lost = what & HAND_DEAD	 ? 5
			: what & HAND_LOST_TWICE ? 2
			: what & HAND_LOST	 ? 1
						 : 0;
	int64_t wait = 300 * HAND_MS;
	struct kl_sighted back = { .seq = k.ack,
				   .ack = k.seq + 12,
				   .payload_len = 12,
				   .kind = KL_SCCP_KEEPALIVE_ACK,
				   .flags = KL_ACK | KL_PSH,
				   .direction = KL_TO_PHONE };
	struct kl_sighted ack = { .seq = k.seq + 12, .ack = k.ack + 12, .flags = KL_ACK };

	for (uint32_t i = 0; i < lost; i++, wait *= 2) {
		hand_packet(h, phone, k, at_ns, 0, what);
		at_ns += wait;
	}
	next[KL_TO_CUCM] += 12;
	if (what & HAND_DEAD)
		return;
	hand_packet(h, phone, k, at_ns, at_ns + HAND_WAY, what);
	at_ns += HAND_WAY + 3 * HAND_MS;
	hand_packet(h, phone, back, at_ns, at_ns + HAND_WAY, what);
	next[KL_TO_PHONE] += 12;
	at_ns += HAND_WAY + 40 * HAND_MS;
	hand_packet(h, phone, ack, at_ns, at_ns + HAND_WAY, what);
}

void hand_steady(struct hand *h, uint32_t from_phone, uint32_t to_phone, int64_t from_ns,
		 int64_t to_ns, uint32_t what)
{
	uint32_t n = 0;

	for (int64_t t = from_ns; t < to_ns; t += 10 * HAND_S, n++) {
		/* Not quite regular, or times would tell nothing. */
		for (uint32_t i = from_phone; i < to_phone; i++)
			hand_exchange(h, i,
				      t + i * 600 * HAND_MS +
					      (n * 7919 + i * 104729) % 397 * HAND_MS,
				      what);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct kl_sighted *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* Until here times are true ones. */
static void look_at_clocks(const struct hand *h, uint32_t side)
{
	const struct pair_stream *st = &h->stream[side];

	if (!st->count)
		return;
	qsort(st->s, st->count, sizeof(*st->s), by_time);
	for (size_t i = 0; i < st->count; i++)
		st->s[i].time_ns = hand_clock(h, side, (int64_t)st->s[i].time_ns);
}

static void take(void *arg, const struct kl_paired *i)
{
	struct hand_result *r = arg;

	r->fate[i->fate]++;
	if (i->fate == KL_PAIR_UNPAIRED)
		r->reason[i->reason]++;
	if (i->fate == KL_PAIR_LOST && !r->first_lost)
		r->first_lost = i->cookie;
}

struct hand_result hand_play(struct hand *h)
{
	struct hand_result r = { 0 };
	struct kl_pair *p;

	h->config.seed = 7;
	cr_assert_eq(kl_pair_new(&h->config, &p), 0);
	look_at_clocks(h, KL_ACCESS);
	look_at_clocks(h, KL_CUCM);
	if (h->far_to_ns) {
		h->stream[KL_CUCM].began_ns = hand_clock(h, KL_CUCM, h->far_from_ns);
		h->stream[KL_CUCM].ended_ns = hand_clock(h, KL_CUCM, h->far_to_ns);
	}
	if (h->gap_to_ns)
		kl_pair_cover(p, KL_CUCM, KL_COVER_GAP, hand_clock(h, KL_CUCM, h->gap_from_ns),
			      hand_clock(h, KL_CUCM, h->gap_to_ns));
	for (uint32_t side = 0; h->declares && side < KL_SIDES; side++)
		kl_pair_cover(p, side, KL_COVER_DROPPED, 0, INT64_MAX / 2);
	pair_run(p, h->stream, take, &r);
	kl_pair_clock(p, &r.clock);
	kl_pair_stats(p, &r.stats);
	kl_pair_free(p);
	pair_stream_free(&h->stream[0]);
	pair_stream_free(&h->stream[1]);
	return r;
}
