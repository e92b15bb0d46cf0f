/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a run may not have seen all that passed: an interface of it went down, came up, went away or
 * came back, its programs were taken off, or the host slept. Each is said once, on standard error,
 * and nothing that was under way then is called lost; while an interface is missing, nothing is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct kl_run;

struct kl_gaps {
	uint64_t slept_ns;   /* so far, by the system's clocks */
	uint64_t looked_ns;  /* last */
	uint64_t told_ns;    /* when the sessions were, last */
	uint64_t missing_ns; /* how long an interface was missing, in all */
	size_t missing;	     /* interfaces, then */
	uint64_t minute_ns;  /* when the minute began */
	unsigned said;	     /* lines in it */
	unsigned unsaid;     /* for which there were too many */
};

void kl_gaps_start(struct kl_run *run);
/* Whoever judges losses calls this first. */
void kl_gaps_look(struct kl_run *run);
/* What was left out is said to have been. */
void kl_gaps_end(struct kl_run *run);
