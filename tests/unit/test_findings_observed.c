// SPDX-License-Identifier: GPL-2.0-only
/* What a diagnosis keeps to compare losses with: core/diagnosis_observed.c. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/diagnosis.h"
#include "util/duration.h"

#define MS KL_NS_PER_MS
#define S KL_NS_PER_S
#define START (5000 * S)

struct fixture {
	struct kl_diagnosis d;
	struct kl_sessions *sessions;
	struct kl_session session;
};

static void set_up(struct fixture *f)
{
	const struct kl_sessions_config config = { .two_sided = true };

	*f = (struct fixture){ .session.id = 7, .session.mac = { 2, 0, 0, 0, 0, 1 } };
	cr_assert_eq(kl_sessions_new(&config, &f->sessions), 0);
	f->d.sessions = f->sessions;
}

static void tear_down(struct fixture *f)
{
	kl_diagnosis_done(&f->d);
	kl_sessions_free(f->sessions);
}

static struct kl_story story(const struct fixture *f, enum kl_story_type type, uint64_t time_ns,
			     uint32_t seq)
{
	return (struct kl_story){ .type = type,
				  .time_ns = time_ns,
				  .session = &f->session,
				  .kind = KL_SCCP_KEEPALIVE,
				  .seq = seq,
				  .length = 12 };
}

static void tell(struct fixture *f, const struct kl_story *s)
{
	cr_assert_eq(kl_diagnosis_story(&f->d, s), 0);
}

Test(observed, a_copy_that_was_lost_later_is_marked)
{
	struct fixture f;
	struct kl_story s;
	const struct kl_lost lost = { .time_ns = START + 2 * MS,
				      .conn_id = 7,
				      .seq = 100,
				      .length = 12,
				      .where = KL_BETWEEN,
				      .drop = 3 };

	set_up(&f);
	s = story(&f, KL_STORY_SEGMENT, START, 100);
	s.idle_ns = 30 * S;
	s.idle_known = KL_IDLE_ALL;
	tell(&f, &s);
	s = story(&f, KL_STORY_RETRANSMISSION, START + 200 * MS, 100);
	s.gap_ns = 200 * MS;
	tell(&f, &s);
	s = story(&f, KL_STORY_SEGMENT, START + 30 * S, 112);
	tell(&f, &s);
	cr_assert_eq(kl_diagnosis_lost(&f.d, &lost), 0);
	kl_diagnosis_finish(&f.d);

	cr_assert_eq(f.d.observed_count, 3);
	cr_expect(f.d.observed[0].lost && f.d.observed[0].where == KL_BETWEEN);
	cr_expect_eq(f.d.observed[0].idle_ms, 30000);
	cr_expect(!f.d.observed[1].lost && f.d.observed[1].again);
	cr_expect_eq(f.d.observed[1].idle_ms, 200);
	cr_expect(!f.d.observed[2].lost);
	cr_expect_eq(f.d.observed[2].idle_ms, UINT32_MAX);
	cr_assert_eq(f.d.lost_count, 1);
	cr_expect_eq(f.d.lost[0].idle_ns, 30 * S, "the loss is told, too");
	cr_expect_eq(f.d.lost[0].idle_known, KL_IDLE_ALL);
	cr_expect_eq(f.d.lost[0].drop, 3);
	tear_down(&f);
}

Test(observed, a_copy_lost_before_it_was_seen_is_one_of_its_own)
{
	struct fixture f;
	struct kl_story s;

	set_up(&f);
	s = story(&f, KL_STORY_LOSS, START, 100);
	s.where = KL_PHONE_SIDE;
	s.late_ns = 600 * MS;
	s.idle_ns = 115 * S;
	s.idle_known = KL_IDLE_ALL;
	tell(&f, &s);
	tell(&f, &s); /* two copies were missing */
	/* The copy that tells of it is told as seen, and as a retransmission. */
	s = story(&f, KL_STORY_RETRANSMISSION, START + 600 * MS, 100);
	s.inferred = true;
	s.late_ns = 600 * MS;
	s.idle_ns = 115600 * MS;
	s.idle_known = KL_IDLE_ALL;
	tell(&f, &s);
	s.type = KL_STORY_SEGMENT;
	s.inferred = false;
	tell(&f, &s);
	kl_diagnosis_finish(&f.d);

	cr_assert_eq(f.d.observed_count, 3);
	for (int i = 0; i < 2; i++)
		cr_expect(f.d.observed[i].lost && f.d.observed[i].where == KL_PHONE_SIDE);
	/* Of the second it is not known when it was sent. */
	cr_expect_eq(f.d.observed[0].again + f.d.observed[1].again, 1);
	cr_expect_eq(f.d.observed[f.d.observed[0].again].idle_ms, 115000);
	cr_expect_eq(f.d.observed[!f.d.observed[0].again].idle_ms, UINT32_MAX);
	cr_expect(!f.d.observed[2].lost && f.d.observed[2].again);
	cr_expect_eq(f.d.observed[2].idle_ms, 600);
	tear_down(&f);
}

Test(observed, what_is_not_known_to_be_lost_is_neither)
{
	struct fixture f;
	struct kl_story s;

	set_up(&f);
	s = story(&f, KL_STORY_SEGMENT, START, 100);
	tell(&f, &s);
	s.type = KL_STORY_LOSS;
	s.where = KL_WHERE_UNKNOWN;
	tell(&f, &s);
	kl_diagnosis_finish(&f.d);
	cr_assert_eq(f.d.observed_count, 1);
	cr_expect(!f.d.observed[0].lost && f.d.observed[0].where == KL_WHERE_UNKNOWN);
	tear_down(&f);
}

Test(observed, an_end_knows_the_losses_before_it)
{
	struct fixture f;
	struct kl_story s;

	set_up(&f);
	for (uint32_t i = 0; i < 8; i++) {
		s = story(&f, KL_STORY_LOSS, START + i * 60 * S, 100 + i);
		s.where = KL_CUCM_SIDE;
		tell(&f, &s);
	}
	s = story(&f, KL_STORY_STOP, START + 450 * S, 0);
	s.by = KL_BY_CUCM;
	s.how = KL_HOW_RST;
	s.ttl = 63;
	s.usual_ttl = 64;
	tell(&f, &s);
	f.session.id = 8;
	tell(&f, &s);
	kl_diagnosis_finish(&f.d);
	cr_assert_eq(f.d.evidence.ending.count, 2);
	cr_expect_eq(f.d.evidence.ending.item[0].lost_before +
			     f.d.evidence.ending.item[1].lost_before,
		     5, "those of the last five minutes, of that session");
	cr_expect_eq(f.d.evidence.ending.item[0].ttl, 63);
	tear_down(&f);
}

Test(observed, too_many_are_thinned_out_but_not_the_lost)
{
	struct fixture f;
	const uint32_t total = 2 * KL_OBSERVED_MAX + 1000;
	size_t lost = 0, ways[KL_DIRECTIONS] = {};

	set_up(&f);
	for (uint32_t i = 0; i < total; i++) {
		const struct kl_observed o = { .time_ns = START + i * MS,
					       .session = 7,
					       .seq = i,
					       .direction = i & 1,
					       .lost = i % 1000 == 0 };

		cr_assert_eq(kl_diagnosis_observe(&f.d, &o), 0);
	}
	cr_expect(f.d.observed_count <= KL_OBSERVED_MAX);
	cr_expect_eq(f.d.observed_stride, 4);
	cr_expect_eq(f.d.observed_seen, total);
	for (size_t i = 0; i < f.d.observed_count; i++) {
		lost += f.d.observed[i].lost;
		ways[f.d.observed[i].direction]++;
	}
	cr_expect_eq(lost, (total + 999) / 1000);
	/* Those that take turns are left out alike. */
	cr_expect(ways[0] > total / 8 * 9 / 10 && ways[1] > total / 8 * 9 / 10);
	tear_down(&f);
}
