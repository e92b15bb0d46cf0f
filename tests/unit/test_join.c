// SPDX-License-Identifier: GPL-2.0-only
/*
 * join.h: what becomes of copies. Each case is a story of one or several segments and the counts
 * that must come out; world.c checks the invariant of the counts after every step of it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/*
 * A story: words of the form
 *   n1@0     a near copy with stamp 1, at 0 µs (of the segment a)
 *   f1@100   a far copy
 *   nb1@0    of the segment b
 *   x@2000000 a sweep
 *   w@3000   the receiver asks for the segment again
 *   u, p     the flow is unproven, proven from now on
 * Stamp 9 stands for the lack of an IP ID; the others are IDs.
 */
static const struct {
	const char *name;
	const char *story;
	struct world want;
} cases[] = {
	{ "delivered", "n1@0 f1@100", { .sent = 1, .delivered = 1, .transits = 1 } },
	{ "lost", "n1@0 x@999999 x@1000000", { .sent = 1, .lost = 1 } },
	{ "not over its time", "n1@0 x@999999", { .sent = 1 } },
	{ "lost, its retransmission delivered",
	  "n1@0 n2@200000 f2@200100 x@1300000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },
	{ "lost, its retransmission lost, the third delivered",
	  "n1@0 n2@200000 n3@600000 f3@600100 x@1700000",
	  { .sent = 3, .delivered = 1, .lost = 2, .retransmitted = 2 } },
	{ "delivered, and the retransmission too",
	  "n1@0 f1@100 n2@200000 f2@200100 x@1300000",
	  { .sent = 2, .delivered = 2, .retransmitted = 1, .transits = 2 } },
	{ "delivered, the retransmission lost",
	  "n1@0 f1@100 n2@200000 x@1300000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1, .transits = 1 } },
	{ "judged lost before the retransmission comes",
	  "n1@0 x@1000000 n2@1200000 f2@1200100 x@3000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1, .transits = 1 } },
	{ "the deadline counts from the last copy",
	  "n1@0 n2@900000 x@1100000 f2@1100001 x@1899999 x@2100001",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },

	/* A further copy when the time of those before is over */
	{ "overdue, and then delivered",
	  "n1@0 n2@1500000 f2@1500100 x@1500200",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1, .transits = 1 } },
	{ "repeated for ever: each is judged in its time",
	  "n1@0 n2@1500000 n3@3000000 x@3000001",
	  { .sent = 3, .lost = 2, .retransmitted = 2 } },
	{ "overdue, and the flow is not proven any more",
	  "n1@0 n2@1500000 f2@1500100 u n3@1700000 x@5000000",
	  { .sent = 3, .delivered = 1, .lost = 2, .retransmitted = 2, .transits = 1 } },

	/* Duplicates */
	{ "doubled at the near side only",
	  "n1@0 n1@50 f1@100 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "doubled at the far side only",
	  "n1@0 f1@100 f1@150 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "doubled before the near side: one duplicate, not two",
	  "n1@0 n1@10 f1@100 f1@110 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "doubled one by one",
	  "n1@0 f1@100 n1@110 f1@120 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "tripled",
	  "n1@0 n1@10 n1@20 f1@100 f1@110 f1@120 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 2, .transits = 1 } },
	{ "doubled at the near side and lost: one loss",
	  "n1@0 n1@10 x@2000000",
	  { .sent = 1, .lost = 1, .duplicates = 1 } },
	{ "a duplicate at the far side hides no loss",
	  "n1@0 n2@200000 f2@200100 f2@200150 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .duplicates = 1, .retransmitted = 1 } },
	{ "a duplicate of a delivered one hides no later loss",
	  "n1@0 f1@100 f1@150 n2@200000 x@2000000",
	  { .sent = 2,
	    .delivered = 1,
	    .lost = 1,
	    .duplicates = 1,
	    .retransmitted = 1,
	    .transits = 1 } },
	{ "a chain of duplicates is one copy as long as each is within 5 ms of the last",
	  "n1@0 n1@4000 n1@8000 f1@8100 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 2, .transits = 1 } },
	{ "5 ms make it a copy",
	  "n1@0 n1@4999 f1@5000 f1@10000 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1, .far_only = 1 } },
	{ "another stamp is another copy, however soon",
	  "n1@0 n2@1000 f2@1100 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },

	/* Order */
	{ "the copies overtake one another",
	  "n1@0 n2@200000 f2@200100 f1@300000 x@2000000",
	  { .sent = 2, .delivered = 2, .retransmitted = 1 } },
	{ "the far side is told first", "f1@0 n1@10 x@2000000", { .sent = 1, .delivered = 1 } },
	{ "the clocks of two processors disagree by a little",
	  "n1@100 f1@99 x@2000000",
	  { .sent = 1, .delivered = 1, .transits = 1 } },
	{ "a duplicate with an earlier time",
	  "n1@100 n1@99 f1@200 f1@199 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "a near duplicate with an earlier time that goes no further",
	  "n1@100 n1@99 f1@200 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },

	/* Without an IP ID: stamps that may be the same */
	{ "same stamps, both far copies count",
	  "n9@0 n9@200000 f9@200100 f9@200200 x@2000000",
	  { .sent = 2, .delivered = 2, .duplicates = 1, .retransmitted = 1 } },
	{ "same stamps, apart",
	  "n9@0 n9@200000 f9@200100 f9@300000 x@2000000",
	  { .sent = 2, .delivered = 2, .retransmitted = 1 } },
	{ "same stamps, one lost",
	  "n9@0 n9@200000 f9@200100 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },
	{ "same stamps, the first one arrives just before the second is sent",
	  "n9@0 f9@199000 n9@200000 f9@200100 x@2000000",
	  { .sent = 2, .delivered = 2, .duplicates = 1, .retransmitted = 1, .transits = 1 } },

	/* Retransmissions sooner than 5 ms */
	{ "asked for again: no duplicate, however alike",
	  "n9@0 w@1000 n9@2000 f9@2100 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },
	{ "asked for again, both arrive",
	  "n9@0 f9@100 w@1000 n9@2000 f9@2100 x@2000000",
	  { .sent = 2, .delivered = 2, .duplicates = 1, .retransmitted = 1, .transits = 1 } },
	{ "asked for before both: a duplicate",
	  "w@0 n9@1000 n9@2000 f9@2100 x@2000000",
	  { .sent = 1, .delivered = 1, .duplicates = 1, .transits = 1 } },
	{ "asked for in between, twice",
	  "n9@0 w@1000 n9@2000 w@3000 n9@4000 f9@4100 x@2000000",
	  { .sent = 3, .delivered = 1, .lost = 2, .retransmitted = 2 } },

	/* A TCP probe: the same segment again and again */
	{ "a probe repeated and delivered",
	  "n1@0 f1@50 n2@75000000 f2@75000050 n3@150000000 f3@150000050 x@160000000",
	  { .sent = 3, .delivered = 3, .retransmitted = 2, .transits = 3 } },
	{ "a probe repeated without an IP ID, the second one lost",
	  "n9@0 f9@50 n9@75000000 x@80000000 n9@150000000 f9@150000050 x@160000000",
	  { .sent = 3, .delivered = 2, .lost = 1, .retransmitted = 2, .transits = 2 } },

	/* Late and one-sided */
	{ "late: reported, then it comes",
	  "n1@0 x@1000000 f1@1100000 x@3000000",
	  { .sent = 1, .lost = 1, .late = 1, .far_only = 1 } },
	{ "a far copy alone", "f1@0 x@2000000", { .far_only = 1 } },
	{ "a far copy alone is not late", "f1@0 x@2000000 f2@3000000", { .far_only = 1 } },
	{ "one more at the far side than was sent",
	  "n1@0 f1@100 f2@200 x@2000000",
	  { .sent = 1, .delivered = 1, .transits = 1, .far_only = 1 } },

	/* Flows that are not proven */
	{ "unproven and lost: counted at the judgement",
	  "u n1@0 x@1000000",
	  { .sent = 1, .lost = 1 } },
	{ "unproven and delivered: counted with the delivery",
	  "u n1@0 n2@200000 f2@200100 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },
	{ "proven between two copies",
	  "u n1@0 p n2@200000 f2@200100 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1 } },
	{ "unproven again when the next copy comes",
	  "n1@0 f1@100 u n2@200000 x@2000000",
	  { .sent = 2, .delivered = 1, .lost = 1, .retransmitted = 1, .transits = 1 } },

	/* A bucket */
	{ "four segments side by side",
	  "na1@0 nb1@1 nc1@2 nd1@3 fd1@100 fb1@101 fa1@102 x@2000000",
	  { .sent = 4, .delivered = 3, .lost = 1, .transits = 3 } },
	{ "a fifth finds no place, and nothing of the bucket is claimed",
	  "na1@0 nb1@1 nc1@2 nd1@3 ne1@4 fe1@100 x@2000000",
	  { .sent = 4, .unsent = 4, .unpaired = 4, .full = 2 } },
	{ "a settled one gives its place",
	  "na1@0 fa1@100 nb1@1 nc1@2 nd1@3 ne1@6000 fb1@7000 fc1@7001 fd1@7002 fe1@7003 x@2000000",
	  { .sent = 5, .delivered = 5, .transits = 5 } },
	{ "but not while its duplicate may follow",
	  "na1@0 fa1@100 nb1@1 nc1@2 nd1@3 ne1@5099 fa1@5099 x@2000000",
	  { .sent = 4,
	    .delivered = 1,
	    .duplicates = 1,
	    .full = 1,
	    .unsent = 3,
	    .unpaired = 3,
	    .transits = 1 } },
	{ "the one that rested longest gives it",
	  "na1@0 fa1@3 nb1@1 fb1@2 nc1@4 fc1@5 nd1@6 fd1@7 ne1@10000 fe1@10001 na2@200000 "
	  "fa2@200001",
	  { .sent = 6, .delivered = 6, .retransmitted = 1, .transits = 6 } },
	{ "a retransmission long after: its entry is gone",
	  "na1@0 fa1@2 nb1@1 fb1@3 nc1@4 fc1@5 nd1@6 fd1@7 ne1@10000 fe1@10001 na2@200000 "
	  "fa2@200001",
	  { .sent = 6, .delivered = 6, .transits = 6 } },
	{ "what was full long ago spoils nothing",
	  "na1@0 nb1@1 nc1@2 nd1@3 ne1@4 x@2000000 na2@3000000 x@5000000",
	  { .sent = 5, .lost = 1, .unsent = 4, .unpaired = 4, .full = 1, .retransmitted = 1 } },
};

static void tell(struct world *w, const char *story)
{
	char words[512], *save, *word;

	cr_assert_lt(snprintf(words, sizeof(words), "%s", story), (int)sizeof(words));
	for (word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char segment = 'a';
		unsigned stamp = 0;
		unsigned long long at_us = 0;
		const char *p = word + 1;
		int end = 0;

		if (!strcmp(word, "u") || !strcmp(word, "p")) {
			w->proven = *word == 'p';
			continue;
		}
		if (strchr("nf", *word) && *p >= 'a' && *p <= 'z')
			segment = *p++;
		if (strchr("xw", *word))
			sscanf(p, "@%llu%n", &at_us, &end);
		else
			sscanf(p, "%u@%llu%n", &stamp, &at_us, &end);
		cr_assert(end && !p[end], "no such word: %s", word);
		at_us += 10000000; /* stories do not start at zero */
		if (stamp == 9)
			stamp |= 0x80000000;
		if (*word == 'x')
			world_sweep(w, at_us * 1000);
		else if (*word == 'w')
			w->wanted_ns = at_us * 1000;
		else
			world_sight(w, *word == 'n', at_us * 1000, segment, stamp);
	}
}

Test(join, stories)
{
	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct world *want = &cases[i].want;
		struct world w;

		world_init(&w);
		tell(&w, cases[i].story);
#define SAME(field)                                                                                \
	cr_expect_eq(w.field, want->field, "%s: " #field " is %u instead of %u", cases[i].name,    \
		     w.field, want->field)
		SAME(sent);
		SAME(delivered);
		SAME(lost);
		SAME(unsent);
		SAME(duplicates);
		SAME(retransmitted);
		SAME(late);
		SAME(full);
		SAME(far_only);
		SAME(transits);
		SAME(unpaired);
#undef SAME
	}
}

Test(join, a_retransmission_and_its_gap)
{
	struct world w;

	world_init(&w);
	tell(&w, "n1@0");
	cr_expect(w.last.first && !w.last.retransmission);
	cr_expect_eq(w.last.copy, 1);
	cr_expect_eq(w.last.gap_ns, 0);
	tell(&w, "n2@200000");
	cr_expect(!w.last.first && w.last.retransmission);
	cr_expect_eq(w.last.copy, 2);
	cr_expect_eq(w.last.gap_ns, 200000000);
	tell(&w, "f2@200100 n3@600000");
	cr_expect_eq(w.last.copy, 3, "settled meanwhile");
	cr_expect_eq(w.last.gap_ns, 400000000);
	cr_expect(w.last.retransmission);
}

Test(join, times_of_the_copies)
{
	struct world w;

	world_init(&w);
	tell(&w, "n1@0 n2@200000 n3@600000 n4@1400000 n5@2300000 x@5000000");
	cr_expect_eq(w.lost, 5);
	cr_expect_eq(w.judged.entry.first_ns, 10000000000ULL);
	cr_expect_eq(w.judged.entry.later_us[0], 200000);
	cr_expect_eq(w.judged.entry.later_us[1], 600000);
	cr_expect_eq(w.judged.entry.later_us[2], 1400000);
	cr_expect_eq(w.judged.entry.near, 5);
	cr_expect_eq(w.judged.missing, 5);
}

Test(join, transit)
{
	struct world w;

	world_init(&w);
	tell(&w, "n1@0 f1@137");
	cr_expect(w.last.has_transit);
	cr_expect_eq(w.last.transit_ns, 137000);
	/* Which of two copies it was is not known: no time. */
	world_init(&w);
	tell(&w, "n1@0 n2@200000 f2@200137");
	cr_expect_not(w.last.has_transit);
	/* The clocks of two processors: no time, rather than 584 years. */
	world_init(&w);
	tell(&w, "n1@100 f1@99");
	cr_expect_eq(w.last.transit_ns, 0, "%llu", w.last.transit_ns);
}

Test(join, keys)
{
	const struct kl_join_key k = { .conn = 1, .seq = 2, .len_direction = 3 };
	struct kl_join_key other[3] = { k, k, k };
	__u32 tag = kl_join_tag(kl_join_key_hash(&k));
	struct kl_bucket b = { 0 };

	other[0].conn++;
	other[1].seq++;
	other[2].len_direction++;
	cr_expect_eq(kl_join_find(&b, &(struct kl_join_key){ 0 }, kl_join_tag(0)), KL_WAYS,
		     "free places hold no key");
	cr_expect_eq(kl_join_pick(&b, 0), 0);
	kl_join_init(&b, 3, &k, tag, 9, KL_SIP_REGISTER);
	cr_expect_eq(kl_join_find(&b, &k, tag), 3);
	cr_expect_eq(b.way[3].kind, KL_SIP_REGISTER);
	cr_expect_eq(b.way[3].conn_id, 9);
	for (int i = 0; i < 3; i++) {
		cr_expect_not(kl_join_key_equal(&k, &other[i]));
		cr_expect_neq(kl_join_key_hash(&k), kl_join_key_hash(&other[i]));
		/* Also where the tag is the same. */
		cr_expect_eq(kl_join_find(&b, &other[i], tag), KL_WAYS);
	}
}

/* Segments that follow one another, of connections that differ by a port, spread over the buckets. */
Test(join, buckets_fill_evenly)
{
	enum {
		BUCKETS = 16384,
		KEYS = 2 * BUCKETS,
		CONNS = 1024
	};
	static const __u32 lengths[] = { 0, 1, 12, 128, 890, 1448 };
	static __u32 fill[BUCKETS];

	for (__u32 i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		__u32 stride = lengths[i] ?: 1, fullest = 0, crowded = 0;

		memset(fill, 0, sizeof(fill));
		for (__u32 n = 0; n < KEYS; n++) {
			struct kl_endpoints e = { .cucm_port = 2000, .family = 4 };
			struct kl_join_key k = { .seq = 1 + n * stride,
						 .len_direction = lengths[i] << 1 };

			e.phone_port = (__u16)(20000 + n % CONNS);
			k.conn = kl_endpoints_hash(&e, 0x6b616c6f73732121ULL);
			fill[kl_join_key_hash(&k) % BUCKETS]++;
		}
		for (__u32 n = 0; n < BUCKETS; n++) {
			crowded += fill[n] > KL_WAYS;
			fullest = fill[n] > fullest ? fill[n] : fullest;
		}
		/* Two in the mean: by Poisson's law 5.3 % have more than four, and the fullest 10 or so. */
		cr_expect_lt(crowded, BUCKETS * 6 / 100, "length %u: %u", lengths[i], crowded);
		cr_expect_lt(fullest, 15, "length %u: %u in one", lengths[i], fullest);
	}
}

Test(join, counts_do_not_overflow)
{
	struct world w;

	world_init(&w);
	for (__u32 i = 0; i < 300; i++) /* duplicates, 1 µs apart */
		world_sight(&w, true, 1000000 + i * 1000, 'a', 7);
	for (__u32 i = 0; i < 300; i++)
		world_sight(&w, false, 2000000 + i * 1000, 'a', 7);
	cr_expect_eq(w.sent, 1);
	cr_expect_eq(w.delivered, 1);
	world_init(&w);
	for (__u32 i = 0; i < 70000; i++) { /* copies, each delivered */
		world_sight(&w, true, 1000000 + i * 100000000ULL, 'a', i + 1);
		world_sight(&w, false, 1000100 + i * 100000000ULL, 'a', i + 1);
	}
	cr_expect_eq(w.sent, 70000);
	cr_expect_eq(w.delivered, 70000);
	cr_expect_eq(w.retransmitted, 69999);
}

/* ---- Fates ---- */

static const __u64 DEADLINE = WORLD_DEADLINE_NS;

struct fate_case {
	const char *name;
	__u32 want;
	__u32 len; /* of the segment; 0: 12 */
	bool is_probe, is_answer, reproven, acks_ahead;
	bool no_conn;
	__u64 created_ns, full_ns, proven_ns, fragment_ns, answered_ns, far_ns;
	__u32 epoch, flow_epoch; /* 0: 1 */
	bool never_proven, gone_epoch;
	bool acked, acked_before, far_end, far_end_before, far_never;
};

/* The segment is 12 bytes at 1000, first seen at 100 s. */
enum {
	FIRST = 100
};
#define S(s) ((s)*1000000000ULL)

static const struct fate_case fates[] = {
	{ "lost", KL_LOST },
	{ "lost, the receiver acknowledged up to it", KL_LOST, .acked_before = true },
	{ "lost, the receiver and the far side are beyond", KL_LOST, .acked = true,
	  .far_end = true },
	{ "not known any more", KL_UNPAIRED_EVICTED, .no_conn = true },
	{ "of an older connection", KL_UNPAIRED_EVICTED, .created_ns = S(FIRST) + 1 },
	{ "of just this connection", KL_LOST, .created_ns = S(FIRST) },
	{ "the bucket was full later", KL_UNPAIRED_OVERFLOW, .full_ns = S(FIRST) + 1 },
	{ "the bucket was full just before", KL_UNPAIRED_OVERFLOW, .full_ns = S(FIRST) - S(1) + 1 },
	{ "the bucket was full long before", KL_LOST, .full_ns = S(FIRST) - S(1) },
	{ "one-sided", KL_UNPAIRED_ONE_SIDED, .never_proven = true, .far_never = true },
	{ "rewritten", KL_UNPAIRED_REWRITTEN, .never_proven = true },
	{ "not proven in this epoch", KL_UNPAIRED_GAP, .epoch = 2, .flow_epoch = 1 },
	{ "proven anew before it", KL_LOST, .epoch = 2, .flow_epoch = 2, .proven_ns = S(FIRST) },
	{ "proven anew after it", KL_UNPAIRED_GAP, .epoch = 2, .flow_epoch = 2,
	  .proven_ns = S(FIRST) + 1 },
	{ "proven for the first time after it", KL_LOST, .proven_ns = S(FIRST) + 1 },
	{ "going another way since a while", KL_UNPAIRED_BYPASSED, .gone_epoch = true },
	{ "acknowledged, and the far side never came so far", KL_UNPAIRED_BYPASSED, .acked = true,
	  .far_end_before = true },
	{ "acknowledged, and the far side's end is not known", KL_UNPAIRED_BYPASSED,
	  .acked = true },
	{ "fragments after it", KL_UNPAIRED_FRAGMENT, .fragment_ns = S(FIRST) + 1 },
	{ "fragments just before it", KL_UNPAIRED_FRAGMENT, .fragment_ns = S(FIRST) - S(1) + 1 },
	{ "fragments long before it", KL_LOST, .fragment_ns = S(FIRST) - S(1) },
	{ "a probe lost", KL_LOST, .is_probe = true },
	{ "a probe lost, an answer long before", KL_LOST, .is_probe = true,
	  .answered_ns = S(FIRST) - 1 },
	{ "a probe answered that the far side did not see", KL_UNPAIRED_BYPASSED, .is_probe = true,
	  .answered_ns = S(FIRST) + 1 },
	{ "a probe answered, the far side sees this flow", KL_LOST, .is_probe = true,
	  .answered_ns = S(FIRST) + 1, .far_ns = S(FIRST) + 1 },
	{ "a probe of one byte lost", KL_LOST, .len = 1, .is_probe = true, .acked = true,
	  .far_end = true },
	{ "a probe of one byte answered that the far side did not see", KL_UNPAIRED_BYPASSED,
	  .len = 1, .is_probe = true, .acked = true, .far_end = true, .answered_ns = S(FIRST) + 1,
	  .far_ns = S(FIRST) - S(30) },
	{ "an answer to a probe, and nothing passed since", KL_UNPAIRED_UNCONFIRMED,
	  .is_answer = true, .far_ns = S(FIRST) - 1 },
	{ "an answer to a probe, and the next one passed", KL_LOST, .is_answer = true,
	  .far_ns = S(FIRST) + 1 },
	{ "proven again after it, in the first epoch", KL_UNPAIRED_GAP, .reproven = true,
	  .proven_ns = S(FIRST) + 1 },
	{ "proven again before it, in the first epoch", KL_LOST, .reproven = true,
	  .proven_ns = S(FIRST) },
	{ "acknowledged by a receiver that acknowledges anything", KL_LOST, .acked = true,
	  .far_end_before = true, .acks_ahead = true },
};

static __u32 fate_of(const struct fate_case *c)
{
	__u32 len = c->is_probe || c->is_answer ? c->len : 12, end = 1000 + len,
	      epoch = c->epoch ?: 1;
	struct kl_join_entry e = { .first_ns = S(FIRST),
				   .near_ns = S(FIRST),
				   .near = 1,
				   .kind = c->is_probe	  ? KL_TCP_PROBE
					   : c->is_answer ? KL_TCP_PROBE_ACK
							  : KL_SCCP_KEEPALIVE,
				   .flags = KL_JOIN_COUNTED,
				   .key = { .seq = 1000, .len_direction = len << 1 | KL_TO_CUCM } };
	struct kl_conn conn = { .created_ns = c->created_ns };
	struct kl_flow *f = &conn.flow[KL_TO_CUCM];

	f->flags |= KL_FLOW_SEEN_ACCESS | (c->far_never ? 0 : KL_FLOW_SEEN_CUCM);
	f->epoch = c->never_proven || c->gone_epoch ? 0 : c->flow_epoch ?: 1;
	f->proven_ns = c->never_proven ? 0 : c->proven_ns ?: S(1);
	conn.fragment_ns = c->fragment_ns;
	f->answered_ns = c->answered_ns;
	f->far_ns = c->far_ns;
	f->flags |= c->reproven ? KL_FLOW_REPROVEN : 0;
	f->flags |= c->acks_ahead ? KL_FLOW_ACKS_AHEAD : 0;
	if (c->acked || c->acked_before) {
		f->flags |= KL_FLOW_ACKED;
		f->acked = c->acked ? end : end - 1;
	}
	if (c->far_end || c->far_end_before) {
		f->flags |= KL_FLOW_FAR_END;
		f->far_end = c->far_end ? end : end - 1;
	}
	return kl_join_fate(&e, c->no_conn ? NULL : &conn, epoch, c->full_ns, DEADLINE);
}

Test(join, fates)
{
	__u32 seen = 0;

	for (__u32 i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
		__u32 got = fate_of(&fates[i]);

		cr_expect_eq(got, fates[i].want, "%s: fate %u instead of %u", fates[i].name, got,
			     fates[i].want);
		seen |= 1U << got;
	}
	/* All but what only a sweep can tell. */
	cr_expect_eq(seen, ((1U << KL_FATES) - 1) & ~(1U << KL_UNPAIRED_FAR_ONLY));
}

Test(join, fates_where_the_numbers_go_round)
{
	struct kl_join_entry e = { .first_ns = S(FIRST), .near = 1 };
	struct kl_conn conn = { 0 };
	struct kl_flow *f = &conn.flow[KL_TO_PHONE];

	e.key.seq = 0xfffffff8;
	e.key.len_direction = 12 << 1 | KL_TO_PHONE;
	f->epoch = 1;
	f->proven_ns = S(1);
	f->flags = KL_FLOW_ACKED | KL_FLOW_FAR_END;
	f->acked = 4;
	f->far_end = 0xfffffff8;
	cr_expect_eq(kl_join_fate(&e, &conn, 1, 0, DEADLINE), KL_UNPAIRED_BYPASSED);
	f->far_end = 4;
	cr_expect_eq(kl_join_fate(&e, &conn, 1, 0, DEADLINE), KL_LOST);
	f->acked = 0xfffffff8;
	f->far_end = 0xfffffff8;
	cr_expect_eq(kl_join_fate(&e, &conn, 1, 0, DEADLINE), KL_LOST);
}

/* Behind mirror ports a loss needs more than a missing copy. */
Test(join, fates_behind_mirror_ports)
{
	static const struct {
		const char *name;
		__u32 kind, fate, acked;
		__u64 resent_ns, answered_ns;
		__u32 want;
	} table[] = {
		{ "not acknowledged", KL_SCCP_KEEPALIVE, KL_LOST, 1000, 0, 0, KL_LOST },
		{ "acknowledged, never sent again", KL_SCCP_KEEPALIVE, KL_LOST, 1012, 0, 0,
		  KL_UNPAIRED_BYPASSED },
		{ "acknowledged, something was sent again before", KL_SCCP_KEEPALIVE, KL_LOST, 1012,
		  S(FIRST) - 1, 0, KL_UNPAIRED_BYPASSED },
		{ "acknowledged, but sent again", KL_SCCP_KEEPALIVE, KL_LOST, 1012, S(FIRST) + 1, 0,
		  KL_LOST },
		{ "not lost anyway", KL_SCCP_KEEPALIVE, KL_UNPAIRED_GAP, 1000, 0, 0,
		  KL_UNPAIRED_GAP },
		{ "a probe without an answer", KL_TCP_PROBE, KL_LOST, 0, 0, S(FIRST) - 1, KL_LOST },
		{ "a probe with an answer", KL_TCP_PROBE, KL_LOST, 0, 0, S(FIRST) + 1,
		  KL_UNPAIRED_BYPASSED },
		{ "the answer to a probe", KL_TCP_PROBE_ACK, KL_LOST, 0, 0, 0,
		  KL_UNPAIRED_UNCONFIRMED },
	};

	for (__u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool bare = table[i].kind != KL_SCCP_KEEPALIVE;
		struct kl_join_entry e = { .kind = (__u8)table[i].kind, .first_ns = S(FIRST) };
		struct kl_conn conn = { 0 };
		struct kl_flow *f = &conn.flow[KL_TO_CUCM];

		e.key.seq = 1000;
		e.key.len_direction = (bare ? 0 : 12) << 1 | KL_TO_CUCM;
		f->flags = KL_FLOW_ACKED;
		f->acked = table[i].acked;
		f->resent_ns = table[i].resent_ns;
		f->answered_ns = table[i].answered_ns;
		cr_expect_eq(kl_join_fate_of_mirrored(&e, &conn, table[i].fate), table[i].want,
			     "%s", table[i].name);
	}
}
