/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGHUP: the file of --config is read again, and what can change without losing a count changes;
 * the file of --output is opened anew, for whoever moved the old one away. All or nothing: with
 * anything wrong, all stays as it was. What changed, what cannot change and what is wrong is
 * printed, a line each.
 *
 * A struct kl_reload owns the options that the run goes by, and the file that records go to. That and
 * its descriptor stay the same; what is behind them changes.
 */
#pragma once

#include "cli/run.h"

struct kl_reload {
	const struct kl_options *start; /* as it was started; outlives it */
	struct kl_options now;
	FILE *file; /* of --output, or a copy of standard output */
};

/* Opens the file of --output. Prints what is wrong. */
int kl_reload_open(struct kl_reload *r, const struct kl_options *start);
void kl_reload_close(struct kl_reload *r);

/* Is there anything that SIGHUP could do? */
bool kl_reload_takes_hangup(const struct kl_options *o);
/* report: what writes to the file. Negative errno: what was written to the old file failed. */
int kl_reload(struct kl_reload *r, struct kl_run *run, struct kl_report *report);
