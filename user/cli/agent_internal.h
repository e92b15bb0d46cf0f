/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files agent*.c share: agent.c runs it, agent_see.c is what comes from the interfaces,
 * agent_send.c what goes to the server.
 *
 * Two clocks: "mono" is CLOCK_MONOTONIC, as the kernel stamps records. The agent's own clock, by
 * which batches go, is that plus clock_ns; see wire.h.
 */
#pragma once

#include "cli/options.h"
#include "core/batcher.h"
#include "core/sight.h"
#include "core/subject.h"
#include "source/broker.h"
#include "source/links.h"
#include "source/one_side.h"
#include "source/spool.h"

struct kl_agent {
	const struct kl_options *o;
	struct kl_live_config live; /* of the options, with the interfaces on the side asked for */
	struct kl_ports ports;
	char name[KL_TOKEN_SIZE];
	char client[2 * KL_TOKEN_SIZE + 16]; /* as the server shows it */
	char inbox[KL_SUBJECT_SIZE];

	struct kl_stop *stop;
	struct kl_one_side *side;
	struct kl_links *links;
	struct kl_sighter *sighter;
	struct kl_batcher *batcher;
	struct kl_spool *spool;
	struct kl_broker *broker;

	/* Of this boot. */
	uint64_t boot;
	uint64_t clock_ns; /* the agent's clock less CLOCK_MONOTONIC */
	uint64_t start_ns; /* mono: nothing before it counts */
	uint64_t slept_ns;

	uint64_t now_ns;    /* mono */
	uint64_t looked_ns; /* mono: the time before */
	uint64_t beat_ns;   /* of the last heartbeat */
	uint64_t kept_ns;   /* of the last look at the spool */
	uint64_t hold_ns;   /* nothing is sent before that */

	struct kl_batcher_stats before; /* of boots before this one */
	struct kl_sight_counters counters;
	uint64_t wrong_way; /* segments that came where they cannot belong */
	uint64_t published; /* acknowledged batches */
	uint64_t again;	    /* sent more than once */
	uint64_t gaps;	    /* times when something about the interfaces changed */
	uint64_t fatal;	    /* errno that ends the run; 0: none */

	/* What was said last, so that it is said once. */
	bool connected;
	char trouble[256];
	char send_trouble[256];
	char spool_trouble[512];
	unsigned said; /* lines about interfaces in this minute */
	uint64_t minute_ns;
};

/* To standard error, one line. */
void kl_agent_say(const struct kl_agent *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* agent_see.c */
int kl_agent_begin_boot(struct kl_agent *a);
/* All that came until now. Negative errno: it makes no sense to go on. */
int kl_agent_see(struct kl_agent *a);
/* As far as what came is complete, into batches. all: at the end. */
int kl_agent_make_batches(struct kl_agent *a, bool all);

/* agent_send.c */
void kl_agent_take_batch(const struct kl_made_batch *batch, void *agent);
void kl_agent_send(struct kl_agent *a);
/* ending: there will not be another one. */
void kl_agent_beat(struct kl_agent *a, bool ending);
