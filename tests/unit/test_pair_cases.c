// SPDX-License-Identifier: GPL-2.0-only
/* What the two-clock join says of one phone among others, each case beside its opposite. */
#include <criterion/criterion.h>

#include "pair_hand.h"

enum {
	PHONES = 4,
	PROBER = 5,
	STRANGER = 6,
};

/* Phones 0 to 3 from 20 s to 320 s, and from 420 s to 720 s; in between, phones 1 to 3. */
static void others(struct hand *h)
{
	hand_steady(h, 0, PHONES, 20 * HAND_S, 320 * HAND_S, 0);
	hand_steady(h, 1, PHONES, 320 * HAND_S, 420 * HAND_S, 0);
}

static void after(struct hand *h)
{
	hand_steady(h, 0, PHONES, 420 * HAND_S, 720 * HAND_S, 0);
}

struct one {
	const char *name;
	uint32_t what; /* of phone 0 at 350 s, and at 370 s */
	uint32_t lost;
	uint32_t reason, unpaired; /* how many for that reason */
	struct hand how;
};

static const struct one ones[] = {
	{ "all is well", HAND_FINE },
	{ "the first copy", HAND_LOST, 2 },
	{ "the retransmission, too", HAND_LOST_TWICE, 4 },
	{ "without IP IDs", HAND_LOST, 2, .how = { .no_ids = true } },
	{ "without IP IDs, twice", HAND_LOST_TWICE, 4, .how = { .no_ids = true } },
	{ "doubles never stand in for what was lost", HAND_LOST | HAND_DOUBLED, 2 },
	{ "doubles of what arrived", HAND_DOUBLED },
	{ "doubles of two", HAND_LOST_TWICE | HAND_DOUBLED, 4 },
	{ "the capture missed it", HAND_FAR_MISSED, 0, KL_PAIR_ACKNOWLEDGED, 2 },
	{ "the far capture is complete: another way", HAND_FAR_MISSED, 2,
	  .how = { .config = { .complete = { true, true } } } },
	{ "the near capture missed it", HAND_NEAR_MISSED, 0, KL_PAIR_DROPPED, 2 },
	{ "sent again where captures dropped", HAND_LOST, 2, .how = { .declares = true } },
	{ "twice where captures dropped", HAND_LOST_TWICE, 4, .how = { .declares = true } },
	{ "dropped by the capture", HAND_FAR_MISSED, 0, KL_PAIR_ACKNOWLEDGED, 2,
	  .how = { .declares = true } },
	{ "in a gap", HAND_LOST, 0, KL_PAIR_GAP, 24,
	  .how = { .gap_from_ns = 345 * HAND_S, .gap_to_ns = 375 * HAND_S } },
	{ "in a gap where captures dropped", HAND_LOST, 0, KL_PAIR_GAP, 24,
	  .how = { .declares = true, .gap_from_ns = 345 * HAND_S, .gap_to_ns = 375 * HAND_S } },
	{ "beside a gap", HAND_LOST, 2,
	  .how = { .gap_from_ns = 357 * HAND_S, .gap_to_ns = 357 * HAND_S + 300 * HAND_MS } },
	{ "NAT", HAND_LOST, 2, .how = { .nat = true } },
	{ "NAT, all is well", HAND_FINE, 0, .how = { .nat = true } },
	{ "shifted numbers", HAND_LOST, 2, .how = { .shift = true, .clock_ns = 20 * HAND_MS } },
	{ "clocks apart", HAND_LOST, 2, .how = { .clock_ns = 3000 * HAND_S, .drift = 1e-4 } },
	{ "clocks apart the other way", HAND_LOST_TWICE, 4,
	  .how = { .clock_ns = -3000 * HAND_S, .drift = -2e-4 } },
	{ "little room", HAND_LOST, 2, .how = { .config = { .max_conns = 8 } } },
};

Test(pair_cases, one_phone_among_others)
{
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
		const struct one *o = &ones[i];
		struct hand h = o->how;
		struct hand_result r;

		/* Where numbers are shifted it takes the start to know by how much. */
		for (uint32_t phone = 0; phone < PHONES && h.shift; phone++)
			hand_syn(&h, phone, (1 + phone) * HAND_S, 1000 * (phone + 1));
		others(&h);
		hand_exchange(&h, 0, 350 * HAND_S, o->what);
		hand_exchange(&h, 0, 370 * HAND_S, o->what);
		after(&h);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], o->lost, "%s: %u lost", o->name,
			     r.fate[KL_PAIR_LOST]);
		if (o->unpaired)
			cr_expect_eq(r.reason[o->reason], o->unpaired, "%s: %u %s", o->name,
				     r.reason[o->reason], kl_pair_reason_name(o->reason));
		else if (!o->how.gap_to_ns)
			cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0, "%s: %u unpaired", o->name,
				     r.fate[KL_PAIR_UNPAIRED]);
		cr_expect_eq(r.clock.steps, 0, "%s", o->name);
	}
}

Test(pair_cases, numbers_pass_their_end)
{
	struct hand h = { 0 };
	struct hand_result r;

	h.next[0][KL_TO_CUCM] = 0U - 12 * 30 - 5;
	h.next[0][KL_TO_PHONE] = 0U - 12 * 30 - 17;
	others(&h);
	hand_exchange(&h, 0, 340 * HAND_S, HAND_LOST);
	hand_exchange(&h, 0, 360 * HAND_S, HAND_LOST_TWICE);
	hand_exchange(&h, 0, 380 * HAND_S, HAND_LOST);
	after(&h);
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 4);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
}

/* Without IP IDs times decide which of two copies the far one is of. */
Test(pair_cases, which_copy_was_lost)
{
	static const struct {
		int64_t far_ms; /* after the first; the second is sent after 300 */
		uint32_t which; /* was lost */
	} cases[] = { { 200, 1 }, { 305, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hand h = { .no_ids = true };
		struct kl_sighted k = { .payload_len = 12,
					.kind = KL_SCCP_KEEPALIVE,
					.flags = KL_ACK | KL_PSH };
		int64_t at = 350 * HAND_S, far = cases[i].far_ms * HAND_MS;
		uint64_t first;
		struct hand_result r;

		others(&h);
		k.seq = h.next[0][KL_TO_CUCM];
		k.ack = h.next[0][KL_TO_PHONE];
		first = hand_packet(&h, 0, k, at, cases[i].which ? at + far : 0, 0);
		hand_packet(&h, 0, k, at + 300 * HAND_MS, cases[i].which ? 0 : at + far, 0);
		h.next[0][KL_TO_CUCM] += 12;
		after(&h);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], 1);
		cr_expect_eq(r.first_lost, first + cases[i].which, "far after %ld ms",
			     cases[i].far_ms);
	}
}

Test(pair_cases, probes_are_paired_by_time)
{
	for (uint32_t lost = 0; lost < 2; lost++) {
		struct hand h = { 0 };
		struct kl_sighted probe = {
			.seq = 99, .ack = 500, .kind = KL_TCP_PROBE, .flags = KL_ACK
		};
		struct kl_sighted answer = { .seq = 500,
					     .ack = 100,
					     .kind = KL_TCP_PROBE_ACK,
					     .flags = KL_ACK,
					     .direction = KL_TO_PHONE };
		struct hand_result r;

		others(&h);
		after(&h);
		for (int64_t t = 30 * HAND_S; t < 700 * HAND_S; t += 45 * HAND_S) {
			bool gone = lost && t == (30 + 4 * 45) * HAND_S;
			int64_t again = gone ? t + 10 * HAND_S : t;

			if (gone)
				hand_packet(&h, PROBER, probe, t, 0, 0);
			hand_packet(&h, PROBER, probe, again, again + HAND_WAY, 0);
			hand_packet(&h, PROBER, answer, again + HAND_WAY, again + 2 * HAND_WAY, 0);
		}
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], lost);
		cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
	}
}

/* The phone keeps sending and nothing comes back, while the far capture goes on with others. */
Test(pair_cases, an_outage_of_one_path_is_loss)
{
	struct hand h = { 0 };
	struct hand_result r;

	others(&h);
	hand_exchange(&h, 0, 350 * HAND_S, HAND_DEAD);
	hand_steady(&h, 1, PHONES, 420 * HAND_S, 720 * HAND_S, 0);
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 5);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
}

/* The far capture has nothing of it any more, though the phone gets its answers. */
Test(pair_cases, a_connection_that_the_far_side_no_longer_sees)
{
	struct hand h = { 0 };
	struct hand_result r;

	others(&h);
	hand_steady(&h, 1, PHONES, 420 * HAND_S, 720 * HAND_S, 0);
	hand_steady(&h, 0, 1, 350 * HAND_S, 600 * HAND_S, HAND_FAR_BLIND);
	hand_exchange(&h, 0, 610 * HAND_S, HAND_DEAD | HAND_FAR_BLIND);
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 0);
	/* 25 keepalives, and the answers that only the access side, far from them, saw. */
	cr_expect_eq(r.reason[KL_PAIR_ACKNOWLEDGED] + r.reason[KL_PAIR_UNSEEN], 30);
	cr_expect(r.reason[KL_PAIR_UNSEEN] >= 5);
	cr_expect_eq(r.reason[KL_PAIR_FAR_ONLY], 25);
}

Test(pair_cases, before_and_after_the_other_capture)
{
	struct hand h = { .far_from_ns = 100 * HAND_S, .far_to_ns = 500 * HAND_S };
	struct hand_result r;

	others(&h);
	hand_exchange(&h, 0, 350 * HAND_S, HAND_LOST);
	after(&h);
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 1);
	cr_expect(r.reason[KL_PAIR_BEFORE] > 20);
	cr_expect(r.reason[KL_PAIR_AFTER] > 80);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], r.reason[KL_PAIR_BEFORE] + r.reason[KL_PAIR_AFTER]);
}

Test(pair_cases, fragments_of_a_connection)
{
	for (uint32_t phone = 0; phone < 2; phone++) {
		struct hand h = { 0 };
		struct hand_result r;

		others(&h);
		hand_packet(&h, phone, (struct kl_sighted){ .fragment = true }, 330 * HAND_S,
			    330 * HAND_S + HAND_WAY, 0);
		hand_exchange(&h, 0, 350 * HAND_S, HAND_LOST);
		after(&h);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], phone ? 1 : 0);
		cr_expect_eq(r.reason[KL_PAIR_FRAGMENTED], phone ? 0 : 1);
	}
}

Test(pair_cases, no_partner)
{
	struct hand h = { 0 };
	struct hand_result r;

	others(&h);
	after(&h);
	hand_steady(&h, STRANGER, STRANGER + 1, 20 * HAND_S, 320 * HAND_S, HAND_FAR_BLIND);
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 0);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 60);
	cr_expect_eq(r.reason[KL_PAIR_NO_PARTNER] + r.reason[KL_PAIR_FAR_ONLY], 60);
}

/* The same addresses again: each SYN starts another connection. */
Test(pair_cases, the_same_addresses_once_more)
{
	struct hand h = { 0 };
	struct hand_result r;

	hand_steady(&h, 1, PHONES, 20 * HAND_S, 720 * HAND_S, 0);
	for (uint32_t i = 0; i < 3; i++) {
		int64_t start = (20 + 200 * (int64_t)i) * HAND_S;

		hand_syn(&h, 0, start, 77777 + i * 0x10000000);
		hand_steady(&h, 0, 1, start + 2 * HAND_S, start + 100 * HAND_S, 0);
		hand_exchange(&h, 0, start + 110 * HAND_S, HAND_LOST);
	}
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 3);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
	cr_expect_eq(r.stats.conns[KL_ACCESS], 6);
	cr_expect_eq(r.stats.paired[KL_PAIR_BY_ADDRESS], 6);
}
