// SPDX-License-Identifier: GPL-2.0-only
/* sites_internal.h: who sees which connection, and what waits for somebody else to see it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/sites_internal.h"

static unsigned hash_of(const struct kl_endpoints *ends)
{
	return (unsigned)(kl_endpoints_hash(ends, KL_WIRE_SEED) >> 13);
}

/* ---- connections ---- */

struct sites_conn *sites_conn_find(const struct kl_sites *s, const struct kl_endpoints *ends)
{
	struct sites_conn *c;

	HASH_FIND_BYHASHVALUE(hh, s->conns, ends, sizeof(*ends), hash_of(ends), c);
	return c;
}

static void route_free(struct kl_sites *s, struct sites_route *r)
{
	HASH_DEL(s->routes, r);
	for (uint32_t side = 0; side < KL_SIDES; side++)
		free(r->by[side]);
	free(r);
}

static void conn_free(struct kl_sites *s, struct sites_conn *c)
{
	struct sites_route *r = c->route;

	DL_DELETE(s->conn_order, c);
	if (s->conns) /* (it is in it) */
		HASH_DEL(s->conns, c);
	free(c);
	if (r && !--r->conns)
		route_free(s, r);
}

/* Where NAT changes what is seen of a connection, its server is all that both ends have in common. */
static struct kl_endpoints key_of(const struct kl_sites *s, const struct kl_endpoints *ends)
{
	struct kl_endpoints key = *ends;

	if (s->by_server) {
		memset(key.phone, 0, sizeof(key.phone));
		key.phone_port = 0;
	}
	return key;
}

static struct sites_route *route_of(struct kl_sites *s, const struct kl_endpoints *ends)
{
	struct kl_endpoints key = key_of(s, ends);
	unsigned hash = hash_of(&key);
	struct sites_route *r;

	HASH_FIND_BYHASHVALUE(hh, s->routes, &key, sizeof(key), hash, r);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->key = key;
	HASH_ADD_BYHASHVALUE(hh, s->routes, key, sizeof(r->key), hash, r);
	return r;
}

/* The longest silent one, of which nothing waits. */
static void make_room(struct kl_sites *s)
{
	uint32_t tries = 0;

	for (struct sites_conn *c = s->conn_order; c && tries < 64; c = c->next, tries++) {
		if (c->route->held && c->route->conns == 1)
			continue;
		conn_free(s, c);
		return;
	}
}

struct sites_conn *sites_conn_of(struct kl_sites *s, const struct kl_endpoints *ends)
{
	struct sites_conn *c = sites_conn_find(s, ends);

	if (c) {
		if (c->next) {
			DL_DELETE(s->conn_order, c);
			DL_APPEND(s->conn_order, c);
		}
		c->stored_ns = s->now_ns;
		return c;
	}
	if (HASH_COUNT(s->conns) >= s->config.max_conns)
		make_room(s);
	if (HASH_COUNT(s->conns) >= s->config.max_conns)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->route = route_of(s, ends);
	if (!c->route) {
		free(c);
		return NULL;
	}
	c->route->conns++;
	c->ends = *ends;
	c->stored_ns = s->now_ns;
	HASH_ADD_BYHASHVALUE(hh, s->conns, ends, sizeof(c->ends), hash_of(ends), c);
	DL_APPEND(s->conn_order, c);
	return c;
}

/* ---- who sees them ---- */

struct sites_seen *sites_seen_by(const struct sites_route *r, const struct sites_agent *a)
{
	for (uint32_t i = 0; i < r->count[a->side]; i++) {
		if (r->by[a->side][i].agent == a)
			return &r->by[a->side][i];
	}
	return NULL;
}

/* Those that do not see it any more, where there is one that does. */
static void forget_stale(const struct kl_sites *s, struct sites_route *r, uint32_t side)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->count[side]; i++) {
		const struct sites_seen *x = &r->by[side][i];

		if (!x->agent->ended && x->stored_ns + s->config.patience_ns >= s->now_ns)
			r->by[side][kept++] = *x;
	}
	if (kept)
		r->count[side] = kept;
}

static struct sites_seen *seen_new(struct kl_sites *s, struct sites_route *r, struct sites_agent *a)
{
	uint32_t side = a->side;

	forget_stale(s, r, side);
	if (!s->by_server && r->count[side] >= SITES_ROUTE_AGENTS)
		return NULL;
	if (r->count[side] == r->room[side]) {
		uint32_t room = r->room[side] ? 2 * r->room[side] : 1;
		struct sites_seen *by = reallocarray(r->by[side], room, sizeof(*by));

		if (!by)
			return NULL;
		r->by[side] = by;
		r->room[side] = room;
	}
	return &r->by[side][r->count[side]++];
}

static void held_remove(struct kl_sites *s, struct sites_held *h)
{
	DL_DELETE(s->held, h);
	DL_DELETE2(h->route->held, h, route_prev, route_next);
	s->stats.waiting--;
	free(h);
}

/* It was left out of joins: what others have of the connection until then cannot be called lost. */
static void note_retired(struct sites_held *h)
{
	struct sites_seen *x = sites_seen_by(h->route, h->agent);

	if (x && x->retired_ns < h->item.seen.time_ns)
		x->retired_ns = h->item.seen.time_ns;
}

static uint32_t agents_of(const struct sites_route *r, uint32_t side)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count[side]; i++)
		n += !r->by[side][i].agent->ended;
	return n;
}

/* Somebody at the other side sees it now, too: what waited for that may go. */
static void release(struct kl_sites *s, struct sites_route *r, uint32_t side)
{
	struct sites_held *h, *next;

	DL_FOREACH_SAFE2(r->held, h, next, route_next)
	{
		struct sites_seen *by = r->by[side ^ 1];
		bool late = false;

		if (h->agent->side != side)
			continue;
		for (uint32_t i = 0; i < r->count[side ^ 1]; i++) {
			struct sites_engine *e = sites_engine_of(s, h->agent, by[i].agent);

			late |= e && e->lane[side].fed >= sites_position(h->item.cookie);
		}
		if (late) {
			note_retired(h);
			continue;
		}
		sites_keep_error(s, sites_dispatch(s, r, h->agent, &h->item));
		held_remove(s, h);
	}
}

static void note_server(struct sites_agent *a, const struct kl_endpoints *ends)
{
	uint64_t server = kl_cucm_hash(ends, KL_WIRE_SEED);

	for (uint32_t i = 0; i < a->servers && i < SITES_SERVERS; i++) {
		if (a->server[i] == server)
			return;
	}
	a->server[a->servers++ % SITES_SERVERS] = server;
	if (a->servers >= 2 * SITES_SERVERS)
		a->servers -= SITES_SERVERS;
}

bool sites_note(struct kl_sites *s, struct sites_route *r, struct sites_agent *a, uint64_t position)
{
	struct sites_seen *x = sites_seen_by(r, a);

	if (!x) {
		x = seen_new(s, r, a);
		if (!x)
			return false;
		*x = (struct sites_seen){ .agent = a, .since = position };
		note_server(a, &r->key);
		x->stored_ns = s->now_ns;
		if (r->held)
			release(s, r, a->side ^ 1);
		return true;
	}
	x->stored_ns = s->now_ns;
	return true;
}

static int hold(struct kl_sites *s, struct sites_route *r, struct sites_agent *a,
		const struct sites_item *item)
{
	struct sites_held *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	*h = (struct sites_held){ .item = *item, .agent = a, .route = r, .stored_ns = s->now_ns };
	DL_APPEND(s->held, h);
	DL_APPEND2(r->held, h, route_prev, route_next);
	s->stats.waiting++;
	return 0;
}

/* To the joins with all who see it at the other side. */
int sites_dispatch(struct kl_sites *s, struct sites_route *r, struct sites_agent *a,
		   struct sites_item *item)
{
	uint32_t other = a->side ^ 1, joins;
	int error = 0;

	if (r->count[other] > 1)
		forget_stale(s, r, other);
	joins = agents_of(r, other);
	if (!joins)
		return hold(s, r, a, item);
	if (joins > 1) {
		item->cookie |= SITES_SHARED;
		if (kl_is_near(a->side, item->seen.direction) && !item->seen.fragment)
			error = sites_share(s, item->cookie, joins);
	}
	for (uint32_t i = 0; !error && i < r->count[other]; i++) {
		struct sites_agent *o = r->by[other][i].agent;
		struct sites_engine *e = o->ended ? NULL : sites_engine_of(s, a, o);

		if (!o->ended)
			error = e ? sites_engine_push(s, e, item) : -ENOMEM;
	}
	return error;
}

/* (What waited before a takeover waits again, until all that had come by then has come.) */
static bool is_due(const struct kl_sites *s, const struct sites_held *h)
{
	if (s->stats.waiting > s->config.max_waiting)
		return true;
	if (s->last_seq < s->before.head && sites_position(h->item.cookie) > s->before.alone)
		return false;
	return h->stored_ns + s->config.linger_ns < s->now_ns;
}

void sites_retire(struct kl_sites *s)
{
	while (s->held && is_due(s, s->held)) {
		struct sites_held *h = s->held;

		note_retired(h);
		sites_settle_alone(s, h);
		held_remove(s, h);
	}
}

void sites_forget_agent(struct kl_sites *s, const struct sites_agent *a)
{
	for (struct sites_route *r = s->routes; r; r = r->hh.next) {
		struct sites_seen *x = sites_seen_by(r, a);

		if (x)
			*x = r->by[a->side][--r->count[a->side]];
	}
}

void sites_routes_free(struct kl_sites *s)
{
	while (s->held)
		held_remove(s, s->held);
	while (s->conn_order)
		conn_free(s, s->conn_order);
}
