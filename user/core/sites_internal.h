/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the join of many hosts share.
 *
 * A position is that of a sighting in the stream: the batch's sequence number and its place in it.
 * A conn is a connection as agents see it; a route is what brings both sides' conns together: the
 * connection itself, or, where NAT is between the agents, its server. An item is a sighting that is
 * not fed yet: in a lane of each join that it is for, or held for want of one.
 */
#pragma once

#include "core/sites.h"
#include "util/table.h"

enum {
	SITES_GAPS = 32,	/* of an agent, remembered for joins that begin later */
	SITES_ROUTE_AGENTS = 4, /* of one side, that see the same connection */
	SITES_SERVERS = 32,	/* whose connections an agent saw lately */
	SITES_PLACE_BITS = 16,	/* of a position */
};

/* A cookie is a position, and this: it was fed to more than one join. */
#define SITES_SHARED (1ULL << 63)

static inline uint64_t sites_position(uint64_t cookie)
{
	return cookie & ~SITES_SHARED;
}

struct sites_item {
	uint64_t cookie;
	struct kl_sighted seen; /* all but the cookie */
};

struct sites_engine;
struct sites_route;

struct sites_gap {
	uint64_t from_ns, to_ns;
};

struct sites_agent {
	struct kl_site_agent name;
	uint32_t side;
	bool ended; /* it has started anew, or was given up for good */
	uint64_t number;
	uint64_t began_ns, arrived_ns; /* its clock: covered from, read to */
	int64_t wall_ns;
	uint64_t stored_ns;	      /* when its last batch came, by the stream's clock */
	int64_t lag_ns, least_lag_ns; /* of the stream's clock, behind its own */
	uint64_t steady_ns; /* since then it is not known to catch up; the stream's clock */
	struct sites_gap gap[SITES_GAPS];
	uint32_t gaps;
	uint64_t server[SITES_SERVERS]; /* hashes */
	uint32_t servers;
	struct sites_engine **engines;
	size_t engine_count, engine_room;
	UT_hash_handle hh;
};

struct sites_conn {
	struct kl_endpoints ends;
	char device[KL_DEVICE_NAME];
	struct sites_route *route;
	uint64_t stored_ns; /* last seen */
	struct sites_conn *prev, *next;
	UT_hash_handle hh;
};

/* An agent that sees a route. */
struct sites_seen {
	struct sites_agent *agent;
	uint64_t since; /* position */
	uint64_t stored_ns;
	uint64_t retired_ns; /* its clock: until when something of it was left out of the joins */
};

struct sites_held {
	struct sites_item item;
	struct sites_agent *agent;
	struct sites_route *route;
	uint64_t stored_ns;
	struct sites_held *prev, *next;		    /* of all */
	struct sites_held *route_prev, *route_next; /* of the route */
};

struct sites_route {
	struct kl_endpoints key;
	uint32_t conns;
	struct sites_seen *by[KL_SIDES];
	uint32_t count[KL_SIDES], room[KL_SIDES];
	struct sites_held *held;
	UT_hash_handle hh;
};

/* In the order of positions. */
struct sites_queue {
	struct sites_item *of;
	size_t first, count, room;
};

struct sites_lane {
	struct sites_queue queue; /* not fed yet */
	struct sites_queue late;  /* not to be fed: to be told of in its turn */
	uint64_t fed;		  /* position */
	uint64_t told_ns;	  /* read to, as the join was told */
	uint64_t given_ns;	  /* its agent was silent, and given up until then */
	uint64_t closed_ns;	  /* of the join before: nothing of it is in this one */
	uint64_t settled;	  /* position of the last that was handed out */
	uint64_t skip;		  /* what was handed out before the takeover */
};

struct sites_engine {
	struct {
		struct sites_agent *agent[KL_SIDES];
	} key;
	struct kl_pair *pair; /* NULL: nothing is held */
	struct sites_lane lane[KL_SIDES];
	/* Copies without a partner since the last one that had one: that seem lost; whatever they seem. */
	uint32_t alone, missed;
	UT_hash_handle hh;
};

/* One near sighting that several joins were fed. */
struct sites_shared {
	uint64_t cookie;
	uint32_t expected, got;
	bool fresh;	  /* not all of it was settled before the takeover */
	bool lost, other; /* what they said so far, where it counts */
	bool has_best;
	struct kl_paired best;
	struct sites_engine *engine; /* that said it */
	UT_hash_handle hh;
};

struct sites_resumed {
	struct kl_sites_cut cut;
	UT_hash_handle hh;
};

struct sites_mark {
	uint64_t seq, stored_ns;
};

struct kl_sites {
	struct kl_sites_config config;
	struct sites_agent *agents;
	struct sites_conn *conns, *conn_order; /* longest silent first */
	struct sites_route *routes;
	struct sites_engine *engines;
	struct sites_shared *shared;
	struct sites_resumed *resumed;
	struct sites_held *held;
	struct sites_mark *marks; /* a second apart */
	size_t mark_first, mark_count, mark_room;
	uint64_t now_ns; /* the stream's clock */
	uint64_t looked_ns;
	uint64_t last_seq;
	struct kl_sites_point point;  /* what was settled before the takeover, and since */
	struct kl_sites_point before; /* the takeover */
	bool by_server;
	bool taking; /* a batch: who is told of what it settles may ask for the point and the cuts */
	struct kl_sites_stats stats;
	int error; /* of settled(), or of memory: the first one */
};

void sites_keep_error(struct kl_sites *s, int r);
uint64_t sites_id(const struct kl_site_agent *agent, uint64_t position);
/* The last sequence number that was stored by then. */
uint64_t sites_seq_at(const struct kl_sites *s, uint64_t stored_ns);
/* Has it not said for a while what it sees, or does it say it late? */
bool sites_is_behind(const struct kl_sites *s, const struct sites_agent *a);
bool sites_is_silent(const struct kl_sites *s, const struct sites_agent *a);

/* sites_route.c */
struct sites_conn *sites_conn_of(struct kl_sites *s, const struct kl_endpoints *ends);
struct sites_conn *sites_conn_find(const struct kl_sites *s, const struct kl_endpoints *ends);
struct sites_seen *sites_seen_by(const struct sites_route *r, const struct sites_agent *a);
/* False: there is no room for it. */
bool sites_note(struct kl_sites *s, struct sites_route *r, struct sites_agent *a,
		uint64_t position);
int sites_dispatch(struct kl_sites *s, struct sites_route *r, struct sites_agent *a,
		   struct sites_item *item);
void sites_retire(struct kl_sites *s); /* what has waited for too long, or needs room */
/* It is about to be freed; nothing of it waits. */
void sites_forget_agent(struct kl_sites *s, const struct sites_agent *a);
void sites_routes_free(struct kl_sites *s);

/* sites_queue.c */
int sites_queue_add(struct sites_queue *q, const struct sites_item *item);
const struct sites_item *sites_queue_head(const struct sites_queue *q);
void sites_queue_pop(struct sites_queue *q);

/* sites_engine.c */
struct sites_engine *sites_engine_of(struct kl_sites *s, struct sites_agent *a,
				     struct sites_agent *b);
int sites_engine_push(struct kl_sites *s, struct sites_engine *e, const struct sites_item *item);
/* Nothing was recorded then. */
void sites_engine_gap(struct sites_engine *e, uint32_t side, uint64_t from_ns, uint64_t to_ns);
int sites_engine_advance(struct kl_sites *s, struct sites_engine *e);
/* Each second of the stream's clock. */
int sites_engines_look(struct kl_sites *s);
int sites_engine_close(struct kl_sites *s, struct sites_engine *e);
/* The position of its oldest sighting that is not settled; UINT64_MAX: none. */
uint64_t sites_engine_oldest(const struct sites_engine *e);
void sites_engine_free(struct kl_sites *s, struct sites_engine *e);

/* sites_settle.c */
int sites_share(struct kl_sites *s, uint64_t cookie, uint32_t joins);
/* It is about to be freed: what it said of what others were fed, too, stands for nothing any more. */
void sites_unshare(struct kl_sites *s, const struct sites_engine *e);
void sites_settle(struct kl_sites *s, struct sites_engine *e, const struct kl_paired *p);
/* The join was not fed it. */
void sites_settle_late(struct kl_sites *s, struct sites_engine *e, const struct sites_item *item);
void sites_settle_alone(struct kl_sites *s, const struct sites_held *h);
