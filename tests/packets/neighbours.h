/* SPDX-License-Identifier: GPL-2.0-only */
/* ARP and neighbour discovery for tests, from a description; see packets.h. */
#pragma once

#include "packets.h"

/* What is zero is as it should be, but for addresses and options. */
struct pkt_arp {
	__u8 tags; /* VLAN tags in the frame */
	__u16 tag[2];
	__u16 op; /* 0: a request */
	__u8 mac[6], to_mac[6];
	__u8 ip[4], to_ip[4]; /* the sender's, the target's */
	bool to_all;	      /* a reply to ff:ff:ff:ff:ff:ff, as a request always is */
};

struct pkt_nd {
	__u8 tags;
	__u16 tag[2];
	bool advertises;
	__u8 flags; /* of an advertisement: KL_ND_SOLICITED, KL_ND_OVERRIDE */
	__u8 mac[6];
	__u8 from[16], to[16], target[16];
	bool no_option; /* the link-layer address is left out */
	__u8 nonces;	/* other options in front of it */
	__u8 hop_limit; /* 0: 255 */
	__u8 code;
};

void pkt_build_arp(const struct pkt_arp *spec, struct pkt *ret);
void pkt_build_nd(const struct pkt_nd *spec, struct pkt *ret);
