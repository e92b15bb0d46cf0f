/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sites with phones, call servers, and agents that see what passes: what they send, in the order in
 * which a stream took it, and what really happened. Simulated; told by a seed.
 */
#pragma once

#include "core/sites.h"

enum {
	WORLD_AGENTS = 264,
	WORLD_GROUPS = 256,
	WORLD_CUTS = 2,
};

struct world_agent {
	const char *site, *name;
	uint32_t side;
	int64_t ahead_ns; /* of the true time */
	double drift_ppm;
	/* From then on its clock is ahead by this much more; never back, for a batch would not be taken. */
	uint64_t step_at_ns;
	int64_t step_ns;
	/* Where it cannot send, in true time; what it has is sent afterwards. */
	struct {
		uint64_t from_ns, to_ns;
		uint32_t spool; /* batches that it can keep; 0: all */
	} cut[WORLD_CUTS];
	uint32_t cuts;
	/* It sees nothing, and says so. */
	uint64_t blind_from_ns, blind_to_ns;
	/* It starts anew. */
	uint64_t restart_ns;
};

struct world_phones {
	uint32_t count;
	uint32_t access;    /* number of the agent */
	uint32_t cucm[2];   /* of the agents on the two ways */
	uint64_t switch_ns; /* from then on the second way is taken; 0: never */
	bool nat;	    /* the cucm side sees other addresses and numbers */
	bool sip;	    /* else SCCP, whose keepalives are all alike */
	uint32_t first;	    /* of addresses */
};

struct world_config {
	uint64_t seed;
	uint64_t span_ns;
	uint64_t period_ns; /* of keepalives */
	double loss;
	uint64_t quiet_ns; /* at the end, in which nothing is sent: agents say so */
	enum kl_wire_rule rule;
	uint32_t partitions; /* 0: 1 */
	struct world_agent agent[WORLD_AGENTS];
	uint32_t agents;
	struct world_phones phones[WORLD_GROUPS];
	uint32_t groups;
};

struct world_message {
	uint64_t stored_ns;
	uint32_t agent;
	uint32_t partition;
	uint64_t number;
	void *data;
	size_t len;
};

/* A copy that was sent: as its near agent saw it. */
struct world_copy {
	uint32_t agent;
	uint32_t phone;		  /* of all */
	struct kl_endpoints ends; /* as the access side sees them */
	uint64_t true_ns;
	uint64_t seen_ns;
	uint32_t seq;
	uint8_t direction;
	bool lost;
};

struct world {
	struct world_config config;
	struct world_message *message;
	size_t messages, message_room;
	struct world_copy *copy;
	size_t copies, copy_room;
	uint64_t end_ns;
};

#define WORLD_START_NS 1800000000000000000ULL

void world_make(struct world *w, const struct world_config *config);
void world_free(struct world *w);
/* Reads one message: takes it into s. */
void world_feed(const struct world *w, size_t index, struct kl_sites *s,
		struct kl_wire_batch *batch);
