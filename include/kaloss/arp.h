/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frame → who asks for an address, and who claims it: ARP (RFC 826, 5227) and IPv6 neighbour
 * discovery (RFC 4861), behind up to two VLAN tags. What the RFCs tell a receiver to discard is
 * malformed.
 *
 * Works on a copy of the frame's first bytes, not on the frame: options have places that vary.
 */
#pragma once

#include "abi.h"
#include "parse.h"

enum {
	KL_ARP_BYTES = 128, /* of a frame that are looked at; a power of two */
	KL_ARP_MASK = KL_ARP_BYTES - 1,
	KL_ETHERTYPE_ARP = 0x0806,
	KL_ARP_LEN = 28,
	KL_IPPROTO_ICMPV6 = 58,
	KL_ND_SOLICITATION = 135,
	KL_ND_ADVERTISEMENT = 136,
	KL_ND_LEN = 24,
	KL_ND_OPTIONS_MAX = 4, /* looked through for the link-layer address */
	KL_ND_SOLICITED = 0x40,
	KL_ND_OVERRIDE = 0x20,
};

enum kl_arp_decoded {
	KL_ARP_NOT = 0, /* something else, or a kind that is of no interest */
	KL_ARP_EVENT,	/* *ret is filled */
	KL_ARP_BAD,
};

/* Before a copy is made: may it be one? layout: as kl_peek() left it when it returned KL_NOT_OURS. */
KL_INLINE bool kl_arp_peek(const struct kl_frame *f, const struct kl_layout *layout)
{
	const __u8 *p = (const __u8 *)f->data + layout->l3_off;

	if (layout->type == KL_ETHERTYPE_ARP)
		return true;
	if (layout->type != KL_ETHERTYPE_IPV6 || p + 41 > (const __u8 *)f->end)
		return false;
	return p[6] == KL_IPPROTO_ICMPV6 &&
	       (p[40] == KL_ND_SOLICITATION || p[40] == KL_ND_ADVERTISEMENT);
}

KL_INLINE bool kl_is_group_mac(const __u8 *mac)
{
	return mac[0] & 1;
}

KL_INLINE bool kl_is_zero_mac(const __u8 *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* p: KL_ARP_LEN bytes. */
KL_INLINE __u32 kl_arp_read(const __u8 *frame, const __u8 *p, struct kl_arp_event *ret)
{
	__u32 op = kl_be16(p + 6), sender, target;

	if (kl_be16(p) != 1 || kl_be16(p + 2) != KL_ETHERTYPE_IPV4)
		return KL_ARP_NOT;
	if (p[4] != 6 || p[5] != 4)
		return KL_ARP_BAD;
	if (op != 1 && op != 2)
		return KL_ARP_NOT;
	KL_LOAD(32, &sender, p + 14);
	KL_LOAD(32, &target, p + 24);
	/* No host has a group's address, and nobody asks for none. */
	if (kl_is_zero_mac(p + 8) || p[14] >= 224 || p[24] >= 224 || !target ||
	    (op == 2 && !sender))
		return KL_ARP_BAD;
	ret->family = 4;
	ret->overrides = true;
	KL_MEMCPY(ret->mac, p + 8, 6);
	if (sender == target || (op == 2 && kl_is_group_mac(frame))) {
		ret->what = KL_ARP_ANNOUNCE;
		ret->address[0] = sender;
	} else if (op == 1) {
		ret->what = KL_ARP_REQUEST;
		ret->address[0] = target;
		ret->to[0] = sender; /* none: a probe (RFC 5227) */
	} else {
		ret->what = KL_ARP_ANSWER;
		ret->address[0] = sender;
		ret->to[0] = target;
	}
	return KL_ARP_EVENT;
}

/* The options from `off` to `end`: takes the address from that of `type`. false: malformed. */
KL_INLINE bool kl_nd_read_options(const __u8 *frame, __u32 off, __u32 end, __u8 type,
				  struct kl_arp_event *ret, bool *ret_found)
{
	*ret_found = false;
	for (int i = 0; i < KL_ND_OPTIONS_MAX && off + 8 <= end; i++) {
		const __u8 *p;

		p = frame + (off & KL_ARP_MASK);
		if (!p[1])
			return false;
		if (p[0] == type && p[1] == 1 && !*ret_found) {
			KL_MEMCPY(ret->mac, p + 2, 6);
			*ret_found = true;
		}
		off += p[1] * 8U;
	}
	return true;
}

/* ip: of the IPv6 header. end: of what there is of the frame. */
KL_INLINE __u32 kl_nd_read(const __u8 *frame, __u32 ip, __u32 end, __u32 wire_len,
			   struct kl_arp_event *ret)
{
	const __u8 *p = frame + (ip & KL_ARP_MASK), *icmp = p + 40;
	__u32 len = kl_be16(p + 4), type = icmp[0], options = ip + 40 + KL_ND_LEN;
	bool asks = type == KL_ND_SOLICITATION, found, from_nobody;

	if (p[7] != 255 || icmp[1] || len < KL_ND_LEN || ip + 40 + len > wire_len ||
	    icmp[8] == 0xff)
		return KL_ARP_BAD;
	if (end > ip + 40 + len)
		end = ip + 40 + len;
	ret->family = 6;
	KL_MEMCPY(ret->mac, frame + 6, 6);
	if (!kl_nd_read_options(frame, options, end, asks ? 1 : 2, ret, &found))
		return KL_ARP_BAD;
	KL_MEMCPY(ret->address, icmp + 8, 16);
	if (asks) {
		ret->what = KL_ARP_REQUEST;
		KL_MEMCPY(ret->to, p + 8, 16);
		from_nobody = !(ret->to[0] | ret->to[1] | ret->to[2] | ret->to[3]);
		return found && from_nobody ? KL_ARP_BAD : KL_ARP_EVENT;
	}
	ret->overrides = icmp[4] & KL_ND_OVERRIDE;
	ret->what = KL_ARP_ANNOUNCE;
	if (!(icmp[4] & KL_ND_SOLICITED))
		return KL_ARP_EVENT;
	if (p[24] == 0xff)
		return KL_ARP_BAD;
	ret->what = KL_ARP_ANSWER;
	KL_MEMCPY(ret->to, p + 24, 16);
	return KL_ARP_EVENT;
}

/*
 * frame: the first len bytes, up to KL_ARP_BYTES, of a frame of wire_len bytes. (In a BPF program
 * there must be twice as much memory, so that a masked offset is safe; it is not looked at.)
 * vlan: beside the frame. Fills all of *ret but time and side.
 */
KL_INLINE __u32 kl_arp_decode(const __u8 *frame, __u32 len, __u32 wire_len, __u16 vlan,
			      struct kl_arp_event *ret)
{
	__u32 off = KL_ETH_LEN, type;

	KL_MEMSET(ret, 0, sizeof(*ret));
	if (len < KL_ETH_LEN)
		return KL_ARP_NOT;
	type = kl_be16(frame + 12);
	KL_UNROLL
	for (int i = 0; i < 2; i++) {
		if (!kl_is_vlan_type((__u16)type) || len < off + 4)
			break;
		if (!vlan)
			vlan = kl_be16(frame + off) & 0xfff;
		type = kl_be16(frame + off + 2);
		off += 4;
	}
	ret->vlan = vlan;
	KL_MEMCPY(ret->frame_mac, frame + 6, 6);
	if (type == KL_ETHERTYPE_ARP)
		return len < off + KL_ARP_LEN ? KL_ARP_BAD : kl_arp_read(frame, frame + off, ret);
	if (type != KL_ETHERTYPE_IPV6 || len < off + 41 || frame[off] >> 4 != 6 ||
	    frame[off + 6] != KL_IPPROTO_ICMPV6 ||
	    (frame[off + 40] != KL_ND_SOLICITATION && frame[off + 40] != KL_ND_ADVERTISEMENT))
		return KL_ARP_NOT;
	return len < off + 40 + KL_ND_LEN ? KL_ARP_BAD : kl_nd_read(frame, off, len, wire_len, ret);
}

/* The same question or claim has the same hash. */
KL_INLINE __u64 kl_arp_hash(const struct kl_arp_event *e, __u64 seed)
{
	__u64 mac = 0, h;

	KL_MEMCPY(&mac, e->mac, 6);
	h = kl_mix(seed, mac << 16 | e->what << 8 | e->family);
	h = kl_mix(h, (__u64)e->address[0] << 32 | e->to[0]);
	if (e->family == 6) {
		h = kl_mix(h, (__u64)e->address[1] << 32 | e->to[1]);
		h = kl_mix(h, (__u64)e->address[2] << 32 | e->to[2]);
		h = kl_mix(h, (__u64)e->address[3] << 32 | e->to[3]);
	}
	return h;
}

/* What is told again only after this. */
#define KL_ARP_AGAIN_NS (1000 * KL_NS_PER_MS)

struct kl_arp_told {
	__u64 hash;
	__u64 told_ns;
};

enum {
	KL_ARP_TOLD = 1024
};
