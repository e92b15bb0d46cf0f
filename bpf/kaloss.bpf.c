// SPDX-License-Identifier: GPL-2.0-only
/*
 * The entry points: one program for each kind of hook and side, and the sweep that user space runs.
 * All of them let every packet pass, whatever happens.
 */
#include "arp.bpf.h"
#include "follow.bpf.h"
#include "sweep.bpf.h"

char _license[] SEC("license") = "GPL";

static __always_inline int observe_xdp(struct xdp_md *ctx, __u32 side)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 heard = 0;

	if (side == KL_ACCESS && kl_settings.idle)
		heard = hear(data, end);
	if (kl_glance(data, end, &kl_ports) == KL_GLANCE_PASS)
		return XDP_PASS;
	if (follow_xdp(ctx, side, heard) == KL_IS_ARP)
		look_xdp(ctx, side);
	return XDP_PASS;
}

static __always_inline int observe_tc(struct __sk_buff *ctx, __u32 side, bool egress)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 heard = 0;
	int r;

	if (side == KL_ACCESS && !egress && kl_settings.idle)
		heard = hear(data, end);
	if (kl_glance(data, end, &kl_ports) == KL_GLANCE_PASS)
		return KL_TC_NEXT;
	r = follow_tc(ctx, place_of(side, egress), heard);
	if (r == KL_IN_PIECES)
		follow_pieces(ctx);
	else if (r == KL_IS_ARP && !egress)
		look_tc(ctx, side);
	return KL_TC_NEXT;
}

SEC("xdp.frags")
int kaloss_xdp_acc(struct xdp_md *ctx)
{
	return observe_xdp(ctx, KL_ACCESS);
}

SEC("xdp.frags")
int kaloss_xdp_cucm(struct xdp_md *ctx)
{
	return observe_xdp(ctx, KL_CUCM);
}

SEC("tc")
int kaloss_in_acc(struct __sk_buff *ctx)
{
	return observe_tc(ctx, KL_ACCESS, false);
}

SEC("tc")
int kaloss_in_cucm(struct __sk_buff *ctx)
{
	return observe_tc(ctx, KL_CUCM, false);
}

SEC("tc")
int kaloss_out_acc(struct __sk_buff *ctx)
{
	return observe_tc(ctx, KL_ACCESS, true);
}

SEC("tc")
int kaloss_out_cucm(struct __sk_buff *ctx)
{
	return observe_tc(ctx, KL_CUCM, true);
}

/* Run by user space with BPF_PROG_TEST_RUN: never attached. */
SEC("tc")
int kaloss_sweep(struct __sk_buff *ctx)
{
	sweep();
	return 0;
}
