/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of a run that go to somebody who may not read (util/outlet.h), and the threads beside the
 * main one. Each function prints what is wrong with the verb's name, or leaves it to *err.
 */
#pragma once

#include "cli/run.h"
#include "util/outlet.h"

/* A thread has the capabilities of the one that starts it: so another one than this starts them. */
struct kl_start {
	const char *verb;
	uint64_t keep; /* 1 << CAP_… */
	int (*threads)(void *arg, struct kl_error *err);
	void *arg;
	/* Set by kl_start_with_less(). */
	struct kl_error err;
	int r;
};

int kl_start_with_less(struct kl_start *s);

/* Tells of what was dropped, where there is a gap: once there is room again, or (last) in any case. */
int kl_output_gap(struct kl_outlet *o, struct kl_report *report, uint64_t time_ns, bool last);

/*
 * Waits until all is written, but no longer than until_ns (UINT64_MAX: for ever), nor past a signal
 * or an error. Returns what is not written.
 */
size_t kl_output_wait(struct kl_outlet *o, struct kl_stop *stop, uint64_t until_ns);
