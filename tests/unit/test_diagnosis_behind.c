// SPDX-License-Identifier: GPL-2.0-only
/* What this host drops behind the hook where it leaves: core/diagnosis_behind.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/diagnosis_behind.h"
#include "scene.h"

static int delivered(struct scene *s, const struct scene_copy *c)
{
	(void)s;
	(void)c;
	return SCENE_DELIVERED;
}

static struct kl_drop drop_of(const struct scene_phone *p, uint32_t seq, uint64_t time_ns)
{
	return (struct kl_drop){ .time_ns = time_ns,
				 .ends = p->session->ends,
				 .direction = KL_TO_CUCM,
				 .seq = seq,
				 .length = p->length,
				 .reason = "QDISC_DROP",
				 .interface = "cucm0" };
}

/* A copy of it that is known to be lost already. */
static struct kl_lost lost_at(const struct scene_phone *p, uint32_t seq, enum kl_where where)
{
	return (struct kl_lost){ .time_ns = SCENE_START,
				 .conn_id = p->session->id,
				 .ends = p->session->ends,
				 .where = (uint8_t)where,
				 .direction = KL_TO_CUCM,
				 .seq = seq,
				 .length = p->length };
}

/* A phone whose last keepalive was seen to leave; its number is *ret_seq. */
static struct scene_phone *one_phone(struct scene *s, uint32_t *ret_seq)
{
	struct scene_phone *p;

	scene_init(s, 1, delivered, NULL);
	p = scene_phone(s, 30 * SCENE_S, 12);
	*ret_seq = p->seq[KL_TO_CUCM];
	scene_send(s, p, SCENE_START, KL_TO_CUCM, KL_SCCP_KEEPALIVE, p->length, 0);
	return p;
}

/* Its sender sends it once more. */
static void send_again(struct scene *s, const struct scene_phone *p, uint32_t seq, uint64_t time_ns)
{
	const struct kl_observed again = { .time_ns = time_ns,
					   .session = p->session->id,
					   .seq = seq,
					   .length = (uint16_t)p->length,
					   .direction = KL_TO_CUCM,
					   .again = 1,
					   .kind = KL_SCCP_KEEPALIVE };

	cr_assert_eq(kl_diagnosis_observe(&s->d, &again), 0);
}

Test(behind, each_copy_that_the_kernel_dropped_is_lost_beyond_that_side)
{
	struct scene s;
	uint32_t seq;
	struct scene_phone *p = one_phone(&s, &seq);
	struct kl_drop drops[] = { drop_of(p, seq, SCENE_START + 500 * SCENE_MS),
				   drop_of(p, seq, SCENE_START + SCENE_MS) };

	send_again(&s, p, seq, SCENE_START + 499 * SCENE_MS);
	send_again(&s, p, seq, SCENE_START + 900 * SCENE_MS);
	cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 2), 0);
	cr_assert_eq(s.d.lost_count, 2);
	cr_assert_eq(s.d.inferred[KL_TO_CUCM][KL_CUCM_SIDE], 2);
	for (size_t i = 0; i < 2; i++) {
		const struct kl_lost *l = &s.d.lost[i];

		cr_assert_eq(l->where, KL_CUCM_SIDE);
		cr_assert_eq(l->kind, KL_SCCP_KEEPALIVE);
		cr_assert_eq(l->seq, seq);
		cr_assert_str_eq(s.d.evidence.drop.item[l->drop - 1].reason, "QDISC_DROP");
	}
	cr_assert_eq(s.d.lost[0].time_ns, SCENE_START + SCENE_MS);
	scene_conclude(&s);
	cr_assert_geq(scene_confidence(&s, KL_CAUSE_IN_HOST_DROP), KL_CONFIDENCE_LOW);
	scene_done(&s);
}

/* Another connection's, another number's, another way's, and one from before it was sent. */
Test(behind, what_is_of_no_keepalive_that_was_seen_is_no_loss)
{
	struct scene s;
	uint32_t seq;
	struct scene_phone *p = one_phone(&s, &seq);
	struct kl_drop drops[] = { drop_of(p, seq, SCENE_START + SCENE_MS),
				   drop_of(p, seq + 1000, SCENE_START + SCENE_MS),
				   drop_of(p, seq, SCENE_START + SCENE_MS),
				   drop_of(p, seq, SCENE_START - SCENE_S) };

	send_again(&s, p, seq, SCENE_START + SCENE_S);
	drops[0].ends.phone_port++;
	drops[2].direction = KL_TO_PHONE;
	cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 4), 0);
	cr_assert_eq(s.d.lost_count, 0);
	scene_done(&s);
}

/* A bridge that flooded it may have dropped one copy, and delivered another. */
Test(behind, a_segment_that_is_not_sent_again_was_not_missed)
{
	struct scene s;
	uint32_t seq;
	struct scene_phone *p = one_phone(&s, &seq);
	struct kl_drop drops[] = { drop_of(p, seq, SCENE_START + SCENE_MS) };

	scene_exchange(&s, p, SCENE_START + 30 * SCENE_S);
	cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 1), 0);
	cr_assert_eq(s.d.lost_count, 0);
	scene_done(&s);
}

/* Then it may be the very same copy, found by other means. */
Test(behind, a_segment_with_a_loss_already_is_left_alone)
{
	struct scene s;
	uint32_t seq;
	struct scene_phone *p = one_phone(&s, &seq);
	struct kl_drop drops[] = { drop_of(p, seq, SCENE_START + SCENE_MS) };
	const struct kl_lost lost = lost_at(p, seq, KL_CUCM_SIDE);

	send_again(&s, p, seq, SCENE_START + SCENE_S);
	cr_assert_eq(kl_diagnosis_lost(&s.d, &lost), 0);
	cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 1), 0);
	cr_assert_eq(s.d.lost_count, 1);
	cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 0), 0);
	scene_done(&s);
}

/* A first copy that never came here, or was lost inside, was not one of those that left. */
Test(behind, a_copy_lost_elsewhere_does_not_hide_those_that_were_dropped)
{
	static const enum kl_where elsewhere[] = { KL_PHONE_SIDE, KL_BETWEEN };

	for (size_t i = 0; i < 2; i++) {
		struct scene s;
		uint32_t seq;
		struct scene_phone *p = one_phone(&s, &seq);
		struct kl_drop drops[] = { drop_of(p, seq, SCENE_START + SCENE_MS) };
		const struct kl_lost lost = lost_at(p, seq, elsewhere[i]);

		send_again(&s, p, seq, SCENE_START + SCENE_S);
		cr_assert_eq(kl_diagnosis_lost(&s.d, &lost), 0);
		cr_assert_eq(kl_diagnosis_behind(&s.d, drops, 1), 0);
		cr_assert_eq(s.d.lost_count, 2);
		cr_assert_eq(s.d.lost[0].where, elsewhere[i]);
		cr_assert_eq(s.d.lost[1].where, KL_CUCM_SIDE);
		scene_done(&s);
	}
}
