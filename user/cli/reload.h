/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGHUP: the file of --config is read again, and what can change without losing a count changes;
 * the file of --output is opened anew, for whoever moved the old one away. All or nothing: with
 * anything wrong, all stays as it was. What changed, what cannot change and what is wrong is
 * printed, a line each.
 *
 * A struct kl_reload owns the options that the run goes by, and the descriptor that is written to: its
 * number stays, whatever it stands for.
 */
#pragma once

#include "cli/run.h"

struct kl_reload {
	const struct kl_options *start; /* as it was started; outlives it */
	struct kl_options now;
	int fd; /* the file of --output, or a duplicate of standard output */
};

/* Opens the file of --output. Prints what is wrong. */
int kl_reload_open(struct kl_reload *r, const struct kl_options *start);
void kl_reload_close(struct kl_reload *r);

/* Is there anything that SIGHUP could do? */
bool kl_reload_takes_hangup(const struct kl_options *o);
/* What is queued for the old file by then goes to the new one. */
void kl_reload(struct kl_reload *r, struct kl_run *run, struct kl_report *report);
