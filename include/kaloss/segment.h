/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A segment seen at a side: the one thing that there is in this program. The vocabulary (sides,
 * directions, kinds) is that of the records in docs/contract.md; a name keeps its meaning.
 */
#pragma once

#include "base.h"

/* Where a hook sits: towards the phones, or towards the call server. */
enum kl_side {
	KL_ACCESS = 0,
	KL_CUCM = 1,
	KL_SIDES = 2,
};

/*
 * Which way a segment goes. Chosen so that a direction is the number of the side nearer to its
 * sender: a segment to_cucm is sent at the access side and delivered at the cucm side.
 */
enum kl_direction {
	KL_TO_CUCM = 0,
	KL_TO_PHONE = 1,
	KL_DIRECTIONS = 2,
};

KL_INLINE bool kl_is_near(__u32 side, __u32 direction)
{
	return side == direction;
}

enum kl_kind {
	KL_OTHER = 0,
	KL_SCCP_KEEPALIVE,
	KL_SCCP_KEEPALIVE_ACK,
	KL_SCCP_OTHER,
	KL_SIP_REGISTER,
	KL_SIP_REGISTER_BACKUP,
	KL_SIP_RESPONSE,
	KL_SIP_OPTIONS,
	KL_SIP_OTHER,
	KL_CRLF_PING,
	KL_CRLF_PONG,
	KL_TCP_PROBE,
	KL_TCP_PROBE_ACK,
	KL_TLS_RECORD,
	KL_KINDS,
	KL_KIND_SLOTS =
		16, /* arrays indexed by kind have this many, so that a mask bounds the index */
};

_Static_assert(KL_KINDS <= KL_KIND_SLOTS, "a kind needs a slot");

KL_INLINE bool kl_kind_is_keepalive(__u32 kind)
{
	return (1U << kind) &
	       (1U << KL_SCCP_KEEPALIVE | 1U << KL_SIP_REGISTER | 1U << KL_SIP_REGISTER_BACKUP |
		1U << KL_SIP_OPTIONS | 1U << KL_CRLF_PING | 1U << KL_TCP_PROBE);
}

KL_INLINE bool kl_kind_is_answer(__u32 kind)
{
	return (1U << kind) & (1U << KL_SCCP_KEEPALIVE_ACK | 1U << KL_SIP_RESPONSE |
			       1U << KL_CRLF_PONG | 1U << KL_TCP_PROBE_ACK);
}

/* Are segments of this kind joined and counted? (On the TLS ports nothing can be told apart.) */
KL_INLINE bool kl_kind_is_joined(__u32 kind)
{
	return kl_kind_is_keepalive(kind) || kl_kind_is_answer(kind) || kind == KL_TLS_RECORD;
}

/* What is spoken on a signalling port. */
enum kl_service {
	KL_SCCP = 0,
	KL_SCCP_TLS,
	KL_SIP,
	KL_SIP_TLS,
	KL_SERVICES,
};

KL_INLINE bool kl_service_is_tls(__u32 service)
{
	return service == KL_SCCP_TLS || service == KL_SIP_TLS;
}

/* The signalling ports: one bit a port to reject by, and two bits a port for the service on it. */
struct kl_ports {
	__u64 sieve; /* a bit for each of them, by its lowest bits: tells most others apart at once */
	__u8 signalling[65536 / 8];
	__u8 service[65536 / 4];
};

static inline void kl_port_add(struct kl_ports *ports, __u16 port, __u32 service)
{
	ports->sieve |= 1ULL << (port & 63);
	ports->signalling[port >> 3] |= (__u8)(1 << (port & 7));
	ports->service[port >> 2] &= (__u8) ~(3 << (port & 3) * 2);
	ports->service[port >> 2] |= (__u8)(service << (port & 3) * 2);
}

KL_INLINE bool kl_port_is_signalling(const volatile struct kl_ports *ports, __u16 port)
{
	return ports->signalling[port >> 3] >> (port & 7) & 1;
}

KL_INLINE __u32 kl_port_service(const volatile struct kl_ports *ports, __u16 port)
{
	return ports->service[port >> 2] >> (port & 3) * 2 & 3;
}

/* TCP flags (RFC 9293 §3.1), as in the 14th byte of the header. */
enum kl_tcp_flag {
	KL_FIN = 0x01,
	KL_SYN = 0x02,
	KL_RST = 0x04,
	KL_PSH = 0x08,
	KL_ACK = 0x10,
};

/* Addresses: IPv4 in word 0 and the rest zero; all in network byte order. Ports: host order. */
struct kl_segment {
	__u32 src[4];
	__u32 dst[4];
	__u16 sport;
	__u16 dport;
	__u32 seq;
	__u32 ack;
	__u32 ts_val; /* TCP timestamps (RFC 7323); 0: none */
	__u32 ts_ecr;
	__u32 payload_len;
	__u16 payload_off; /* from the start of the frame */
	__u16 window;
	__u16 ip_id;	     /* IPv4 only */
	__u16 vlan;	     /* outer VLAN id; 0: none */
	__u8 family;	     /* 4 or 6 */
	__u8 flags;	     /* enum kl_tcp_flag */
	bool asks_again;     /* a SACK block beyond ack (RFC 2018): what starts at ack is missing */
	bool duplicate_seen; /* a SACK block before ack (RFC 2883): something arrived twice */
	bool sack_permitted; /* SYN: this end reads SACK blocks; see kl_parse_options() */
	__u8 ttl;	     /* IPv4 time to live, IPv6 hop limit */
	__u8 mac_src[6];
	__u8 mac_dst[6];
} __attribute__((aligned(8))); /* cleared by words */

/* A connection's two ends, told apart. The order of members is that of the seeded hash. */
struct kl_endpoints {
	__u32 phone[4];
	__u32 cucm[4];
	__u16 phone_port;
	__u16 cucm_port;
	__u8 family;
	__u8 pad[3];
};

_Static_assert(sizeof(struct kl_endpoints) == 40, "hashed and compared as five words");

KL_INLINE bool kl_endpoints_equal(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
}

/*
 * Which way does a segment go, as far as its ports tell? The CUCM is the end whose port is a
 * signalling port. Where both are, *ret_ambiguous is set and the lower port (for equal ports the
 * lower address) is taken for the CUCM's, which kl_orient_by_syn() may overrule.
 */
KL_INLINE __u32 kl_orient(const volatile struct kl_ports *ports, const struct kl_segment *s,
			  bool *ret_ambiguous)
{
	bool from_cucm = kl_port_is_signalling(ports, s->sport);
	bool to_cucm = kl_port_is_signalling(ports, s->dport);

	*ret_ambiguous = from_cucm == to_cucm;
	if (from_cucm != to_cucm)
		return to_cucm ? KL_TO_CUCM : KL_TO_PHONE;
	if (s->sport != s->dport)
		return s->dport < s->sport ? KL_TO_CUCM : KL_TO_PHONE;
	KL_UNROLL
	for (int i = 0; i < 4; i++) {
		if (s->src[i] != s->dst[i])
			return __builtin_bswap32(s->dst[i]) < __builtin_bswap32(s->src[i])
				       ? KL_TO_CUCM
				       : KL_TO_PHONE;
	}
	return KL_TO_CUCM;
}

/* Whoever sends the SYN is the phone. For segments with the SYN flag only. */
KL_INLINE __u32 kl_orient_by_syn(const struct kl_segment *s)
{
	return s->flags & KL_ACK ? KL_TO_PHONE : KL_TO_CUCM;
}

KL_INLINE void kl_endpoints_of(const struct kl_segment *s, __u32 direction,
			       struct kl_endpoints *ret)
{
	const __u32 *phone = direction == KL_TO_CUCM ? s->src : s->dst;
	const __u32 *cucm = direction == KL_TO_CUCM ? s->dst : s->src;

	for (int i = 0; i < 4; i++) {
		ret->phone[i] = phone[i];
		ret->cucm[i] = cucm[i];
	}
	ret->phone_port = direction == KL_TO_CUCM ? s->sport : s->dport;
	ret->cucm_port = direction == KL_TO_CUCM ? s->dport : s->sport;
	ret->family = s->family;
	ret->pad[0] = ret->pad[1] = ret->pad[2] = 0;
}

/*
 * A 64-bit hash that an outsider cannot steer: the seed is drawn at start. Multiply and fold, with
 * the odd constants of xxHash64.
 */
KL_INLINE __u64 kl_mix(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9E3779B185EBCA87ULL;
	h = (h ^ h >> 32) * 0xC2B2AE3D27D4EB4FULL;
	return h ^ h >> 29;
}

KL_INLINE __u64 kl_endpoints_hash(const struct kl_endpoints *e, __u64 seed)
{
	__u64 h = kl_mix(seed, (__u64)e->phone[0] << 32 | e->cucm[0]);

	h = kl_mix(h, (__u64)e->phone_port << 32 | (__u64)e->cucm_port << 8 | e->family);
	if (e->family == 6) {
		h = kl_mix(h, (__u64)e->phone[1] << 32 | e->phone[2]);
		h = kl_mix(h, (__u64)e->phone[3] << 32 | e->cucm[1]);
		h = kl_mix(h, (__u64)e->cucm[2] << 32 | e->cucm[3]);
	}
	return h;
}

/* The same without the phone's address and port: they differ where this host translates them. */
KL_INLINE __u64 kl_cucm_hash(const struct kl_endpoints *e, __u64 seed)
{
	__u64 h = kl_mix(~seed, (__u64)e->cucm[0] << 32 | (__u64)e->cucm_port << 8 | e->family);

	if (e->family == 6) {
		h = kl_mix(h, (__u64)e->cucm[1] << 32 | e->cucm[2]);
		h = kl_mix(h, e->cucm[3]);
	}
	return h;
}

/*
 * What tells one copy of a segment from the next: the IP ID, which a sender changes and a mirror
 * port or a bond does not. Without an ID (IPv6, or 0 as some stacks send with DF) the header fields
 * that move with time stand in; two equal ones then mean "not to be told apart".
 */
KL_INLINE __u32 kl_stamp(const struct kl_segment *s)
{
	if (s->ip_id)
		return s->ip_id;
	return (__u32)(kl_mix((__u64)s->ack << 32 | s->window,
			      (__u64)s->ts_val << 32 | s->ts_ecr) >>
		       16) |
	       0x80000000U;
}

/* Was it made from an IP ID? Then equal stamps mean the same packet. */
KL_INLINE bool kl_stamp_is_sure(__u32 stamp)
{
	return !(stamp >> 31);
}
