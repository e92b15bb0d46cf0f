// SPDX-License-Identifier: GPL-2.0-only
/*
 * kl_arp_decode(): who asks and who claims, in ARP and neighbour discovery; each frame cut at every
 * byte and with every byte changed; what must be discarded. Memory ends where the frame does.
 */
#include <criterion/criterion.h>
#include <kaloss/arp.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/neighbours.h"
#include "guard.h"

#define PHONE_MAC                                                                                  \
	{                                                                                          \
		0x00, 0x24, 0x14, 0x2d, 0xdf, 0x24                                                 \
	}
#define SERVER_MAC                                                                                 \
	{                                                                                          \
		0x00, 0x50, 0x56, 0xbb, 0x11, 0x82                                                 \
	}
#define PHONE_IP                                                                                   \
	{                                                                                          \
		10, 60, 98, 7                                                                      \
	}
#define SERVER_IP                                                                                  \
	{                                                                                          \
		10, 60, 98, 182                                                                    \
	}
#define ALL_NODES                                                                                  \
	{                                                                                          \
		0xff, 0x02, [15] = 1                                                               \
	}
#define PHONE_IP6                                                                                  \
	{                                                                                          \
		0x20, 0x01, 0x0d, 0xb8, [15] = 7                                                   \
	}
#define SERVER_IP6                                                                                 \
	{                                                                                          \
		0x20, 0x01, 0x0d, 0xb8, [15] = 0xb6                                                \
	}

static const __u8 phone_mac[6] = PHONE_MAC, server_mac[6] = SERVER_MAC;
static const __u8 phone_ip[16] = PHONE_IP, server_ip[16] = SERVER_IP;
static const __u8 phone_ip6[16] = PHONE_IP6, server_ip6[16] = SERVER_IP6, nobody[16];

static __u32 decode(const struct pkt *p, struct kl_arp_event *ret)
{
	__u32 len = p->len < KL_ARP_BYTES ? p->len : KL_ARP_BYTES;

	return kl_arp_decode(guard_copy(0, p->data, len), len, p->len, 0, ret);
}

static const struct {
	const char *name;
	struct pkt_arp arp; /* where it has a MAC; else: */
	struct pkt_nd nd;
	__u32 decoded;
	__u8 what;
	const __u8 *mac, *address, *to;
	__u16 vlan;
	bool weak; /* it does not override */
} frames[] = {
	{ "request",
	  { .mac = PHONE_MAC, .ip = PHONE_IP, .to_ip = SERVER_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_REQUEST,
	  .mac = phone_mac,
	  .address = server_ip,
	  .to = phone_ip },
	{ "request, two tags",
	  { .tags = 2,
	    .tag = { 0x606e, 20 },
	    .mac = PHONE_MAC,
	    .ip = PHONE_IP,
	    .to_ip = SERVER_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_REQUEST,
	  .mac = phone_mac,
	  .address = server_ip,
	  .to = phone_ip,
	  .vlan = 110 },
	{ "probe",
	  { .mac = PHONE_MAC, .to_ip = PHONE_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_REQUEST,
	  .mac = phone_mac,
	  .address = phone_ip,
	  .to = nobody },
	{ "reply",
	  { .op = 2, .mac = SERVER_MAC, .ip = SERVER_IP, .to_mac = PHONE_MAC, .to_ip = PHONE_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_ANSWER,
	  .mac = server_mac,
	  .address = server_ip,
	  .to = phone_ip },
	{ "reply to all",
	  { .op = 2, .mac = SERVER_MAC, .ip = SERVER_IP, .to_ip = PHONE_IP, .to_all = true },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_ANNOUNCE,
	  .mac = server_mac,
	  .address = server_ip,
	  .to = nobody },
	{ "gratuitous request",
	  { .mac = SERVER_MAC, .ip = SERVER_IP, .to_ip = SERVER_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_ANNOUNCE,
	  .mac = server_mac,
	  .address = server_ip,
	  .to = nobody },
	{ "gratuitous reply",
	  { .op = 2, .mac = SERVER_MAC, .ip = SERVER_IP, .to_ip = SERVER_IP },
	  .decoded = KL_ARP_EVENT,
	  .what = KL_ARP_ANNOUNCE,
	  .mac = server_mac,
	  .address = server_ip,
	  .to = nobody },
	{ "reverse ARP", { .op = 3, .mac = PHONE_MAC, .ip = PHONE_IP, .to_ip = PHONE_IP } },
	{ "a reply from nobody",
	  { .op = 2, .mac = SERVER_MAC, .to_ip = PHONE_IP },
	  .decoded = KL_ARP_BAD },
	{ "a group's address",
	  { .op = 2, .mac = SERVER_MAC, .ip = { 224, 0, 0, 1 }, .to_ip = PHONE_IP },
	  .decoded = KL_ARP_BAD },
	{ "asked for nobody", { .mac = PHONE_MAC, .ip = PHONE_IP }, .decoded = KL_ARP_BAD },
	{ "solicitation",
	  .nd = { .mac = PHONE_MAC, .from = PHONE_IP6, .to = ALL_NODES, .target = SERVER_IP6 },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_REQUEST, .mac = phone_mac, .address = server_ip6,
	  .to = phone_ip6, .weak = true },
	{ "solicitation behind three nonces and a tag",
	  .nd = { .tags = 1,
		  .tag = { 30 },
		  .mac = PHONE_MAC,
		  .from = PHONE_IP6,
		  .to = ALL_NODES,
		  .target = SERVER_IP6,
		  .nonces = 3 },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_REQUEST, .mac = phone_mac, .address = server_ip6,
	  .to = phone_ip6, .vlan = 30, .weak = true },
	{ "is the address free?",
	  .nd = { .mac = PHONE_MAC, .to = ALL_NODES, .target = PHONE_IP6, .no_option = true },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_REQUEST, .mac = phone_mac, .address = phone_ip6,
	  .to = nobody, .weak = true },
	{ "the same with an option",
	  .nd = { .mac = PHONE_MAC, .to = ALL_NODES, .target = PHONE_IP6 }, .decoded = KL_ARP_BAD },
	{ "solicited, overrides",
	  .nd = { .advertises = true,
		  .flags = KL_ND_SOLICITED | KL_ND_OVERRIDE,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = PHONE_IP6,
		  .target = SERVER_IP6 },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_ANSWER, .mac = server_mac, .address = server_ip6,
	  .to = phone_ip6 },
	{ "solicited, by a proxy",
	  .nd = { .advertises = true,
		  .flags = KL_ND_SOLICITED,
		  .mac = PHONE_MAC,
		  .from = SERVER_IP6,
		  .to = PHONE_IP6,
		  .target = SERVER_IP6,
		  .no_option = true },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_ANSWER, .mac = phone_mac, .address = server_ip6,
	  .to = phone_ip6, .weak = true },
	{ "unsolicited",
	  .nd = { .advertises = true,
		  .flags = KL_ND_OVERRIDE,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = ALL_NODES,
		  .target = SERVER_IP6 },
	  .decoded = KL_ARP_EVENT, .what = KL_ARP_ANNOUNCE, .mac = server_mac,
	  .address = server_ip6, .to = nobody },
	{ "solicited by all",
	  .nd = { .advertises = true,
		  .flags = KL_ND_SOLICITED,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = ALL_NODES,
		  .target = SERVER_IP6 },
	  .decoded = KL_ARP_BAD },
	{ "from afar",
	  .nd = { .advertises = true,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = ALL_NODES,
		  .target = SERVER_IP6,
		  .hop_limit = 254 },
	  .decoded = KL_ARP_BAD },
	{ "another code",
	  .nd = { .advertises = true,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = ALL_NODES,
		  .target = SERVER_IP6,
		  .code = 1 },
	  .decoded = KL_ARP_BAD },
	{ "of a group",
	  .nd = { .advertises = true,
		  .mac = SERVER_MAC,
		  .from = SERVER_IP6,
		  .to = ALL_NODES,
		  .target = ALL_NODES },
	  .decoded = KL_ARP_BAD },
};

enum {
	FRAMES = sizeof(frames) / sizeof(frames[0])
};

static void build(unsigned i, struct pkt *ret)
{
	if (kl_is_zero_mac(frames[i].arp.mac))
		pkt_build_nd(&frames[i].nd, ret);
	else
		pkt_build_arp(&frames[i].arp, ret);
}

Test(arp_frame, who_asks_and_who_claims)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		bool is_arp = !kl_is_zero_mac(frames[i].arp.mac);
		struct kl_arp_event e;
		struct pkt p;

		build(i, &p);
		cr_expect_eq(decode(&p, &e), frames[i].decoded, "%s", frames[i].name);
		if (frames[i].decoded != KL_ARP_EVENT)
			continue;
		cr_expect_eq(e.family, is_arp ? 4 : 6, "%s", frames[i].name);
		cr_expect_eq(e.what, frames[i].what, "%s: %u", frames[i].name, e.what);
		cr_expect_eq(e.vlan, frames[i].vlan, "%s", frames[i].name);
		cr_expect_eq(e.overrides, !frames[i].weak, "%s", frames[i].name);
		cr_expect_arr_eq(e.mac, frames[i].mac, 6, "%s", frames[i].name);
		cr_expect_arr_eq(e.frame_mac, p.data + 6, 6, "%s", frames[i].name);
		cr_expect_arr_eq(e.address, frames[i].address, 16, "%s", frames[i].name);
		cr_expect_arr_eq(e.to, frames[i].to, 16, "%s", frames[i].name);
	}
}

Test(arp_frame, the_claim_is_the_message_s_and_not_the_frame_s)
{
	const struct pkt_arp reply = {
		.op = 2, .mac = SERVER_MAC, .ip = SERVER_IP, .to_mac = PHONE_MAC, .to_ip = PHONE_IP
	};
	struct kl_arp_event e;
	struct pkt p;

	pkt_build_arp(&reply, &p);
	memcpy(p.data + 6, phone_mac, 6);
	cr_assert_eq(decode(&p, &e), (__u32)KL_ARP_EVENT);
	cr_expect_arr_eq(e.mac, server_mac, 6);
	cr_expect_arr_eq(e.frame_mac, phone_mac, 6);
}

Test(arp_frame, a_tag_beside_the_frame_is_the_outer_one)
{
	const struct pkt_arp request = {
		.tags = 1, .tag = { 7 }, .mac = PHONE_MAC, .ip = PHONE_IP, .to_ip = SERVER_IP
	};
	struct kl_arp_event e;
	struct pkt p;

	pkt_build_arp(&request, &p);
	cr_assert_eq(kl_arp_decode(p.data, p.len, p.len, 110, &e), (__u32)KL_ARP_EVENT);
	cr_expect_eq(e.vlan, 110);
}

/* Cut anywhere, it is no event but where only padding or a later option is missing. */
Test(arp_frame, cut_anywhere)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		struct kl_arp_event whole, e;
		struct pkt p;
		__u32 need;

		build(i, &p);
		decode(&p, &whole);
		need = whole.family == 4 ? p.wire_end : p.l4_off + KL_ND_LEN;
		for (__u32 len = 0; len < p.len; len++) {
			__u32 decoded = kl_arp_decode(guard_copy(0, p.data, len), len, len, 0, &e);

			cr_expect(decoded != KL_ARP_EVENT || len >= need, "%s, %u", frames[i].name,
				  len);
			/* Of neighbour discovery the whole is promised by its length. */
			if (whole.family == 6 && frames[i].decoded == KL_ARP_EVENT)
				cr_expect_neq(decoded, KL_ARP_EVENT, "%s, %u", frames[i].name, len);
		}
	}
}

/* Whatever a byte is changed to: nothing is read that is not there (the guard sees to it). */
Test(arp_frame, any_byte_changed)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		struct pkt p, q;

		build(i, &p);
		for (__u32 at = 12; at < p.wire_end; at++) {
			for (__u32 bit = 0; bit < 8; bit++) {
				struct kl_arp_event e;

				q = p;
				q.data[at] ^= (__u8)(1 << bit);
				cr_expect_leq(decode(&q, &e), (__u32)KL_ARP_BAD);
				cr_expect_lt(e.vlan, 4096);
			}
		}
	}
}

Test(arp_frame, options_that_do_not_end)
{
	const struct pkt_nd nd = { .advertises = true,
				   .mac = SERVER_MAC,
				   .from = SERVER_IP6,
				   .to = ALL_NODES,
				   .target = SERVER_IP6,
				   .nonces = 2 };
	struct kl_arp_event e;
	struct pkt p;

	pkt_build_nd(&nd, &p);
	p.data[p.l4_off + KL_ND_LEN + 1] = 0; /* an option without length */
	cr_expect_eq(decode(&p, &e), (__u32)KL_ARP_BAD);
	pkt_build_nd(&nd, &p);
	p.data[p.l4_off + KL_ND_LEN + 1] = 255; /* beyond the frame: the rest is not looked at */
	p.data[6] = 2;
	cr_expect_eq(decode(&p, &e), (__u32)KL_ARP_EVENT);
	cr_expect_eq(e.mac[0], 2, "the frame's own source stands in");
}

Test(arp_frame, the_same_has_the_same_hash_and_others_have_others)
{
	__u64 hash[FRAMES];

	for (unsigned i = 0; i < FRAMES; i++) {
		struct kl_arp_event e;
		struct pkt p;

		build(i, &p);
		decode(&p, &e);
		if (frames[i].decoded != KL_ARP_EVENT)
			continue;
		hash[i] = kl_arp_hash(&e, 1);
		e.time_ns = 5;
		e.side = 1;
		cr_expect_eq(kl_arp_hash(&e, 1), hash[i]);
		e.mac[5] ^= 1;
		cr_expect_neq(kl_arp_hash(&e, 1), hash[i], "%s: mac", frames[i].name);
		e.mac[5] ^= 1;
		e.to[0] ^= 1;
		cr_expect_neq(kl_arp_hash(&e, 1), hash[i], "%s: to", frames[i].name);
		e.to[0] ^= 1;
		e.address[e.family == 4 ? 0 : 3] ^= 1;
		cr_expect_neq(kl_arp_hash(&e, 1), hash[i], "%s: address", frames[i].name);
		e.address[e.family == 4 ? 0 : 3] ^= 1;
		e.what ^= 1;
		cr_expect_neq(kl_arp_hash(&e, 1), hash[i], "%s: what", frames[i].name);
	}
}
