/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stretch of a history as a diagnosis: what a run would have told that lasted as long. It is read
 * in one look, beside whoever writes, and nobody waits for the other.
 *
 * A struct kl_history_view owns the diagnosis and the sessions that it refers to. Its times are
 * CLOCK_REALTIME.
 */
#pragma once

#include "core/diagnosis.h"
#include "util/error.h"

enum {
	KL_HISTORY_REMARKS = 64,
	KL_HISTORY_REMARK = 400,
	KL_HISTORY_COPIES = 1 << 16,	  /* so many copies that were not lost are compared */
	KL_HISTORY_COPIES_LOST = 1 << 19, /* and of those that were */
};

struct kl_history_view {
	struct kl_diagnosis d; /* finished */
	struct kl_sessions *sessions;
	uint64_t from_ns, to_ns;
	double duration_s;				     /* of it, while a run was watching */
	char remarks[KL_HISTORY_REMARKS][KL_HISTORY_REMARK]; /* what is missing in it */
	size_t remark_count;
};

/*
 * since_ns: how long before its end; 0: all of it. It begins with the part (KL_HISTORY_PART_NS) that
 * was being kept then. now_ns: CLOCK_REALTIME: its end is what lies no further ahead than some
 * minutes, unless all does (struct kl_extent); UINT64_MAX: nothing does.
 */
int kl_history_read(const char *path, uint64_t since_ns, uint64_t now_ns,
		    struct kl_history_view *ret, struct kl_error *err);
void kl_history_view_done(struct kl_history_view *v);
