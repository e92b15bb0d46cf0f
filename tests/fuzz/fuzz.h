// SPDX-License-Identifier: GPL-2.0-only
/* An input of the fuzzer: a frame and how it comes. Shared by all that read the corpus. */
#pragma once

#include "../packets/packets.h"

enum {
	FUZZ_HEADER = 2
};

enum fuzz_flag {
	FUZZ_SERVICE = 3, /* a mask */
	FUZZ_AGGREGATE = 1 << 2,
	FUZZ_VLAN = 1 << 3,
	FUZZ_PART = 1 << 4,
};

struct fuzz_input {
	const __u8 *frame;
	__u32 len;
	__u32 linear; /* bytes of the frame in the linear part */
	__u32 service;
	__u16 vlan;
	bool is_aggregate;
};

KL_INLINE bool fuzz_input_read(const __u8 *data, size_t size, struct fuzz_input *ret)
{
	if (size < FUZZ_HEADER || size > PKT_MAX)
		return false;
	ret->frame = data + FUZZ_HEADER;
	ret->len = (__u32)size - FUZZ_HEADER;
	ret->service = data[0] & FUZZ_SERVICE;
	ret->is_aggregate = data[0] & FUZZ_AGGREGATE;
	ret->vlan = data[0] & FUZZ_VLAN ? data[1] : 0;
	ret->linear = data[0] & FUZZ_PART ? ret->len * (data[1] & 7) / 8 : ret->len;
	return true;
}
