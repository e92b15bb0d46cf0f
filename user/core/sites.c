// SPDX-License-Identifier: GPL-2.0-only
/* sites.h: agents and what they cover, and what time it is */
#include "core/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sites_internal.h"
#include "util/duration.h"

#define DEFAULT_TOLERANCE_NS (2 * KL_NS_PER_S)
#define DEFAULT_PATIENCE_NS (900 * KL_NS_PER_S)
#define DEFAULT_LINGER_NS (60 * KL_NS_PER_S)
#define DEFAULT_WARM_UP_NS (600 * KL_NS_PER_S)
#define LOOK_NS KL_NS_PER_S

enum {
	DEFAULT_WAITING = 1 << 20,
	DEFAULT_CONNS = 1 << 18,
	DEFAULT_AGENTS = 4096,
};

/* ---- from start to end ---- */

static void set_default(uint64_t *value, uint64_t standard)
{
	if (!*value)
		*value = standard;
}

static void set_default_number(uint32_t *value, uint32_t standard)
{
	if (!*value)
		*value = standard;
}

int kl_sites_new(const struct kl_sites_config *config, struct kl_sites **ret)
{
	struct kl_sites *s;
	struct kl_sites_config *c;

	*ret = NULL;
	if (!config->settled)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	c = &s->config;
	*c = *config;
	set_default(&c->tolerance_ns, DEFAULT_TOLERANCE_NS);
	set_default(&c->patience_ns, DEFAULT_PATIENCE_NS);
	set_default(&c->linger_ns, DEFAULT_LINGER_NS);
	set_default(&c->warm_up_ns, DEFAULT_WARM_UP_NS);
	if (c->hold_ns < 8 * c->tolerance_ns)
		c->hold_ns = 8 * c->tolerance_ns;
	set_default_number(&c->max_waiting, DEFAULT_WAITING);
	set_default_number(&c->max_conns, DEFAULT_CONNS);
	set_default_number(&c->max_agents, DEFAULT_AGENTS);
	*ret = s;
	return 0;
}

void kl_sites_free(struct kl_sites *s)
{
	struct sites_engine *e, *next_e;
	struct sites_agent *a, *next_a;
	struct sites_shared *x, *next_x;
	struct sites_resumed *r, *next_r;

	if (!s)
		return;
	sites_routes_free(s);
	HASH_ITER(hh, s->shared, x, next_x)
	{
		HASH_DEL(s->shared, x);
		free(x);
	}
	HASH_ITER(hh, s->engines, e, next_e)
	sites_engine_free(s, e);
	HASH_ITER(hh, s->agents, a, next_a)
	{
		HASH_DEL(s->agents, a);
		free(a->engines);
		free(a);
	}
	HASH_ITER(hh, s->resumed, r, next_r)
	{
		HASH_DEL(s->resumed, r);
		free(r);
	}
	free(s->marks);
	free(s);
}

void sites_keep_error(struct kl_sites *s, int r)
{
	if (r && !s->error)
		s->error = r;
}

uint64_t sites_id(const struct kl_site_agent *agent, uint64_t position)
{
	uint64_t h = kl_mix(KL_WIRE_SEED, agent->boot);
	const char *const texts[] = { agent->site, agent->agent };

	for (uint32_t i = 0; i < 2; i++) {
		for (const char *c = texts[i]; *c; c++)
			h = kl_mix(h, (uint8_t)*c);
		h = kl_mix(h, 0);
	}
	return kl_mix(h, position);
}

bool sites_is_silent(const struct kl_sites *s, const struct sites_agent *a)
{
	return a->stored_ns + s->config.patience_ns < s->now_ns;
}

bool sites_is_behind(const struct kl_sites *s, const struct sites_agent *a)
{
	uint64_t some_ns = s->config.hold_ns / 2;

	return a->stored_ns + some_ns < s->now_ns || a->lag_ns - a->least_lag_ns > (int64_t)some_ns;
}

/* ---- time, and where in the stream it was what time ---- */

static int mark(struct kl_sites *s, uint64_t seq, uint64_t stored_ns)
{
	struct sites_mark *of;

	if (stored_ns > s->now_ns)
		s->now_ns = stored_ns;
	s->last_seq = seq;
	if (s->mark_count &&
	    s->marks[s->mark_first + s->mark_count - 1].stored_ns + LOOK_NS > s->now_ns)
		return 0;
	if (s->mark_first + s->mark_count == s->mark_room) {
		size_t room = s->mark_count + 64;

		if (s->mark_first)
			memmove(s->marks, s->marks + s->mark_first, s->mark_count * sizeof(*of));
		s->mark_first = 0;
		if (room > s->mark_room) {
			room = 2 * room;
			of = reallocarray(s->marks, room, sizeof(*of));
			if (!of)
				return -ENOMEM;
			s->marks = of;
			s->mark_room = room;
		}
	}
	s->marks[s->mark_first + s->mark_count++] = (struct sites_mark){ .seq = seq,
									 .stored_ns = s->now_ns };
	return 0;
}

uint64_t sites_seq_at(const struct kl_sites *s, uint64_t stored_ns)
{
	for (size_t i = s->mark_count; i--;) {
		const struct sites_mark *m = &s->marks[s->mark_first + i];

		if (m->stored_ns <= stored_ns)
			return m->seq;
	}
	return 0;
}

/* ---- agents ---- */

static void set_name(char to[KL_SITE_NAME], const char *from)
{
	size_t len = strnlen(from, KL_SITE_NAME - 1);

	memset(to, 0, KL_SITE_NAME);
	memcpy(to, from, len);
}

static bool is_same_agent(const struct kl_site_agent *a, const struct kl_site_agent *b)
{
	return !strcmp(a->site, b->site) && !strcmp(a->agent, b->agent);
}

static struct sites_agent *agent_of(struct kl_sites *s, const struct kl_site_message *m)
{
	struct kl_site_agent name;
	struct sites_agent *a, *before;

	memset(&name, 0, sizeof(name));
	set_name(name.site, m->site);
	set_name(name.agent, m->agent);
	name.boot = m->batch->boot;
	HASH_FIND(hh, s->agents, &name, sizeof(name), a);
	if (a)
		return a;
	if (HASH_COUNT(s->agents) >= s->config.max_agents)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	for (before = s->agents; before; before = before->hh.next)
		before->ended |= is_same_agent(&before->name, &name);
	a->name = name;
	a->side = m->batch->side;
	a->began_ns = a->arrived_ns = m->batch->from_ns;
	a->number = m->batch->number - 1;
	a->least_lag_ns = INT64_MAX / 2;
	HASH_ADD(hh, s->agents, name, sizeof(a->name), a);
	return a;
}

/* (What was told of before a takeover is not told of again.) */
static void tell_gap(struct kl_sites *s, const struct sites_agent *a, uint64_t from_ns,
		     uint64_t to_ns, const char *why)
{
	struct kl_site_gap gap = {
		.agent = &a->name,
		.side = a->side,
		.id = kl_mix(sites_id(&a->name, from_ns), to_ns),
		.from_ns = from_ns + (uint64_t)a->wall_ns,
		.to_ns = to_ns + (uint64_t)a->wall_ns,
		.why = why,
	};

	if (s->config.gap && s->last_seq > s->before.head)
		sites_keep_error(s, s->config.gap(&gap, s->config.arg));
}

static void note_gap(struct kl_sites *s, struct sites_agent *a, uint64_t from_ns, uint64_t to_ns,
		     const char *why)
{
	tell_gap(s, a, from_ns, to_ns, why);
	if (a->gaps == SITES_GAPS) {
		/* The first two become one. */
		a->gap[1].from_ns = a->gap[0].from_ns;
		memmove(&a->gap[0], &a->gap[1], (SITES_GAPS - 1) * sizeof(a->gap[0]));
		a->gaps--;
	}
	a->gap[a->gaps++] = (struct sites_gap){ from_ns, to_ns };
	s->stats.gaps++;
	s->stats.gap_ns += to_ns - from_ns;
	for (size_t i = 0; i < a->engine_count; i++)
		sites_engine_gap(a->engines[i], a->side, from_ns, to_ns);
}

/* What it covers, before what it saw. */
static void note_coverage(struct kl_sites *s, struct sites_agent *a,
			  const struct kl_site_message *m)
{
	const struct kl_wire_batch *b = m->batch;
	int64_t lag_ns;

	a->wall_ns = b->wall_ns;
	s->stats.batches_missing += b->number - a->number - 1;
	if (b->from_ns > a->arrived_ns || b->number > a->number + 1)
		note_gap(s, a, a->arrived_ns,
			 b->from_ns > a->arrived_ns ? b->from_ns : a->arrived_ns,
			 b->number > a->number + 1 ? "missing" : "not_covered");
	for (uint32_t i = 0; i < b->misses; i++)
		note_gap(s, a, b->missed[i].from_ns, b->missed[i].to_ns,
			 kl_wire_why_name(b->missed[i].why));
	a->number = b->number;
	if (b->to_ns > a->arrived_ns)
		a->arrived_ns = b->to_ns;
	lag_ns = (int64_t)(s->now_ns - b->to_ns);
	a->lag_ns = lag_ns;
	/* Clocks drift, though no more than this. */
	if (a->least_lag_ns != INT64_MAX / 2)
		a->least_lag_ns += (int64_t)(s->now_ns - a->stored_ns) / 2000;
	a->stored_ns = s->now_ns;
	if (lag_ns > a->least_lag_ns)
		return;
	if (a->least_lag_ns - lag_ns > (int64_t)s->config.tolerance_ns)
		a->steady_ns = s->now_ns;
	a->least_lag_ns = lag_ns;
}

/* ---- batches ---- */

static int take_sighting(struct kl_sites *s, struct sites_agent *a,
			 const struct kl_wire_sighting *w, uint64_t position)
{
	struct sites_conn *c = sites_conn_of(s, &w->sighted.ends);
	struct sites_item item = { .cookie = position, .seen = w->sighted };

	s->stats.sightings++;
	if (!c) {
		s->stats.refused++;
		return 0;
	}
	item.seen.side = (uint8_t)a->side;
	if (w->device[0])
		memcpy(c->device, w->device, sizeof(c->device));
	if (!sites_note(s, c->route, a, position)) {
		s->stats.refused++;
		return 0;
	}
	return s->error ?: sites_dispatch(s, c->route, a, &item);
}

/* Those that started anew so long ago that nobody asks for what was before. */
static int forget_agents(struct kl_sites *s)
{
	const struct kl_sites_config *c = &s->config;
	struct sites_agent *a, *next;
	int r = 0;

	HASH_ITER(hh, s->agents, a, next)
	{
		if (r || !a->ended ||
		    a->stored_ns + 2 * c->patience_ns + c->linger_ns + c->warm_up_ns > s->now_ns)
			continue;
		while (!r && a->engine_count) {
			if (a->engines[0]->pair)
				r = sites_engine_close(s, a->engines[0]);
			sites_engine_free(s, a->engines[0]);
		}
		if (r)
			continue;
		sites_forget_agent(s, a);
		HASH_DEL(s->agents, a);
		free(a->engines);
		free(a);
	}
	return r;
}

static int look(struct kl_sites *s)
{
	int r;

	if (s->looked_ns + LOOK_NS > s->now_ns && s->looked_ns)
		return 0;
	s->looked_ns = s->now_ns;
	sites_retire(s);
	/* (In this order: a long time may have passed at once, and what waits is to be settled first.) */
	r = sites_engines_look(s) ?: forget_agents(s);
	return r ?: s->error;
}

static bool is_wanted(struct kl_sites *s, const struct sites_agent *a,
		      const struct kl_wire_batch *b)
{
	if (a->ended)
		s->stats.batches_late++;
	else if (b->number <= a->number || a->side != b->side)
		s->stats.batches_again++;
	else
		return true;
	return false;
}

static int take(struct kl_sites *s, const struct kl_site_message *m)
{
	const struct kl_wire_batch *b = m->batch;
	struct sites_agent *a;
	int r = mark(s, m->seq, m->stored_ns);

	if (r)
		return r;
	s->by_server = b->rule == KL_WIRE_BY_SERVER;
	s->stats.batches++;
	a = agent_of(s, m);
	if (!a) {
		s->stats.refused += b->count;
		return look(s);
	}
	if (!is_wanted(s, a, b))
		return look(s);
	note_coverage(s, a, m);
	for (uint32_t i = 0; !r && i < b->count; i++)
		r = take_sighting(s, a, &b->of[i], m->seq << SITES_PLACE_BITS | i);
	for (size_t i = 0; !r && i < a->engine_count; i++)
		r = sites_engine_advance(s, a->engines[i]);
	return r ?: look(s);
}

int kl_sites_take(struct kl_sites *s, const struct kl_site_message *m)
{
	int r;

	s->taking = true;
	r = take(s, m);
	s->taking = false;
	return r;
}

/* ---- what another joiner needs to go on ---- */

int kl_sites_resume(struct kl_sites *s, const struct kl_sites_point *point,
		    const struct kl_sites_cut *cuts, size_t count)
{
	s->point = s->before = *point;
	for (size_t i = 0; i < count; i++) {
		struct sites_resumed *r = calloc(1, sizeof(*r)), *old;

		if (!r)
			return -ENOMEM;
		for (uint32_t side = 0; side < KL_SIDES; side++) {
			set_name(r->cut.agent[side].site, cuts[i].agent[side].site);
			set_name(r->cut.agent[side].agent, cuts[i].agent[side].agent);
			r->cut.agent[side].boot = cuts[i].agent[side].boot;
			r->cut.settled[side] = cuts[i].settled[side];
		}
		HASH_REPLACE(hh, s->resumed, cut.agent, sizeof(r->cut.agent), r, old);
		free(old);
	}
	return 0;
}

/* All before this position is settled. */
static uint64_t oldest(const struct kl_sites *s)
{
	uint64_t first = (s->last_seq + 1) << SITES_PLACE_BITS;

	if (s->held)
		first = sites_position(s->held->item.cookie);
	for (const struct sites_engine *e = s->engines; e; e = e->hh.next) {
		uint64_t position = sites_engine_oldest(e);

		first = position < first ? position : first;
	}
	return first;
}

static uint64_t floor_of(struct kl_sites *s, uint64_t seq)
{
	struct sites_mark *m = s->marks + s->mark_first;
	uint64_t from_ns = m->stored_ns;

	for (size_t i = 0; i < s->mark_count && m[i].seq <= seq; i++)
		from_ns = m[i].stored_ns;
	/* The marks before the floor are of no use any more. */
	while (s->mark_count > 1 && m[1].stored_ns + s->config.warm_up_ns <= from_ns) {
		m++;
		s->mark_first++;
		s->mark_count--;
	}
	return m->seq;
}

void kl_sites_point(struct kl_sites *s, struct kl_sites_point *ret)
{
	/* Until all is read that was read before the takeover, what is settled stays as it was. */
	if (s->mark_count && s->last_seq >= s->before.head) {
		uint64_t first = oldest(s);

		s->point.head = s->last_seq;
		s->point.floor = floor_of(s, first >> SITES_PLACE_BITS);
		if (first - 1 > s->point.settled)
			s->point.settled = first - 1;
	}
	*ret = s->point;
}

/* What was settled of two agents of which nothing was read since the takeover. */
static int resumed_cuts(struct kl_sites *s, uint64_t floor, kl_sites_cut_fn fn, void *arg)
{
	struct sites_resumed *x, *next;
	int r = 0;

	HASH_ITER(hh, s->resumed, x, next)
	{
		struct sites_engine key = {}, *e = NULL;

		for (uint32_t side = 0; side < KL_SIDES; side++)
			HASH_FIND(hh, s->agents, &x->cut.agent[side], sizeof(x->cut.agent[side]),
				  key.key.agent[side]);
		if (key.key.agent[0] && key.key.agent[1])
			HASH_FIND(hh, s->engines, &key.key, sizeof(key.key), e);
		if (x->cut.settled[0] < floor && x->cut.settled[1] < floor) {
			HASH_DEL(s->resumed, x);
			free(x);
		} else if (!r && !e) {
			r = fn(&x->cut, arg);
		}
	}
	return r;
}

int kl_sites_cuts(struct kl_sites *s, kl_sites_cut_fn fn, void *arg)
{
	uint64_t floor = s->point.floor << SITES_PLACE_BITS;
	struct sites_engine *e, *next;
	int r = 0;

	HASH_ITER(hh, s->engines, e, next)
	{
		struct kl_sites_cut cut = {
			.agent = { e->key.agent[0]->name, e->key.agent[1]->name },
			.settled = { e->lane[0].settled, e->lane[1].settled },
		};
		bool behind = cut.settled[0] < floor && cut.settled[1] < floor;

		if (r || (behind && e->pair))
			continue;
		if (!behind)
			r = fn(&cut, arg);
		else if (!s->taking && (e->key.agent[0]->ended || e->key.agent[1]->ended))
			sites_engine_free(s, e);
	}
	return r ?: resumed_cuts(s, floor, fn, arg);
}

/* ---- what is told of it ---- */

void kl_sites_stats(const struct kl_sites *s, struct kl_sites_stats *ret)
{
	*ret = s->stats;
	ret->agents = HASH_COUNT(s->agents);
	ret->joins = HASH_COUNT(s->engines);
	ret->conns = HASH_COUNT(s->conns);
}

int kl_sites_pairs(const struct kl_sites *s, kl_site_pair_fn fn, void *arg)
{
	int r = 0;

	for (const struct sites_engine *e = s->engines; !r && e; e = e->hh.next) {
		struct kl_site_pair pair = {};

		if (!e->pair)
			continue;
		kl_pair_clock(e->pair, &pair.clock);
		for (uint32_t side = 0; side < KL_SIDES; side++) {
			pair.agent[side] = &e->key.agent[side]->name;
			pair.silent_ns[side] = s->now_ns - e->key.agent[side]->stored_ns;
		}
		r = fn(&pair, arg);
	}
	return r;
}

void kl_sites_conns(const struct kl_sites *s, kl_site_conn_fn fn, void *arg)
{
	for (const struct sites_conn *c = s->conns; c; c = c->hh.next) {
		const struct sites_route *r = c->route;

		if (c->stored_ns + s->config.patience_ns >= s->now_ns && r->count[KL_ACCESS])
			fn(r->by[KL_ACCESS][0].agent->name.site, arg);
	}
}
