// SPDX-License-Identifier: GPL-2.0-only
#include "source/capture_link.h"

#include <string.h>

enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	DLT_RAW_LINUX = 12, /* what libpcap calls LINK_RAW, here and on OpenBSD */
	DLT_RAW_OPENBSD = 14,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,

	NULL_LEN = 4,
	SLL_LEN = 16,
	SLL2_LEN = 20,

	/* Enough to tell that a packet is none of ours; then the longest headers that are parsed. */
	PEEK_BYTES = 128,
	HEADERS_MAX = 8 + 40 + KL_IPV6_EXT_MAX * 2048 + 60,
};

enum kl_framing kl_framing_of(__u32 link)
{
	switch (link) {
	case LINK_ETHERNET:
		return KL_FRAMING_ETHERNET;
	case LINK_NULL:
		return KL_FRAMING_NULL;
	case LINK_LOOP:
		return KL_FRAMING_LOOP;
	case LINK_RAW:
	case DLT_RAW_LINUX:
	case DLT_RAW_OPENBSD:
		return KL_FRAMING_RAW;
	case LINK_IPV4:
		return KL_FRAMING_IPV4;
	case LINK_IPV6:
		return KL_FRAMING_IPV6;
	case LINK_SLL:
		return KL_FRAMING_SLL;
	case LINK_SLL2:
		return KL_FRAMING_SLL2;
	default:
		return KL_FRAMING_UNKNOWN;
	}
}

__u16 kl_framing_link(enum kl_framing framing)
{
	static const __u16 links[] = {
		[KL_FRAMING_ETHERNET] = LINK_ETHERNET, [KL_FRAMING_NULL] = LINK_NULL,
		[KL_FRAMING_LOOP] = LINK_LOOP,	       [KL_FRAMING_RAW] = LINK_RAW,
		[KL_FRAMING_IPV4] = LINK_IPV4,	       [KL_FRAMING_IPV6] = LINK_IPV6,
		[KL_FRAMING_SLL] = LINK_SLL,	       [KL_FRAMING_SLL2] = LINK_SLL2,
	};

	return links[framing];
}

/* The header that is missing, and what of the packet it replaces. */
struct lead {
	__u32 len; /* of the packet's own link header */
	__u16 type;
	__u8 mac_src[6];
};

static __u16 type_of_version(__u8 first)
{
	return first >> 4 == 4 ? KL_ETHERTYPE_IPV4 : first >> 4 == 6 ? KL_ETHERTYPE_IPV6 : 0;
}

/* AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs and on macOS. */
static __u16 type_of_family(__u32 family)
{
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		return KL_ETHERTYPE_IPV4;
	case 10:
	case 24:
	case 28:
	case 30:
		return KL_ETHERTYPE_IPV6;
	default:
		return 0;
	}
}

/* Fills *ret. The type is 0 where the packet is no IP; false: the packet ends too early to tell. */
static bool read_lead(enum kl_framing framing, const struct kl_packet *p, struct lead *ret)
{
	static const __u8 lengths[] = {
		[KL_FRAMING_NULL] = NULL_LEN,
		[KL_FRAMING_LOOP] = NULL_LEN,
		[KL_FRAMING_SLL] = SLL_LEN,
		[KL_FRAMING_SLL2] = SLL2_LEN,
	};
	const __u8 *d = p->data;

	*ret = (struct lead){ .len = lengths[framing] };
	if (p->captured < ret->len || !p->captured)
		return false;
	switch (framing) {
	case KL_FRAMING_NULL:
		ret->type = type_of_family(kl_le32(d));
		break;
	case KL_FRAMING_LOOP:
		ret->type = type_of_family(kl_be32(d));
		break;
	case KL_FRAMING_RAW:
		ret->type = type_of_version(d[0]);
		break;
	case KL_FRAMING_IPV4:
		ret->type = KL_ETHERTYPE_IPV4;
		break;
	case KL_FRAMING_IPV6:
		ret->type = KL_ETHERTYPE_IPV6;
		break;
	case KL_FRAMING_SLL:
		/* A VLAN tag is where it is in Ethernet: behind its type. */
		ret->type = kl_be16(d + 14);
		if (kl_be16(d + 4) == 6)
			memcpy(ret->mac_src, d + 6, 6);
		break;
	case KL_FRAMING_SLL2:
		ret->type = kl_be16(d);
		if (d[11] == 6)
			memcpy(ret->mac_src, d + 12, 6);
		break;
	default:
		break;
	}
	return true;
}

/* A frame in front of whose payload all headers are in data..end. */
static enum kl_parsed parse_frame(struct kl_frame *f, const struct kl_ports *ports,
				  struct kl_segment *ret)
{
	struct kl_layout l;
	enum kl_parsed parsed = kl_peek(f, ports, &l);

	if (parsed != KL_SEGMENT && parsed != KL_FRAGMENT)
		return parsed;
	/* What a host captures of its own TSO or GRO may be too long for the IP header: it says 0. */
	f->is_aggregate = l.l3_len == (l.type == KL_ETHERTYPE_IPV6 ? 40 : 0);
	return kl_parse(f, ports, ret);
}

/* Puts an Ethernet header in front of the first bytes of the packet, as many as there is room. */
static void dress(const struct lead *lead, const struct kl_packet *p, __u8 *room, __u32 room_bytes,
		  struct kl_frame *ret)
{
	__u32 n = p->captured - lead->len;

	if (n > room_bytes - KL_ETH_LEN)
		n = room_bytes - KL_ETH_LEN;
	memset(room, 0, 6);
	memcpy(room + 6, lead->mac_src, 6);
	room[12] = (__u8)(lead->type >> 8);
	room[13] = (__u8)lead->type;
	memcpy(room + KL_ETH_LEN, p->data + lead->len, n);
	*ret = (struct kl_frame){
		.data = room,
		.end = room + KL_ETH_LEN + n,
		.wire_len = p->len - lead->len + KL_ETH_LEN,
	};
}

static enum kl_parsed parse_dressed(enum kl_framing framing, const struct kl_packet *p,
				    const struct kl_ports *ports, struct kl_segment *ret,
				    __u32 *ret_payload_off)
{
	__u8 peek[KL_ETH_LEN + PEEK_BYTES], headers[KL_ETH_LEN + HEADERS_MAX];
	struct kl_frame frame;
	struct kl_layout l;
	enum kl_parsed parsed;
	struct lead lead;

	if (!read_lead(framing, p, &lead))
		return p->len > p->captured ? KL_NOT_LINEAR : KL_NOT_OURS;
	dress(&lead, p, peek, sizeof(peek), &frame);
	parsed = kl_peek(&frame, ports, &l);
	if (parsed == KL_NOT_OURS || parsed == KL_MALFORMED)
		return parsed;
	dress(&lead, p, headers, sizeof(headers), &frame);
	parsed = parse_frame(&frame, ports, ret);
	*ret_payload_off = ret->payload_off - KL_ETH_LEN + lead.len;
	return parsed;
}

enum kl_parsed kl_framing_parse(enum kl_framing framing, const struct kl_packet *p,
				const struct kl_ports *ports, struct kl_segment *ret,
				__u32 *ret_payload_off)
{
	struct kl_frame frame = { .data = p->data,
				  .end = p->data + p->captured,
				  .wire_len = p->len };
	enum kl_parsed parsed;

	if (framing == KL_FRAMING_UNKNOWN)
		return KL_NOT_OURS;
	if (framing != KL_FRAMING_ETHERNET)
		return parse_dressed(framing, p, ports, ret, ret_payload_off);
	parsed = parse_frame(&frame, ports, ret);
	*ret_payload_off = ret->payload_off;
	return parsed;
}
