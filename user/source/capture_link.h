/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands before the IP header in a captured packet, by the link type of the capture. Pure.
 *
 * There is one parser, include/kaloss/parse.h, and it wants Ethernet. A packet of another link type
 * is given the Ethernet header it lacks, in front of a copy of its headers; the payload stays where
 * it is.
 */
#pragma once

#include <kaloss/parse.h>

enum kl_framing {
	KL_FRAMING_UNKNOWN = 0, /* a link type that is not read */
	KL_FRAMING_ETHERNET,
	KL_FRAMING_NULL, /* BSD loopback: the address family in the byte order of the capturing host */
	KL_FRAMING_LOOP, /* the same in network byte order */
	KL_FRAMING_RAW,	 /* the IP header itself */
	KL_FRAMING_IPV4,
	KL_FRAMING_IPV6,
	KL_FRAMING_SLL,	 /* Linux cooked capture ("any"), version 1 */
	KL_FRAMING_SLL2, /* and 2 */
};

/* link: a LINKTYPE of a file or a DLT of libpcap: they differ for raw IP only, and both are known. */
enum kl_framing kl_framing_of(__u32 link);
/* The LINKTYPE that says the same. */
__u16 kl_framing_link(enum kl_framing framing);

struct kl_packet {
	const __u8 *data;
	__u32 captured;
	__u32 len; /* on the wire; at least captured */
};

/*
 * Parses p as kl_parse() does, and says where in p the payload starts: perhaps behind what was
 * captured. KL_NOT_LINEAR: what was captured ends before it can be said what this is.
 */
enum kl_parsed kl_framing_parse(enum kl_framing framing, const struct kl_packet *p,
				const struct kl_ports *ports, struct kl_segment *ret,
				__u32 *ret_payload_off);
