// SPDX-License-Identifier: GPL-2.0-only
/*
 * join_internal.h: what the join settles is gathered for the next commit.
 *
 * Batches that are read at once may settle more than one commit has room for: then what was gathered
 * so far, and how far all is settled at that moment, becomes a step of its own. Steps are committed
 * one after the other, and nothing is read meanwhile. Who takes over between two of them settles the
 * rest anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join_internal.h"

enum {
	STEPS_MAX = 64, /* that wait: 40 MB of records */
};

struct step_site {
	struct kl_join_site *site;
	struct kl_site_counts counts;
};

struct kl_join_step {
	struct kl_join_state to; /* its point, its cuts, and what is to be published of it */
	struct kl_site_counts counts;
	struct step_site *sites; /* of which something was counted */
	size_t site_count;
	struct kl_join_step *next;
};

size_t kl_join_out_room(const struct kl_join_partition *p)
{
	size_t taken = p->record_bytes + KL_JOIN_OUT_BYTES_MIN;

	if (taken + KL_JOIN_OUT_BYTES_MIN > KL_JOIN_RECORD_BYTES)
		return KL_JOIN_OUT_BYTES_MIN;
	return KL_JOIN_RECORD_BYTES - taken < KL_JOIN_OUT_BYTES ? KL_JOIN_RECORD_BYTES - taken
								: KL_JOIN_OUT_BYTES;
}

/* ---- steps ---- */

static void step_free(struct kl_join_step *s)
{
	if (!s)
		return;
	kl_join_state_done(&s->to);
	free(s->sites);
	free(s);
}

void kl_join_steps_free(struct kl_join_partition *p)
{
	while (p->steps) {
		struct kl_join_step *s = p->steps;

		p->steps = s->next;
		step_free(s);
	}
	p->step_count = 0;
}

static int add_cut(const struct kl_sites_cut *cut, void *arg)
{
	return kl_join_state_cut(arg, cut);
}

static int take_counts(struct kl_join_partition *p, struct kl_join_step *s)
{
	s->sites = calloc(HASH_COUNT(p->state.sites) + 1, sizeof(*s->sites));
	if (!s->sites)
		return -ENOMEM;
	for (struct kl_join_site *x = p->state.sites; x; x = x->hh.next) {
		if (kl_site_counts_are_none(&x->fresh))
			continue;
		s->sites[s->site_count++] = (struct step_site){ x, x->fresh };
		x->fresh = (struct kl_site_counts){};
	}
	s->counts = p->fresh_counts;
	p->fresh_counts = (struct kl_site_counts){};
	return 0;
}

/* All that was gathered since the step before. */
static int make_step(struct kl_join_partition *p)
{
	struct kl_join_step *s = calloc(1, sizeof(*s)), **last = &p->steps;
	int r;

	if (!s)
		return -ENOMEM;
	kl_sites_point(p->sites, &s->to.point);
	r = kl_sites_cuts(p->sites, add_cut, &s->to) ?: take_counts(p, s);
	if (r) {
		step_free(s);
		return r;
	}
	s->to.outs = p->fresh;
	p->fresh = (struct kl_join_outs){};
	while (*last)
		last = &(*last)->next;
	*last = s;
	p->step_count++;
	return 0;
}

/* The first step is what was gathered, and the state is as it was then. */
static void take_step(struct kl_join_partition *p)
{
	struct kl_join_step *s = p->steps;

	p->steps = s->next;
	p->step_count--;
	free(p->state.cuts);
	p->state.point = s->to.point;
	p->state.cuts = s->to.cuts;
	p->state.cut_count = s->to.cut_count;
	p->state.cut_room = s->to.cut_room;
	s->to.cuts = NULL;
	p->fresh = s->to.outs;
	s->to.outs = (struct kl_join_outs){};
	p->fresh_counts = s->counts;
	for (size_t i = 0; i < s->site_count; i++)
		s->sites[i].site->fresh = s->sites[i].counts;
	step_free(s);
}

int kl_join_gathered(struct kl_join_partition *p)
{
	int r = 0;

	if (p->steps) {
		if (p->fresh.count || !kl_site_counts_are_none(&p->fresh_counts))
			r = make_step(p);
		if (!r)
			take_step(p);
		return r;
	}
	kl_sites_point(p->sites, &p->state.point);
	p->state.cut_count = 0;
	return kl_sites_cuts(p->sites, add_cut, &p->state);
}

/* ---- what the join says ---- */

int kl_join_settled(const struct kl_site_settled *s, void *arg)
{
	struct kl_join_partition *p = arg;
	const struct kl_site_agent *a = s->agent[KL_ACCESS] ?: s->agent[KL_CUCM];
	struct kl_join_site *site = kl_join_state_site(&p->state, a->site);
	int r;

	if (!site)
		return -ENOMEM;
	kl_site_count(&site->fresh, s);
	kl_site_count(&p->fresh_counts, s);
	p->dirty = true;
	if (s->paired.fate != KL_PAIR_LOST)
		return 0;
	if (p->step_count == STEPS_MAX) {
		/* Counted, and not told one by one. */
		site->fresh.unsaid++;
		p->fresh_counts.unsaid++;
		return 0;
	}
	r = kl_join_add_loss(p, s);
	if (!r && p->fresh.bytes >= kl_join_out_room(p))
		r = make_step(p);
	return r;
}

int kl_join_gap(const struct kl_site_gap *gap, void *arg)
{
	struct kl_join_partition *p = arg;

	/* (A batch tells of few, before it settles anything.) */
	return p->fresh.bytes < kl_join_out_room(p) ? kl_join_add_gap(p, gap) : 0;
}
