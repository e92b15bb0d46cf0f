/* SPDX-License-Identifier: GPL-2.0-only */
/* How far the reading of captures is, on a terminal: percent, rate, time left. */
#pragma once

#include <stdio.h>

#include "source/capture.h"

struct kl_progress {
	FILE *out; /* NULL: nobody looks */
	uint64_t start_ns;
	uint64_t shown_ns;
	unsigned calls;
	bool shown;
};

/* Shows nothing where out is no terminal. */
void kl_progress_start(struct kl_progress *p, FILE *out);
/* Cheap: looks at the clock now and then, and shows twice a second. captures: NULL ones are left
 * out. */
void kl_progress_show(struct kl_progress *p, const struct kl_capture *const *captures,
		      size_t count);
void kl_progress_clear(struct kl_progress *p);
