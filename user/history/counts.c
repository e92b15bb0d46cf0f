// SPDX-License-Identifier: GPL-2.0-only
#include "history/counts.h"

#include <string.h>

/* By place in struct kl_session_counts: numbers that are never given another meaning. */
enum {
	KEEPALIVES,
	ANSWERED,
	ACKNOWLEDGED_ONLY,
	UNACKNOWLEDGED,
	ACKS_LOST,
	RETRANSMISSIONS, /* KL_DIRECTIONS */
	LOST = RETRANSMISSIONS + KL_DIRECTIONS,
	ANSWERS = LOST + KL_DIRECTIONS * KL_WHERES,
	NORMAL_GIVES_UP,
	DELAYED_GIVES_UP,
	ANSWERS_US,
	PLACES,
};

_Static_assert((int)PLACES == (int)KL_SESSION_COUNTS, "each has its place");

void kl_session_counts_read(const struct kl_session *s, struct kl_session_counts *ret)
{
	ret->n[KEEPALIVES] = s->keepalives;
	ret->n[ANSWERED] = s->answered;
	ret->n[ACKNOWLEDGED_ONLY] = s->acknowledged_only;
	ret->n[UNACKNOWLEDGED] = s->unacknowledged;
	ret->n[ACKS_LOST] = s->acks_lost;
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		ret->n[RETRANSMISSIONS + d] = s->retransmissions[d];
		for (int w = 0; w < KL_WHERES; w++)
			ret->n[LOST + d * KL_WHERES + w] = s->lost[d][w];
	}
	ret->n[ANSWERS] = s->answers.count;
	ret->n[NORMAL_GIVES_UP] = s->answers.normal_gives_up;
	ret->n[DELAYED_GIVES_UP] = s->answers.delayed_gives_up;
	ret->n[ANSWERS_US] = s->answers.sum_us;
	ret->longest_us = s->answers.max_us;
	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++)
		ret->slot[i] = kl_answers_slot(&s->answers, i);
}

/* (Slots are halved when one is full.) */
static uint16_t slot_since(const struct kl_session_counts *now,
			   const struct kl_session_counts *before, unsigned slot)
{
	return now->slot[slot] > before->slot[slot] ? now->slot[slot] - before->slot[slot] : 0;
}

/* To 25 % above, where an earlier one was longer. */
static uint32_t longest_since(const struct kl_session_counts *now,
			      const struct kl_session_counts *before)
{
	uint32_t longest_us = 0;

	if (now->longest_us > before->longest_us)
		return now->longest_us;
	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++) {
		if (slot_since(now, before, i))
			longest_us = kl_answers_slot_end(i);
	}
	return longest_us < now->longest_us ? longest_us : now->longest_us;
}

static void pack_answers(const struct kl_session_counts *now,
			 const struct kl_session_counts *before, struct kl_bytes *to)
{
	unsigned used = 0, last = 0;

	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++)
		used += slot_since(now, before, i) > 0;
	kl_bytes_number(to, longest_since(now, before));
	kl_bytes_number(to, used);
	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++) {
		uint16_t n = slot_since(now, before, i);

		if (!n)
			continue;
		kl_bytes_number(to, i - last);
		kl_bytes_number(to, n);
		last = i;
	}
}

void kl_session_counts_pack(const struct kl_session_counts *now,
			    const struct kl_session_counts *before, uint64_t number,
			    struct kl_bytes *to)
{
	uint64_t since[KL_SESSION_COUNTS];
	uint32_t which = 0;

	for (int i = 0; i < KL_SESSION_COUNTS; i++) {
		since[i] = now->n[i] > before->n[i] ? now->n[i] - before->n[i] : 0;
		which |= (uint32_t)(since[i] > 0) << i;
	}
	if (!which)
		return;
	kl_bytes_number(to, number);
	kl_bytes_number(to, which);
	for (int i = 0; i < KL_SESSION_COUNTS; i++) {
		if (since[i])
			kl_bytes_number(to, since[i]);
	}
	if (since[ANSWERS])
		pack_answers(now, before, to);
}

uint64_t kl_session_counts_next(struct kl_unpack *u)
{
	return u->at < u->end ? kl_unpack_number(u) : 0;
}

static void unpack_answers(struct kl_unpack *u, struct kl_answers *ret)
{
	uint64_t longest_us = kl_unpack_number(u), used = kl_unpack_number(u), slot = 0;

	if (ret && longest_us > ret->max_us)
		ret->max_us = (uint32_t)longest_us;
	for (uint64_t i = 0; i < used && !u->bad; i++) {
		uint64_t n;

		slot += kl_unpack_number(u);
		n = kl_unpack_number(u);
		if (ret && slot < KL_ANSWERS_SLOTS && n <= UINT16_MAX)
			kl_answers_fill_slot(ret, (unsigned)slot, (uint32_t)n);
	}
}

static void add_count(struct kl_session *s, int place, uint64_t n)
{
	uint32_t count = (uint32_t)n;

	switch (place) {
	case KEEPALIVES:
		s->keepalives += count;
		break;
	case ANSWERED:
		s->answered += count;
		break;
	case ACKNOWLEDGED_ONLY:
		s->acknowledged_only += count;
		break;
	case UNACKNOWLEDGED:
		s->unacknowledged += count;
		break;
	case ACKS_LOST:
		s->acks_lost += count;
		break;
	case ANSWERS:
		s->answers.count += count;
		break;
	case NORMAL_GIVES_UP:
		s->answers.normal_gives_up += count;
		break;
	case DELAYED_GIVES_UP:
		s->answers.delayed_gives_up += count;
		break;
	case ANSWERS_US:
		s->answers.sum_us += n;
		break;
	default:
		if (place < LOST)
			s->retransmissions[place - RETRANSMISSIONS] += count;
		else
			s->lost[(place - LOST) / KL_WHERES][(place - LOST) % KL_WHERES] += count;
		break;
	}
}

void kl_session_counts_unpack(struct kl_unpack *u, struct kl_session *ret)
{
	uint64_t which = kl_unpack_number(u);
	bool answers = which >> ANSWERS & 1;

	for (which &= (1ULL << PLACES) - 1; which; which &= which - 1) {
		uint64_t n = kl_unpack_number(u);

		if (ret)
			add_count(ret, __builtin_ctzll(which), n);
	}
	if (answers)
		unpack_answers(u, ret ? &ret->answers : NULL);
	if (ret && ret->answers.count)
		ret->answers.mean_us = (double)ret->answers.sum_us / ret->answers.count;
}
