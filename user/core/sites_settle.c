// SPDX-License-Identifier: GPL-2.0-only
/* sites_internal.h: what became of a sighting, from what the joins say that it was fed to */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sites_internal.h"

static void hand_out(struct kl_sites *s, struct kl_site_settled *out)
{
	const struct kl_paired *p = &out->paired;
	const struct sites_conn *c = sites_conn_find(s, &p->ends[p->side]);

	if (c && c->device[0])
		out->device = c->device;
	sites_keep_error(s, s->config.settled(out, s->config.arg));
}

/* ---- may it be called lost? ---- */

/* Might this agent see what others see of that connection? */
static bool is_relevant(const struct sites_agent *a, const struct sites_engine *e,
			const struct kl_paired *p)
{
	uint64_t server;

	if (a->side == KL_ACCESS)
		return !strcmp(a->name.site, e->key.agent[KL_ACCESS]->name.site);
	server = kl_cucm_hash(&p->ends[p->side], KL_WIRE_SEED);
	for (uint32_t i = 0; i < a->servers && i < SITES_SERVERS; i++) {
		if (a->server[i] == server)
			return true;
	}
	return false;
}

/* Somebody else may have seen it arrive, and was not asked, or could not tell. */
static uint32_t why_doubtful(const struct kl_sites *s, const struct sites_engine *e,
			     const struct kl_paired *p)
{
	uint32_t far = p->side ^ 1u;
	const struct sites_conn *c = sites_conn_find(s, &p->ends[p->side]);
	uint64_t far_ns = 0;

	if (!c)
		return KL_PAIR_NO_PARTNER;
	for (uint32_t i = 0; i < c->route->count[far]; i++) {
		const struct sites_seen *x = &c->route->by[far][i];

		if (x->since > sites_position(p->cookie) && x->agent != e->key.agent[far])
			return KL_PAIR_NO_PARTNER;
		if (x->agent != e->key.agent[far] || !x->retired_ns)
			continue;
		if (!e->pair || !kl_pair_other_clock(e->pair, p->side, p->seen_ns, &far_ns) ||
		    far_ns <= x->retired_ns + 2 * s->config.tolerance_ns)
			return KL_PAIR_NO_PARTNER;
	}
	for (const struct sites_agent *a = s->agents; a; a = a->hh.next) {
		if (a->side == far && !a->ended && a != e->key.agent[far] &&
		    !sites_is_silent(s, a) && sites_is_behind(s, a) && is_relevant(a, e, p))
			return KL_PAIR_GAP;
	}
	return KL_PAIR_NO_REASON;
}

static void finish(struct kl_sites *s, const struct sites_engine *e, const struct kl_paired *p)
{
	const struct sites_agent *a = e->key.agent[p->side];
	struct kl_site_settled out = {
		.paired = *p,
		.id = sites_id(&a->name, sites_position(p->cookie)),
		.time_ns = p->seen_ns + (uint64_t)a->wall_ns,
		.agent = { &e->key.agent[0]->name, &e->key.agent[1]->name },
	};

	out.paired.cookie = sites_position(p->cookie);
	if (p->fate == KL_PAIR_LOST) {
		out.paired.reason = (uint8_t)why_doubtful(s, e, p);
		if (out.paired.reason)
			out.paired.fate = KL_PAIR_UNPAIRED;
	}
	hand_out(s, &out);
}

/* ---- what several joins say ---- */

int sites_share(struct kl_sites *s, uint64_t cookie, uint32_t joins)
{
	struct sites_shared *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->cookie = cookie;
	x->expected = joins;
	HASH_ADD(hh, s->shared, cookie, sizeof(x->cookie), x);
	return 0;
}

void sites_unshare(struct kl_sites *s, const struct sites_engine *e)
{
	for (struct sites_shared *x = s->shared; x; x = x->hh.next) {
		if (!x->has_best || x->engine != e)
			continue;
		x->has_best = false;
		x->engine = NULL;
		/* (It may have known better.) */
		x->other = true;
	}
}

static uint32_t rank(uint32_t fate)
{
	static const uint8_t ranks[KL_PAIR_FATES] = {
		[KL_PAIR_UNPAIRED] = 1,	 [KL_PAIR_LOST] = 2,	  [KL_PAIR_NOT_JOINED] = 3,
		[KL_PAIR_DUPLICATE] = 4, [KL_PAIR_DELIVERED] = 5,
	};

	return ranks[fate];
}

/* Says it nothing of whether another agent's word that it was lost holds? */
static bool is_no_witness(const struct kl_sites *s, const struct kl_paired *p)
{
	return p->reason == KL_PAIR_ONE_SIDED || p->reason == KL_PAIR_UNSEEN ||
	       p->reason == KL_PAIR_ACKNOWLEDGED || (s->by_server && !p->ends[p->side ^ 1].family);
}

static bool is_fresh(const struct kl_sites *s, const struct sites_engine *e,
		     const struct kl_paired *p)
{
	uint64_t position = sites_position(p->cookie);

	return position > e->lane[p->side].skip && position > s->before.settled;
}

static void settle_shared(struct kl_sites *s, struct sites_engine *e, const struct kl_paired *p)
{
	bool fresh = is_fresh(s, e, p);
	struct sites_shared *x;

	HASH_FIND(hh, s->shared, &p->cookie, sizeof(p->cookie), x);
	if (!x)
		return;
	x->got++;
	x->fresh |= fresh;
	x->lost |= p->fate == KL_PAIR_LOST;
	x->other |= p->fate == KL_PAIR_UNPAIRED && !is_no_witness(s, p);
	if (!x->has_best || rank(p->fate) > rank(x->best.fate)) {
		x->best = *p;
		x->engine = e;
		x->has_best = true;
	}
	if (x->got < x->expected)
		return;
	if (x->best.fate == KL_PAIR_LOST && x->other) {
		x->best.fate = KL_PAIR_UNPAIRED;
		x->best.reason = KL_PAIR_UNCONFIRMED;
	}
	if (x->fresh)
		finish(s, x->engine, &x->best);
	HASH_DEL(s->shared, x);
	free(x);
}

/* Seen at the near side, and for no reason that would be known not at the other one. */
static bool is_missed(const struct kl_paired *p)
{
	return p->near_ns && (p->fate == KL_PAIR_LOST ||
			      (p->fate == KL_PAIR_UNPAIRED &&
			       (p->reason == KL_PAIR_ACKNOWLEDGED || p->reason == KL_PAIR_UNSEEN ||
				p->reason == KL_PAIR_UNCONFIRMED)));
}

/*
 * A clock that was set, or a host that stood still, by more than the join holds: then nothing meets any
 * more, and all of it looks lost. So none is called lost before something that was sent after it met.
 */
static struct kl_paired confirmed(struct sites_engine *e, const struct kl_paired *p)
{
	struct kl_paired x = *p;

	if (p->fate == KL_PAIR_DELIVERED)
		e->alone = e->missed = 0;
	if (is_missed(p))
		e->missed++;
	if (p->fate != KL_PAIR_LOST || kl_pair_went_on(e->pair, p))
		return x;
	e->alone++;
	x.fate = KL_PAIR_UNPAIRED;
	x.reason = KL_PAIR_UNCONFIRMED;
	return x;
}

void sites_settle(struct kl_sites *s, struct sites_engine *e, const struct kl_paired *p)
{
	struct kl_paired x = confirmed(e, p);

	if (x.cookie & SITES_SHARED) {
		/* What is missing at the near side in one join may be there in another. */
		if (x.near_ns)
			settle_shared(s, e, &x);
		return;
	}
	if (is_fresh(s, e, &x))
		finish(s, e, &x);
}

/* ---- what was not joined ---- */

static struct kl_paired unpaired(const struct sites_item *item, uint32_t reason)
{
	const struct kl_sighted *n = &item->seen;
	bool near = kl_is_near(n->side, n->direction);
	struct kl_paired p = {
		.near_ns = near ? n->time_ns : 0,
		.far_ns = near ? 0 : n->time_ns,
		.seen_ns = n->time_ns,
		.cookie = item->cookie,
		.seq = n->seq,
		.ack = n->ack,
		.seq_other = n->seq,
		.payload_len = n->payload_len,
		.stamp = n->stamp,
		.copy = 1,
		.vlan = n->vlan,
		.side = n->side,
		.direction = n->direction,
		.kind = n->kind,
		.flags = n->flags,
		.fate = kl_kind_is_joined(n->kind) ? KL_PAIR_UNPAIRED : KL_PAIR_NOT_JOINED,
		.reason = (uint8_t)(near ? reason : KL_PAIR_FAR_ONLY),
	};

	p.ends[n->side] = n->ends;
	return p;
}

void sites_settle_late(struct kl_sites *s, struct sites_engine *e, const struct sites_item *item)
{
	struct kl_paired p = unpaired(item, KL_PAIR_GAP);

	sites_settle(s, e, &p);
}

void sites_settle_alone(struct kl_sites *s, const struct sites_held *h)
{
	uint64_t position = sites_position(h->item.cookie);
	struct kl_site_settled out = {
		.paired = unpaired(&h->item, KL_PAIR_NO_PARTNER),
		.id = sites_id(&h->agent->name, position),
		.time_ns = h->item.seen.time_ns + (uint64_t)h->agent->wall_ns,
	};

	s->point.alone = position > s->point.alone ? position : s->point.alone;
	if (position <= s->before.alone || position <= s->before.settled || h->item.seen.fragment)
		return;
	s->stats.alone++;
	out.agent[h->agent->side] = &h->agent->name;
	out.paired.cookie = position;
	hand_out(s, &out);
}
