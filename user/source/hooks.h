/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Putting one program on one hook of one interface, and taking it off again: native XDP and tcx by
 * links that end with their file descriptor, clsact filters on kernels before tcx. What others put
 * on the same interface is left alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

enum {
	KL_BEHIND_MAX = 8
};

struct kl_attachment {
	unsigned behind[KL_BEHIND_MAX]; /* tcx: other kaloss' programs that were first; 0: none */
	int link_fd;			/* XDP or tcx; -1: a clsact filter */
	unsigned ifindex;
	bool egress;
	bool tcx;
	bool made_qdisc; /* clsact: the qdisc was not there before */
	unsigned priority;
};

#define KL_ATTACHMENT_NONE                                                                         \
	{                                                                                          \
		.link_fd = -1                                                                      \
	}

/*
 * Native XDP. -EBUSY: another program is there; -EOPNOTSUPP: the driver has no native XDP; other
 * errors as the driver gave them. err says which and why.
 */
int kl_attach_xdp(int prog_fd, unsigned ifindex, struct kl_attachment *ret, struct kl_error *err);

/* tcx, before all programs but those of another kaloss. -EOPNOTSUPP: the kernel has no tcx. */
int kl_attach_tcx(int prog_fd, unsigned ifindex, bool egress, struct kl_attachment *ret,
		  struct kl_error *err);

/* A clsact filter with this process as its owner. */
int kl_attach_clsact(int prog_fd, unsigned ifindex, bool egress, struct kl_attachment *ret,
		     struct kl_error *err);

/* Removes clsact filters whose owner, a kaloss, is gone. Returns how many. */
int kl_clear_stale_filters(unsigned ifindex);

void kl_detach(struct kl_attachment *a);
/* Its interface is not there any more: nobody else's of the same number is touched. */
void kl_detach_gone(struct kl_attachment *a);

/*
 * Is the program still there, and first where that matters? -ENOENT, -EBUSY: no, *who says what
 * happened; another error: not known.
 */
int kl_attachment_check(const struct kl_attachment *a, char *who, size_t size);

/* Who is on a hook, for people to read. Empty: nobody. */
void kl_describe_xdp(unsigned ifindex, char *ret, size_t size);
/* The tcx programs and clsact filters, ours too: "tcx program NAME (id 7), filter NAME". */
void kl_describe_tc(unsigned ifindex, bool egress, char *ret, size_t size);
