/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run on interfaces, from its start to its end: the programs, the sessions, and what says why.
 * watch and diagnose say what is done with what it finds. Errors are printed here, with the verb's
 * name; functions return 0 or a negative errno.
 *
 * A struct kl_run owns what it opened; kl_run_close() detaches and frees all of it. The options
 * must outlive it. Times are CLOCK_MONOTONIC; realtime_offset_ns makes them CLOCK_REALTIME.
 */
#pragma once

#include "cli/gaps.h"
#include "cli/options.h"
#include "core/diagnosis.h"
#include "core/tally.h"
#include "report/report.h"

struct kl_run;
struct kl_inputs;
struct kl_stop;

/* Each returns 0, or a negative errno that ends the run. */
struct kl_run_handlers {
	/* drop: why a copy was lost, where the kernel said so; else NULL. */
	int (*story)(struct kl_run *run, const struct kl_story *story, const struct kl_drop *drop);
	/* Between the two interfaces. */
	int (*lost)(struct kl_run *run, const struct kl_lost *lost, const struct kl_drop *drop);
	int (*mac)(struct kl_run *run, const struct kl_mac_evidence *m);
	int (*arp)(struct kl_run *run, const struct kl_arp_conflict *c);
	int (*alarm)(struct kl_run *run, const struct kl_alarm *a);
	/* An ageing time that is set somewhere. May be NULL. */
	int (*ageing)(struct kl_run *run, const struct kl_ageing_evidence *a);
	/* Each interval. The record holds what happened in it. */
	int (*tick)(struct kl_run *run, const struct kl_report_tick *tick);
	/* The last look at a session (struct kl_sessions_config). May be NULL. */
	void (*leaves)(struct kl_run *run, const struct kl_session *session);
	/* Ten times a second, after what came was handed over. May be NULL. */
	int (*beat)(struct kl_run *run);
	/* Every segment counts from here on; nothing more is opened that needs privileges. May be NULL. */
	void (*started)(struct kl_run *run);
	/* SIGHUP, which ends the process where this is NULL. */
	int (*hangup)(struct kl_run *run);
	/* The end was asked for, or has come. May be NULL. */
	void (*stopping)(struct kl_run *run);
};

struct kl_run {
	const char *verb; /* "watch", for what is printed */
	const struct kl_options *o;
	const struct kl_run_handlers *handlers;
	void *arg; /* the handlers' own */
	/* Sessions that ended are kept, as far as there is room. */
	bool keep_sessions;

	/* Set by kl_run_open(). */
	struct kl_live *live;
	struct kl_links *links;
	struct kl_sessions *sessions;
	struct kl_inputs *inputs;
	struct kl_stop *stop;
	struct kl_tally_state tally;
	struct kl_gaps gaps;
	uint64_t start_ns, tick_ns, sweep_ns, walk_ns;
	uint64_t now_ns;
	uint64_t event_ns; /* of the event that is being taken */
	uint64_t realtime_offset_ns;
	size_t most_phones;   /* at any tick so far */
	uint64_t events_lost; /* at the last walk */
	uint64_t events_lost_noted;
	uint64_t refused;
	uint64_t evicted;			     /* sessions, at the last tick */
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES]; /* at the last tick */
	uint64_t mac_flushes;			     /* of the whole run */
	uint64_t mac_flushes_told;		     /* at the last tick */
	uint64_t evict_before_ns; /* a walk forgets connections silent since then */
	int error;		  /* the first one of a handler */
	int fault;		  /* of the run itself; it was printed */
};

/* verb, o, handlers, arg and keep_sessions are set by the caller, the rest is zero. */
int kl_run_open(struct kl_run *run);
void kl_run_close(struct kl_run *run);

/*
 * Until o->duration_ns is over (0: never) or a signal asks for the end; then what is under way gets
 * its deadline, and the last tick. A handler's error (run->error) is not printed, another one is.
 */
int kl_run(struct kl_run *run);

/* What a changed o->sip_grace_ns or o->sccp_missed means to those who go by a copy of it. */
void kl_run_set_patience(struct kl_run *run);

/* A lost copy as a record. */
struct kl_loss kl_run_loss_record(const struct kl_run *run, const struct kl_lost *lost,
				  const struct kl_drop *drop);
