/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The join of many hosts: batches of many agents, in the order in which a stream holds them, become
 * settled segments. Pure: no network, no clock, told of everything; what time it is says the stream,
 * which stamped each batch when it took it. So whoever reads the same batches again comes to the
 * same, and that is how a joiner takes over from another one.
 *
 * How it works. Connections are seen by agents; each access agent and each cucm agent that see one
 * in common have a two-clock join of their own (core/pair.h), which is fed what both have of it, as
 * far as both were read. What only one agent has of a connection waits a while for another one. An
 * agent's clock never steps: a start of the agent is another agent here (core/wire.h).
 *
 * Invariants. No loss where an agent that might have seen the segment was not read about that time.
 * What several agents could have seen is delivered if any saw it arrive, and lost only where one
 * says so and none of the others could know better. Each sighting is settled once, also over
 * takeovers: what was settled before is known by positions in the stream (kl_sites_cut).
 *
 * Memory: max_waiting sightings (about 150 bytes each) beside what the joins hold, max_conns
 * connections, max_agents agents. What finds no room is handed out unpaired, and counted.
 */
#pragma once

#include "core/pair.h"
#include "core/wire.h"

struct kl_sites;

enum {
	KL_SITE_NAME = 72, /* bytes of a site's or an agent's name, with the zero */
};

/* One start of an agent. */
struct kl_site_agent {
	char site[KL_SITE_NAME];
	char agent[KL_SITE_NAME];
	uint64_t boot;
};

/* Of one sighting that is settled. */
struct kl_site_settled {
	struct kl_paired paired;
	uint64_t id;				     /* the same whoever settles it */
	uint64_t time_ns;			     /* CLOCK_REALTIME where it was seen */
	const struct kl_site_agent *agent[KL_SIDES]; /* NULL: none known */
	const char *device;			     /* NULL: not named */
};

/* A time that an agent did not cover. */
struct kl_site_gap {
	const struct kl_site_agent *agent;
	uint32_t side;
	uint64_t id;
	uint64_t from_ns, to_ns; /* CLOCK_REALTIME of its host */
	const char *why;
};

struct kl_sites_config {
	uint64_t tolerance_ns; /* see struct kl_pair_config */
	uint64_t hold_ns;      /* 0: 8 tolerances */
	/* An agent that is silent for longer is not waited for. 0: 15 min */
	uint64_t patience_ns;
	uint64_t linger_ns;   /* what only one agent saw waits so long for others. 0: 60 s */
	uint64_t warm_up_ns;  /* read again before what is not settled. 0: 10 min */
	uint32_t max_waiting; /* 0: 1 Mi */
	uint32_t max_conns;   /* 0: 256 Ki */
	uint32_t max_agents;  /* 0: 4096 */
	int (*settled)(const struct kl_site_settled *s, void *arg); /* an error ends the call */
	int (*gap)(const struct kl_site_gap *gap, void *arg);	    /* the same; NULL: not wanted */
	void *arg;
};

/* A batch as the stream holds it. */
struct kl_site_message {
	const char *site, *agent;
	uint64_t seq;	    /* in the stream; from 1, less than 1 << 47 */
	uint64_t stored_ns; /* when the stream took it, by its clock */
	const struct kl_wire_batch *batch;
};

struct kl_sites_stats {
	uint64_t batches, sightings;
	uint64_t batches_again;	  /* came once more */
	uint64_t batches_late;	  /* of an agent's earlier start, after its later one */
	uint64_t batches_missing; /* by their numbers */
	uint64_t gaps;		  /* times that an agent did not cover; also those it declared */
	uint64_t gap_ns;	  /* how long these were, in sum */
	uint64_t refused;	  /* sightings for which there was no room: agents, connections */
	uint64_t late;		  /* sightings of a time for which their agent was given up */
	uint64_t alone;		  /* sightings of connections that nobody else saw */
	uint64_t given_up;	  /* joins that were cut off to make room */
	uint32_t agents, joins, conns, waiting;
};

/* Of one pair of agents, how far it is settled: positions in the stream, 0: nothing. */
struct kl_sites_cut {
	struct kl_site_agent agent[KL_SIDES];
	uint64_t settled[KL_SIDES];
};

/* -ENOMEM, -EINVAL */
int kl_sites_new(const struct kl_sites_config *config, struct kl_sites **ret);
void kl_sites_free(struct kl_sites *s); /* NULL is fine */
static inline void kl_sites_freep(struct kl_sites **s)
{
	kl_sites_free(*s);
}

/* Where in the stream a joiner is; 0: at its start. */
struct kl_sites_point {
	uint64_t floor;	  /* from where on it must be read again by who takes over */
	uint64_t head;	  /* read to; sequence numbers, these two */
	uint64_t settled; /* all up to here is; a position, as the next one */
	uint64_t alone;	  /* of what nobody else saw: all up to here is */
};

/* Before the first batch: so far another one got. The first batch is that of the floor. */
int kl_sites_resume(struct kl_sites *s, const struct kl_sites_point *point,
		    const struct kl_sites_cut *cuts, size_t count);

/* Takes the next batch, and hands out what is settled by it. -ENOMEM, or an error of settled(). */
int kl_sites_take(struct kl_sites *s, const struct kl_site_message *m);

/*
 * These two say what is settled: all that was handed out so far. settled() may ask, too, of a sighting
 * that was lost, which is among it then; not of others, and gap() may not.
 */
void kl_sites_point(struct kl_sites *s, struct kl_sites_point *ret);
typedef int (*kl_sites_cut_fn)(const struct kl_sites_cut *cut, void *arg);
/* Each pair of agents of which something is settled behind the floor. */
int kl_sites_cuts(struct kl_sites *s, kl_sites_cut_fn fn, void *arg);

void kl_sites_stats(const struct kl_sites *s, struct kl_sites_stats *ret);

/* Pairs of agents, and what their clocks and the ways between them are like. */
struct kl_site_pair {
	const struct kl_site_agent *agent[KL_SIDES];
	struct kl_pair_clock clock;
	uint64_t silent_ns[KL_SIDES]; /* since something came from it */
};
typedef int (*kl_site_pair_fn)(const struct kl_site_pair *pair, void *arg);
int kl_sites_pairs(const struct kl_sites *s, kl_site_pair_fn fn, void *arg);

/* Each connection that was seen within the patience, by the site of its access agent. */
typedef void (*kl_site_conn_fn)(const char *site, void *arg);
void kl_sites_conns(const struct kl_sites *s, kl_site_conn_fn fn, void *arg);
