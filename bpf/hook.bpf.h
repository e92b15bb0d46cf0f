/* SPDX-License-Identifier: GPL-2.0-only */
/* The frame at a hook, and bytes of it. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <kaloss/parse.h>

/* tcx: let the next program run. clsact: let the next filter decide. */
enum {
	KL_TC_NEXT = -1
};

static __always_inline struct kl_frame xdp_frame(struct xdp_md *ctx)
{
	return (struct kl_frame){
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.wire_len = (__u32)(ctx->data_end - ctx->data),
	};
}

static __always_inline struct kl_frame tc_frame(struct __sk_buff *ctx)
{
	return (struct kl_frame){
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.wire_len = ctx->len,
		.vlan = ctx->vlan_present ? ctx->vlan_tci & 0xfff : 0,
		.is_aggregate = ctx->gso_size > 0,
	};
}

/* Copies len bytes, 1 to room, at off. Returns non-zero where there are not so many. */
static __always_inline long load(void *ctx, const bool xdp, __u32 off, void *to, __u32 len,
				 __u32 room)
{
	__u32 last = len - 1;

	/* The verifier of 6.1 does not learn from len != 0 that len is at least 1. */
	barrier_var(last);
	if (last >= room)
		return -1;
	len = last + 1;
	return xdp ? bpf_xdp_load_bytes(ctx, off, to, len) : bpf_skb_load_bytes(ctx, off, to, len);
}
