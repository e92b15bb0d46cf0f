/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options that the verbs share: one table drives parsing and help. Texts point into argv. All of it prints nothing
 * but what --help asks for; errors come back as text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/session.h"
#include "source/live.h"
#include "source/switch_poll.h"
#include "source/syslog.h"
#include "source/trap.h"
#include "util/error.h"

enum kl_format {
	KL_FORMAT_TEXT,
	KL_FORMAT_JSONL,
	KL_FORMAT_JSON,
	KL_FORMAT_HTML
};
enum kl_color {
	KL_COLOR_AUTO,
	KL_COLOR_ALWAYS,
	KL_COLOR_NEVER
};

struct kl_options {
	struct kl_live_config live;
	uint64_t interval_ns;
	uint64_t duration_ns; /* 0: until stopped */
	enum kl_format format;
	enum kl_color color;
	const char *captures[KL_SIDES]; /* comma lists of files; NULL: none. Point into argv. */
	bool complete[KL_SIDES];	/* that side's capture is known to have dropped nothing */
	const char *write_lost;		/* NULL: not asked for */
	const char *traces;		/* of the call server; a comma list; NULL: none */
	/* What watch keeps, and diagnose reads. NULL: none. */
	const char *history;
	uint64_t keep_ns;	    /* what is older goes; 0: not said */
	uint64_t history_max_bytes; /* 0: not said */
	uint64_t since_ns;	    /* 0: not said */
	/* Evidence from outside; their addresses and files are NULL where not asked for. */
	struct kl_trap_config trap;
	struct kl_switch_poll_config poll;
	struct kl_syslog_config syslog;
	bool all_macs;
	const char *live_only; /* an option that captures have no use for; NULL: none was given */
	bool no_drops;
	bool per_phone;
	uint64_t sip_grace_ns;
	uint32_t sccp_missed;
	const char *output; /* NULL: standard output. Points into argv. */
	bool help;
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
	KL_VERB_DIAGNOSE = 1 << 2
};

enum {
	KL_CAPTURES_MAX = 1024 /* files of one side */
};

/* argv[0] is the verb. Negative errno with err's text: wrong usage. */
int kl_options_parse(const struct kl_verb *verb, int argc, char **argv, struct kl_options *ret,
		     struct kl_error *err);
/* Do the options go together? */
int kl_options_check(const struct kl_verb *verb, const struct kl_options *o, struct kl_error *err);
void kl_options_help(const struct kl_verb *verb);
bool kl_wants_color(const struct kl_options *o, FILE *out);

/* Exit statuses (docs/contract.md). */
enum {
	KL_EXIT_OK = 0,
	KL_EXIT_FOUND = 1,
	KL_EXIT_FAILED = 2
};

int kl_watch(const struct kl_options *o);
int kl_diagnose(const struct kl_options *o);
int kl_check(const struct kl_options *o);
