/* SPDX-License-Identifier: GPL-2.0-only */
/* What a side's captures are and what is missing in them, in sentences. */
#pragma once

#include "report/report.h"
#include "source/capture.h"

enum {
	KL_REMARKS_MAX = 64
};

struct kl_capture_remarks {
	char *text[KL_REMARKS_MAX];
	size_t count;
};

/* Fills *ret, whose remarks point into *remarks; the file names are the caller's. -ENOMEM. */
int kl_capture_remark(struct kl_capture *c, struct kl_capture_remarks *remarks,
		      struct kl_captures_note *ret);
/* That a file told only when losses had been judged that it had dropped packets before. 0: none. */
int kl_capture_remark_late(const char *path, uint64_t packets, struct kl_capture_remarks *remarks,
			   struct kl_captures_note *ret);
/* Connections of this side for which there was no room any more. */
int kl_capture_remark_forgotten(uint64_t conns, struct kl_capture_remarks *remarks,
				struct kl_captures_note *ret);
void kl_capture_remarks_done(struct kl_capture_remarks *remarks);
