/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How two captures see the packets of gen.h: their clocks, what they cover, drop and double, what
 * lies between them (NAT, a firewall that shifts numbers); and what may then be said of each
 * packet.
 */
#pragma once

#include "../unit/pair_run.h"
#include "gen.h"

enum {
	VIEW_GAPS = 3,
};

struct view_side {
	int64_t from_ns, to_ns; /* true time */
	int64_t clock_ns;	/* its clock less the true time, at the start */
	double drift;
	int64_t step_at_ns, step_ns; /* 0: none */
	struct {
		int64_t from_ns, to_ns;
	} gap[VIEW_GAPS];
	uint32_t gaps;
	double drops;	   /* share of packets that it misses and does not tell */
	double duplicates; /* share of packets that it has twice */
	uint16_t vlan;
	double blind;	     /* share of connections that it does not see any more after a while */
	int64_t disorder_ns; /* between time and place in the capture */
};

struct view_options {
	struct view_side side[KL_SIDES];
	bool nat;
	bool shift;
	bool no_content; /* payloads say nothing: encrypted, or cut */
};

struct view {
	struct pair_stream stream[KL_SIDES];
	bool *seen[KL_SIDES];	     /* by packet */
	int64_t *blind_ns[KL_SIDES]; /* by connection: from when on; INT64_MAX: never */
};

/* Of each sighting the cookie is the number of the packet, plus one. */
void view_make(struct view *v, const struct gen_world *w, const struct view_options *o,
	       struct gen_rng *rng);
void view_free(struct view *v);

/* Does the capture say of itself that it recorded, from one true time to the other? */
bool view_covers(const struct view_side *s, int64_t from_ns, int64_t to_ns);
/* Its clock at that true time. */
uint64_t view_clock(const struct view_side *s, int64_t true_ns);
