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
	struct kl_layout layout;
	struct kl_frame frame;
	__u64 heard = 0;
	__u32 parsed;

	if (kl_settings.idle && side == KL_ACCESS)
		heard = hear((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	frame = xdp_frame(ctx);
	parsed = kl_peek(&frame, &kl_ports, &layout);
	if (parsed != KL_NOT_OURS)
		follow_xdp(ctx, side, pack_layout(parsed, &layout), heard);
	else if (kl_settings.arp && kl_arp_peek(&frame, &layout))
		look_xdp(ctx, side);
	return XDP_PASS;
}

static __always_inline int observe_tc(struct __sk_buff *ctx, __u32 side, bool egress)
{
	struct kl_layout layout;
	struct kl_frame frame;
	__u64 heard = 0;
	__u32 parsed;

	if (kl_settings.idle && side == KL_ACCESS && !egress)
		heard = hear((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	frame = tc_frame(ctx);
	parsed = kl_peek(&frame, &kl_ports, &layout);
	if (parsed != KL_NOT_OURS) {
		if (follow_tc(ctx, place_of(side, egress), pack_layout(parsed, &layout), heard) ==
		    KL_IN_PIECES)
			follow_pieces(ctx);
	} else if (kl_settings.arp && !egress && kl_arp_peek(&frame, &layout)) {
		look_tc(ctx, side);
	}
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
