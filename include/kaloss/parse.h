/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bytes → segment. Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension headers,
 * TCP. Every load is bounds-checked against the frame; the length of the payload comes from the IP
 * header, never from the (padded) frame.
 *
 * Written so that the BPF verifier can follow it: `data` and `end` may be packet pointers.
 */
#pragma once

#include "segment.h"

enum kl_parsed {
	KL_NOT_OURS, /* not TCP, or neither port is a signalling port */
	KL_SEGMENT,  /* *ret is filled */
	KL_FRAGMENT, /* a piece of a TCP segment; addresses and ports are filled in the first one only */
	KL_MALFORMED,  /* headers that contradict each other or the frame's length */
	KL_NOT_LINEAR, /* the frame is longer than what data..end covers: pull, then try again */
	KL_NOT_PLAIN,  /* kl_peek_net() only: ask it for all */
};

struct kl_frame {
	const void *data;
	const void *end;
	__u32 wire_len; /* of the frame on the wire; more than end - data where that is only a part */
	__u16 vlan;	/* outer VLAN id that the kernel keeps beside the frame; 0: none */
	bool is_aggregate; /* GRO or TSO put several segments together: trust wire_len, not the IP header */
};

enum {
	KL_ETH_LEN = 14,
	KL_ETHERTYPE_IPV4 = 0x0800,
	KL_ETHERTYPE_IPV6 = 0x86dd,
	KL_ETHERTYPE_8021Q = 0x8100,
	KL_ETHERTYPE_8021AD = 0x88a8,
	KL_ETHERTYPE_QINQ_OLD = 0x9100,
	KL_IPPROTO_TCP = 6,
	KL_TCP_LEN = 20,
	KL_IPV6_EXT_MAX = 4, /* extension headers looked through */
};

KL_INLINE enum kl_parsed kl_parse_short(const struct kl_frame *f, __u32 need)
{
	return need > f->wire_len ? KL_MALFORMED : KL_NOT_LINEAR;
}

KL_INLINE bool kl_is_vlan_type(__u16 type)
{
	return type == KL_ETHERTYPE_8021Q || type == KL_ETHERTYPE_8021AD ||
	       type == KL_ETHERTYPE_QINQ_OLD;
}

/* IPv6 extension headers that may stand before TCP (RFC 8200 §4.1), AH too (RFC 4302). */
KL_INLINE bool kl_is_ipv6_ext(__u8 proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60;
}

/* Where the headers of a frame are. */
struct kl_layout {
	__u32 l3_off;
	__u32 l3_len; /* of IP header, extensions and payload, as the IP header says */
	__u32 l4_off;
	__u16 type; /* KL_ETHERTYPE_IPV4 or _IPV6 */
	__u16 vlan; /* outer VLAN id; 0: none */
	bool is_fragment;
	bool is_later_fragment; /* has no TCP header */
};

KL_INLINE enum kl_parsed kl_layout_ipv4(const struct kl_frame *f, struct kl_layout *ret)
{
	const __u8 *end = f->end, *p = (const __u8 *)f->data + ret->l3_off;
	__u32 header_len;
	__u16 frag;

	if (p + 20 > end)
		return kl_parse_short(f, ret->l3_off + 20);
	if (p[9] != KL_IPPROTO_TCP)
		return KL_NOT_OURS;
	header_len = (p[0] & 0x0f) * 4;
	if (p[0] >> 4 != 4 || header_len < 20)
		return KL_MALFORMED;
	ret->l3_len = kl_be16(p + 2);
	frag = kl_be16(p + 6);
	ret->is_fragment = frag & 0x3fff;
	ret->is_later_fragment = frag & 0x1fff;
	ret->l4_off = ret->l3_off + header_len;
	return KL_SEGMENT;
}

KL_INLINE enum kl_parsed kl_layout_ipv6(const struct kl_frame *f, const bool plain,
					struct kl_layout *ret)
{
	const __u8 *data = f->data, *end = f->end, *p = data + ret->l3_off;
	__u32 off = ret->l3_off + 40;
	__u8 proto;

	if (p + 40 > end)
		return kl_parse_short(f, off);
	if (p[0] >> 4 != 6)
		return KL_MALFORMED;
	ret->l3_len = kl_be16(p + 4) + 40;
	proto = p[6];
	if (plain && kl_is_ipv6_ext(proto))
		return KL_NOT_PLAIN;
	KL_UNROLL
	for (int i = 0; !plain && i < KL_IPV6_EXT_MAX; i++) {
		__u32 len, unit;

		if (!kl_is_ipv6_ext(proto) || ret->is_later_fragment)
			break;
		p = data + off;
		if (p + 8 > end)
			return kl_parse_short(f, off + 8);
		unit = proto == 51 ? 4 : 8;
		len = ((__u32)p[1] + 1) * unit;
		if (proto == 51)
			len += 4;
		if (proto == 44) {
			__u16 frag = kl_be16(p + 2);

			/* An atomic fragment (RFC 6946) is no fragment. */
			ret->is_fragment = frag & 0xfff9;
			ret->is_later_fragment = frag & 0xfff8;
			len = 8;
		}
		off += len;
		proto = p[0];
	}
	ret->l4_off = off;
	return proto == KL_IPPROTO_TCP ? KL_SEGMENT : KL_NOT_OURS;
}

/* Ethernet and VLAN tags: KL_SEGMENT where there is an IP header behind them. */
KL_INLINE enum kl_parsed kl_peek_link(const struct kl_frame *f, struct kl_layout *ret)
{
	const __u8 *data = f->data, *end = f->end;

	KL_MEMSET(ret, 0, sizeof(*ret));
	ret->vlan = f->vlan;
	ret->l3_off = KL_ETH_LEN;
	if (data + KL_ETH_LEN > end)
		return f->wire_len < KL_ETH_LEN ? KL_NOT_OURS : KL_NOT_LINEAR;
	ret->type = kl_be16(data + 12);
	if (kl_is_vlan_type(ret->type)) {
		if (data + KL_ETH_LEN + 4 > end)
			return kl_parse_short(f, KL_ETH_LEN + 4);
		if (!ret->vlan)
			ret->vlan = kl_be16(data + 14) & 0xfff;
		ret->type = kl_be16(data + 16);
		ret->l3_off = KL_ETH_LEN + 4;
		if (kl_is_vlan_type(ret->type)) {
			if (data + KL_ETH_LEN + 8 > end)
				return kl_parse_short(f, KL_ETH_LEN + 8);
			ret->type = kl_be16(data + 20);
			ret->l3_off = KL_ETH_LEN + 8;
		}
	}
	return ret->type == KL_ETHERTYPE_IPV4 || ret->type == KL_ETHERTYPE_IPV6 ? KL_SEGMENT
										: KL_NOT_OURS;
}

/*
 * Behind kl_peek_link(): the IP header, and the ports. plain: IPv6 extension headers are not looked
 * through (KL_NOT_PLAIN): they are rare, and the verifier takes long to follow them.
 */
KL_INLINE enum kl_parsed kl_peek_net(const struct kl_frame *f,
				     const volatile struct kl_ports *ports, const bool plain,
				     struct kl_layout *ret)
{
	enum kl_parsed parsed = ret->type == KL_ETHERTYPE_IPV4 ? kl_layout_ipv4(f, ret)
							       : kl_layout_ipv6(f, plain, ret);
	const __u8 *p;

	if (parsed != KL_SEGMENT)
		return parsed;
	if (ret->is_later_fragment)
		return KL_FRAGMENT;
	p = (const __u8 *)f->data + ret->l4_off;
	if (p + KL_TCP_LEN > (const __u8 *)f->end)
		return kl_parse_short(f, ret->l4_off + KL_TCP_LEN);
	if (!kl_port_is_signalling(ports, kl_be16(p + 2)) &&
	    !kl_port_is_signalling(ports, kl_be16(p)))
		return KL_NOT_OURS;
	return ret->is_fragment ? KL_FRAGMENT : KL_SEGMENT;
}

/*
 * Is this TCP on a signalling port? Returns KL_SEGMENT or KL_FRAGMENT if so; then *ret is filled.
 */
KL_INLINE enum kl_parsed kl_peek(const struct kl_frame *f, const volatile struct kl_ports *ports,
				 struct kl_layout *ret)
{
	enum kl_parsed parsed = kl_peek_link(f, ret);

	return parsed == KL_SEGMENT ? kl_peek_net(f, ports, false, ret) : parsed;
}

/* What a frame looks like at first sight. */
enum kl_glance {
	KL_GLANCE_PASS, /* kl_peek() would say KL_NOT_OURS, and kl_arp_peek() no */
	KL_GLANCE_LOOK, /* it cannot be told: ask them */
};

enum {
	KL_GLANCE_BYTES = 62, /* two tags, IPv4 without options, the ports */
	KL_IPPROTO_UDP = 17,
};

KL_INLINE __u32 kl_glance_ports(const volatile struct kl_ports *ports, const __u8 *tcp)
{
	__u64 sieve = ports->sieve;

	if (!((sieve >> (tcp[1] & 63) | sieve >> (tcp[3] & 63)) & 1))
		return KL_GLANCE_PASS;
	return kl_port_is_signalling(ports, kl_be16(tcp + 2)) ||
			       kl_port_is_signalling(ports, kl_be16(tcp))
		       ? KL_GLANCE_LOOK
		       : KL_GLANCE_PASS;
}

/*
 * kl_peek() for the frames that nothing has to be known of, which are most: with as few loads as
 * that takes.
 */
KL_INLINE __u32 kl_glance(const __u8 *data, const __u8 *end, const volatile struct kl_ports *ports)
{
	const __u8 *p = data;
	__u16 type;

	if (data + KL_GLANCE_BYTES > end)
		return KL_GLANCE_LOOK;
	type = kl_be16(p + 12);
	if (type != KL_ETHERTYPE_IPV4 && kl_is_vlan_type(type)) {
		p += 4;
		type = kl_be16(p + 12);
		if (kl_is_vlan_type(type)) {
			p += 4;
			type = kl_be16(p + 12);
		}
	}
	if (type == KL_ETHERTYPE_IPV4) {
		if (p[23] != KL_IPPROTO_TCP)
			return KL_GLANCE_PASS;
		/* No options, no fragment: then the ports are here. */
		if (p[14] != 0x45 || (kl_be16(p + 20) & 0x3fff))
			return KL_GLANCE_LOOK;
		return kl_glance_ports(ports, p + 34);
	}
	if (type == KL_ETHERTYPE_IPV6 && p[14] >> 4 == 6) {
		if (p[20] == KL_IPPROTO_UDP)
			return KL_GLANCE_PASS;
		if (p[20] == KL_IPPROTO_TCP && p + 74 <= end)
			return kl_glance_ports(ports, p + 54);
	}
	return KL_GLANCE_LOOK;
}

KL_INLINE bool kl_parse_addresses(const struct kl_frame *f, const struct kl_layout *l,
				  struct kl_segment *ret)
{
	const __u8 *p = (const __u8 *)f->data + l->l3_off, *end = f->end;

	if (l->type == KL_ETHERTYPE_IPV4) {
		if (p + 20 > end)
			return false;
		ret->family = 4;
		ret->ip_id = kl_be16(p + 4);
		ret->ttl = p[8];
		kl_copy4(&ret->src[0], p + 12);
		kl_copy4(&ret->dst[0], p + 16);
	} else {
		if (p + 40 > end)
			return false;
		ret->family = 6;
		ret->ttl = p[7];
		KL_UNROLL
		for (int i = 0; i < 4; i++) {
			kl_copy4(&ret->src[i], p + 8 + 4 * i);
			kl_copy4(&ret->dst[i], p + 24 + 4 * i);
		}
	}
	return true;
}

/* A SACK block within another one. */
KL_INLINE bool kl_is_within(const __u8 *block, const __u8 *of)
{
	return !kl_seq_before(kl_be32(block), kl_be32(of)) &&
	       !kl_seq_before(kl_be32(of + 4), kl_be32(block + 4));
}

/*
 * The options that are used, where every stack of today puts them: timestamps first (NOP, NOP,
 * kind 8, length 10), then SACK (NOP, NOP, kind 5). Elsewhere they are not looked for: both only
 * refine what would be decided without them.
 */
KL_INLINE void kl_parse_options(const __u8 *tcp, const __u8 *end, __u32 tcp_len,
				struct kl_segment *ret)
{
	const __u8 *sack = tcp + KL_TCP_LEN;
	__u32 left = tcp_len - KL_TCP_LEN;

	if (left >= 12 && tcp + KL_TCP_LEN + 12 <= end && kl_be32(tcp + KL_TCP_LEN) == 0x0101080a) {
		ret->ts_val = kl_be32(tcp + KL_TCP_LEN + 4);
		ret->ts_ecr = kl_be32(tcp + KL_TCP_LEN + 8);
		sack += 12;
		left -= 12;
	}
	/* A block before ack reports a duplicate (RFC 2883), and asks for nothing. */
	if (left >= 12 && sack + 12 <= end && (kl_be32(sack) & 0xffffff00) == 0x01010500) {
		ret->asks_again = kl_seq_before(ret->ack, kl_be32(sack + 4));
		ret->duplicate_seen = !ret->asks_again;
		/* Beyond ack it does so, too, where the second block holds the first. */
		if (left >= 20 && sack + 20 <= end && sack[3] >= 18)
			ret->duplicate_seen |= kl_is_within(sack + 4, sack + 12);
	}
	/* A SYN as Linux lays it out: MSS, SACK-permitted before timestamps or padded. Others have
	 * the same options in another order; of them it is then not known. */
	if ((ret->flags & KL_SYN) && left >= 8 && tcp + KL_TCP_LEN + 8 <= end)
		ret->sack_permitted = (kl_be32(tcp + KL_TCP_LEN + 4) >> 16) == 0x0402 ||
				      kl_be32(tcp + KL_TCP_LEN + 4) == 0x01010402;
}

/*
 * Parses the frame f, of which kl_peek() said `parsed` and *l. Fills *ret where it returns
 * KL_SEGMENT, and what is known of it (addresses, ports, seq; family is 0 in a later fragment) where
 * it returns KL_FRAGMENT.
 */
KL_INLINE enum kl_parsed kl_parse_laid_out(const struct kl_frame *f, enum kl_parsed parsed,
					   const struct kl_layout *l, struct kl_segment *ret)
{
	const __u8 *data = f->data, *end = f->end, *p;
	__u32 tcp_len, headers_len;

	KL_MEMSET(ret, 0, sizeof(*ret));
	if ((parsed != KL_SEGMENT && parsed != KL_FRAGMENT) || l->is_later_fragment)
		return parsed;
	p = data + l->l4_off;
	if (data + KL_ETH_LEN > end || p + KL_TCP_LEN > end)
		return KL_MALFORMED;
	ret->sport = kl_be16(p);
	ret->dport = kl_be16(p + 2);
	ret->seq = kl_be32(p + 4);
	ret->ack = kl_be32(p + 8);
	ret->flags = p[13] & 0x3f;
	ret->window = kl_be16(p + 14);
	ret->vlan = l->vlan;
	kl_copy_mac(ret->mac_dst, data);
	kl_copy_mac(ret->mac_src, data + 6);

	tcp_len = (p[12] >> 4) * 4;
	if (tcp_len < KL_TCP_LEN)
		return KL_MALFORMED;
	headers_len = l->l4_off - l->l3_off + tcp_len;
	ret->payload_off = (__u16)(l->l4_off + tcp_len);
	if (f->is_aggregate && parsed == KL_SEGMENT) {
		if (ret->payload_off > f->wire_len)
			return KL_MALFORMED;
		ret->payload_len = f->wire_len - ret->payload_off;
	} else {
		if (l->l3_len < headers_len || l->l3_off + l->l3_len > f->wire_len)
			return KL_MALFORMED;
		ret->payload_len = l->l3_len - headers_len;
	}

	kl_parse_options(p, end, tcp_len, ret);
	return kl_parse_addresses(f, l, ret) ? parsed : KL_MALFORMED;
}

/* Parses the frame f. *ret is filled as kl_parse_laid_out() says. */
KL_INLINE enum kl_parsed kl_parse(const struct kl_frame *f, const volatile struct kl_ports *ports,
				  struct kl_segment *ret)
{
	struct kl_layout l;

	return kl_parse_laid_out(f, kl_peek(f, ports, &l), &l, ret);
}
