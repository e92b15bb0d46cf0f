/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options that the verbs share: one table drives the command line, the file of --config and
 * help. Texts point into argv or into that file's, which the options own: kl_options_done() frees
 * them. All of it prints nothing but what --help asks for; errors come back as text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/session.h"
#include "source/broker.h"
#include "source/live.h"
#include "source/switch_poll.h"
#include "source/syslog.h"
#include "source/trap.h"
#include "util/duration.h"
#include "util/error.h"

enum kl_format {
	KL_FORMAT_TEXT,
	KL_FORMAT_JSONL,
	KL_FORMAT_JSON,
	KL_FORMAT_HTML
};
/* What is kept of a history where nothing else is said. */
#define KL_KEEP_NS (30 * 86400 * KL_NS_PER_S)
#define KL_HISTORY_MAX_BYTES (1ULL << 30)

enum kl_color {
	KL_COLOR_AUTO,
	KL_COLOR_ALWAYS,
	KL_COLOR_NEVER
};

enum {
	KL_OPTIONS_MAX = 96 /* rows of the table */
};

/* What an agent and a joiner agree on, and what is an agent's own. */
struct kl_sites_options {
	struct kl_broker_config nats; /* urls: NULL: not said */
	const char *prefix;	      /* of subjects */
	const char *site;
	const char *name; /* of the agent, or the joiner; NULL: this host's */
	uint32_t side;	  /* enum kl_side; KL_SIDES: not said */
	uint32_t partitions;
	uint32_t rule; /* enum kl_wire_rule */
	uint64_t batch_ns;
	const char *spool; /* NULL: memory only */
	uint64_t spool_max_bytes;
};

/* What is a joiner's own. */
struct kl_join_options {
	uint32_t first, last; /* partitions */
	uint32_t replicas;
	uint64_t stream_max_bytes;					    /* 0: no bound */
	uint64_t tolerance_ns, hold_ns, patience_ns, linger_ns, warm_up_ns; /* core/sites.h */
	uint64_t interval_ns;						    /* between two ticks */
	uint64_t lease_ns;  /* who says nothing for so long is dead */
	uint64_t commit_ns; /* losses wait for so long, to go together */
	uint32_t max_waiting;
};

struct kl_config_file;

struct kl_options {
	struct kl_live_config live;
	struct kl_sites_options sites;
	struct kl_join_options join;
	uint64_t interval_ns;
	uint64_t duration_ns; /* 0: until stopped */
	enum kl_format format;
	enum kl_color color;
	const char *captures[KL_SIDES]; /* comma lists of files; NULL: none. Point into argv. */
	const char *write_lost;		/* NULL: not asked for */
	const char *traces;		/* of the call server; a comma list; NULL: none */
	/* What watch keeps, and diagnose reads. NULL: none. */
	const char *history;
	uint64_t keep_ns; /* what is older goes */
	uint64_t history_max_bytes;
	uint64_t since_ns; /* 0: not said */
	/* Evidence from outside; their addresses and files are NULL where not asked for. */
	struct kl_trap_config trap;
	struct kl_switch_poll_config poll;
	struct kl_syslog_config syslog;
	const char *live_only; /* an option that captures have no use for; NULL: none was given */
	const char *output;    /* NULL: standard output. Points into argv. */
	uint64_t sip_grace_ns;
	uint32_t sccp_missed;
	uint32_t capture_connections; /* live.connections, of captures */
	uint32_t queue_bytes;	      /* of records that nobody has read yet */
	const char *prometheus;	 /* where metrics are served; NULL: nowhere. Points into argv. */
	bool complete[KL_SIDES]; /* that side's capture is known to have dropped nothing */
	bool all_macs;
	bool no_drops;
	bool per_phone;
	bool append; /* what is in output stays */
	bool help;
	bool check_config;	 /* do no more than that */
	const char *config_path; /* NULL: none */
	struct kl_config_file *config;
	/* What was said of each option, in the table's order; NULL: nothing. */
	const char *given[KL_OPTIONS_MAX];
	/* What kl_options_parse() made them from. */
	const struct kl_verb *verb;
	char **argv;
	int argc;
};

/* A verb: which of the options it has, and how it presents itself. */
struct kl_verb {
	const char *name;
	const char *summary;
	const char *usage;
	unsigned mask; /* one of the bits below */
	int (*run)(const struct kl_options *o);
};

enum {
	KL_VERB_WATCH = 1 << 0,
	KL_VERB_CHECK = 1 << 1,
	KL_VERB_DIAGNOSE = 1 << 2,
	KL_VERB_AGENT = 1 << 3,
	KL_VERB_JOIN = 1 << 4
};

enum {
	KL_CAPTURES_MAX = 1024 /* files of one side */
};

/*
 * argv[0] is the verb. Negative errno with err's text: wrong usage, and nothing to be freed. What
 * the command line says goes before what the file of --config says. May be called again, to read
 * that file anew.
 */
int kl_options_parse(const struct kl_verb *verb, int argc, char **argv, struct kl_options *ret,
		     struct kl_error *err);
void kl_options_done(struct kl_options *o);
void kl_options_defaults(struct kl_options *ret);

/* A row of the table. */
struct kl_option_info {
	const char *name;
	const char *argument; /* NULL: takes none; in a file: yes or no */
	const char *help;
	bool in_file;	/* of --config */
	bool reloads;	/* takes effect when that file is read again */
	bool any_value; /* a text, or a list that is empty unless told: it has no default value */
};
/* False: there are not so many, or it is not of this verb (ret->name is NULL then). */
bool kl_option_describe(const struct kl_verb *verb, size_t index, struct kl_option_info *ret);
/* As a line of the file: -ENOENT: no such option. */
int kl_option_set(const struct kl_verb *verb, struct kl_options *o, const char *name,
		  const char *value, struct kl_error *err);
/* Do the options go together? */
int kl_options_check(const struct kl_verb *verb, const struct kl_options *o, struct kl_error *err);
void kl_options_help(const struct kl_verb *verb);
bool kl_wants_color(const struct kl_options *o, int fd);

/* Exit statuses (docs/contract.md). */
enum {
	KL_EXIT_OK = 0,
	KL_EXIT_FOUND = 1,
	KL_EXIT_FAILED = 2
};

int kl_watch(const struct kl_options *o);
int kl_diagnose(const struct kl_options *o);
int kl_check(const struct kl_options *o);
int kl_agent(const struct kl_options *o);
int kl_join(const struct kl_options *o);
