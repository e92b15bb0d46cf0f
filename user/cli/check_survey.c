// SPDX-License-Identifier: GPL-2.0-only
#include "cli/check_survey.h"

#include <stdlib.h>
#include <string.h>

enum sight {
	NOWHERE,
	NEAR_ONLY,
	FAR_ONLY,
	AGREES,
	DIFFERS
};

static enum sight sight_of(const struct kl_conn *c, __u32 direction)
{
	const struct kl_flow *f = &c->flow[direction];
	bool near = kl_flow_is_seen(f, direction), far = kl_flow_is_seen(f, direction ^ 1);

	if (near && far)
		return kl_flow_is_proven(f, 1) ? AGREES : DIFFERS;
	if (kl_flow_is_proven(f, 1))
		return AGREES; /* --nat: told by the join */
	return near ? NEAR_ONLY : far ? FAR_ONLY : NOWHERE;
}

static enum kl_meeting meeting_of(const struct kl_conn *c, const enum sight sight[KL_DIRECTIONS])
{
	bool at[KL_SIDES] = {}, partly = false;

	for (int d = 0; d < KL_DIRECTIONS; d++) {
		if (sight[d] == DIFFERS)
			return KL_MEET_DIFFER;
		at[KL_ACCESS] |= kl_flow_is_seen(&c->flow[d], KL_ACCESS) || sight[d] == AGREES;
		at[KL_CUCM] |= kl_flow_is_seen(&c->flow[d], KL_CUCM) || sight[d] == AGREES;
		partly |= sight[d] == NEAR_ONLY || sight[d] == FAR_ONLY;
	}
	if (!at[KL_CUCM])
		return KL_MEET_ACCESS;
	if (!at[KL_ACCESS])
		return KL_MEET_CUCM;
	return partly ? KL_MEET_PARTLY : KL_MEET_AGREE;
}

static void keep_sample(struct kl_survey *s, const struct kl_conn *c, enum kl_meeting meeting,
			const enum sight sight[KL_DIRECTIONS])
{
	__u32 side = meeting == KL_MEET_CUCM ? KL_CUCM : KL_ACCESS;
	struct kl_met *m;

	if (s->samples[meeting] == KL_SAMPLES)
		return;
	m = &s->sample[meeting][s->samples[meeting]++];
	kl_conn_ends(c, &m->ends);
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		m->end[d] = c->flow[d].end[side];
		m->end_known[d] = c->flow[d].flags & (1 << side);
		m->no_far[d] = sight[d] == NEAR_ONLY;
		m->no_near[d] = sight[d] == FAR_ONLY;
	}
}

static void take_connection(uint64_t id, const struct kl_conn *c, void *arg)
{
	enum sight sight[KL_DIRECTIONS] = { sight_of(c, KL_TO_CUCM), sight_of(c, KL_TO_PHONE) };
	struct kl_survey *s = arg;
	enum kl_meeting meeting;

	(void)id;
	/* --nat: the same connection once more, under its other name. */
	if ((c->flags & KL_CONN_ALIAS) && c->home)
		return;
	if (c->created_ns >= s->before_ns)
		return;
	if (sight[KL_TO_CUCM] == NOWHERE && sight[KL_TO_PHONE] == NOWHERE)
		return;
	meeting = meeting_of(c, sight);
	s->total++;
	s->met[meeting]++;
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		s->silent[d] += sight[d] == NOWHERE;
		s->no_far[d] += sight[d] == NEAR_ONLY && meeting == KL_MEET_PARTLY;
		s->no_near[d] += sight[d] == FAR_ONLY && meeting == KL_MEET_PARTLY;
	}
	keep_sample(s, c, meeting, sight);
}

/* ---- One connection under two names ---- */

static bool same_cucm(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return a->family == b->family && a->cucm_port == b->cucm_port &&
	       !memcmp(a->cucm, b->cucm, sizeof(a->cucm));
}

static bool same_phone(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return a->family == b->family && a->phone_port == b->phone_port &&
	       !memcmp(a->phone, b->phone, sizeof(a->phone));
}

static bool same_numbers(const struct kl_met *a, const struct kl_met *b)
{
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		if (a->end_known[d] && b->end_known[d] && a->end[d] == b->end[d])
			return true;
	}
	return false;
}

static void look_for_other_name(struct kl_survey *s, const struct kl_met *a)
{
	bool suspected = false;

	for (size_t i = 0; i < s->samples[KL_MEET_CUCM]; i++) {
		const struct kl_met *b = &s->sample[KL_MEET_CUCM][i];
		bool cucm = same_cucm(&a->ends, &b->ends), phone = same_phone(&a->ends, &b->ends);

		if ((cucm || phone) && same_numbers(a, b)) {
			s->translated[KL_ACCESS] = *a;
			s->translated[KL_CUCM] = *b;
			s->phone_translated += !phone;
			s->cucm_translated += !cucm;
			return;
		}
		suspected |= cucm;
	}
	s->phone_suspected += suspected;
}

bool kl_survey_may_change(const struct kl_survey *s)
{
	return s->met[KL_MEET_AGREE] + s->met[KL_MEET_DIFFER] < s->total && !s->phone_translated &&
	       !s->cucm_translated;
}

struct kl_survey *kl_survey_read(struct kl_live *live, uint64_t before_ns)
{
	struct kl_survey *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->before_ns = before_ns;
	s->error = kl_live_counters(live, &s->counters);
	if (!s->error)
		s->error = kl_live_connections(live, take_connection, s);
	for (size_t i = 0; i < s->samples[KL_MEET_ACCESS]; i++)
		look_for_other_name(s, &s->sample[KL_MEET_ACCESS][i]);
	return s;
}
