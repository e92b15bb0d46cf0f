// SPDX-License-Identifier: GPL-2.0-only
/*
 * The join against the truth: random copies of random segments, each dropped or delivered after a
 * random time below the deadline, some of them doubled on the way. Whatever the mixture, not one
 * loss may be claimed that did not happen; and where copies can be told apart, not one is missed.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum {
	SCENARIOS = 10000,
	EVENTS_MAX = 512,
	SEGMENTS_MAX = 3, /* fewer than a bucket holds: overflow is another story */
	COPIES_MAX = 6,
	MS = 1000000,
};

struct event {
	__u64 at;
	__u32 order; /* of making: decides among equal times */
	__u32 segment;
	__u32 stamp;
	__u32 copy;
	bool near;
	__u64 wanted_ns;
};

struct scenario {
	struct event event[EVENTS_MAX];
	__u32 events;
	__u32 sent;
	__u32 lost; /* copies of which nothing arrived */
	__u64 end;
	__u64 wanted_ns; /* while it is made: of the segment at hand */
};

/* What a scenario may contain. */
struct rules {
	bool ip_ids;	     /* else all copies of a segment carry the same stamp */
	bool near_doubles;   /* frames doubled before the near side */
	bool far_doubles;    /* frames doubled between the sides */
	bool slow;	     /* transit up to the deadline, else up to 1 ms */
	bool flips;	     /* the flow is proven at times only */
	bool sweeps_between; /* judged at any time, not only in the end */
	bool quick;	     /* the receiver asks again, and the next copy follows within 5 ms */
};

static __u32 below(__u32 n)
{
	return (__u32)rand() % n;
}

static void add(struct scenario *s, __u64 at, __u32 segment, __u32 copy, __u32 stamp, bool near)
{
	struct event *e = &s->event[s->events];

	cr_assert_lt(s->events, EVENTS_MAX);
	*e = (struct event){ at, s->events, segment, stamp, copy, near, s->wanted_ns };
	s->events++;
	if (s->end < at)
		s->end = at;
}

static __u64 transit(const struct rules *r)
{
	switch (r->slow ? below(4) : 0) {
	case 0:
		return 1 + below(MS);
	case 1:
		return 1 + below(30 * MS);
	case 2:
		return 1 + below(300 * MS);
	default:
		return 1 + below(WORLD_DEADLINE_NS - 10 * MS);
	}
}

/* One frame from near to far; it, or what it was doubled to, may arrive. */
static bool send(struct scenario *s, const struct rules *r, __u64 at, __u32 segment, __u32 copy,
		 __u32 stamp, __u32 loss_percent)
{
	__u64 arrives = at + transit(r);

	add(s, at, segment, copy, stamp, true);
	if (below(100) < loss_percent)
		return false;
	add(s, arrives, segment, copy, stamp, false);
	if (r->far_doubles && !below(4)) {
		for (__u32 n = 1 + below(3); n; n--) {
			arrives += 1 + below(KL_DUPLICATE_NS - 1);
			add(s, arrives, segment, copy, stamp, false);
		}
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void make(struct scenario *s, const struct rules *r)
{
	__u32 loss_percent = below(3) ? below(100) : 0;
	__u16 ip_id = (__u16)(1 + below(60000));

	s->events = s->sent = s->lost = 0;
	s->end = 0;
	for (__u32 segment = 1 + below(SEGMENTS_MAX); segment; segment--) {
		__u64 at = 5ULL * WORLD_DEADLINE_NS + below(2000) * (__u64)MS;

		s->wanted_ns = 0;
		for (__u32 copy = 1 + below(COPIES_MAX); copy; copy--) {
			__u32 stamp = r->ip_ids ? ip_id++ : 0x80000000 + segment;
			bool arrived = send(s, r, at, segment, copy, stamp, loss_percent);
			__u64 double_at = at;

			for (__u32 n = r->near_doubles && !below(4) ? 1 + below(3) : 0; n; n--) {
				double_at += 1 + below(KL_DUPLICATE_NS - 1);
				arrived |= send(s, r, double_at, segment, copy, stamp,
						loss_percent);
			}
			s->sent++;
			s->lost += !arrived;
			/* A retransmission: 20 ms after the last frame of the copy before at least,
			 * if the receiver did not ask for it. */
			if (r->quick && below(2)) {
				s->wanted_ns = double_at + 1 + below(2 * MS);
				at = s->wanted_ns + 1 + below(2 * MS);
			} else {
				at = double_at + 20ULL * MS +
				     below(below(2) ? 50 : 1500) * (__u64)MS;
			}
		}
	}
	qsort(s->event, s->events, sizeof(s->event[0]), by_time);
}

/*
 * Do the far copies of each segment arrive unmixed: the frames of a copy one behind the other, and
 * within 5 ms of each other? Then a duplicate cannot be taken for the copy that is missing.
 */
static bool is_unmixed(const struct scenario *s)
{
	for (__u32 i = 0; i < s->events; i++) {
		const struct event *a = &s->event[i];
		__u64 last = a->at;
		bool other_between = false;

		for (__u32 k = i + 1; k < s->events; k++) {
			const struct event *b = &s->event[k];

			if (b->near != a->near || b->segment != a->segment)
				continue;
			if (b->copy != a->copy) {
				other_between = true;
				continue;
			}
			if (other_between || b->at - last >= KL_DUPLICATE_NS)
				return false;
			last = b->at;
		}
	}
	return true;
}

static void play(struct world *w, const struct scenario *s, const struct rules *r)
{
	world_init(w);
	w->proven = !r->flips;
	for (__u32 i = 0; i < s->events; i++) {
		const struct event *e = &s->event[i];

		if (r->flips && !below(4))
			w->proven = !w->proven;
		w->wanted_ns = e->wanted_ns;
		cr_assert(world_sight(w, e->near, e->at, e->segment, e->stamp));
		if (r->sweeps_between && !below(3)) {
			__u64 next = i + 1 < s->events ? s->event[i + 1].at : s->end;

			world_sweep(w, e->at + (next - e->at) * below(100) / 100);
		}
	}
	world_sweep(w, s->end + WORLD_DEADLINE_NS);
	cr_assert_eq(world_pending(w), 0);
}

static void run(const char *name, const struct rules *r, unsigned seed)
{
	__u32 lost = 0, claimed = 0, exact = 0;
	static struct scenario s;

	srand(seed);
	for (__u32 i = 0; i < SCENARIOS; i++) {
		struct world w;

		make(&s, r);
		play(&w, &s, r);
		cr_assert_leq(w.lost, s.lost, "%s, scenario %u: %u claimed, %u happened", name, i,
			      w.lost, s.lost);
		cr_assert_eq(w.full, 0);
		cr_assert_eq(w.late, 0);
		lost += s.lost;
		claimed += w.lost;
		if (!r->ip_ids || !is_unmixed(&s))
			continue;
		exact++;
		cr_assert_eq(w.lost, s.lost, "%s, scenario %u: %u claimed, %u happened", name, i,
			     w.lost, s.lost);
		cr_assert_eq(w.sent, s.sent, "%s, scenario %u: %u counted, %u sent", name, i,
			     w.sent, s.sent);
		cr_assert_eq(w.delivered, s.sent - s.lost, "%s, scenario %u", name, i);
		cr_assert_eq(w.far_only, 0, "%s, scenario %u", name, i);
	}
	/* The scenarios are such that the comparison means something. */
	cr_expect_gt(lost, SCENARIOS / 2);
	cr_expect_gt(claimed, lost / 2, "%s: %u of %u found", name, claimed, lost);
	if (r->ip_ids)
		cr_expect_gt(exact, SCENARIOS / 10, "%s: %u without a mixture", name, exact);
}

Test(join_model, with_ip_ids)
{
	for (__u32 bits = 0; bits < 64; bits++) {
		struct rules r = { .ip_ids = true,
				   .near_doubles = bits & 1,
				   .far_doubles = bits & 2,
				   .slow = bits & 4,
				   .flips = bits & 8,
				   .sweeps_between = bits & 16,
				   .quick = bits & 32 };

		if (r.quick && r.near_doubles)
			continue; /* then they are not to be told apart */
		run("with IP IDs", &r, 1000 + bits);
	}
}

Test(join_model, without_ip_ids)
{
	for (__u32 bits = 0; bits < 64; bits++) {
		struct rules r = { .near_doubles = bits & 1,
				   .far_doubles = bits & 2,
				   .slow = bits & 4,
				   .flips = bits & 8,
				   .sweeps_between = bits & 16,
				   .quick = bits & 32 };

		if (r.quick && r.near_doubles)
			continue; /* then they are not to be told apart */
		if (r.quick && r.near_doubles)
			continue;
		run("without IP IDs", &r, 2000 + bits);
	}
}
