/* SPDX-License-Identifier: GPL-2.0-only */
/* What drop_reason.bpf.c tells of a segment that the kernel dropped. */
#pragma once

#include "segment.h"

struct kl_drop_record {
	__u64 time_ns;	/* CLOCK_MONOTONIC */
	__u64 location; /* address in the kernel, of who dropped it */
	struct kl_endpoints ends;
	__u32 seq;
	__u32 payload_len; /* of an aggregate all of it */
	__u32 reason;	   /* enum skb_drop_reason of the running kernel */
	__u32 ifindex;	   /* of the interface where it was; 0: not known */
	__u8 direction;
	__u8 pad[7];
};
