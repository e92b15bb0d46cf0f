/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kl_peek_link() and kl_peek_net() found in a frame, packed into a number. Written to the scratch
 * and read back, it is a number of which the verifier knows nothing: so it follows what comes next once,
 * and not once for each kind of frame.
 */
#pragma once

#include "hook.bpf.h"

enum {
	KL_LAYOUT_OFF_MAX = 1 << 14, /* headers end before this, see KL_IPV6_EXT_MAX */
	KL_LAYOUT_PARSED_SHIFT = 0,
	KL_LAYOUT_IPV6_SHIFT = 3,
	KL_LAYOUT_FRAGMENT_SHIFT = 4,
	KL_LAYOUT_LATER_SHIFT = 5,
	KL_LAYOUT_L3_OFF_SHIFT = 8,
	KL_LAYOUT_L4_OFF_SHIFT = 16,
	KL_LAYOUT_VLAN_SHIFT = 30,
	KL_LAYOUT_L3_LEN_SHIFT = 42,
};

static __always_inline __u64 pack_layout(__u32 parsed, const struct kl_layout *l)
{
	return (__u64)parsed << KL_LAYOUT_PARSED_SHIFT |
	       (__u64)(l->type == KL_ETHERTYPE_IPV6) << KL_LAYOUT_IPV6_SHIFT |
	       (__u64)l->is_fragment << KL_LAYOUT_FRAGMENT_SHIFT |
	       (__u64)l->is_later_fragment << KL_LAYOUT_LATER_SHIFT |
	       (__u64)l->l3_off << KL_LAYOUT_L3_OFF_SHIFT |
	       (__u64)l->l4_off << KL_LAYOUT_L4_OFF_SHIFT | (__u64)l->vlan << KL_LAYOUT_VLAN_SHIFT |
	       (__u64)l->l3_len << KL_LAYOUT_L3_LEN_SHIFT;
}

/* Returns enum kl_parsed. */
static __always_inline __u32 unpack_layout(__u64 packed, struct kl_layout *ret)
{
	ret->type = packed >> KL_LAYOUT_IPV6_SHIFT & 1 ? KL_ETHERTYPE_IPV6 : KL_ETHERTYPE_IPV4;
	ret->is_fragment = packed >> KL_LAYOUT_FRAGMENT_SHIFT & 1;
	ret->is_later_fragment = packed >> KL_LAYOUT_LATER_SHIFT & 1;
	ret->l3_off = packed >> KL_LAYOUT_L3_OFF_SHIFT & 0xff;
	ret->l4_off = packed >> KL_LAYOUT_L4_OFF_SHIFT & (KL_LAYOUT_OFF_MAX - 1);
	ret->vlan = packed >> KL_LAYOUT_VLAN_SHIFT & 0xfff;
	ret->l3_len = packed >> KL_LAYOUT_L3_LEN_SHIFT & 0x1ffff;
	return packed >> KL_LAYOUT_PARSED_SHIFT & 7;
}
