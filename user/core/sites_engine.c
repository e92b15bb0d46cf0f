// SPDX-License-Identifier: GPL-2.0-only
/*
 * sites_internal.h: the joins of two agents each, and how far they may be fed.
 *
 * Both sides of a join are fed up to where both agents were read, less a tolerance: by then it is
 * known who else sees what is fed. Until the clocks are known that is told by when batches came, and
 * neither agent may be sending what it could not send before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sites_internal.h"

enum {
	PRINTS_BY_CONNECTION = 16, /* both sides see the same connections: nothing is to be found */
	PRINTS_BY_SERVER = 1 << 12,
	ALONE_MAX = 16, /* copies that seem lost, and none that got through after them */
};

/* ---- from start to end ---- */

static int add_to_agent(struct sites_agent *a, struct sites_engine *e)
{
	if (a->engine_count == a->engine_room) {
		size_t room = a->engine_room ? 2 * a->engine_room : 4;
		struct sites_engine **engines = reallocarray(a->engines, room, sizeof(void *));

		if (!engines)
			return -ENOMEM;
		a->engines = engines;
		a->engine_room = room;
	}
	a->engines[a->engine_count++] = e;
	return 0;
}

static void remove_from_agent(struct sites_agent *a, const struct sites_engine *e)
{
	for (size_t i = 0; i < a->engine_count; i++) {
		if (a->engines[i] == e) {
			a->engines[i] = a->engines[--a->engine_count];
			return;
		}
	}
}

static void find_cut(struct kl_sites *s, struct sites_engine *e)
{
	struct kl_sites_cut key;
	struct sites_resumed *r;

	memset(&key, 0, sizeof(key));
	for (uint32_t side = 0; side < KL_SIDES; side++)
		key.agent[side] = e->key.agent[side]->name;
	HASH_FIND(hh, s->resumed, &key.agent, sizeof(key.agent), r);
	for (uint32_t side = 0; r && side < KL_SIDES; side++)
		e->lane[side].settled = e->lane[side].skip = r->cut.settled[side];
}

struct sites_engine *sites_engine_of(struct kl_sites *s, struct sites_agent *a,
				     struct sites_agent *b)
{
	struct sites_engine *e, probe;

	memset(&probe, 0, sizeof(probe));
	probe.key.agent[a->side] = a;
	probe.key.agent[b->side] = b;
	HASH_FIND(hh, s->engines, &probe.key, sizeof(probe.key), e);
	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	memcpy(&e->key, &probe.key, sizeof(e->key));
	if (add_to_agent(a, e) || add_to_agent(b, e)) {
		remove_from_agent(a, e);
		free(e);
		return NULL;
	}
	HASH_ADD(hh, s->engines, key, sizeof(e->key), e);
	find_cut(s, e);
	return e;
}

static int open_pair(struct kl_sites *s, struct sites_engine *e)
{
	struct kl_pair_config config = {
		.seed = KL_WIRE_SEED,
		.tolerance_ns = s->config.tolerance_ns,
		.hold_ns = s->config.hold_ns,
		.prints = s->by_server ? PRINTS_BY_SERVER : PRINTS_BY_CONNECTION,
	};
	int r = kl_pair_new(&config, &e->pair);

	if (r)
		return r;
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct sites_agent *a = e->key.agent[side];
		struct sites_lane *l = &e->lane[side];
		uint64_t from_ns = l->closed_ns > a->began_ns ? l->closed_ns : a->began_ns;

		l->told_ns = l->given_ns = 0;
		r = kl_pair_cover(e->pair, side, KL_COVER_BEGAN, from_ns, 0);
		for (uint32_t i = 0; !r && i < a->gaps; i++)
			r = kl_pair_cover(e->pair, side, KL_COVER_GAP, a->gap[i].from_ns,
					  a->gap[i].to_ns);
		if (r)
			return r;
	}
	return 0;
}

void sites_engine_free(struct kl_sites *s, struct sites_engine *e)
{
	sites_unshare(s, e);
	kl_pair_free(e->pair);
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		s->stats.waiting -= (uint32_t)e->lane[side].queue.count;
		free(e->lane[side].queue.of);
		free(e->lane[side].late.of);
		remove_from_agent(e->key.agent[side], e);
	}
	HASH_DEL(s->engines, e);
	free(e);
}

/* ---- what comes out ---- */

/* What was settled before a takeover comes by once more. */
static void note_settled(struct sites_engine *e, uint32_t side, uint64_t cookie)
{
	uint64_t position = sites_position(cookie);

	if (position > e->lane[side].settled)
		e->lane[side].settled = position;
}

/* What was not fed is told of in its turn: before what comes behind it. */
static void tell_late(struct kl_sites *s, struct sites_engine *e, uint32_t side, uint64_t before)
{
	struct sites_queue *q = &e->lane[side].late;
	const struct sites_item *item;

	while ((item = sites_queue_head(q)) && sites_position(item->cookie) < before) {
		struct sites_item copy = *item;

		sites_queue_pop(q);
		note_settled(e, side, copy.cookie);
		sites_settle_late(s, e, &copy);
	}
}

static void drain(struct kl_sites *s, struct sites_engine *e)
{
	struct kl_paired p;

	while (kl_pair_next(e->pair, &p)) {
		tell_late(s, e, p.side, sites_position(p.cookie));
		note_settled(e, p.side, p.cookie);
		sites_settle(s, e, &p);
	}
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		uint64_t cookie = UINT64_MAX;

		if (!e->lane[side].late.count)
			continue;
		if (kl_pair_oldest(e->pair, side, &cookie))
			cookie = sites_position(cookie);
		tell_late(s, e, side, cookie);
	}
}

/* ---- how far it may be fed ---- */

/* The access side's and the cucm side's agents, read to. Of one that is given up: as the other. */
static uint64_t read_to(const struct kl_sites *s, const struct sites_engine *e, uint32_t side)
{
	const struct sites_agent *a = e->key.agent[side], *o = e->key.agent[side ^ 1];
	uint64_t other_ns;

	if (!a->ended && !o->ended && sites_is_silent(s, a) && !sites_is_silent(s, o) &&
	    kl_pair_other_clock(e->pair, side ^ 1, o->arrived_ns, &other_ns) &&
	    other_ns > a->arrived_ns)
		return other_ns;
	return a->arrived_ns;
}

struct limit {
	bool known;		  /* the clocks' difference */
	uint64_t to_ns[KL_SIDES]; /* by each side's clock */
	uint64_t position;	  /* where it is not */
};

static uint64_t by_arrival(const struct kl_sites *s, const struct sites_engine *e)
{
	uint64_t some_ns = 2 * s->config.tolerance_ns;

	for (uint32_t side = 0; side < KL_SIDES; side++) {
		if (e->key.agent[side]->steady_ns + some_ns > s->now_ns)
			return 0;
	}
	return sites_seq_at(s, s->now_ns - some_ns) << SITES_PLACE_BITS;
}

static void find_limit(const struct kl_sites *s, const struct sites_engine *e, struct limit *ret)
{
	uint64_t tolerance_ns = s->config.tolerance_ns;

	*ret = (struct limit){};
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		uint64_t other_ns, mine_ns = read_to(s, e, side);

		ret->known = kl_pair_other_clock(e->pair, side ^ 1, read_to(s, e, side ^ 1),
						 &other_ns);
		if (!ret->known) {
			ret->position = by_arrival(s, e);
			return;
		}
		if (other_ns < mine_ns)
			mine_ns = other_ns;
		ret->to_ns[side] = mine_ns > tolerance_ns ? mine_ns - tolerance_ns : 0;
	}
}

static bool is_within(const struct limit *l, uint32_t side, const struct sites_item *item)
{
	return l->known ? item->seen.time_ns <= l->to_ns[side]
			: sites_position(item->cookie) <= l->position;
}

/* ---- what goes in ---- */

static int feed(struct kl_sites *s, struct sites_engine *e, uint32_t side)
{
	struct sites_lane *l = &e->lane[side];
	struct sites_item item = *sites_queue_head(&l->queue);
	int r = -ENOSPC;

	sites_queue_pop(&l->queue);
	s->stats.waiting--;
	l->fed = sites_position(item.cookie);
	if (item.seen.time_ns <= l->given_ns) {
		s->stats.late++;
	} else {
		item.seen.cookie = item.cookie;
		r = kl_pair_feed(e->pair, &item.seen);
		if (r && r != -ENOSPC)
			return r;
		if (r)
			s->stats.refused++;
	}
	if (r && !item.seen.fragment)
		return sites_queue_add(&l->late, &item);
	return 0;
}

/* Feeds what may be fed of that side, or tells how far it was read. 1: it did; 0: nothing to do. */
static int step(struct kl_sites *s, struct sites_engine *e, uint32_t side, const struct limit *l)
{
	struct sites_lane *lane = &e->lane[side];
	const struct sites_item *item = sites_queue_head(&lane->queue);
	uint64_t to_ns = l->to_ns[side], from_ns = e->key.agent[side]->arrived_ns;

	if (item && is_within(l, side, item))
		return feed(s, e, side) ?: 1;
	if (!l->known || to_ns <= lane->told_ns)
		return 0;
	if (to_ns > from_ns) {
		if (from_ns < lane->given_ns)
			from_ns = lane->given_ns;
		kl_pair_cover(e->pair, side, KL_COVER_GAP, from_ns < to_ns ? from_ns : to_ns,
			      to_ns);
		lane->given_ns = to_ns;
	}
	lane->told_ns = to_ns;
	return kl_pair_cover(e->pair, side, KL_COVER_READ, 0, to_ns) ?: 1;
}

int sites_engine_advance(struct kl_sites *s, struct sites_engine *e)
{
	int r = 1;

	while (e->pair && r > 0 && !s->error) {
		uint32_t side = kl_pair_wants(e->pair);
		struct limit l;

		if (side == KL_SIDES)
			break;
		find_limit(s, e, &l);
		r = step(s, e, side, &l);
		if (!r)
			r = step(s, e, side ^ 1, &l);
		if (r > 0)
			drain(s, e);
	}
	return r < 0 ? r : s->error;
}

int sites_engine_push(struct kl_sites *s, struct sites_engine *e, const struct sites_item *item)
{
	int r = e->pair ? 0 : open_pair(s, e);

	if (!r)
		r = sites_queue_add(&e->lane[item->seen.side].queue, item);
	if (!r)
		s->stats.waiting++;
	return r;
}

void sites_engine_gap(struct sites_engine *e, uint32_t side, uint64_t from_ns, uint64_t to_ns)
{
	if (e->pair)
		kl_pair_cover(e->pair, side, KL_COVER_GAP, from_ns, to_ns);
}

/* All that waits goes in, wherever the other side is; then nothing is held any more. */
int sites_engine_close(struct kl_sites *s, struct sites_engine *e)
{
	int r = 0;

	while (!r && (e->lane[0].queue.count || e->lane[1].queue.count)) {
		uint32_t side = kl_pair_wants(e->pair);

		if (side == KL_SIDES || !e->lane[side].queue.count)
			side = e->lane[0].queue.count ? 0 : 1;
		r = feed(s, e, side);
		drain(s, e);
	}
	if (r)
		return r;
	kl_pair_finish(e->pair);
	drain(s, e);
	kl_pair_free(e->pair);
	e->pair = NULL;
	e->alone = e->missed = 0;
	for (uint32_t side = 0; side < KL_SIDES; side++)
		e->lane[side].closed_ns = e->key.agent[side]->arrived_ns;
	return s->error;
}

uint64_t sites_engine_oldest(const struct sites_engine *e)
{
	uint64_t oldest = UINT64_MAX, cookie;

	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct sites_queue *q[] = { &e->lane[side].queue, &e->lane[side].late };

		if (e->pair && kl_pair_oldest(e->pair, side, &cookie) &&
		    sites_position(cookie) < oldest)
			oldest = sites_position(cookie);
		for (uint32_t i = 0; i < 2; i++) {
			const struct sites_item *item = sites_queue_head(q[i]);

			if (item && sites_position(item->cookie) < oldest)
				oldest = sites_position(item->cookie);
		}
	}
	return oldest;
}

/* ---- each second ---- */

/* One of its agents has started anew: is there anything more that the other may bring to it? */
static bool is_over(const struct kl_sites *s, const struct sites_engine *e)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct sites_agent *a = e->key.agent[side], *o = e->key.agent[side ^ 1];
		uint64_t to_ns;

		if (!a->ended)
			continue;
		if (o->ended || sites_is_silent(s, o))
			return true;
		if (a->stored_ns + s->config.patience_ns < s->now_ns)
			return true;
		if (kl_pair_other_clock(e->pair, side, a->arrived_ns, &to_ns) &&
		    o->arrived_ns > to_ns + s->config.hold_ns + 2 * s->config.tolerance_ns)
			return true;
	}
	return false;
}

/* Both agents tell at once what they see, and yet, by the clocks as they were, one is far behind. */
static bool is_torn(const struct kl_sites *s, const struct sites_engine *e)
{
	const struct sites_agent *a = e->key.agent[KL_ACCESS], *o = e->key.agent[KL_CUCM];
	uint64_t other_ns, apart_ns;

	if (a->ended || o->ended || sites_is_behind(s, a) || sites_is_behind(s, o) ||
	    !kl_pair_other_clock(e->pair, KL_CUCM, o->arrived_ns, &other_ns))
		return false;
	apart_ns = other_ns > a->arrived_ns ? other_ns - a->arrived_ns : a->arrived_ns - other_ns;
	return apart_ns > s->config.hold_ns;
}

/*
 * Nothing meets any more: the clocks' difference is to be learnt anew. Who has an answer to what seems
 * not to have arrived does not seem to have lost it: after a clock was set far ahead, what it stamped
 * since waits for the other one to get there.
 */
static bool has_lost_its_way(const struct kl_sites *s, const struct sites_engine *e)
{
	return e->alone >= ALONE_MAX || (e->missed >= ALONE_MAX && is_torn(s, e));
}

static bool is_hopeless(const struct kl_sites *s, const struct sites_engine *e)
{
	bool silent[KL_SIDES] = { sites_is_silent(s, e->key.agent[0]),
				  sites_is_silent(s, e->key.agent[1]) };
	uint64_t ns;

	if (silent[0] && silent[1])
		return true;
	return (silent[0] || silent[1]) && !kl_pair_other_clock(e->pair, 0, 1, &ns);
}

int sites_engines_look(struct kl_sites *s)
{
	struct sites_engine *e, *next, *longest = NULL;
	int r = 0;

	HASH_ITER(hh, s->engines, e, next)
	{
		if (r || !e->pair)
			continue;
		if (is_over(s, e) || is_hopeless(s, e) || has_lost_its_way(s, e))
			r = sites_engine_close(s, e);
		else
			r = sites_engine_advance(s, e);
		if (e->pair && (!longest || e->lane[0].queue.count + e->lane[1].queue.count >
						    longest->lane[0].queue.count +
							    longest->lane[1].queue.count))
			longest = e;
	}
	if (r || s->stats.waiting <= s->config.max_waiting || !longest)
		return r;
	s->stats.given_up++;
	return sites_engine_close(s, longest);
}
