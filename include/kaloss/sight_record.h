/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf/one_side.bpf.c hands to user space: each segment on the signalling ports, as it passed. */
#pragma once

#include "parse.h"

enum {
	KL_SIGHT_PAYLOAD = 2048, /* bytes of it, at most; a power of two */
};

struct kl_sight_record {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct kl_segment segment;
	__u32 have; /* bytes of payload behind it */
	bool egress;
	bool fragment; /* the first fragment of a packet: there is more of it */
	__u8 pad[2];
	/* Only as much as there is: a record ends behind it. */
	__u8 payload[KL_SIGHT_PAYLOAD];
};

#define KL_SIGHT_RECORD_BYTES __builtin_offsetof(struct kl_sight_record, payload)

_Static_assert(KL_SIGHT_RECORD_BYTES % 8 == 0, "no hidden padding");

struct kl_sight_counters {
	__u64 segments;
	__u64 lost; /* the ring buffer was full */
	__u64 malformed;
	__u64 fragments;
};
