// SPDX-License-Identifier: GPL-2.0-only
/*
 * The case study's two captures of one SIP session: the phone's and the call server's, whose clock
 * is 5.32 s ahead. All numbers are those of the study's tables, but for one misprint: the phone's
 * first REGISTER has the numbers that its neighbours and the other table give it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "pair_run.h"

enum row_kind {
	REGISTER,
	TRYING,
	OK,
	ACK,
};

struct row {
	uint32_t frame;
	uint32_t hour, minute, second, us;
	enum row_kind kind;
	uint32_t seq, ack;
};

static const struct row phone[] = {
	{ 200, 18, 14, 49, 51041, REGISTER, 2991996107, 1953873581 },
	{ 201, 18, 14, 49, 53199, TRYING, 1953873581, 2991996997 },
	{ 202, 18, 14, 49, 53909, OK, 1953873906, 2991996997 },
	{ 203, 18, 14, 49, 65591, ACK, 2991996997, 1953874543 },
	{ 484, 18, 16, 44, 77219, REGISTER, 2991996997, 1953874543 },
	{ 485, 18, 16, 44, 79859, TRYING, 1953874543, 2991997887 },
	{ 486, 18, 16, 44, 79869, OK, 1953874868, 2991997887 },
	{ 487, 18, 16, 44, 91359, ACK, 2991997887, 1953875505 },
};

static const struct row cucm[] = {
	{ 1, 18, 12, 59, 366272, REGISTER, 2991995217, 1953872619 },
	{ 2, 18, 12, 59, 366286, TRYING, 1953872619, 2991996107 },
	{ 3, 18, 12, 59, 366858, OK, 1953872944, 2991996107 },
	{ 4, 18, 12, 59, 378246, ACK, 2991996107, 1953873581 },
	{ 5, 18, 14, 54, 368343, REGISTER, 2991996107, 1953873581 },
	{ 6, 18, 14, 54, 369997, TRYING, 1953873581, 2991996997 },
	{ 7, 18, 14, 54, 370751, OK, 1953873906, 2991996997 },
	{ 8, 18, 14, 54, 382545, ACK, 2991996997, 1953874543 },
	{ 9, 18, 16, 49, 400028, REGISTER, 2991996997, 1953874543 },
	{ 10, 18, 16, 49, 401468, TRYING, 1953874543, 2991997887 },
	{ 11, 18, 16, 49, 401833, OK, 1953874868, 2991997887 },
	{ 12, 18, 16, 49, 414139, ACK, 2991997887, 1953875505 },
};

/* How the cucm side may differ from the tables. */
struct variant {
	uint32_t without; /* frame of the CUCM's capture; 0: none */
	uint32_t shift[KL_DIRECTIONS];
	uint32_t nat; /* another address of the phone */
	bool no_content;
	bool complete; /* it is known that the captures dropped nothing */
};

struct found {
	uint32_t delivered, lost, unpaired, not_joined;
	uint32_t lost_cookie, lost_seq, lost_seq_other;
	uint32_t not_joined_far;
	uint64_t last_near;
	uint32_t by_reason[KL_PAIR_REASONS];
};

static struct kl_sighted sighted(const struct row *r, uint32_t side, const struct variant *v)
{
	static const uint8_t kinds[] = { KL_SIP_REGISTER, KL_SIP_RESPONSE, KL_SIP_RESPONSE,
					 KL_OTHER };
	static const uint32_t lengths[] = { 890, 325, 637, 0 };
	bool to_phone = r->kind == TRYING || r->kind == OK;
	struct kl_sighted s = {
		.time_ns = ((r->hour * 3600ULL + r->minute * 60 + r->second) * 1000000 + r->us) *
			   1000,
		.ends = { .phone = { 0x0a6a72b9 },
			  .cucm = { 0x0a6a72a1 },
			  .phone_port = 53006,
			  .cucm_port = 5060,
			  .family = 4 },
		.seq = r->seq,
		.ack = r->ack,
		.payload_len = lengths[r->kind],
		.stamp = r->frame,
		.cookie = r->frame,
		.side = (uint8_t)side,
		.direction = to_phone ? KL_TO_PHONE : KL_TO_CUCM,
		.kind = kinds[r->kind],
		.flags = r->kind == ACK ? KL_ACK : KL_ACK | KL_PSH,
	};

	/* The requests follow each other by 890 bytes, and each has its CSeq. */
	if (!v->no_content && r->kind != ACK)
		s.call = (to_phone ? r->ack - 890 : r->seq) * 7919ULL;
	s.stamp = side == KL_ACCESS ? 0x10000U + r->frame : r->frame;
	if (side == KL_ACCESS)
		return s;
	s.seq += v->shift[s.direction];
	s.ack += v->shift[s.direction ^ 1];
	if (v->nat)
		s.ends.phone[0] = v->nat;
	return s;
}

static void take(void *arg, const struct kl_paired *i)
{
	struct found *f = arg;

	if (i->near_ns) {
		cr_assert(i->near_ns >= f->last_near, "in order of time");
		f->last_near = i->near_ns;
	}
	f->by_reason[i->reason]++;
	switch (i->fate) {
	case KL_PAIR_DELIVERED:
		f->delivered++;
		break;
	case KL_PAIR_LOST:
		f->lost++;
		f->lost_cookie = (uint32_t)i->cookie;
		f->lost_seq = i->seq;
		f->lost_seq_other = i->seq_other;
		break;
	case KL_PAIR_UNPAIRED:
		f->unpaired++;
		break;
	default:
		f->not_joined++;
		f->not_joined_far += i->near_ns && i->far_ns;
	}
}

static struct found play(const struct variant *v, struct kl_pair_clock *ret_clock,
			 struct kl_pair_stats *ret_stats)
{
	struct pair_stream stream[KL_SIDES] = { 0 };
	struct kl_pair_config config = { .seed = 1, .complete = { v->complete, v->complete } };
	struct found f = { 0 };
	struct kl_pair *p;
	struct kl_sighted s;

	for (size_t i = 0; i < sizeof(phone) / sizeof(phone[0]); i++) {
		s = sighted(&phone[i], KL_ACCESS, v);
		pair_stream_add(&stream[KL_ACCESS], &s);
	}
	for (size_t i = 0; i < sizeof(cucm) / sizeof(cucm[0]); i++) {
		s = sighted(&cucm[i], KL_CUCM, v);
		if (cucm[i].frame != v->without)
			pair_stream_add(&stream[KL_CUCM], &s);
	}
	cr_assert_eq(kl_pair_new(&config, &p), 0);
	pair_run(p, stream, take, &f);
	kl_pair_clock(p, ret_clock);
	kl_pair_stats(p, ret_stats);
	kl_pair_free(p);
	pair_stream_free(&stream[0]);
	pair_stream_free(&stream[1]);
	return f;
}

static const struct variant variants[] = {
	{ 0 },
	{ .shift = { 0x12345678, 0x9abcdef0 } },
	{ .shift = { 0xfffffff0, 1 } },
	{ .nat = 0xc0a80001 },
	{ .nat = 0xc0a80001, .no_content = true },
	{ .nat = 0xc0a80001, .shift = { 0x12345678, 0x9abcdef0 } },
};

Test(pair_study, all_of_the_phones_capture_is_paired)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct kl_pair_clock clock;
		struct kl_pair_stats stats;
		struct found f = play(&variants[i], &clock, &stats);

		cr_expect_eq(f.lost, 0, "variant %zu: %u lost", i, f.lost);
		cr_expect_eq(f.delivered, 6, "variant %zu: %u delivered", i, f.delivered);
		cr_expect_eq(f.not_joined_far, 2, "variant %zu: %u ACKs", i, f.not_joined_far);
		cr_expect_eq(f.unpaired, 3, "variant %zu: frames 1 to 3 of the CUCM", i);
		cr_expect_eq(f.by_reason[KL_PAIR_BEFORE], 3);
		cr_expect(clock.known);
		cr_expect(clock.offset_ns > 5315000000 && clock.offset_ns < 5325000000,
			  "variant %zu: offset %ld", i, clock.offset_ns);
		cr_expect(clock.offset_error_ns < 5000000, "%lu", clock.offset_error_ns);
		cr_expect(clock.drift_ppm > 30 && clock.drift_ppm < 60, "%f", clock.drift_ppm);
		cr_expect_eq(stats.paired[KL_PAIR_BY_ADDRESS] + stats.paired[KL_PAIR_BY_NUMBERS] +
				     stats.paired[KL_PAIR_BY_CONTENT],
			     1);
		cr_expect_eq(stats.shifted, variants[i].shift[0] != 0);
	}
}

Test(pair_study, the_register_taken_out_is_lost)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct variant v = variants[i];
		struct kl_pair_clock clock;
		struct kl_pair_stats stats;
		struct found f;

		v.without = 5;
		v.complete = true;
		f = play(&v, &clock, &stats);
		cr_expect_eq(f.delivered, 5, "variant %zu: %u delivered", i, f.delivered);
		cr_expect_eq(f.lost, 1, "variant %zu: %u lost", i, f.lost);
		cr_expect_eq(f.lost_cookie, 200);
		cr_expect_eq(f.lost_seq, 2991996107);
		cr_expect_eq(f.lost_seq_other, (uint32_t)(2991996107 + v.shift[KL_TO_CUCM]));
	}
}

/* The CUCM answered it, so its capture may as well have missed it. */
Test(pair_study, the_register_taken_out_may_have_been_dropped_by_the_capture)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct variant v = variants[i];
		struct kl_pair_clock clock;
		struct kl_pair_stats stats;
		struct found f;

		v.without = 5;
		f = play(&v, &clock, &stats);
		cr_expect_eq(f.delivered, 5, "variant %zu: %u delivered", i, f.delivered);
		cr_expect_eq(f.lost, 0, "variant %zu: %u lost", i, f.lost);
		cr_expect_eq(f.by_reason[KL_PAIR_ACKNOWLEDGED], 1);
	}
}
