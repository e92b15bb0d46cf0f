/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ARP and neighbour discovery that come in: decoded by kaloss/arp.h, and told by a ring buffer of
 * their own, but for what was told a moment ago.
 */
#pragma once

#include "payload.bpf.h"

/* Was the same told within KL_ARP_AGAIN_NS? Else it is, from now on. (Two CPUs may both tell it.) */
static __always_inline bool is_told(const struct kl_arp_event *e)
{
	__u64 hash = kl_arp_hash(e, kl_settings.seed);
	__u32 index = (__u32)(hash >> 32) & (KL_ARP_TOLD - 1);
	struct kl_arp_told *t = bpf_map_lookup_elem(&kl_arp_told, &index);

	if (!t)
		return false;
	if (t->hash == hash && t->told_ns && kl_since(e->time_ns, t->told_ns) < KL_ARP_AGAIN_NS)
		return true;
	t->hash = hash;
	t->told_ns = e->time_ns;
	return false;
}

/* The frame's first len bytes are in the scratch's window. */
__noinline int tell_arp(__u32 len, __u32 wire_len, __u32 vlan, __u32 side)
{
	struct kl_scratch *scratch = get_scratch();
	struct kl_arp_event *e;
	__u32 decoded;

	if (!scratch || len > KL_ARP_BYTES)
		return 0;
	e = &scratch->arp;
	decoded = kl_arp_decode(scratch->window, len, wire_len, (__u16)vlan, e);
	if (decoded == KL_ARP_BAD)
		count_incident(KL_ARP_MALFORMED);
	if (decoded != KL_ARP_EVENT)
		return 0;
	e->time_ns = bpf_ktime_get_ns();
	e->side = (__u8)side;
	if (!is_told(e) && bpf_ringbuf_output(&kl_arp_events, e, sizeof(*e), BPF_RB_NO_WAKEUP))
		count_incident(KL_ARP_LOST);
	return 0;
}

static __always_inline void copy_and_tell(void *ctx, const bool xdp, __u32 wire_len, __u32 vlan,
					  __u32 side)
{
	__u32 len = wire_len < KL_ARP_BYTES ? wire_len : KL_ARP_BYTES;
	struct kl_scratch *scratch = get_scratch();

	if (kl_control.mode == KL_MODE_OFF || !scratch)
		return;
	if (!load(ctx, xdp, 0, scratch->window, len, KL_ARP_BYTES))
		tell_arp(len, wire_len, vlan, side);
}

__noinline int look_xdp(struct xdp_md *ctx, __u32 side)
{
	copy_and_tell(ctx, true, (__u32)bpf_xdp_get_buff_len(ctx), 0, side);
	return 0;
}

__noinline int look_tc(struct __sk_buff *ctx, __u32 side)
{
	copy_and_tell(ctx, false, ctx->len, ctx->vlan_present ? ctx->vlan_tci & 0xfff : 0, side);
	return 0;
}
