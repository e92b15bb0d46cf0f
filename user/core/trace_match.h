/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The call server's trace beside the segments: which keepalives does the application say it
 * received? Pure, and once at the end of a run.
 *
 * A line belongs to a session by its address and port, by its device, or, where it tells neither (a
 * number of a connection only), by its times, if they fit one session and no other. The trace's
 * clock is local time without a zone: the offset is the one at which most lines meet a segment of
 * their session, if no other does nearly as well. A line is matched to at most one segment and a
 * segment to at most one line.
 */
#pragma once

#include "core/cucm_trace.h"
#include "core/diagnosis.h"

/*
 * Fills in ret's trace messages, trace_verdict and has_trace. ret may be d's own evidence. d is to
 * have been finished. -ENOMEM.
 */
int kl_trace_match(const struct kl_trace_lines *lines, const struct kl_diagnosis *d,
		   struct kl_evidence *ret);
