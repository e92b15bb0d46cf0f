/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of kaloss join share.
 *
 * A partition is owned by who wrote its record last (join_state.h). What its join settles is gathered
 * until the next commit, which writes the record; only then is it published, and only once the
 * stream has taken all of it there is another commit. So what is out is committed, and what is
 * committed comes out, whoever dies in between.
 */
#pragma once

#include "cli/join_history.h"
#include "cli/join_state.h"
#include "cli/options.h"
#include "report/metrics_http.h"
#include "source/broker_read.h"
#include "util/hash.h"
#include "util/outlet.h"

struct kl_join_step;
struct kl_stop;
struct kl_join;

enum {
	KL_JOIN_JOINERS_MAX = 256,
	KL_JOIN_NAME = 96,
};

struct kl_join_partition {
	struct kl_join *join;
	uint32_t number;
	char subject[KL_SUBJECT_SIZE];
	uint64_t sequence;	   /* of the last record that is known; 0: there is none */
	uint64_t looked_ns;	   /* the following by CLOCK_MONOTONIC */
	uint64_t changed_ns;	   /* when another one's record was seen to change */
	char owner[KL_TOKEN_SIZE]; /* of the last record; empty: nobody */
	bool known;		   /* its record was looked at */
	bool owned;
	/* Of an owner. */
	struct kl_join_state state;	    /* committed, and what is fresh */
	struct kl_join_outs fresh;	    /* not committed yet */
	struct kl_site_counts fresh_counts; /* of all sites */
	struct kl_join_step *steps;	    /* gathered before that, to be committed first */
	size_t step_count;
	size_t record_bytes; /* of the last record, without what is to be published */
	char *unsure;	     /* a write of which it is not known whether it arrived */
	uint64_t committed_ns, ticked_ns, tick_realtime_ns;
	uint64_t paired_ns;		 /* all pairs of agents were told of */
	uint32_t pairs_told, pairs_seen; /* since then; while it is told */
	bool dirty;			 /* there is something to commit */
	struct kl_sites *sites;
	struct kl_broker_reader *reader;
	uint32_t readers; /* opened so far */
	uint64_t next_seq;
	size_t to_ack;	       /* of state.outs */
	uint64_t history_mark; /* of what is to be published */
};

struct kl_joiner_seen {
	char name[KL_TOKEN_SIZE];
	uint64_t first_ns, heard_ns;
};

struct kl_join {
	const struct kl_options *o;
	char name[KL_TOKEN_SIZE];
	char stream_seg[KL_JOIN_NAME], stream_own[KL_JOIN_NAME], stream_rec[KL_JOIN_NAME],
		stream_beat[KL_JOIN_NAME];
	struct kl_stop *stop;
	struct kl_broker *broker;
	struct kl_broker_listener *listener;
	struct kl_wire_batch *batch;
	struct kl_join_partition *partitions;
	uint32_t count;
	struct kl_joiner_seen joiner[KL_JOIN_JOINERS_MAX];
	uint32_t joiners;
	uint64_t started_ns, now_ns, realtime_ns, told_ns, complained_ns;
	struct kl_site_counts total; /* committed by this run */
	struct kl_site_counts since; /* the last line of text */
	uint64_t refused, takeovers, lost_ownerships;
	struct kl_outlet *outlet;
	FILE *out;
	int fd;
	struct kl_metrics_http *http;
	struct kl_metrics metrics;
	struct kl_join_history *history;
	int error; /* of the output */
};

/* A line for a person, on standard error. */
void kl_join_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Should this joiner own the partition, as far as it knows of others? */
bool kl_join_is_ours(const struct kl_join *j, uint32_t partition);
/* Connections of the partitions that are this joiner's, as of their last ticks. */
size_t kl_join_phones(const struct kl_join *j);

/* join_partition.c */
/* Times are those of struct kl_join. Looks at a partition that is another one's, or nobody's: takes it over where that is due. */
void kl_join_look(struct kl_join_partition *p);
/* Reads, commits, publishes. Returns whether there was anything to do. */
bool kl_join_work(struct kl_join_partition *p);
/* The stream has taken a record, or not. False: it is not of this partition. */
bool kl_join_acked(struct kl_join_partition *p, const struct kl_broker_ack *ack);
/* Gives it up in good order. Returns whether it is done. */
bool kl_join_release(struct kl_join_partition *p);
void kl_join_drop(struct kl_join_partition *p);

/* join_gather.c */
/* How much may be published with the next commit, beside what its record has of each site. */
size_t kl_join_out_room(const struct kl_join_partition *p);
/* For struct kl_sites_config, of a partition. */
int kl_join_settled(const struct kl_site_settled *s, void *arg);
int kl_join_gap(const struct kl_site_gap *gap, void *arg);
/* What the next commit is of: its point and cuts are in the state then, the rest is what is fresh. */
int kl_join_gathered(struct kl_join_partition *p);
void kl_join_steps_free(struct kl_join_partition *p);

/* join_records.c */
int kl_join_add_loss(struct kl_join_partition *p, const struct kl_site_settled *s);
int kl_join_add_gap(struct kl_join_partition *p, const struct kl_site_gap *gap);
int kl_join_add_ticks(struct kl_join_partition *p);
/* Of the tick of a site that the next commit has: the same for whoever publishes it, and no other. */
uint64_t kl_join_tick_id(const struct kl_join_partition *p, const char *site);
/* What is known of the clocks of each two agents; of some of them, if there are many. */
int kl_join_add_pairs(struct kl_join_partition *p);

/* join_output.c */
/* A record that is published for the first time. */
void kl_join_print(struct kl_join *j, const char *text);
void kl_join_print_tick(struct kl_join *j);
void kl_join_print_summary(struct kl_join *j);
