/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `kaloss check` is made of: the facts it has gathered, and the list of lines that its rules
 * add to. A rule looks at facts and says what follows from them; check.c gathers and prints.
 *
 * An obstacle is what keeps kaloss from working or spoils its counts; all else is a note.
 */
#pragma once

#include <stdio.h>

#include "cli/options.h"
#include "source/interface.h"
#include "source/kernel.h"
#include "source/live.h"

enum {
	KL_PLACES_MAX = KL_SIDES * KL_INTERFACES_MAX,
	KL_CHECK_LINES = 32
};

enum kl_weight {
	KL_FINE,
	KL_NOTE,
	KL_OBSTACLE
};

struct kl_check_line {
	enum kl_weight weight;
	char subject[20];
	char text[400];
	char cure[600]; /* a command; empty: none that could be named */
};

/* One interface as it was named on the command line. */
struct kl_place {
	enum kl_side side;
	const char *name;
	const struct kl_interface_facts *facts; /* NULL: there is no such interface */
	struct kl_interface_offloads offloads;
	const struct kl_place *first; /* the same interface named before; else NULL */
	char xdp[128];		      /* who was there before us; empty: nobody */
	char tc_in[256], tc_out[256];
	const char *how; /* as in struct kl_hook, of frames that come in; NULL: not tried */
	const char *why;
};

struct kl_check {
	const struct kl_options *o;
	struct kl_interface_facts *interfaces;
	size_t interface_count;
	struct kl_place places[KL_PLACES_MAX];
	size_t place_count;
	struct kl_kernel_facts kernel;
	char missing[64];	  /* privileges; empty: none */
	struct kl_live *live;	  /* NULL: it could not be opened */
	struct kl_error refused;  /* why not */
	int refusal;		  /* negative errno */
	bool clsact;		  /* frames that leave are read by clsact filters */
	struct kl_survey *survey; /* of the traffic; NULL: it was not looked at */

	struct kl_check_line lines[KL_CHECK_LINES]; /* of the group that is being looked at */
	size_t line_count;
	unsigned obstacles; /* of all groups */
	bool cannot_run;
	int write_error; /* errno of the first line that could not be printed */
};

/* Adds a line. More than there is room for in one group are left out. */
void kl_check_say(struct kl_check *c, enum kl_weight weight, const char *subject,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The command that cures what was said last. */
void kl_check_cure(struct kl_check *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The command line that this is, with a change: for cures. */
struct kl_command_change {
	const char *before; /* a word before it: "sudo" */
	const char *add;    /* an option more */
	const char *drop;   /* an option less */
	bool swap_sides;
	const char *more[KL_SIDES];   /* interfaces to name on this side as well */
	const char *instead_of, *put; /* an interface's name, and what to name in its place */
};
void kl_check_command(const struct kl_command_change *change, char *ret, size_t size);
void kl_check_cure_by(struct kl_check *c, const struct kl_command_change *change);

const struct kl_interface_facts *kl_check_interface(const struct kl_check *c, unsigned ifindex);
/* The place of this interface; NULL: it was not named. */
const struct kl_place *kl_check_place(const struct kl_check *c, unsigned ifindex);
/* Another interface of the same side that is up and runs. */
bool kl_check_has_other(const struct kl_check *c, const struct kl_place *p);
bool kl_is_bridge_port(const struct kl_interface_facts *f);

/* Every interface of the one side is a port of the same bridge as every one of the other. */
bool kl_check_is_bridged(const struct kl_check *c);
/* By which name this host's routes know the place: a bridge's port has none of its own. */
const struct kl_interface_facts *kl_check_routed_name(const struct kl_check *c,
						      const struct kl_place *p);

/* What this host does with a segment, as its routes have it. Empty texts: nothing to say. */
struct kl_explanation {
	char text[200]; /* to be added to a sentence: "; its route is through eth3, …" */
	char cure[600];
};
void kl_check_explain(const struct kl_check *c, const struct kl_endpoints *e, __u32 direction,
		      struct kl_explanation *ret);

/* The rules, by group. */
void kl_check_interface_rules(struct kl_check *c, const struct kl_place *p);
void kl_check_kernel_rules(struct kl_check *c);
void kl_check_path_rules(struct kl_check *c);
void kl_check_traffic_rules(struct kl_check *c);
